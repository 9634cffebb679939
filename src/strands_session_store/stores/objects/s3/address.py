"""A URL becomes the arguments of `S3Blobs`.

    s3://bucket/prefix?region=eu-west-1
    s3://bucket?endpoint_url=http://localhost:9000&profile=minio
    s3://bucket/prefix?ServerSideEncryption=aws:kms&SSEKMSKeyId=alias/sessions

In the query: region, endpoint_url, profile, compress (true or false), conditional_writes, and put options by their own
names, which begin with a capital. Credentials come from where boto3 finds them, never from the URL.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl, unquote

_NAMES: Final = {
    "region": "region_name",
    "endpoint_url": "endpoint_url",
    "profile": "profile_name",
    "compress": "compress",
    "conditional_writes": "conditional_writes",
}
_TRUTH: Final = {"true": True, "false": False}


def read_url(rest: str) -> dict[str, Any]:
    """Of what stands behind ``s3://``: bucket, prefix and options.

    Raises:
        ValueError: says what is wrong without showing a value.
    """
    place, _, query = rest.partition("?")
    bucket, _, prefix = place.partition("/")
    if "@" in bucket:
        raise ValueError("credentials do not belong into the URL; boto3 finds them in its environment or profiles")
    if "#" in place:
        raise ValueError("write # as %23")
    found: dict[str, Any] = {"bucket": unquote(bucket), "prefix": unquote(prefix)}
    options: dict[str, str | bool] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name[:1].isupper():
            options[name] = _TRUTH.get(value, value)
        elif name not in _NAMES:
            raise ValueError(f"there is no option {name!r}; there are {', '.join(_NAMES)}, and those of put_object")
        elif name == "compress":
            if value not in _TRUTH:
                raise ValueError("compress must be true or false")
            found["compress"] = _TRUTH[value]
        else:
            found[_NAMES[name]] = value
    if options:
        found["put_options"] = options
    return found
