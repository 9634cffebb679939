"""Who calls: by API key, by being on this machine, by one of several ways, or as an application's own code tells."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from strands_session_store.rest import AnyAuth, ApiKeyAuth, Caller, JwtAuth, NoAuth, Refused, create_app

from .serving import client, served
from .switching import Switched, told


@pytest.fixture(scope="module")
def auth() -> Switched:
    return Switched()


@pytest.fixture(scope="module")
def http(auth: Switched) -> Iterator[httpx.Client]:
    with served(auth.app()) as url, client(url) as made:
        yield made


# ------------------------------------------------------------------------------------------------------------ API keys


def test_keys_are_told_by_their_hashes(auth: Switched, http: httpx.Client, tmp_path: Path) -> None:
    (ada, of_ada), (root, of_root) = ApiKeyAuth.create(), ApiKeyAuth.create()
    assert ada.startswith("sss_") and len(ada) > 40 and ada != root
    path = tmp_path / "keys.json"
    entries = [
        {"hash": of_ada, "user_id": "ada", "note": "laptop"},
        {"hash": of_root, "user_id": "root", "admin": True},
    ]
    path.write_text(json.dumps({"keys": entries}))
    assert ada not in path.read_text()
    auth.auth = ApiKeyAuth.read(path)
    assert told(http, {"X-API-Key": ada}) == told(http, {"Authorization": f"Bearer {ada}"}) == (200, "ada")
    assert told(http, {"x-api-key": root}) == (200, "root (admin)")
    for bad in ({}, {"X-API-Key": ""}, {"Authorization": "Bearer"}, {"Authorization": f"Basic {ada}"}):
        assert told(http, bad) == (401, "send your token as 'Authorization: Bearer <token>'")
    for bad in (of_ada, ada[:-1], ada.upper(), f"{ada}x", "x" * 9000):
        assert told(http, {"X-API-Key": bad}) == (401, "the API key is not known")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"keys": 5}',
        '{"keys": "abc"}',
        '{"keys": [5]}',
        '{"keys": [{}]}',
        '{"keys": [{"hash": HASH}]}',
        '{"keys": [{"user_id": "ada"}]}',
        '{"keys": [{"hash": "sss_the-key-itself", "user_id": "ada"}]}',
        '{"keys": [{"hash": [HASH], "user_id": "ada"}]}',
        '{"keys": [{"hash": 5, "user_id": "ada"}]}',
        '{"keys": [{"hash": HASH, "user_id": ""}]}',
        '{"keys": [{"hash": HASH, "user_id": 5}]}',
        '{"keys": [{"hash": HASH, "user_id": "ada", "admin": "yes"}]}',
        '{"keys": [{"hash": HASH, "user_id": "ada", "adnim": true}]}',
        '{"keys": [{"hash": HASH, "user_id": "ada"}, {"hash": HASH, "user_id": "bob"}]}',
    ],
)
def test_a_file_that_is_none_of_keys_is_refused_whole(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text.replace("HASH", json.dumps("a" * 64)))
    with pytest.raises(ValueError, match="is no file of API keys") as caught:
        ApiKeyAuth.read(path)
    assert "the-key-itself" not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        ApiKeyAuth.read(tmp_path / "none")


@pytest.mark.parametrize("callers", [{"sss_key": Caller("ada")}, {"a" * 64: "ada"}, {5: Caller("ada")}])
def test_callers_that_are_none_are_refused_at_once(callers: Any) -> None:
    with pytest.raises(ValueError, match=r"hashes of their keys|rest\.Caller"):
        ApiKeyAuth(callers)


# ---------------------------------------------------------------------------------------------------- this machine only


def test_without_authentication_this_machine_is_an_administrator(auth: Switched, http: httpx.Client) -> None:
    port = http.base_url.port
    auth.auth = NoAuth()
    assert told(http) == (200, "None (admin)")
    auth.auth = NoAuth("me")
    for headers in (
        {},
        {"Host": f"localhost:{port}"},
        {"Host": "localhost"},
        {"Host": f"[::1]:{port}"},
        {"Host": "127.0.0.2"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://127.0.0.1"},
        {"Origin": "http://[::1]:8080"},
    ):
        assert told(http, headers) == (200, "me (admin)"), headers


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "10.0.0.1"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"X-Forwarded-Proto": "https"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "sessions.example.com"},
        {"Host": "localhost.example.com"},
        {"Host": "127.0.0.1.example.com"},
        {"Host": "10.0.0.1"},
        {"Host": "0.0.0.0"},
        {"Host": "[::]"},
        {"Host": "[fe80::1]:80"},
        {"Host": ""},
        {"Origin": "https://example.com"},
        {"Origin": "http://localhost.example.com"},
        {"Origin": "http://127.0.0.1.example.com"},
        {"Origin": "http://localhost@example.com"},
        {"Origin": "null"},
        {"Origin": ""},
    ],
    ids=str,
)
def test_without_authentication_nobody_else_is_let_in(
    auth: Switched, http: httpx.Client, headers: dict[str, str]
) -> None:
    auth.auth = NoAuth("me")
    status, why = told(http, headers)
    assert status == 401 and why.startswith("without authentication")


@pytest.mark.parametrize("address", [("10.0.0.1", 5), ("0.0.0.0", 5), ("::", 5), ("testclient", 5), ("", 5), None])
def test_without_authentication_an_address_that_is_not_this_machines_is_refused(address: Any) -> None:
    def request(address: Any) -> Request:
        return Request({"type": "http", "headers": [(b"host", b"localhost")], "client": address})

    assert NoAuth("me")(request(("127.0.0.1", 5))) == NoAuth("me")(request(("::1", 5))) == Caller("me", admin=True)
    with pytest.raises(Refused, match="only this machine is served"):
        NoAuth()(request(address))


# ----------------------------------------------------------------------------------------------- several, and one's own


def test_any_of_several_ways_will_do(auth: Switched, http: httpx.Client) -> None:
    key, digest = ApiKeyAuth.create()
    tokens = JwtAuth("s" * 32, algorithms=["HS256"])
    auth.auth = AnyAuth(tokens, ApiKeyAuth({digest: Caller("ada")}), own)
    assert told(http, {"X-API-Key": key}) == told(http, {"Authorization": f"Bearer {key}"}) == (200, "ada")
    assert told(http, {"X-User": "bob"}) == (200, "bob")
    status, why = told(http)
    assert status == 401 and why.split("; ") == ["send your token as 'Authorization: Bearer <token>'", "no X-User"]
    auth.auth = AnyAuth(tokens, NoAuth("me"))
    assert told(http) == (200, "me (admin)")
    for wrong in ((), (tokens, None), ("key",)):
        with pytest.raises(ValueError, match="AnyAuth needs one or more"):
            AnyAuth(*wrong)  # type: ignore[arg-type]


def own(request: Request) -> Caller:
    name = request.headers.get("x-user")
    if name is None:
        raise Refused("no X-User")
    return Caller(name, admin=name == "root")


async def awaited(request: Request) -> Caller:
    return own(request)


@pytest.mark.parametrize("made", [own, awaited, AnyAuth(awaited)])
def test_an_applications_own_code_tells_who_calls(auth: Switched, http: httpx.Client, made: Any) -> None:
    auth.auth = made
    assert told(http, {"X-User": "ada"}) == (200, "ada")
    assert told(http, {"X-User": "root"}) == (200, "root (admin)")
    assert told(http) == (401, "no X-User")
    for bad in ("", "x" * 181):
        status, why = told(http, {"X-User": bad})
        assert status == 401 and why.startswith("the credentials name no usable user: user_id is")


async def _later(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda request: None,
        lambda request: "ada",
        lambda request: ("ada", True),
        lambda request: _later(None),
        lambda: 5,
        lambda request: Caller(5),  # type: ignore[arg-type]
        lambda request: 1 / 0,
    ],
)
def test_nonsense_of_it_lets_nobody_in_and_is_in_the_log_alone(
    auth: Switched, http: httpx.Client, nonsense: Any, caplog: pytest.LogCaptureFixture
) -> None:
    auth.auth = nonsense
    with caplog.at_level(logging.ERROR, logger="strands_session_store.rest"):
        status, why = told(http)
    if status == 401:  # it is a Caller
        assert why == "the credentials name no usable user: user_id must be a string, not int"
    else:
        assert (status, why) == (500, "the server could not answer; its log has the request by its id")
        assert any(record.exc_info for record in caplog.records)


def test_it_may_answer_with_a_status_of_its_own(auth: Switched, http: httpx.Client) -> None:
    def locked(request: Request) -> Caller:
        raise HTTPException(403, "your account is locked", {"X-Locked": "yes"})

    auth.auth = locked
    answer = http.get("/api/agent-sessions")
    assert answer.status_code == 403 and answer.headers["x-locked"] == "yes"
    assert answer.json()["detail"] == "your account is locked"


@pytest.mark.parametrize("wrong", [None, "key", 5, {"ada": "key"}])
def test_an_app_needs_to_be_told_who_calls(wrong: Any) -> None:
    with pytest.raises(ValueError, match="auth must say who calls"):
        create_app("memory://", auth=wrong)


@pytest.mark.parametrize(
    ("made", "schemes"),
    [
        (NoAuth(), set()),
        (JwtAuth("s" * 32, algorithms=["HS256"]), {"bearer"}),
        (ApiKeyAuth({}), {"api_key"}),
        (AnyAuth(JwtAuth("s" * 32, algorithms=["HS256"]), ApiKeyAuth({})), {"bearer", "api_key"}),
        (own, {"bearer"}),
    ],
)
def test_the_document_says_how_a_caller_is_told(made: Any, schemes: set[str]) -> None:
    document = create_app("memory://", auth=made).openapi()
    assert set(document["components"].get("securitySchemes", {})) == schemes
    for path, operations in document["paths"].items():
        for operation in operations.values():
            named = {name for one in operation.get("security", []) for name in one}
            assert named == (schemes if path.startswith("/api/") else set()), path
