"""S3Blobs over HTTP: what each verb asks of the endpoint, and what is stored."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from typing import Any

import pytest

pytest.importorskip("boto3")
pytest.importorskip("moto")

import boto3
from botocore.config import Config
from tests.stores.s3_place import Place
from tests.stores.s3_proxy import Exchange
from tests.stores.s3_server import PAGE

from strands_session_store.stores.objects.blobs import Refused
from strands_session_store.stores.objects.s3 import S3Blobs


@pytest.mark.parametrize("data", [b"", b"\0\xff", b"x" * 1000, b"x" * 1001, b"ab" * 10_000, os.urandom(5000)])
def test_bytes_come_back_as_they_were(place: Place, data: bytes) -> None:
    blobs = place.blobs()
    tag = blobs.put("a/b.json", data)
    found = blobs.get(["a/b.json"])
    assert found["a/b.json"].data == data and found["a/b.json"].tag == tag


def test_what_shrinks_is_stored_as_gzip_that_others_can_read_and_the_same_each_time(place: Place) -> None:
    blobs, plain = place.blobs(), place.blobs(compress=False)
    data = b'{"a": "b"}\n' * 1000
    assert blobs.put("a.jsonl", data) == blobs.put("b.jsonl", data)
    stored = place.raw("pre/fix/a.jsonl")
    assert stored["ContentEncoding"] == "gzip" and stored["ContentType"] == "application/x-ndjson"
    assert stored["Body"][4:8] == bytes(4)  # where gzip has the time
    assert gzip.decompress(stored["Body"]) == data and len(stored["Body"]) < len(data) / 10
    done = subprocess.run(["zcat"], input=stored["Body"], capture_output=True, check=True)
    assert done.stdout == data
    # what is small or does not shrink is stored as it is, and so is everything where that was asked for
    random = os.urandom(5000)
    for key, kept, by in (("small.json", b"{}", blobs), ("random", random, blobs), ("plain.json", data, plain)):
        by.put(key, kept)
        stored = place.raw(f"pre/fix/{key}")
        assert stored["Body"] == kept and not stored.get("ContentEncoding")
    assert plain.get(["a.jsonl"])["a.jsonl"].data == data


@pytest.mark.parametrize(("scheme", "checksums"), [("http", None), ("http", "when_supported"), ("https", None)])
def test_a_put_is_one_request_that_does_not_wait_for_100_continue(
    place: Place, scheme: str, checksums: str | None, request: pytest.FixtureRequest
) -> None:
    if scheme == "https":
        place = request.getfixturevalue("secured")
    blobs = place.blobs(boto_client_config=Config(request_checksum_calculation=checksums) if checksums else None)
    blobs.put("small", b"x" * 500)
    blobs.put("middling", os.urandom(2**20))
    blobs.put("large", os.urandom(2**20 + 1))
    assert place.proxy.methods == ["PUT"] * 3
    assert ["expect" in exchange.headers for exchange in place.proxy.seen] == [False, False, True]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_put_is_guarded_by_a_checksum_that_every_endpoint_knows(
    place: Place, scheme: str, request: pytest.FixtureRequest
) -> None:
    if scheme == "https":
        place = request.getfixturevalue("secured")
    blobs = place.blobs()
    blobs.put("a", b"abc")
    blobs.delete(["a"])
    put, post = place.proxy.seen
    assert put.headers["content-md5"] == "kAFQmDzST7DWlj99KOF/cg==" and "content-md5" in post.headers
    for exchange in (put, post):
        assert not [name for name in exchange.headers if "checksum" in name or "trailer" in name]
        assert "chunked" not in exchange.headers.get("content-encoding", "")


def test_conditions_are_decided_by_the_endpoint(place: Place) -> None:
    blobs = place.blobs()
    with pytest.raises(Refused):
        blobs.put("a", b"1", if_match="0" * 32)
    first = blobs.put("a", b"1", if_absent=True)
    with pytest.raises(Refused):
        blobs.put("a", b"2", if_absent=True)
    second = blobs.put("a", b"2", if_match=first)
    assert second != first
    with pytest.raises(Refused):
        blobs.put("a", b"3", if_match=first)
    assert blobs.get(["a"])["a"].data == b"2"
    assert [exchange.headers.get("if-match") for exchange in place.proxy.seen[:1]] == [f'"{"0" * 32}"']


def test_of_many_who_expect_the_same_one_succeeds(place: Place) -> None:
    blobs = place.blobs()
    tag = blobs.put("a", b"0")
    start, done = threading.Barrier(8), []

    def race(at: int) -> None:
        start.wait()
        try:
            blobs.put("a", b"%d" % at, if_match=tag)
            done.append(at)
        except Refused:
            pass

    threads = [threading.Thread(target=race, args=(at,)) for at in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1 and blobs.get(["a"])["a"].data == b"%d" % done[0]


def test_get_gives_what_is_there_and_asks_for_many_at_once(place: Place) -> None:
    blobs = place.blobs()
    for at in range(20):
        blobs.put(f"k{at}", b"%d" % at)
    at_work, most, turns = 0, 0, threading.Lock()
    enough = threading.Event()

    def together(exchange: Exchange) -> None:
        nonlocal at_work, most
        with turns:
            at_work += 1
            most = max(most, at_work)
            if at_work >= 10:
                enough.set()
        assert enough.wait(10)
        answer = exchange.forward()
        with turns:
            at_work -= 1
        exchange.reply(answer)

    place.proxy.rule = together
    found = blobs.get([f"k{at}" for at in range(30)])
    assert {key: blob.data for key, blob in found.items()} == {f"k{at}": b"%d" % at for at in range(20)}
    assert 10 <= most <= 17
    assert blobs.get([]) == {}


def test_connections_are_kept(place: Place) -> None:
    blobs = place.blobs()
    for at in range(5):
        blobs.put(f"k{at}", b"")
        blobs.get([f"k{at}"])
    assert place.proxy.connections == 1


def test_keys_of_900_bytes_and_prefixes_of_120(place: Place) -> None:
    blobs = place.blobs("p" * 120)
    key = "/".join(["a" * 199] * 4 + ["b" * 100])
    assert len(key) == 900
    blobs.put(key, b"1")
    assert [each.key for each in blobs.list("a" * 199 + "/", below=True)] == [key]
    blobs.delete([key])
    assert not blobs.get([key])


def test_a_listing_is_paged_in_order_and_sees_nothing_of_others(place: Place) -> None:
    blobs = place.blobs()
    keys = [f"s/{at:04}.json" for at in range(PAGE + 10)]
    for key in reversed(keys):
        blobs.put(key, b"1234")
    for key in ("s/0001.d/deep", "s2/x", "s", "other"):
        blobs.put(key, b"")
    place.blobs("pre/fix2").put("s/0000", b"")
    place.proxy.seen.clear()
    found = list(blobs.list("s/"))
    assert [each.key for each in found] == keys and len(place.proxy.seen) == 2
    assert {each.size for each in found} == {4}
    assert all(abs(each.modified - time.time()) < 600 for each in found)
    assert [each.key for each in blobs.list("s/", after=keys[-3])] == keys[-2:]
    assert next(iter(blobs.list("s/", below=True, after="s/0000.json"))).key == "s/0001.d/deep"
    place.proxy.seen.clear()
    next(iter(blobs.list("s/")))
    assert len(place.proxy.seen) == 1  # no more than was asked for
    assert list(blobs.folders("")) == ["s", "s2"] and list(blobs.folders("s/")) == ["0001.d"]
    assert list(blobs.list("none/")) == [] and list(blobs.folders("none/")) == []


def test_folders_are_listed_without_their_content(place: Place) -> None:
    blobs = place.blobs()
    for at in range(PAGE + 10):
        blobs.put(f"big/{at}", b"")
    blobs.put("small/x", b"")
    place.proxy.seen.clear()
    assert list(blobs.folders("")) == ["big", "small"]
    assert len(place.proxy.seen) == 1


def test_deletions_are_batched_and_repeatable(place: Place) -> None:
    blobs = place.blobs()
    keys = [f"d/{at}" for at in range(1_001)]
    for key in (keys[0], keys[999], keys[1000]):
        blobs.put(key, b"")
    place.proxy.seen.clear()
    blobs.delete(keys)
    assert [exchange.body.count(b"<Key>") for exchange in place.proxy.seen] == [1000, 1]
    assert list(blobs.list("d/")) == []
    blobs.delete(keys[:1])
    blobs.delete([])


def test_put_options_reach_every_put(place: Place) -> None:
    blobs = place.blobs(
        put_options={
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": "key",
            "Tagging": "a=b",
            "StorageClass": "STANDARD_IA",
        }
    )
    tag = blobs.put("a", b"1", if_absent=True)
    blobs.put("a", b"2", if_match=tag)
    for exchange in place.proxy.seen:
        assert exchange.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert exchange.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "key"
        assert exchange.headers["x-amz-tagging"] == "a=b" and exchange.headers["x-amz-storage-class"] == "STANDARD_IA"
    assert place.raw("pre/fix/a")["ServerSideEncryption"] == "aws:kms"


def test_the_expected_owner_of_the_bucket_is_told_with_every_request(place: Place) -> None:
    blobs = place.blobs(put_options={"ExpectedBucketOwner": "123456789012"})
    blobs.put("a/b", b"1")
    blobs.get(["a/b"])
    list(blobs.list("a/"))
    blobs.delete(["a/b"])
    assert place.proxy.methods == ["PUT", "GET", "GET", "POST"]
    assert {exchange.headers["x-amz-expected-bucket-owner"] for exchange in place.proxy.seen} == {"123456789012"}


@pytest.mark.parametrize("ahead", [-3600, 5, 400])
def test_time_is_that_of_the_endpoint(place: Place, ahead: int) -> None:
    blobs = place.blobs()
    before = blobs.now()
    assert abs(before - time.time()) <= 1

    def skewed(exchange: Exchange) -> None:
        answer = exchange.forward()
        answer.headers["date"] = formatdate(time.time() + ahead, usegmt=True)
        exchange.reply(answer)

    place.proxy.rule = skewed
    blobs.get(["a"])
    assert abs(blobs.now() - (time.time() + ahead)) <= 1.5


def test_a_date_that_can_not_be_read_changes_nothing(place: Place) -> None:
    blobs = place.blobs()

    def odd(exchange: Exchange) -> None:
        answer = exchange.forward()
        answer.headers["date"] = "yesterday"
        exchange.reply(answer)

    place.proxy.rule = odd
    blobs.put("a", b"")
    assert abs(blobs.now() - time.time()) <= 1


def test_stores_of_many_threads_may_share_a_session_of_boto(place: Place) -> None:
    inside, most, start = 0, 0, threading.Barrier(4)

    class Watched(boto3.Session):
        """Which is not made for threads."""

        def client(self, *args: Any, **options: Any) -> Any:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            try:
                return super().client(*args, **options)
            finally:
                inside -= 1

    session = Watched(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")

    def use() -> None:
        blobs = S3Blobs(place.bucket, boto_session=session, endpoint_url=place.proxy.url)
        start.wait()
        blobs.get(["a"])

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(place: Place) -> None:
    blobs = place.blobs()
    blobs.put("a", b"1")
    blobs.get(["a"] * 10)  # threads and idle connections enough
    reader, writer = os.pipe()
    before = place.proxy.connections
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        signal.alarm(20)
        try:
            told = b"".join(blob.data for blob in blobs.get(["a", "a", "a"]).values())
            blobs.put("b", b"2")
            os.write(writer, told)
        finally:
            os._exit(0)
    os.close(writer)
    assert os.read(reader, 10) == b"1"
    os.close(reader)
    os.waitpid(child, 0)
    assert place.proxy.connections > before
    assert blobs.get(["b"])["b"].data == b"2"


def test_many_are_read_even_while_the_interpreter_ends(place: Place) -> None:
    blobs = place.blobs()
    for key in ("a", "b", "c"):
        blobs.put(key, key.encode())
    code = (
        "import atexit\n"
        "from strands_session_store.stores.objects.s3 import S3Blobs\n"
        f"blobs = S3Blobs({place.bucket!r}, 'pre/fix', endpoint_url={place.proxy.url!r})\n"
        "atexit.register(lambda: print(b''.join(each.data for each in blobs.get(['a', 'b', 'c']).values())))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "b'abc'\n", done.stderr


def test_verbs_after_close_say_so(place: Place) -> None:
    blobs: Any = place.blobs()
    blobs.close()
    blobs.close()
    with pytest.raises(Exception, match="closed"):
        blobs.get(["a"])
    never = S3Blobs(place.bucket)
    never.close()
    with pytest.raises(Exception, match="closed"):
        never.put("a", b"")
