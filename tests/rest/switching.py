"""One server for many ways to tell who calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from fastapi import FastAPI

from strands_session_store.rest import Auth, Limits, NoAuth, create_app
from strands_session_store.rest.asked import Calling
from strands_session_store.stores.memory import MemoryStore


class Switched:
    """What tells who calls: whatever ``auth`` is at the moment."""

    def __init__(self) -> None:
        self.auth: Auth = NoAuth()

    def __call__(self, request: Any) -> Any:
        return self.auth(request)

    def app(self) -> FastAPI:
        app = create_app(MemoryStore(), auth=self, limits=Limits(rate=None))

        @app.get("/who")
        async def who(caller: Calling) -> list[Any]:
            return [caller.user_id, caller.admin]

        return app


def told(http: httpx.Client, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """What a request is answered: its status, and whose it is, or why it is nobody's."""
    answer = http.get("/who", headers=dict(headers or {}))
    if answer.status_code == 200:
        user_id, admin = answer.json()
        return 200, f"{user_id} (admin)" if admin else user_id
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert answer.status_code == problem["status"]
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"] == "Bearer" and problem["title"] == "Unauthorized"
    return answer.status_code, problem["detail"]
