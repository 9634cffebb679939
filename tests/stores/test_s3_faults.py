"""S3Blobs when something breaks: what passes is waited for, what is unknown is said to be so; errors say what to do."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("boto3")
pytest.importorskip("moto")

from botocore.config import Config
from tests.stores.s3_place import Place
from tests.stores.s3_proxy import Answer, Exchange, S3Proxy, lose, pass_on, refuse
from tests.stores.s3_server import S3Server

from strands_session_store.errors import Corrupt, InDoubt, StoreError, Unavailable
from strands_session_store.stores.objects.blobs import Refused
from strands_session_store.stores.objects.s3 import S3Blobs, requests

SLOW = refuse(503, "SlowDown", "Please reduce your request rate.")
BROKEN = refuse(500, "InternalError", "We encountered an internal error. Please try again.")

VERBS: dict[str, tuple[str, Callable[[S3Blobs], Any]]] = {
    "get": ("GET", lambda blobs: blobs.get(["a"])["a"].data),
    "put": ("PUT", lambda blobs: blobs.put("b", b"1")),
    "create": ("PUT", lambda blobs: blobs.put("b", b"1", if_absent=True)),
    "list": ("GET", lambda blobs: list(blobs.list("x/"))),
    "folders": ("GET", lambda blobs: list(blobs.folders("x/"))),
    "delete": ("POST", lambda blobs: blobs.delete(["a"])),
}
PASSING: list[Any] = [
    SLOW,
    BROKEN,
    Exchange.drop,
    refuse(429, "TooManyRequests"),
    refuse(502),
    refuse(409, "ConditionalRequestConflict"),
    refuse(400, "RequestTimeout"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_what_passes_is_waited_for(place: Place, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_LONGEST", 0.02)
    blobs = place.blobs()
    blobs.put("a", b"1")
    method, act = VERBS[verb]
    place.proxy.seen.clear()
    place.proxy.script = [(method, fault) for fault in PASSING]
    act(blobs)
    assert place.proxy.methods == [method] * (len(PASSING) + 1)  # and boto's own retries play no part


@pytest.mark.parametrize("verb", VERBS)
def test_what_does_not_pass_is_unavailable_in_time(place: Place, verb: str) -> None:
    blobs = place.blobs(timeout=0.3)
    place.proxy.rule = SLOW
    began = time.monotonic()
    with pytest.raises(Unavailable, match="SlowDown") as info:
        VERBS[verb][1](blobs)
    assert not isinstance(info.value, InDoubt)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("fault", [BROKEN, refuse(504), Exchange.drop, lose])
@pytest.mark.parametrize("verb", ["put", "create"])
def test_a_put_without_a_clear_answer_is_in_doubt(place: Place, verb: str, fault: Any) -> None:
    blobs = place.blobs(timeout=0.3)
    place.proxy.rule = fault
    with pytest.raises(InDoubt, match=r"s3://bucket-\d+/pre/fix/b may have been stored"):
        VERBS[verb][1](blobs)


def test_a_put_that_was_done_before_its_answer_was_lost_is_in_doubt_not_refused(place: Place) -> None:
    """Ours is what is there; to say Refused would call it somebody else's."""
    blobs = place.blobs()
    place.proxy.script = [("PUT", lose)]
    with pytest.raises(InDoubt):
        blobs.put("a", b"1", if_absent=True)
    tag = blobs.get(["a"])["a"].tag
    place.proxy.script = [("PUT", lose)]
    with pytest.raises(InDoubt):
        blobs.put("a", b"2", if_match=tag)
    assert blobs.get(["a"])["a"].data == b"2"
    # without a condition, and before it was done, repeating tells
    place.proxy.script = [("PUT", lose)]
    blobs.put("a", b"3")
    place.proxy.script = [("PUT", Exchange.drop)]
    blobs.put("b", b"1", if_absent=True)


def test_a_refusal_is_no_doubt_after_attempts_that_were_refused_by_name(place: Place) -> None:
    blobs = place.blobs()
    blobs.put("a", b"1")
    place.proxy.script = [("PUT", SLOW), ("PUT", refuse(409, "ConditionalRequestConflict"))]
    with pytest.raises(Refused):
        blobs.put("a", b"2", if_absent=True)


def test_an_error_that_ends_a_doubtful_put_leaves_it_in_doubt(place: Place) -> None:
    blobs = place.blobs()
    place.proxy.script = [("PUT", lose), ("PUT", refuse(403, "AccessDenied"))]
    with pytest.raises(InDoubt, match="access denied"):
        blobs.put("a", b"1")


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_truncated_body_is_read_again_and_never_taken_for_data(place: Place, size: int) -> None:
    blobs = place.blobs(timeout=1.0)
    data = os.urandom(size)
    blobs.put("a", data)

    def cut(exchange: Exchange) -> None:
        exchange.reply(exchange.forward(), only=size // 2)

    place.proxy.script = [("GET", cut)] * 2
    assert blobs.get(["a"])["a"].data == data
    place.proxy.rule = cut
    with pytest.raises(Unavailable, match=r"broke off its answer to s3:GetObject on s3://.*/pre/fix/a"):
        blobs.get(["a"])


def test_a_body_that_comes_too_slowly_is_given_up(place: Place) -> None:
    blobs = place.blobs(timeout=1.0)
    blobs.put("a", os.urandom(2_000_000))
    over = threading.Event()

    def slowly(exchange: Exchange) -> None:
        answer = exchange.forward()
        handler = exchange._handler
        handler.send_response_only(200)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        for at in range(0, len(answer.body), 50_000):
            handler.wfile.write(answer.body[at : at + 50_000])
            if over.wait(0.2):
                return

    place.proxy.rule = slowly
    began = time.monotonic()
    with pytest.raises(Unavailable, match="too slowly"):
        blobs.get(["a"])
    over.set()
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    "body", [b"no gzip at all", b"\x1f\x8b\x08\0\0\0\0\0\0\x03cut"], ids=["other bytes", "half a gzip"]
)
def test_a_damaged_body_is_corrupt_and_named(place: Place, body: bytes) -> None:
    blobs = place.blobs()
    place.server.client.put_object(Bucket=place.bucket, Key="pre/fix/a", Body=body, ContentEncoding="gzip")
    with pytest.raises(Corrupt, match="pre/fix/a") as info:
        blobs.get(["a"])
    assert info.value.path == f"s3://{place.bucket}/pre/fix/a"


def test_one_failure_among_many_fails_the_whole_read(place: Place) -> None:
    blobs = place.blobs(timeout=0.3)
    for at in range(5):
        blobs.put(f"k{at}", b"")

    place.proxy.rule = lambda exchange: (SLOW if exchange.target.endswith("k3") else pass_on)(exchange)
    with pytest.raises(Unavailable):
        blobs.get([f"k{at}" for at in range(5)])


def test_a_server_that_is_silent_times_out(place: Place) -> None:
    blobs = place.blobs(timeout=1.0, boto_client_config=None)
    woken = threading.Event()
    place.proxy.rule = lambda exchange: woken.wait(30) and None
    began = time.monotonic()
    with pytest.raises(Unavailable, match="did not answer s3:GetObject in time"):
        blobs.get(["a"])
    with pytest.raises(InDoubt, match="did not answer s3:PutObject in time"):
        blobs.put("a", b"")
    assert time.monotonic() - began < 8
    woken.set()


def test_a_server_that_is_not_there_is_unavailable_and_leaves_no_doubt(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        blobs = S3Blobs(place.bucket, endpoint_url=url, timeout=0.3)
        with pytest.raises(Unavailable, match=f"{url} can not be reached") as info:
            blobs.put("a", b"")
        assert not isinstance(info.value, InDoubt)


# -------------------------------------------------------------------------------------------- errors that do not pass


@pytest.mark.parametrize("verb", VERBS)
def test_a_missing_bucket_is_named(place: Place, verb: str) -> None:
    blobs = S3Blobs("no-such-bucket", endpoint_url=place.proxy.url)
    with pytest.raises(StoreError, match=r"there is no bucket 'no-such-bucket' at http://127.0.0.1:\d+; create it"):
        VERBS[verb][1](blobs)


@pytest.mark.parametrize(
    ("verb", "action"),
    [("get", "GetObject"), ("put", "PutObject"), ("list", "ListBucket"), ("delete", "DeleteObject")],
)
def test_denied_access_names_the_permission_and_the_object(place: Place, verb: str, action: str) -> None:
    blobs = place.blobs()
    place.proxy.rule = refuse(403, "AccessDenied", "Access Denied")
    with pytest.raises(StoreError, match=rf"s3:{action} on s3://{place.bucket}/pre/fix/\w") as info:
        VERBS[verb][1](blobs)
    assert not isinstance(info.value, Unavailable)
    assert len(place.proxy.seen) == 1
    assert ("s3:ListBucket" in str(info.value)) == (verb in ("get", "list"))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            refuse(301, "PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-1"}),
            "set region_name to 'eu-west-1'",
        ),
        (refuse(400, "ExpiredToken", "The provided token has expired."), "credentials have expired"),
        (refuse(403, "InvalidAccessKeyId", "AKIAs3cr3t"), "refused the credentials"),
        (refuse(403, "SignatureDoesNotMatch", "s3cr3t"), "refused the credentials"),
        (refuse(403, "RequestTimeTooSkewed"), "clock is wrong"),
        (refuse(403, "InvalidObjectState"), "was archived"),
        (refuse(404), "404"),  # of something that is no S3: not an absent object
        (refuse(405, "MethodNotAllowed", "no"), "MethodNotAllowed: no"),
        (refuse(501, "NotImplemented", "no"), "NotImplemented: no"),
        (lambda exchange: exchange.reply(Answer(200, {}, b"hello")), "without an ETag"),
    ],
)
def test_what_does_not_pass_is_said_once(place: Place, answer: Any, says: str) -> None:
    blobs = place.blobs()
    place.proxy.rule = answer
    with pytest.raises(StoreError, match=says) as info:
        blobs.get(["a"])
    assert not isinstance(info.value, Unavailable) and "s3cr3t" not in str(info.value)
    assert len(place.proxy.seen) <= 3  # boto asks once or twice where a bucket is


def test_an_answer_that_is_no_s3s_is_never_an_empty_listing(place: Place) -> None:
    blobs = place.blobs(timeout=0.3)
    place.proxy.rule = lambda exchange: exchange.reply(Answer(200, {}, b"<html><body>Sign in</body>"))
    with pytest.raises(StoreError):
        list(blobs.list("a/"))


def test_what_one_object_of_a_deletion_met_is_raised(place: Place) -> None:
    blobs = place.blobs()

    def told(code: str) -> Callable[[Exchange], None]:
        body = f"<DeleteResult><Error><Key>a</Key><Code>{code}</Code><Message>m</Message></Error></DeleteResult>"
        return lambda exchange: exchange.reply(Answer(200, {}, body.encode()))

    place.proxy.script = [("POST", told("AccessDenied"))]
    with pytest.raises(StoreError, match=r"s3:DeleteObject.*AccessDenied"):
        blobs.delete(["a"])
    place.proxy.script = [("POST", told("InternalError")), ("POST", told("SlowDown")), ("POST", told("NoSuchKey"))]
    place.proxy.seen.clear()
    blobs.delete(["a"])
    assert len(place.proxy.seen) == 3


def test_without_credentials_the_error_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match="no usable AWS credentials"):
        S3Blobs(place.bucket, endpoint_url=place.proxy.url).get(["a"])
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(StoreError, match="no usable AWS credentials"):
        S3Blobs(place.bucket, endpoint_url=place.proxy.url).get(["a"])


def test_a_certificate_that_is_not_trusted_is_said_at_once(s3: S3Server, aws: None, certificate: Path) -> None:
    proxy = S3Proxy(s3.port, certificate)
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"certificate of https://127.* is not trusted.*AWS_CA_BUNDLE"):
        S3Blobs("some-bucket", endpoint_url=proxy.url).put("a", b"")
    assert time.monotonic() - began < 5
    proxy.close()


def test_a_secret_in_an_endpoint_of_the_environment_is_not_shown(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (f"http://u:s3cr3t@127.0.0.1:{place.proxy.port}", "http://u:s3cr3t@h:port"):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        with pytest.raises(StoreError) as info:
            S3Blobs("no-such-bucket", timeout=0.3).get(["a"])
        assert "s3cr3t" not in str(info.value)


# ------------------------------------------------------------------------------- endpoints without conditional writes


def without(*names: str) -> Callable[[Exchange], None]:
    """An endpoint that has never heard of these headers."""

    def act(exchange: Exchange) -> None:
        for name in names:
            exchange.headers.pop(name, None)
        exchange.reply(exchange.forward())

    return act


def stored(place: Place) -> list[str]:
    found = place.server.client.list_objects_v2(Bucket=place.bucket)
    return [each["Key"] for each in found.get("Contents", ())]


def test_an_endpoint_is_asked_once_whether_it_honours_conditions(place: Place) -> None:
    blobs = place.blobs(ready=False)
    blobs.get(["a"])
    assert place.proxy.methods == ["GET"]  # who only reads, asks nothing
    blobs.put("a", b"1", if_absent=True)
    assert place.proxy.methods == ["GET", *["PUT"] * 4, *["DELETE"] * 2, "PUT"]
    blobs.put("a", b"2")
    assert len(place.proxy.seen) == 9
    assert stored(place) == ["pre/fix/a"]


@pytest.mark.parametrize(
    "url", [None, "https://s3.eu-west-1.amazonaws.com", "https://vpce-1.s3.eu-west-1.vpce.amazonaws.com"]
)
def test_amazon_need_not_be_asked(aws: None, monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    blobs = S3Blobs("some-bucket", endpoint_url=url)
    asked: list[str] = []

    def answer(model: Any, **_: Any) -> Any:
        """In the place of the network, which is not there."""
        asked.append(model.name)
        return SimpleNamespace(status_code=200), {"ETag": '"1"'}

    blobs._requests._mine().client.meta.events.register_first("before-call.s3", answer)
    blobs.put("a", b"1", if_absent=True)
    assert asked == ["PutObject"]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (without("if-none-match"), "If-None-Match"),
        (without("if-match"), "If-Match"),
        (without("if-match", "if-none-match"), "If-None-Match"),
    ],
)
def test_an_endpoint_that_ignores_conditions_is_refused_before_anything_is_stored(
    place: Place, rule: Any, says: str
) -> None:
    blobs = place.blobs(ready=False)
    place.proxy.rule = rule
    for _ in range(2):
        with pytest.raises(StoreError, match=rf"does not honour {says}.*assume-single-writer") as info:
            blobs.put("a", b"1")
        assert not isinstance(info.value, Unavailable)
        asked = len(place.proxy.seen)
    assert asked <= 5  # the second time from memory
    assert stored(place) == []


def test_an_endpoint_that_rejects_conditions_is_refused_too(place: Place) -> None:
    def act(exchange: Exchange) -> None:
        if "if-match" in exchange.headers or "if-none-match" in exchange.headers:
            refuse(501, "NotImplemented", "A header you provided implies functionality that is not implemented")(
                exchange
            )
        else:
            exchange.reply(exchange.forward())

    blobs = place.blobs(ready=False)
    place.proxy.rule = act
    with pytest.raises(StoreError, match=r"does not honour If.*assume-single-writer"):
        blobs.put("a", b"1")
    assert stored(place) == []


def test_an_endpoint_that_compares_tags_without_quotes_is_understood(place: Place) -> None:
    def act(exchange: Exchange) -> None:
        if '"' in exchange.headers.get("if-match", ""):
            refuse(412, "PreconditionFailed")(exchange)
        else:
            answer = exchange.forward()
            answer.headers["etag"] = answer.headers.get("etag", "").strip('"')
            exchange.reply(answer)

    place.proxy.rule = act
    blobs = place.blobs(ready=False)
    tag = blobs.put("a", b"1", if_absent=True)
    assert blobs.get(["a"])["a"].tag == tag
    blobs.put("a", b"2", if_match=tag)
    with pytest.raises(Refused):
        blobs.put("a", b"3", if_match=tag)


@pytest.mark.parametrize("lost", range(6))
def test_an_answer_that_is_lost_while_asking_is_no_verdict_either(place: Place, lost: int) -> None:
    count = iter(range(100))

    def act(exchange: Exchange) -> None:
        (lose if next(count) == lost else pass_on)(exchange)

    place.proxy.rule = act
    blobs = place.blobs(ready=False)
    blobs.put("a", b"1", if_absent=True)
    assert stored(place) == ["pre/fix/a"]
    with pytest.raises(Refused):
        blobs.put("a", b"1", if_absent=True)


@pytest.mark.parametrize("knows", ["all", "no condition of a deletion", "rejects one", "single writer"])
def test_an_object_is_removed_only_if_it_is_still_the_same(place: Place, knows: str) -> None:
    def act(exchange: Exchange) -> None:
        if knows == "rejects one" and exchange.method == "DELETE" and "if-match" in exchange.headers:
            refuse(501, "NotImplemented")(exchange)
        else:
            without(*["if-match"] * (exchange.method == "DELETE" and knows != "all"))(exchange)

    place.proxy.rule = act
    mode = "assume-single-writer" if knows == "single writer" else "required"
    blobs = place.blobs(ready=False, conditional_writes=mode)
    tag = blobs.put("a", b"1")
    other = blobs.put("a", b"2")
    assert not blobs.remove("a", tag)
    assert blobs.get(["a"])["a"].data == b"2"
    place.proxy.seen.clear()
    assert blobs.remove("a", other)
    assert ("if-match" in place.proxy.seen[-1].headers) == (knows == "all")
    assert len(place.proxy.seen) == (1 if knows == "all" else 2)
    assert blobs.remove("a", other) and not blobs.get(["a"])
    assert stored(place) == []


def test_a_failure_while_asking_is_no_verdict(place: Place) -> None:
    blobs = place.blobs(ready=False, timeout=0.3)
    for fault in (SLOW, Exchange.drop):
        place.proxy.rule = fault
        with pytest.raises(Unavailable, match=r"SlowDown|broke off") as info:
            blobs.put("a", b"1")
        assert not isinstance(info.value, InDoubt)
    place.proxy.rule = pass_on
    blobs.put("a", b"1")


def test_a_single_writer_is_checked_by_looking_first(place: Place) -> None:
    place.proxy.rule = without("if-match", "if-none-match")
    blobs = place.blobs(conditional_writes="assume-single-writer")
    tag = blobs.put("a", b"1", if_absent=True)
    assert place.proxy.methods == ["GET", "PUT"]
    assert not {"if-match", "if-none-match"} & {name for exchange in place.proxy.seen for name in exchange.headers}
    with pytest.raises(Refused):
        blobs.put("a", b"2", if_absent=True)
    with pytest.raises(Refused):
        blobs.put("b", b"2", if_match=tag)
    done: list[int] = []

    def race(at: int) -> None:
        try:
            blobs.put("a", b"%d" % at, if_match=tag)
            done.append(at)
        except Refused:
            pass

    threads = [threading.Thread(target=race, args=(at,)) for at in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1 and blobs.get(["a"])["a"].data == b"%d" % done[0]


# --------------------------------------------------------------------------------------------------- wrong arguments


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bucket": ""}, "bucket must be"),
        ({"bucket": "a/b"}, "bucket must be"),
        ({"bucket": "x--usw2-az1--x-s3"}, "directory bucket"),
        ({"prefix": "p" * 121}, "prefix must have at most 120 bytes"),
        ({"prefix": "a\nb"}, "prefix must have"),
        ({"timeout": 0}, "timeout must be"),
        ({"timeout": float("inf")}, "timeout must be"),
        ({"endpoint_url": "localhost:9000"}, "endpoint_url must be http://host:port"),
        ({"endpoint_url": "http://u:s3cr3t@h"}, "endpoint_url must be .* without credentials"),
        ({"conditional_writes": "no"}, "conditional_writes must be one of required, assume-single-writer, got 'no'"),
        ({"boto_session": "default"}, "boto_session must be a boto3.Session, got a str"),
        ({"boto_client_config": {}}, "boto_client_config must be a botocore.config.Config"),
        ({"put_options": {"Bucket": "x"}}, "may not hold 'Bucket'"),
        ({"put_options": {"IfMatch": "x"}}, "may not hold 'IfMatch'"),
        ({"put_options": {"ChecksumCRC32": "x"}}, "may not hold 'ChecksumCRC32'"),
        ({"put_options": {"SSECustomerKey": "s3cr3t"}}, "may not hold 'SSECustomerKey'.*SSE-KMS"),
        ({"put_options": {"ServerSideEncrypton": "AES256"}}, "knows no 'ServerSideEncrypton'; it knows .*ServerSideE"),
        ({"put_options": {"ServerSideEncryption": "AES"}}, "ServerSideEncryption must be one of AES256, .*got 'AES'"),
        ({"put_options": {"SSEKMSKeyId": 5}}, "SSEKMSKeyId"),
        ({"put_options": {"StorageClass": "GLACIER"}}, "GLACIER can not be read when it is needed"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_asked(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as info:
        S3Blobs(**{"bucket": "some-bucket", **options})
    assert "s3cr3t" not in str(info.value)


def test_the_clients_own_retries_stay_off_whatever_is_asked_for(aws: None) -> None:
    blobs = S3Blobs("some-bucket", timeout=4, boto_client_config=Config(retries={"max_attempts": 9}, read_timeout=1))
    config = blobs._requests._mine().client.meta.config
    assert config.retries["total_max_attempts"] == 1
    assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (2, 1, 32)
    blobs.close()


def test_a_given_session_is_used(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    session = boto3.Session(aws_access_key_id="mine", aws_secret_access_key="x", region_name="eu-west-1")
    S3Blobs(place.bucket, boto_session=session, endpoint_url=place.proxy.url).get(["a"])
    assert "Credential=mine/" in place.proxy.seen[0].headers["authorization"]
    assert "/eu-west-1/" in place.proxy.seen[0].headers["authorization"]
