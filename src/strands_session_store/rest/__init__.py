"""Sessions over HTTP: a face over `Sessions`, and agents to speak to. Needs the extra ``server``.

from strands_session_store.rest import AgentRequest, ApiKeyAuth, create_app

app = create_app("sqlite:///sessions.db", auth=ApiKeyAuth.read("keys.json"), agent_factory=make_agent)

app.py           the app, composed                 asked.py       what routes ask of a request
sessions.py, messages.py, conversation.py, inside.py, users.py    routes
conversing.py    a turn of an agent                invoking.py    the agent is made, and answers
said.py          what was said of it before        live.py        what has happened in it so far
callers.py       who calls                         jwt_auth.py, key_auth.py, no_auth.py, any_auth.py   told by what
shapes/          what is sent and answered         views.py       records as that, pure
problems.py      errors as problem details         limits.py      how much of everything
openapi.py       the app's own document            paths.py       ids in paths
edge.py          what every request passes
"""

from __future__ import annotations

try:
    from .any_auth import AnyAuth
    from .app import create_app
    from .callers import Auth, Caller, Refused
    from .invoking import AgentFactory, AgentRequest
    from .jwt_auth import JwtAuth
    from .key_auth import ApiKeyAuth
    from .limits import Limits
    from .no_auth import NoAuth
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("fastapi", "starlette", "jwt", "limits", "cryptography"):
        raise
    raise ModuleNotFoundError(
        f"{error.name} is missing; install it with: pip install 'strands-session-store[server]'", name=error.name
    ) from error

__all__ = [
    "AgentFactory",
    "AgentRequest",
    "AnyAuth",
    "ApiKeyAuth",
    "Auth",
    "Caller",
    "JwtAuth",
    "Limits",
    "NoAuth",
    "Refused",
    "create_app",
]
