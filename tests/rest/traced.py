"""A program: a server with OpenTelemetry configured, a few requests, and the spans of them on standard output."""

from __future__ import annotations

import json
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from strands_session_store import errors
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing.faults import FaultyStore

from .conftest import by_name
from .serving import client, served
from .talking import TALK, prompt, talking

ALL = "/api/agent-sessions"
SECRET = "xyzzy"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def main() -> None:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    store = FaultyStore(MemoryStore())
    with served(talking(store, auth=by_name)) as url, client(url, **{"X-User": "ada"}) as http:
        http.post(ALL, json={"session_id": "a/b", "session_name": SECRET})
        http.get(f"{ALL}/a%2Fb/messages", params={"searchString": SECRET}, headers={"traceparent": PARENT})
        http.get(f"{ALL}/none", headers={"Authorization": SECRET})
        http.get("/nothing")
        http.post(ALL, content=SECRET.encode())
        http.post(TALK, json=prompt(SECRET, "c"), headers={"traceparent": PARENT})
        store.plan("read", before=errors.Unavailable(SECRET))
        http.get(f"{ALL}/a%2Fb")
        store.plan("read", before=RuntimeError(SECRET))
        http.get(f"{ALL}/a%2Fb")
    print(json.dumps([told(span) for span in exporter.get_finished_spans()]))


def told(span: Any) -> dict[str, Any]:
    return {
        "name": span.name,
        "scope": span.instrumentation_scope.name,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "trace": f"{span.context.trace_id:032x}",
        "parent": None if span.parent is None else f"{span.parent.span_id:016x}",
        "id": f"{span.context.span_id:016x}",
        "attributes": {key: value for key, value in span.attributes.items()},
        "events": [event.name for event in span.events],
    }


if __name__ == "__main__":
    main()
