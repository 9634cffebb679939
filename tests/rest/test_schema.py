"""The API does as its own OpenAPI document says: whatever schemathesis derives from that, and what it has to say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from strands_session_store.rest import Limits
from strands_session_store.stores.memory import MemoryStore

from . import schema_hooks
from .serving import served
from .talking import KEYS, talking

CONFIG = """
hooks = {hooks}
continue-on-failure = true
seed = {seed}

[output.sanitization]
enabled = false

[output.truncation]
enabled = false

[generation]
max-examples = {examples}
database = "none"

[phases.stateful.generation]
mode = "positive"
max-examples = {scenarios}

[checks]
max_response_time = 20

[auth.wfc]
path = {users}
peers = ["ada", "bob"]
"""
"""Of schemathesis: requests are made as ada and bob, neither of whom may get what is the other's, and, where that is
refused, as root, who is an administrator."""


@pytest.fixture
def url() -> Iterator[str]:
    with served(talking(MemoryStore(), limits=Limits(rate=None))) as url:
        yield url


def explored(url: str, folder: Path, *more: str, examples: int, scenarios: int, seed: int) -> None:
    """Fails with what schemathesis reports, if it has found anything."""
    users = [{"name": name, "fixedHeaders": [{"name": "X-API-Key", "value": key}]} for name, key in KEYS.items()]
    (folder / "users.json").write_text(json.dumps({"auth": users}))
    config = folder / "schemathesis.toml"
    places = {"hooks": json.dumps(schema_hooks.__file__), "users": json.dumps(str(folder / "users.json"))}
    config.write_text(CONFIG.format(examples=examples, scenarios=scenarios, seed=seed, **places))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{url}/openapi.json"]
    command += ["--checks", "all", "--no-color", *more]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # every phase had something to do, and none of it was left out
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in done.stdout, done.stdout


def test_schemathesis_finds_nothing(url: str, tmp_path: Path) -> None:
    explored(url, tmp_path, examples=10, scenarios=60, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 5))
def test_schemathesis_finds_nothing_in_the_long_run(url: str, tmp_path: Path, seed: int) -> None:
    explored(url, tmp_path, "--max-time", "180", examples=100, scenarios=300, seed=seed)


# -------------------------------------------------------------------------------------------------------- the document


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = talking(MemoryStore()).openapi()
    return json.loads(json.dumps(made))  # type: ignore[no-any-return]


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for path, found in document["paths"].items():
        for method, operation in found.items():
            yield f"{method.upper()} {path}", operation


def resolved(document: Mapping[str, Any], one: Any) -> Any:
    return document["components"]["responses"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one


def test_every_operation_says_what_it_is_who_may_ask_and_what_it_answers(document: dict[str, Any]) -> None:
    tags = {one["name"] for one in document["tags"]}
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids) and document["components"]["securitySchemes"]
    for name, operation in operations(document):
        assert operation["summary"] and set(operation["tags"]) <= tags, name
        answers = {status: resolved(document, one) for status, one in operation["responses"].items()}
        guarded = " /api/" in name
        assert operation.get("security") == ([{"api_key": []}] if guarded else None), name
        assert not guarded or set(answers) >= {"400", "401", "403", "422", "429", "503"}, name
        assert "requestBody" not in operation or "413" in answers, name
        for status, answer in answers.items():
            assert answer["description"], (name, status)
            assert "X-Request-ID" in answer["headers"], (name, status)
            media = set(answer.get("content", {}))
            assert status < "400" or media == {"application/problem+json"}, (name, status)
        assert "WWW-Authenticate" in answers["401"]["headers"] if guarded else True
        assert not guarded or "Retry-After" in answers["429"]["headers"]
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (name, parameter["name"])


def test_every_example_is_as_its_schema_says(document: dict[str, Any]) -> None:
    def check(schema: Any, example: Any) -> None:
        jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(example)

    seen = 0
    for name, operation in operations(document):
        answers = [resolved(document, one) for one in operation["responses"].values()]
        for answer in answers:
            for media, content in answer.get("content", {}).items():
                if media != "application/x-ndjson":  # an archive: pages long
                    check(content["schema"], content["example"])
                    seen += 1
        for parameter in operation.get("parameters", ()):
            for example in parameter["schema"].get("examples", ()):
                check(parameter["schema"], example)
        if "requestBody" in operation:
            (content,) = operation["requestBody"]["content"].values()
            schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
            assert schema["examples"], name
            for example in schema["examples"]:
                check(schema, example)
    assert seen > 100


def test_it_is_an_openapi_document_without_loose_ends(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    for kind, parts in document["components"].items():
        for name in parts:
            assert kind == "securitySchemes" or f'"#/components/{kind}/{name}"' in text, f"{kind}/{name} is not used"
    again = talking(MemoryStore()).openapi()
    assert json.loads(json.dumps(again)) == document
