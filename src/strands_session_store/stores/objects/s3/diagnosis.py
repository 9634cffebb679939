"""How a bucket is: whether conditions are honoured, what is kept of what was deleted, what this user may do."""

from __future__ import annotations

import re
from typing import Final

import boto3
from botocore.exceptions import ClientError

from ....errors import StoreError, Unavailable
from ...diagnosing import Finding, clock
from ..blobs import Refused
from .conditions import Conditions
from .requests import Requests

_EXACT: Final = 1.5
"""Seconds to which the endpoint's clock is known: it tells whole ones."""


def diagnose(requests: Requests, conditions: Conditions, bucket: str, prefix: str) -> list[Finding]:
    """See `Diagnosing.diagnose`. A request each, and where the endpoint is not Amazon's those of `Conditions`."""
    endpoint = re.sub(r"//[^/@\s]*@", "//***@", requests.endpoint)
    return [
        Finding("driver", "ok", f"boto3 {boto3.__version__}"),
        Finding("bucket", "ok", f"{bucket!r} at {endpoint}"),
        _listing(requests, bucket, prefix),
        _conditions(requests, conditions),
        _versioning(requests, bucket),
        clock(requests.clock.ahead, _EXACT),
    ]


def _listing(requests: Requests, bucket: str, prefix: str) -> Finding:
    try:
        requests.ask(
            "s3:ListBucket",
            prefix,
            lambda client: dict(client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)),
            requests.until(),
        )
    except StoreError as error:
        _unless_denied(error)
        remedy = (
            "allow s3:ListBucket on the bucket; without it nothing can be listed, and what is absent looks forbidden"
        )
        return Finding("listing", "problem", str(error), remedy)
    return Finding("listing", "ok", "objects can be listed")


def _conditions(requests: Requests, conditions: Conditions) -> Finding:
    if conditions.assumed:
        found = (
            "they are not used (conditional_writes=assume-single-writer): two processes may lose each other's commits"
        )
        return Finding(
            "conditional writes", "note", found, "let one process write each session, or change the endpoint"
        )
    try:
        conditions.find_out(requests.until())
    except Unavailable:
        raise
    except StoreError as error:
        if _denied(error):
            found = f"could not be tested, as this user may not write: {error}"
            return Finding(
                "conditional writes", "note", found, "reading goes on without; to write, allow what is named"
            )
        return Finding("conditional writes", "problem", str(error), "use another endpoint, or a single writer")
    return Finding("conditional writes", "ok", "honoured: no commit is overwritten by another")


def _versioning(requests: Requests, bucket: str) -> Finding:
    try:
        answer = requests.ask(
            "s3:GetBucketVersioning",
            "",
            lambda client: dict(client.get_bucket_versioning(Bucket=bucket)),
            requests.until(),
        )
    except Unavailable:
        raise
    except (StoreError, Refused):  # no right, or an endpoint that knows nothing of versions
        return Finding("versioning", "note", "could not be told", "allow s3:GetBucketVersioning to have it told here")
    if not (status := answer.get("Status")):
        return Finding("versioning", "ok", "off: what is erased is gone")
    found = f"{status.lower()}: what was erased or replaced stays in the bucket as old versions, and is paid for"
    return Finding("versioning", "note", found, "add a lifecycle rule that expires noncurrent versions")


def _unless_denied(error: StoreError) -> None:
    if not _denied(error):
        raise error


def _denied(error: StoreError) -> bool:
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return False
    return cause.response.get("Error", {}).get("Code") in ("AccessDenied", "403")
