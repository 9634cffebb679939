"""The verbs over a bucket: a request each, but for listings and deletions, which take one for every 1,000 objects."""

from __future__ import annotations

import contextlib
import gzip
import re
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from ....errors import Corrupt, StoreError, Unavailable
from ...diagnosing import Diagnosing, Finding
from ..blobs import Blob, Blobs, Listed, Refused, Tag
from .client import EVERYWHERE, check_put_options, client_maker, md5
from .conditions import Conditions, Mode
from .diagnosis import diagnose
from .requests import Requests

_SMALL: Final = 1000
"""Bytes; smaller bodies are not compressed."""
_BATCH: Final = 1000
"""Objects of one deletion; S3 takes no more."""
_CHUNK: Final = 2**18
_TYPES: Final = {"json": "application/json", "jsonl": "application/x-ndjson"}


class S3Blobs(Blobs, Diagnosing):
    """Objects of one bucket, below one prefix. What is stored can be read with the console, or with
    ``aws s3 cp s3://bucket/key - | zcat | jq``.

    One client and one pool of 16 threads serve all threads; they are made with the first verb, and anew in a forked
    process. The first put to an endpoint that is not Amazon's takes six requests more: see `conditions`.

    Args:
        bucket: Its name, or the ARN of an access point. Directory buckets are refused: they do not list in order.
        prefix: Of all keys; "" for none.
        boto_session: A boto3.Session to make the client of.
        region_name: Of the bucket; None: what boto3 finds in its environment.
        endpoint_url: Of an S3-compatible service; None: the same.
        profile_name: A profile of boto3's configuration; instead of ``boto_session``.
        boto_client_config: A botocore Config, which counts more than ours, but for its retries: those are off.
        put_options: More arguments of put_object: ServerSideEncryption, SSEKMSKeyId, Tagging, StorageClass, ...
        compress: Whether what is larger than 1 kB and shrinks is stored with Content-Encoding gzip.
        conditional_writes: "assume-single-writer": for an endpoint without them. See `Conditions`.
        timeout: Seconds a verb may take, with all its attempts; for a listing or deletion, each request.

    Raises:
        ValueError: names the argument. Nothing has been asked of the network by then.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        boto_session: Any = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        profile_name: str | None = None,
        boto_client_config: Any = None,
        put_options: Mapping[str, Any] | None = None,
        compress: bool = True,
        conditional_writes: Mode = "required",
        timeout: float = 30.0,
    ) -> None:
        if not 0 < timeout < float("inf"):
            raise ValueError(f"timeout must be a number of seconds above 0, got {timeout!r}")
        if not re.fullmatch(r"arn:[\w:/-]{1,200}|[A-Za-z0-9._-]{3,255}", bucket):
            raise ValueError(f"bucket must be a bucket's name or an access point's ARN, got {bucket!r}")
        if bucket.endswith("--x-s3"):
            raise ValueError(f"bucket {bucket!r} is a directory bucket, which does not list in order; use another kind")
        prefix = prefix.strip("/")
        if len(prefix.encode()) > 120 or not prefix.isprintable():
            raise ValueError(f"prefix must have at most 120 bytes and no control characters, got {prefix!r}")
        self._bucket = bucket
        self._prefix = prefix and prefix + "/"
        self._options = check_put_options(put_options or {})
        self._everywhere = {name: self._options[name] for name in EVERYWHERE if name in self._options}
        self._compress = compress
        make = client_maker(
            boto_session,
            timeout,
            region_name=region_name,
            endpoint_url=endpoint_url,
            profile_name=profile_name,
            config=boto_client_config,
        )
        self._requests = Requests(make, bucket, timeout)
        self._conditions = Conditions(
            conditional_writes, lambda: self._requests.endpoint, self._put, self._drop, self._tag
        )

    def __repr__(self) -> str:
        return f"S3Blobs({self._bucket!r}, {self._prefix!r})"

    def get(self, keys: Sequence[str]) -> Mapping[str, Blob]:
        until = self._requests.until()
        found = self._requests.at_once(lambda key: self._get(key, until), keys)
        return {key: blob for key, blob in zip(keys, found) if blob is not None}

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: Tag | None = None) -> Tag:
        until = self._requests.until()
        return self._conditions.put(key, data, until, if_absent=if_absent, if_match=if_match)

    def list(self, prefix: str, *, after: str = "", below: bool = False) -> Iterator[Listed]:
        for page in self._pages(prefix, after, {} if below else {"Delimiter": "/"}):
            for each in page.get("Contents", ()):
                yield Listed(each["Key"].removeprefix(self._prefix), each["Size"], each["LastModified"].timestamp())

    def folders(self, prefix: str) -> Iterator[str]:
        whole = self._prefix + prefix
        for page in self._pages(prefix, "", {"Delimiter": "/"}):
            for each in page.get("CommonPrefixes", ()):
                yield each["Prefix"].removeprefix(whole).rstrip("/")

    def delete(self, keys: Sequence[str]) -> None:
        for at in range(0, len(keys), _BATCH):
            self._delete(keys[at : at + _BATCH])

    def remove(self, key: str, tag: Tag) -> bool:
        return self._conditions.remove(key, tag, self._requests.until())

    def now(self) -> float:
        """This machine's clock, moved as far as the endpoint's Date headers show it to be wrong; right to about a
        second, once there was an answer."""
        return self._requests.clock.now()

    def diagnose(self) -> Sequence[Finding]:
        return diagnose(self._requests, self._conditions, self._bucket, self._prefix)

    def close(self) -> None:
        self._requests.close()

    # ------------------------------------------------------------------------------------------------------- requests

    def _get(self, key: str, until: float) -> Blob | None:
        def call(client: Any) -> dict[str, Any]:
            answer: dict[str, Any] = client.get_object(Bucket=self._bucket, Key=self._prefix + key, **self._everywhere)
            with contextlib.closing(answer["Body"]) as body:
                chunks: list[bytes] = []
                for chunk in body.iter_chunks(_CHUNK):
                    if chunks and time.monotonic() > until:
                        raise Unavailable(f"s3://{self._bucket}/{self._prefix}{key} came too slowly")
                    chunks.append(chunk)
            answer["Body"] = b"".join(chunks)
            return answer

        try:
            answer = self._requests.ask("s3:GetObject", self._prefix + key, call, until)
        except Refused:
            return None
        data: bytes = answer["Body"]
        if answer.get("ContentEncoding") == "gzip":
            try:
                data = gzip.decompress(data)
            except (zlib.error, EOFError, gzip.BadGzipFile) as error:
                raise Corrupt(f"s3://{self._bucket}/{self._prefix}{key}", f"it is no gzip ({error})") from error
        return Blob(data, self._tag_in(answer))

    def _tag(self, key: str, until: float) -> Tag | None:
        found = self._get(key, until)
        return None if found is None else found.tag

    def _tag_in(self, answer: Mapping[str, Any]) -> Tag:
        """Without quotes and marks of a weak tag, which one answer may have and another not."""
        tag = str(answer.get("ETag", "")).removeprefix("W/").strip('"')
        if not tag:
            raise StoreError(f"{self._requests.endpoint} answers without an ETag; it can keep no sessions")
        return tag

    def _put(self, key: str, data: bytes, until: float, **conditions: str) -> Tag:
        told: dict[str, Any] = {"ContentType": _TYPES.get(key.rpartition(".")[2], "application/octet-stream")}
        if self._compress and len(data) > _SMALL:
            # without a time in it, so that the same bytes stay the same
            smaller = gzip.compress(data, 6, mtime=0)
            if len(smaller) < len(data):
                data, told["ContentEncoding"] = smaller, "gzip"

        def call(client: Any) -> dict[str, Any]:
            answer: dict[str, Any] = client.put_object(
                Bucket=self._bucket,
                Key=self._prefix + key,
                Body=data,
                ContentMD5=md5(data),
                **told,
                **conditions,
                **self._options,
            )
            return answer

        return self._tag_in(self._requests.ask("s3:PutObject", self._prefix + key, call, until, writes=True))

    def _drop(self, key: str, until: float, **conditions: str) -> None:
        def call(client: Any) -> dict[str, Any]:
            key_and = {"Key": self._prefix + key, **conditions, **self._everywhere}
            answer: dict[str, Any] = client.delete_object(Bucket=self._bucket, **key_and)
            return answer

        self._requests.ask("s3:DeleteObject", self._prefix + key, call, until)

    def _delete(self, keys: Sequence[str]) -> None:
        asked = {"Objects": [{"Key": self._prefix + key} for key in keys], "Quiet": True}

        def call(client: Any) -> dict[str, Any]:
            answer: dict[str, Any] = client.delete_objects(Bucket=self._bucket, Delete=asked, **self._everywhere)
            for error in answer.get("Errors", ()):
                if error.get("Code") != "NoSuchKey":
                    raise ClientError({**answer, "Error": error}, "DeleteObjects")
            return answer

        self._requests.ask("s3:DeleteObject", self._prefix + keys[0], call, self._requests.until())

    def _pages(self, prefix: str, after: str, more: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        asked: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + prefix, **more, **self._everywhere}
        if after:
            asked["StartAfter"] = self._prefix + after
        while True:
            page = self._requests.ask(
                "s3:ListBucket",
                asked["Prefix"],
                lambda client: dict(client.list_objects_v2(**asked)),
                self._requests.until(),
            )
            yield page
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]
