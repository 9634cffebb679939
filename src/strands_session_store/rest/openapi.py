"""The app's own document: what OpenAPI is told of it, and what a request is told by it.

Rule 1. Every operation says how its caller is told, what it can answer and with which headers, and shows an example of
        what is sent and of what is answered.
Rule 2. What is told of a path elsewhere (its methods, its name in a trace) is told by it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import Scope

from . import problems, shapes
from .callers import Auth

PREFIX: Final = "/api"
"""Of the paths whose caller has to be known."""
ANY: Final = {"bearer": {"type": "http", "scheme": "bearer"}}
"""How a caller is told, where who tells it does not say."""

_REQUEST_ID: Final = {
    "description": "Stands in the server's log. One that was sent with the request is kept.",
    "schema": {"type": "string"},
}
_LINK: Final = {"description": '`<...>; rel="next"`, where there is a next page.', "schema": {"type": "string"}}
_RETRY: Final = {"description": "Seconds.", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
_HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "401": {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer", "type": "string"}}},
    "409": {"Retry-After": _RETRY},
    "429": {"Retry-After": _RETRY},
    "503": {"Retry-After": _RETRY | {"required": True}},
}


@dataclass(frozen=True, slots=True)
class Place:
    """A path of the document."""

    template: str
    methods: frozenset[str]
    """In capitals."""


class Document:
    """Made when it is first asked for: it costs 0.2 seconds."""

    def __init__(self, app: FastAPI, auth: Auth) -> None:
        self._app, self._schemes = app, getattr(auth, "schemes", ANY)
        self._made: dict[str, Any] | None = None
        self._places: list[tuple[re.Pattern[str], Place]] = []

    def __call__(self) -> dict[str, Any]:
        if self._made is None:
            app = self._app
            told = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                servers=app.servers,
                tags=app.openapi_tags,
            )
            made = copy.deepcopy(told)  # it has parts of routes, which are those of all apps
            parts = made["components"]
            parts["schemas"]["Problem"] = problems.SCHEMA
            _exemplify(parts["schemas"])
            if self._schemes:
                parts["securitySchemes"] = self._schemes
            shared: dict[str, Any] = {}
            parts["responses"] = shared
            for path, operations in made["paths"].items():
                for operation in operations.values():
                    _complete(operation, parts["schemas"], shared)
                    if path.startswith(PREFIX) and self._schemes:
                        operation["security"] = [{name: []} for name in self._schemes]
            self._made = made
        return self._made

    def place(self, scope: Scope) -> Place | None:
        """Where a request goes; None: nowhere that is documented."""
        path: str = scope["path"]
        if path.startswith(root := scope.get("root_path", "")):
            path = path[len(root) :]
        if not self._places:
            self._places = _places(self())
        return next((place for pattern, place in self._places if pattern.fullmatch(path)), None)


def _exemplify(schemas: dict[str, Any]) -> None:
    """Put in examples once more, as FastAPI drops what is null in them."""
    for name in shapes.__all__:
        extra = getattr(getattr(shapes, name), "model_config", {}).get("json_schema_extra", {})
        if name in schemas and "examples" in extra:
            schemas[name]["examples"] = extra["examples"]


def _places(document: Mapping[str, Any]) -> list[tuple[re.Pattern[str], Place]]:
    # an id has no slash here: see paths
    return [
        (
            re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(path))),
            Place(path, frozenset(method.upper() for method in operations)),
        )
        for path, operations in document["paths"].items()
    ]


def _complete(operation: dict[str, Any], schemas: Mapping[str, Any], shared: dict[str, Any]) -> None:
    """``shared``: answers that are the same wherever they are, which are filled in here."""
    for status, answer in operation["responses"].items():
        headers = answer.setdefault("headers", {})
        headers["X-Request-ID"] = _REQUEST_ID
        headers |= _HEADERS.get(status, {})
        for content in answer.get("content", {}).values():
            example = _example(content.get("schema", {}), schemas)
            if isinstance(example, Mapping) and "next" in example:
                headers["Link"] = _LINK
            if example is not None:
                content.setdefault("example", example)
        if problems.MEDIA in answer.get("content", {}):
            shared[f"Problem{status}"] = answer
            operation["responses"][status] = {"$ref": f"#/components/responses/Problem{status}"}


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Of what a schema describes; None: there is none."""
    named = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
    if examples := named.get("examples"):
        return examples[0]
    if named.get("type") == "array":
        item = _example(named["items"], schemas)
        return None if item is None else [item]
    if set(named.get("properties", ())) >= {"items", "next", "total"}:
        item = _example(named["properties"]["items"], schemas)
        return {"items": item, "limit": 50, "offset": 0, "total": 1, "total_is_exact": True, "next": None}
    return None
