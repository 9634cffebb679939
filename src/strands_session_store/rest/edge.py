"""What every request passes on its way in and out: its id, its size, its line in the log, an answer whatever happens.

Rule 1. Nothing of a body, of a query or of a header is logged. Session ids stand in paths, so these are.
Rule 2. A body is taken whole, and no further than its limit, before anything is done.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Sequence
from typing import Final, TypeAlias

from opentelemetry import propagate, trace
from opentelemetry.propagators.textmap import Getter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import paths, problems
from .openapi import Document
from .problems import Problem

logger = logging.getLogger(__name__)
access = logging.getLogger("strands_session_store.rest.access")

Headers: TypeAlias = "Sequence[tuple[bytes, bytes]]"

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}")


class _Headers(Getter[Headers]):
    """Headers as ASGI has them, for whoever looks for the trace that a request belongs to."""

    def get(self, carrier: Headers, key: str) -> list[str] | None:
        wanted = key.lower().encode("latin-1")
        return [value.decode("latin-1") for name, value in carrier if name == wanted] or None

    def keys(self, carrier: Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


_HEADERS: Final = _Headers()


class Edge:
    """Around all that answers."""

    def __init__(self, app: ASGIApp, *, max_body: int, document: Document, name: str) -> None:
        """``max_body``: bytes. ``name``: of the tracer; without a configured OpenTelemetry it does nothing."""
        self._app, self._max_body, self._document = app, max_body, document
        self._tracer = trace.get_tracer(name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        given = next((value for key, value in scope["headers"] if key == b"x-request-id"), b"")
        request_id = given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        method, path = scope["method"], paths.shown(scope)
        # what answers a GET answers a HEAD as well; the server around us sees no other request, and sends no body
        scope = {**scope, "path": paths.segmented(scope), "method": "GET" if method == "HEAD" else method}
        begun, status = time.perf_counter(), 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
                if not any(name.lower() == b"cache-control" for name, _ in message["headers"]):
                    message["headers"].append((b"cache-control", b"no-store"))  # it is somebody's own
            await send(message)

        with self._tracer.start_as_current_span(
            method,
            context=propagate.extract(scope["headers"], getter=_HEADERS),
            kind=trace.SpanKind.SERVER,
            attributes={"http.request.method": method, "url.path": path},
        ) as span:
            try:
                await self._app(scope, await self._whole(scope, receive), told)
            except Problem as problem:
                await problems.answer(problem, path, request_id)(scope, receive, told)
            except Exception:
                logger.exception("request=<%s> | %s %s failed", request_id, method, path)
                if status:
                    raise  # half answered: whoever serves us breaks the connection
                failed = problems.problem_of(Exception())
                await problems.answer(failed, path, request_id)(scope, receive, told)
            finally:
                if span.is_recording() and (place := self._document.place(scope)) is not None:
                    route = f"{scope.get('root_path', '')}{place.template}"
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(trace.StatusCode.ERROR)
                access.info(
                    "%s %s %d %.1f ms user=<%s> request=<%s>",
                    method,
                    path,
                    status,
                    (time.perf_counter() - begun) * 1000,
                    state.get("user_id") or "-",
                    request_id,
                )

    async def _whole(self, scope: Scope, receive: Receive) -> Receive:
        """Receives the body that was read here, then what else comes.

        Raises:
            Problem: It is too large.
        """
        too_large = Problem(413, f"the body is larger than {self._max_body:,} bytes")
        for key, value in scope["headers"]:
            if key == b"content-length" and (not value.isdigit() or int(value) > self._max_body):
                raise too_large
        read, more = bytearray(), True
        gone: Message | None = None
        while more and gone is None:
            message = await receive()
            if message["type"] != "http.request":
                gone = message
            else:
                read += message.get("body", b"")
                more = message.get("more_body", False)
            if len(read) > self._max_body:
                raise too_large
        first: Message | None = gone or {"type": "http.request", "body": bytes(read), "more_body": False}

        async def again() -> Message:
            nonlocal first
            if first is not None:
                message, first = first, None
                return message
            return await receive()

        return again
