"""What schemathesis is told that a schema can not say. Loaded by it, in a process of its own."""

from __future__ import annotations

import re
from typing import Any

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.openapi.checks import RejectedPositiveData

UNSAID = re.compile(
    "takes? [0-9]+ bytes once escaped"  # an id's length is counted in escaped bytes
    "|the last of messages is an assistant's"  # who is to answer is told by the last one
    "|several of messages have the same message_id"
)
"""Reasons why a request is refused that is as its schema says."""


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """What has to be another answer's own can't be invented: a list would be refused for its cursor alone."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return
    if case.query and not meta.is_negative_at(ParameterLocation.QUERY):
        case.query.pop("cursor", None)
    if case.headers and not meta.is_negative_at(ParameterLocation.HEADER):
        case.headers.pop("Last-Event-ID", None)
        if "If-Match" in case.headers:
            case.headers["If-Match"] = "*"


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    refused = isinstance(failure, RejectedPositiveData) and response.status_code == 422
    return not (refused and UNSAID.search(response.json()["detail"]))
