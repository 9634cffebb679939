"""Errors as problem details (RFC 9457): what is told of each, and how. Nothing of the server's inside is told.

Rule 1. Each error of the service has one status here. An error that is none of these is a 500 that says nothing but the
        request's id, by which the log finds it.
Rule 2. What names hosts, paths or versions of an engine is logged, not told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import (
    AlreadyExistsError,
    BudgetExceededError,
    ConflictError,
    FormatError,
    HasChildrenError,
    IllegalMoveError,
    IllegalTransitionError,
    InterruptPendingError,
    InvalidCursorError,
    InvalidIdError,
    NotFoundError,
    PromptError,
    SessionBusyError,
    StoreError,
    TooLarge,
    Unavailable,
    Unserializable,
)
from . import paths
from .callers import Refused

logger = logging.getLogger(__name__)

MEDIA: Final = "application/problem+json"
SOON: Final = {"Retry-After": "1"}
LATER: Final = {"Retry-After": "5"}


class Problem(Exception):
    """An answer that is a problem.

    Attributes:
        status: HTTP status.
        detail: For the caller.
        headers: Of the answer.
        more: Further members of the problem.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        self.status, self.detail, self.headers, self.more = status, detail, dict(headers or {}), more
        super().__init__(detail)


_STATUS: Final[tuple[tuple[type[StoreError], int, Mapping[str, str], bool], ...]] = (
    # the first that fits: error, status, headers, whether what it says is for the caller
    (NotFoundError, 404, {}, True),
    (AlreadyExistsError, 409, {}, True),
    (HasChildrenError, 409, {}, True),
    (IllegalMoveError, 409, {}, True),
    (IllegalTransitionError, 409, {}, True),
    (InterruptPendingError, 409, {}, True),
    (SessionBusyError, 409, LATER, False),
    (ConflictError, 409, SOON, False),
    (BudgetExceededError, 429, {}, True),
    (TooLarge, 413, {}, True),
    (InvalidIdError, 422, {}, True),
    (InvalidCursorError, 422, {}, True),
    (FormatError, 422, {}, True),
    (PromptError, 422, {}, True),
    (Unserializable, 422, {}, True),
    (Unavailable, 503, LATER, False),
)
_INSTEAD: Final[Mapping[type[StoreError], str]] = {
    SessionBusyError: "the session is busy: somebody else runs it now; try again later",
    ConflictError: "the session was changed by somebody else meanwhile; try again",
    Unavailable: "the store does not answer; try again later",
}


def problem_of(error: BaseException) -> Problem:
    """What a caller is told of an error; of one that is unknown no more than that there was one."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Refused):
        return Problem(401, error.why, {"WWW-Authenticate": "Bearer"})
    for kind, status, headers, told in _STATUS:
        if isinstance(error, kind):
            return Problem(status, str(error) if told else _INSTEAD[kind], headers)
    return Problem(500, "the server could not answer; its log has the request by its id")


@contextmanager
def arguments() -> Iterator[None]:
    """Around a call of the service: what it refuses of its arguments, a ValueError, is a 422."""
    try:
        yield
    except StoreError:
        raise
    except ValueError as error:
        raise Problem(422, str(error)) from error


def body(problem: Problem, instance: str, request_id: str | None) -> dict[str, Any]:
    """The problem as JSON has it."""
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
    }
    return told | ({} if request_id is None else {"request_id": request_id}) | problem.more


def answer(problem: Problem, instance: str, request_id: str | None) -> Response:
    return JSONResponse(body(problem, instance, request_id), problem.status, problem.headers, MEDIA)


def install(app: FastAPI) -> None:
    """Have the app answer errors so."""

    async def told(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.detail != str(error):  # what is not told is logged
            level = logging.ERROR if problem.status == 500 else logging.WARNING
            logger.log(level, "request=<%s> | %s: %s", request.state.request_id, type(error).__name__, error)
        return answer(problem, paths.shown(request.scope), request.state.request_id)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        problem = _unmet(request, error)
        return answer(problem, paths.shown(request.scope), request.state.request_id)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = [{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in error.errors()]
        status = 400 if any(one["type"] == "json_invalid" for one in errors) else 422
        if status == 400:
            why = error.errors()[0].get("ctx", {}).get("error", "JSON decode error")
            detail = f"the body is no JSON: {why} at character {errors[0]['loc'][-1]}"
        elif errors[0]["type"] == "model_attributes_type" and not _is_json(request):
            detail = "the body is taken as text; send it with 'Content-Type: application/json'"
        else:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            detail = f"{'.'.join(map(str, errors[0]['loc']))}: {errors[0]['msg']}{more}"
        problem = Problem(status, detail, errors=errors)
        return answer(problem, paths.shown(request.scope), request.state.request_id)

    app.add_exception_handler(StoreError, told)
    app.add_exception_handler(Problem, told)
    app.add_exception_handler(Refused, told)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)


def _unmet(request: Request, error: HTTPException) -> Problem:
    """What the framework answers by itself, in words that help."""
    detail, headers = str(error.detail), dict(error.headers or {})
    if detail == HTTPStatus(error.status_code).phrase:
        if error.status_code == 404:
            detail = "there is no such path here; /openapi.json has those that there are"
        elif error.status_code == 405:
            place = request.app.state.face.document.place(request.scope)
            if place is not None:  # the framework knows one route, where a path may have several
                methods = {*place.methods, *(("HEAD",) if "GET" in place.methods else ())}
                headers["Allow"] = ", ".join(sorted(methods))
            detail = f"this path has no {request.method}; it has {headers.get('Allow', 'others')}"
    return Problem(error.status_code, detail, headers)


def _is_json(request: Request) -> bool:
    return "json" in request.headers.get("content-type", "")


# ------------------------------------------------------------------------------------------------------ documentation

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "Always about:blank: the status says what kind it is."},
        "title": {"type": "string", "description": "The status, in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What it was this time, and what would do."},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "request_id": {"type": "string", "description": "As in the answer's X-Request-ID, and in the server's log."},
        "errors": {
            "type": "array",
            "description": "Of 400 and 422: each place that was wrong.",
            "items": {
                "type": "object",
                "properties": {
                    "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "msg": {"type": "string"},
                    "type": {"type": "string"},
                },
            },
        },
    },
}

_SAYS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("What was sent is no JSON.", "the body is no JSON: Expecting value at character 0"),
    401: ("Nobody that is known has sent this.", "send your token as 'Authorization: Bearer <token>'"),
    403: ("This is for administrators.", "naming another user needs the scope 'admin'"),
    404: ("It is not there, or belongs to somebody else.", "there is no session 'trip-1' of user 'ada'"),
    409: ("It is there already, or busy, or not in a state for this.", "there is a session 'trip-1' already"),
    412: ("It is not as If-Match says.", "the session was changed since; get it again"),
    413: ("What was sent is too large.", "the body is larger than 2,097,152 bytes"),
    422: ("What was sent is not valid.", "body.content: String should have at least 1 character"),
    429: ("Too much at once; Retry-After says when to come again.", "more than 600 requests a minute"),
    502: ("The agent failed.", "the agent failed; what was said is kept, and can be sent again"),
    503: ("The store does not answer.", "the store does not answer; try again later"),
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For ``responses=`` of a route: these, and those that every route has."""
    out: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, 400, 401, 403, 422, 429, 503}):
        says, detail = _SAYS[status]
        example = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "instance": "/api/agent-sessions/trip-1",
            "request_id": "9d1f4c1e8b2a4b7f",
        }
        content = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
        out[status] = {"description": says, "content": content}
    return out
