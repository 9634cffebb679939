"""One client a store: what it is made of, and what may not be changed about it.

1. Its own retries are off: ours (see `requests`) know what may be done twice.
2. A small body goes out at once. botocore asks `100 Continue` first, which is a round trip more for every put.
3. Bodies are not chunked and have no checksum trailer (botocore's default since 1.36), which endpoints other than
   Amazon's refuse or keep as part of the data; Content-MD5 guards them, which all of them know.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import boto3
import botocore
import botocore.session
from botocore.config import Config
from botocore.validate import ParamValidator

from ....errors import StoreError

PARALLEL: Final = 16
"""Threads that get objects, in one store."""
AT_ONCE: Final = 2**20
"""Bytes; for a larger body it pays to ask first whether the endpoint will take it."""

_one_at_a_time: Final = threading.Lock()
"""Stores may share a boto3.Session, which is not made for threads."""
_OURS: Final = {
    "Bucket", "Key", "Body", "IfMatch", "IfNoneMatch", "ContentEncoding", "ContentLength", "ContentMD5", "ContentType",
    "WriteOffsetBytes",
}  # fmt: skip
EVERYWHERE: Final[tuple[str, ...]] = "ExpectedBucketOwner", "RequestPayer"
"""Put options that every other request has to have too."""
_ASLEEP: Final = "GLACIER", "DEEP_ARCHIVE"


def md5(data: bytes) -> str:
    """As Content-MD5 wants it. It finds damage and keeps out nobody."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode("ascii")


def client_maker(
    session: boto3.Session | None,
    timeout: float,
    *,
    region_name: str | None,
    endpoint_url: str | None,
    profile_name: str | None,
    config: Config | None,
) -> Callable[[], Any]:
    """A function that makes the client: looking for credentials may ask the network, so the first verb does it.

    Raises:
        ValueError: An argument that can not be used.
    """
    if tuple(int(part) for part in botocore.__version__.split(".")[:2]) < (1, 36):
        raise StoreError(
            f"boto3 {boto3.__version__} knows no conditional PUT; pip install --upgrade strands-session-store[s3]"
        )
    if session is not None and not hasattr(session, "client"):
        raise ValueError(f"boto_session must be a boto3.Session, got a {type(session).__name__}")
    if session is not None and profile_name is not None:
        raise ValueError("profile_name is of a session that this store makes; leave it out, or boto_session")
    if config is not None and not isinstance(config, Config):
        raise ValueError(f"boto_client_config must be a botocore.config.Config, got a {type(config).__name__}")
    if endpoint_url is not None and not re.fullmatch(r"https?://[^/?#@\s]+(/[^?#@\s]*)?", endpoint_url):
        raise ValueError("endpoint_url must be http://host:port or https://host, without credentials")

    def make() -> Any:
        made = session or boto3.Session(profile_name=profile_name)
        with _one_at_a_time:
            client = made.client(
                "s3", region_name=region_name, endpoint_url=endpoint_url, config=_config(timeout).merge(_theirs(config))
            )
        client.meta.events.register_last("before-call.s3", _before_call)
        return client

    return make


def _config(timeout: float) -> Config:
    return Config(
        connect_timeout=min(5.0, timeout / 2),
        # one attempt must leave time for another
        read_timeout=min(10.0, timeout / 2),
        # those that get, and the threads that faces call from
        max_pool_connections=2 * PARALLEL,
        tcp_keepalive=True,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="strands-session-store",
    )


def _theirs(config: Config | None) -> Config:
    return (config or Config()).merge(Config(retries={"total_max_attempts": 1, "mode": "standard"}))


def _before_call(model: Any, params: dict[str, Any], **_: Any) -> None:
    headers = params["headers"]
    if model.name == "PutObject":
        if "Expect" in headers and params["body"].getbuffer().nbytes <= AT_ONCE:
            del headers["Expect"]
    elif model.name == "DeleteObjects":
        # has to have a checksum; not every endpoint knows of the newer ones
        headers["Content-MD5"] = md5(params["body"])
        params.get("context", {}).pop("checksum", None)


def check_put_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` as arguments of put_object.

    Raises:
        ValueError: names the option, and what is wrong with it.
    """
    if not options:
        return {}
    shape = botocore.session.get_session().get_service_model("s3").operation_model("PutObject").input_shape
    for name in options:
        if name in _OURS or name.startswith("Checksum"):
            raise ValueError(f"put_options may not hold {name!r}: the store sets it itself")
        if name.startswith("SSECustomer"):
            raise ValueError(f"put_options may not hold {name!r}: reading would need the key too; use SSE-KMS instead")
        if name not in shape.members:
            allowed = sorted(
                each for each in shape.members if each not in _OURS and not each.startswith(("Checksum", "SSECustomer"))
            )
            raise ValueError(f"put_options: put_object knows no {name!r}; it knows {', '.join(allowed)}")
    if options.get("StorageClass") in _ASLEEP:
        raise ValueError(
            f"put_options: what is stored as {options['StorageClass']} can not be read when it is needed; "
            "use STANDARD, STANDARD_IA, INTELLIGENT_TIERING or GLACIER_IR"
        )
    report = ParamValidator().validate({"Bucket": "b", "Key": "k", **options}, shape)
    if report.has_errors():
        raise ValueError(f"put_options: {report.generate_report()}")
    for name, value in options.items():
        choices = getattr(shape.members[name], "enum", None)
        if choices and value not in choices:
            raise ValueError(f"put_options: {name} must be one of {', '.join(choices)}, got {value!r}")
    return dict(options)
