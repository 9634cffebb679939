"""Whose is what: every operation of the app's own document, asked by each who may and who may not.

Rule 1. What is another's is told of in the same words as what never was.
Rule 2. Who may not changes nothing, and is told nothing.
Rule 3. An operation that is new is in here by itself, or fails here.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import jwt
import pytest

from strands_session_store import NotFoundError, Sessions, records
from strands_session_store.rest import AnyAuth, ApiKeyAuth, Caller, JwtAuth, Limits
from strands_session_store.stores.memory import MemoryStore

from .serving import client, served
from .talking import talking

KEY = "0123456789abcdef" * 2
ROOT, ROOTS_HASH = ApiKeyAuth.create()
AUTH = AnyAuth(JwtAuth(KEY, algorithms=["HS256"]), ApiKeyAuth({ROOTS_HASH: Caller("root", admin=True)}))
SECRET = "xyzzy"
"""Is in all that the owner has."""
IDS = {"session_id": "s", "message_id": "m"}
"""What parameters of paths stand for. The user's is the owner's; of a new one it has to be said."""
ADMINISTRATORS = {"list_users"}
"""Operations for these alone."""
STORE = MemoryStore()

DOCUMENT: dict[str, Any] = json.loads(json.dumps(talking(MemoryStore(), auth=AUTH).openapi()))
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
GUARDED = sorted(name for name, (_, path, _) in OPERATIONS.items() if path.startswith("/api/"))
_numbers = itertools.count()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(talking(STORE, auth=AUTH, limits=Limits(rate=None))) as served_at:
        yield served_at


def bearer(user: str, key: str | None = KEY, algorithm: str | None = "HS256", lasts: float = 600, **more: Any) -> str:
    claims = {"sub": user, "exp": time.time() + lasts, **more}
    return f"Bearer {jwt.encode(claims, key, algorithm)}"


@pytest.fixture
def owner(url: str) -> str:
    """Somebody who has a session with all that there can be in one, and a record."""
    name, sessions = f"owner-{next(_numbers)}", Sessions(STORE)
    sessions.users.create(name, username=SECRET)
    sessions.create("s", name, title=SECRET, description=SECRET, agent_instructions=SECRET, metadata={"a": SECRET})
    sessions.create("below", name, parent_id="s", title=SECRET)
    said = {"role": "user", "content": [{"text": SECRET}], "tracking_id": "m", "metadata": {"custom": {"a": SECRET}}}
    sessions.messages.append("s", said, name)
    sessions.messages.append("s", {"role": "assistant", "content": [{"text": SECRET}]}, name)
    sessions.events.append("s", records.Event(type="custom", source="user", name=SECRET, data=SECRET), name)
    sessions.runs.start("s", name, agent_id="default", metadata={"a": SECRET})
    return name


def everything(user: str) -> Any:
    """All that a user has, as it is stored."""
    sessions = Sessions(STORE)
    found: list[Any] = []
    for one in sessions.list(user, limit=1000).sessions:
        id = one.session.session_id
        look = sessions.get(id, user)
        messages = sessions.messages.list(id, user, limit=1000).messages
        runs, events = sessions.runs.active(id, user), sessions.events.list(id, user)
        details = sessions.metadata(id, user).all(), sessions.runs.list(id, user)
        found.append(
            (look.session, look.revision, dict(look.counters), look.instructions, messages, runs, events, details)
        )
    try:
        return found, sessions.users.get(user)
    except NotFoundError:
        return found, None


def asked(url: str, name: str, headers: Mapping[str, str], ids: Mapping[str, str], **params: str) -> httpx.Response:
    """An operation, of these ids; its body is the document's own example."""
    method, path, operation = OPERATIONS[name]
    body = None
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = dict(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["examples"][0])
        if "{" not in path:  # whose or which is in the body
            body |= {key: value for key, value in ids.items() if key in body}
    needed = {
        one["name"]: "x" for one in operation.get("parameters", ()) if one.get("required") and one["in"] == "query"
    }
    if name == "delete_session":
        params["children"] = "cascade"
    with client(url, **headers) as http:
        return http.request(method, path.format(**ids), params={**needed, **params}, json=body)


def success(name: str) -> set[int]:
    return {int(status) for status in OPERATIONS[name][2]["responses"] if status < "300"}


def names_users(name: str) -> bool:
    """Whether an operation has ``?user_id=``."""
    return any(one["name"] == "user_id" and one["in"] == "query" for one in OPERATIONS[name][2].get("parameters", ()))


def told(answer: httpx.Response, *names: str) -> tuple[int, Any]:
    """Status and words of a problem, whatever it is about."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    words = json.dumps({key: value for key, value in answer.json().items() if key not in ("instance", "request_id")})
    for name in names:
        words = words.replace(f"'{name}'", "?")
    assert SECRET not in answer.text
    return answer.status_code, words


def test_all_that_is_an_api_needs_a_caller() -> None:
    assert len(GUARDED) >= 27
    assert set(OPERATIONS) - set(GUARDED) == {"healthz", "readyz"}
    for name in GUARDED:
        _, path, operation = OPERATIONS[name]
        assert operation["security"] == [{"bearer": []}, {"api_key": []}]
        assert names_users(name) or path.startswith("/api/users"), name


@pytest.mark.parametrize("name", GUARDED)
def test_an_owner_may(url: str, owner: str, name: str) -> None:
    if name == "create_user":
        Sessions(STORE).users.delete(owner)
    ids = {**IDS, "user_id": owner}
    if name == "create_session":
        ids["session_id"] = "new"
    before = everything(owner)
    answer = asked(url, name, {"Authorization": bearer(owner)}, ids)
    if name in ADMINISTRATORS:
        assert told(answer)[0] == 403
        return
    assert answer.status_code in success(name), answer.text
    if OPERATIONS[name][0] == "GET":
        assert everything(owner) == before
    elif name != "activate_session":
        assert everything(owner) != before
    if names_users(name):  # and may say so
        assert asked(url, name, {"Authorization": bearer(owner)}, ids, user_id=owner).status_code != 403


@pytest.mark.parametrize("name", GUARDED)
def test_another_user_may_not_and_learns_nothing(url: str, owner: str, name: str) -> None:
    other = f"{owner}-not"
    before = everything(owner)
    headers = {"Authorization": bearer(other)}
    answer = asked(url, name, headers, {**IDS, "user_id": owner})
    never = asked(url, name, headers, {"session_id": "never", "message_id": "none", "user_id": "nobody"})
    _, path, _ = OPERATIONS[name]
    if "{user_id}" in path or name in (*ADMINISTRATORS, "create_user"):
        assert told(answer)[0] == 403
        assert told(answer, owner) == told(never, "nobody")
    elif "{" in path:
        assert told(answer)[0] == 404
        assert told(answer, "s", "m") == told(never, "never", "none")
    else:  # it is about one's own
        assert answer.status_code in success(name) and SECRET not in answer.text
    assert everything(owner) == before
    if names_users(name):
        for somebody in (owner, "nobody", ""):
            named = asked(url, name, headers, {**IDS, "user_id": owner}, user_id=somebody)
            assert told(named)[0] == 403 and "admin" in named.json()["detail"]
        assert everything(owner) == before


@pytest.mark.parametrize("name", GUARDED)
def test_an_administrator_may_by_saying_so(url: str, owner: str, name: str) -> None:
    if name == "create_user":
        Sessions(STORE).users.delete(owner)
    root = {"Authorization": bearer(f"{owner}-root", scope="admin")}
    ids = {**IDS, "user_id": owner}
    _, path, _ = OPERATIONS[name]
    before = everything(owner)
    if names_users(name):
        answer = asked(url, name, root, ids)
        if "{" in path:
            assert told(answer)[0] == 404
        else:
            assert answer.status_code in success(name) and SECRET not in answer.text
        assert everything(owner) == before
        ids |= {"session_id": "new"} if name == "create_session" else {}
        answer = asked(url, name, root, ids, user_id=owner)
    else:
        answer = asked(url, name, root, ids)
    assert answer.status_code in success(name), answer.text
    if OPERATIONS[name][0] == "GET":
        assert everything(owner) == before
        assert SECRET in answer.text or name in ("list_runs", "session_usage", "user_usage", "list_users")
    elif name != "activate_session":
        assert everything(owner) != before


NOBODY = {
    "no credentials": {},
    "an empty key": {"X-API-Key": ""},
    "another key": {"X-API-Key": ApiKeyAuth.create()[0]},
    "a key's hash": {"X-API-Key": ROOTS_HASH},
    "an expired token": {"Authorization": bearer("OWNER", lasts=-3600)},
    "a forged token": {"Authorization": bearer("OWNER", KEY[::-1])},
    "a token of no algorithm": {"Authorization": bearer("OWNER", None, "none")},
    "a token of nobody": {"Authorization": bearer("", aud="x")},
    "a name alone": {"Authorization": "Bearer OWNER"},
    "another scheme": {"Authorization": "Basic T1dORVI6"},
    "a cookie": {"Cookie": f"X-API-Key={ROOT}; session=OWNER"},
}


@pytest.mark.parametrize("name", GUARDED)
def test_nobody_may_anything(url: str, owner: str, name: str) -> None:
    before = everything(owner)
    for headers in NOBODY.values():
        found = asked(url, name, headers, {**IDS, "user_id": owner})
        never = asked(url, name, headers, {"session_id": "never", "message_id": "none", "user_id": "nobody"})
        assert told(found)[0] == 401 and found.headers["www-authenticate"] == "Bearer"
        assert told(found) == told(never)
        assert ROOT not in found.text and KEY not in found.text
    assert everything(owner) == before
