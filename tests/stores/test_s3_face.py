"""The S3 face: what a URL means, options reach the store, a session survives."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("boto3")
pytest.importorskip("moto")

from strands import Agent
from tests.forked import Forge
from tests.stores.s3_place import Place

from strands_session_store import S3SessionManager, StoreError, StoreSessionManager
from strands_session_store.errors import InvalidUrlError
from strands_session_store.stores import open_store
from strands_session_store.stores.objects.s3 import read_url
from strands_session_store.testing.models import ScriptedModel

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("bucket", {"bucket": "bucket", "prefix": ""}),
        ("bucket/", {"bucket": "bucket", "prefix": ""}),
        ("bucket/a/b%20c", {"bucket": "bucket", "prefix": "a/b c"}),
        ("arn%3Aaws%3As3%3A%3A1%3Aaccesspoint%2Fx/a", {"bucket": "arn:aws:s3::1:accesspoint/x", "prefix": "a"}),
        (
            "bucket/a?region=eu-west-1&endpoint_url=http://h:9000&profile=p&conditional_writes=assume-single-writer",
            {
                "bucket": "bucket",
                "prefix": "a",
                "region_name": "eu-west-1",
                "endpoint_url": "http://h:9000",
                "profile_name": "p",
                "conditional_writes": "assume-single-writer",
            },
        ),
        (
            "bucket?compress=false&ServerSideEncryption=aws:kms&BucketKeyEnabled=true",
            {
                "bucket": "bucket",
                "prefix": "",
                "compress": False,
                "put_options": {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True},
            },
        ),
    ],
)
def test_a_url_is_taken_apart(rest: str, expected: dict[str, Any]) -> None:
    assert read_url(rest) == expected


def test_without_boto3_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("strands_session_store.stores.objects.s3")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(InvalidUrlError, match=r"s3://bucket.* needs boto3: pip install strands-session-store\[s3\]"):
        open_store("s3://bucket/prefix")
    with pytest.raises(StoreError, match=r"needs boto3: pip install strands-session-store\[s3\]"):
        S3SessionManager("s", "bucket")


def test_boto3_that_knows_no_conditional_put_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore

    monkeypatch.setattr(botocore, "__version__", "1.35.99")
    with pytest.raises(
        StoreError, match=r"knows no conditional PUT; pip install --upgrade strands-session-store\[s3\]"
    ):
        open_store("s3://bucket")


def agent_of(manager: StoreSessionManager) -> Agent:
    return Agent(model=ScriptedModel(lambda messages: "fine"), session_manager=manager, callback_handler=None)


def test_a_session_is_resumed_by_bucket_and_by_url(place: Place) -> None:
    options: dict[str, Any] = {
        "endpoint_url": place.proxy.url,
        "region_name": "us-east-1",
        "put_options": {"ServerSideEncryption": "AES256"},
    }
    with S3SessionManager("s", place.bucket, "a/b", boto_session=place.server.session, ttl=600, **options) as manager:
        first = agent_of(manager)
        first("hello")
    written = [exchange for exchange in place.proxy.seen if exchange.method == "PUT"]
    assert {exchange.headers["x-amz-server-side-encryption"] for exchange in written} == {"AES256"}
    assert all(exchange.target.startswith(f"/{place.bucket}/a/b/") for exchange in written)
    url = f"s3://{place.bucket}/a/b?endpoint_url={place.proxy.url}&region=us-east-1"
    with StoreSessionManager("s", url) as manager:
        assert agent_of(manager).messages == first.messages
    with S3SessionManager("s", place.bucket, "a", **options) as manager:
        assert agent_of(manager).messages == []


def test_opening_asks_nothing_of_the_network(place: Place) -> None:
    open_store(f"s3://{place.bucket}?endpoint_url={place.proxy.url}", timeout=3).close()
    assert place.proxy.seen == [] and place.proxy.connections == 0


def test_wrong_arguments_are_refused_before_anything_is_asked() -> None:
    with pytest.raises(ValueError, match="bucket must be"):
        S3SessionManager("s", "a/b")
    with pytest.raises(ValueError, match="may not hold 'IfMatch'"):
        S3SessionManager("s", "bucket", put_options={"IfMatch": "x"})
    with pytest.raises(ValueError, match="session_id"):
        S3SessionManager("", "bucket")


def environment(place: Place, **more: str) -> dict[str, str]:
    return {**os.environ, "AWS_ENDPOINT_URL_S3": place.proxy.url, **more}


def test_the_example_goes_on_where_it_ended(place: Place, forge: Forge) -> None:
    command = [str(EXAMPLES / "s3_agent.py"), place.bucket]
    first, second = (forge.run(command, check=True, env=environment(place)).stdout for _ in range(2))
    assert "restored" not in first and "2 messages restored" in second and "Ada" in second


INSTANCE = """
import json, sys
import lambda_handler as function

print(json.dumps([function.handler(event, None) for event in json.loads(sys.argv[1])]))
"""
INTERRUPTED = """
import json, sys, threading
import lambda_handler as function

plain, second, answers = function.OfflineModel, json.loads(sys.argv[1])[1], []

class Interrupted(plain):
    async def stream(self, *args, **options):
        if function.OfflineModel is not plain:
            function.OfflineModel = plain
            thread = threading.Thread(target=lambda: answers.append(function.handler(second, None)))
            thread.start()
            thread.join()
        async for event in super().stream(*args, **options):
            yield event

function.OfflineModel = Interrupted
print(json.dumps([function.handler(json.loads(sys.argv[1])[0], None), *answers]))
"""


def instance(forge: Forge, place: Place, *prompts: str, code: str = INSTANCE) -> list[dict[str, Any]]:
    """What a new instance of the function answers to these."""
    events = json.dumps([{"session_id": "s", "prompt": prompt} for prompt in prompts])
    env = environment(place, STRANDS_SESSION_STORE=f"s3://{place.bucket}/sessions")
    done = forge.run(["-W", "error", "-c", code, events], cwd=EXAMPLES, env=env)
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def test_the_lambda_handler_answers_from_a_cold_start_and_from_a_warm_one(place: Place, forge: Forge) -> None:
    (first,) = instance(forge, place, "My name is Ada.")
    assert first["statusCode"] == 200 and first["messages"] == 2
    second, third = instance(forge, place, "What is my name?", "And again?")
    assert "Ada" in second["answer"] and (second["messages"], third["messages"]) == (4, 6)
    place.proxy.seen.clear()
    (fourth,) = instance(forge, place, "What is my name?")
    assert fourth["messages"] == 8
    # a resume is one get, a turn one put; the rest is the test of an endpoint that is not Amazon's
    assert [each.method for each in place.proxy.seen if ".probe-" not in each.target] == ["GET", "PUT"]


def test_of_two_instances_that_answer_one_session_at_once_one_says_so_and_stores_nothing(
    place: Place, forge: Forge
) -> None:
    instance(forge, place, "My name is Ada.")
    late, quick = instance(forge, place, "I was late.", "I was quick.", code=INTERRUPTED)
    assert (late["statusCode"], quick["statusCode"], quick["messages"]) == (409, 200, 4)
    with S3SessionManager("s", place.bucket, "sessions", endpoint_url=place.proxy.url) as manager:
        told = str(agent_of(manager).messages)
    assert "I was quick." in told and "I was late." not in told
