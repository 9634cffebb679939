"""Sessions over HTTP: made, read, changed, ended, forked, taken away as a file; every status that is documented."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from strands_session_store import Sessions
from strands_session_store.stores import open_store
from strands_session_store.stores.base import Store

from .conftest import As, name_of, on_sqlite

ALL = "/api/agent-sessions"
FULL = {
    "session_id": "trip",
    "session_name": "A week in Lisbon",
    "description": "d" * 1000,
    "agent_name": "guide",
    "agent_instructions": "Be brief.",
    "kind": "chat",
    "metadata": {"stars": 5},
}
NONE = {
    "input_tokens": 0,
    "output_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_write_input_tokens": 0,
    "calls": 0,
    "estimated_calls": 0,
    "unpriced_calls": 0,
    "cost": "0",
    "known_cost": "0",
}


def make(http: httpx.Client, session_id: str = "s", **fields: Any) -> dict[str, Any]:
    answer = http.post(ALL, json={"session_id": session_id, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


def say(http: httpx.Client, content: str, session_id: str = "s", **fields: Any) -> dict[str, Any]:
    answer = http.post(f"{ALL}/{session_id}/messages", json={"role": "user", "content": content, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


def problem(answer: httpx.Response, status: int, words: str = "") -> dict[str, Any]:
    """It is one, of this status, that says so."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == status and words in told["detail"], told
    assert told["type"] == "about:blank" and told["request_id"] == answer.headers["x-request-id"]
    assert told["instance"] == answer.request.url.raw_path.decode().partition("?")[0]
    return told


def age(text: str) -> float:
    """Seconds that a time of an answer is ago."""
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    assert at.tzinfo is not None
    return (datetime.now(timezone.utc) - at).total_seconds()


def test_a_session_is_made_with_all_that_it_can_have(ada: httpx.Client, store: Store) -> None:
    make(ada, "parent")
    answer = ada.post(ALL, json=FULL | {"parent_id": "parent", "expires_in": 3600})
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json" and answer.headers["cache-control"] == "no-store"
    assert answer.headers["location"] == f"{ALL}/trip"
    made = answer.json()
    assert abs(age(made.pop("expires_at")) + 3600) < 60
    times = [made.pop(name) for name in ("created_at", "updated_at")]
    assert times[0] == times[1] and abs(age(times[0])) < 60
    uuid.UUID(made.pop("session_uuid"))
    given = {key: value for key, value in FULL.items() if key != "metadata"}
    assert made == given | {
        "user_id": name_of(ada),
        "is_active": True,
        "parent_id": "parent",
        "messages_count": 0,
        "runs_count": 0,
        "usage": NONE,
        "is_busy": False,
    }
    found = ada.get(answer.headers["location"])
    assert found.status_code == 200 and found.json() == answer.json()
    assert found.headers["etag"] == answer.headers["etag"]
    assert Sessions(store).metadata("trip", name_of(ada)).all() == {"stars": 5}


def test_ids_are_drawn_where_none_is_given(ada: httpx.Client) -> None:
    answers = [ada.post(ALL, json={}) for _ in range(3)]
    assert len({one.json()["session_id"] for one in answers}) == len({one.headers["etag"] for one in answers}) == 3
    assert len({one.json()["session_uuid"] for one in answers}) == 3
    for one in answers:
        assert ada.get(one.headers["location"]).json() == one.json()


def test_an_id_is_unique_for_its_user_and_each_life_of_it_has_a_uuid(ada: httpx.Client, as_: As) -> None:
    first = make(ada)
    problem(ada.post(ALL, json={"session_id": "s"}), 409, "'s'")
    assert ada.get(f"{ALL}/s").json() == first
    assert make(as_())["session_uuid"] != first["session_uuid"]
    assert ada.delete(f"{ALL}/s").status_code == 204
    assert make(ada)["session_uuid"] != first["session_uuid"]


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (
            "session_id",
            ["a", "x" * 180, "ß" * 30],
            ["", "x" * 181, "x" * 256, "ß" * 31, "a\nb", "a\x00", "\x9f", 5, ["a"]],
        ),
        ("session_name", ["", "x" * 255, None], ["x" * 256, 5, True]),
        ("description", ["", "x" * 1000, None], ["x" * 1001, 5]),
        ("agent_name", ["", "x" * 255, None], ["x" * 256, {}]),
        ("agent_instructions", ["", "x" * 100_000, None], ["x" * 100_001, []]),
        ("kind", ["a", "x" * 64, "A_b.c-1"], ["", "x" * 65, "a b", "ä", "a\n", None]),
        ("parent_id", [None], ["", "x" * 181, "a\nb", 5]),
        ("expires_in", [60, 1.5, 9_999_999_999, None], [0, 0.9, -1, 10_000_000_000, "60", True]),
        ("metadata", [{}, {"a": [1, {"b": None}]}, None], [[], "a", {"": 1}]),
        ("is_active", [], [True, False]),
        ("user_id", [], ["bob"]),
    ],
)
@on_sqlite
def test_what_a_field_may_be(ada: httpx.Client, field: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        answer = ada.post(ALL, json={field: value})
        assert answer.status_code == 201, answer.text
        if field not in ("metadata", "expires_in"):
            assert answer.json()[field] == value
    before = ada.get(ALL).json()["total"]
    for value in bad:
        told = problem(ada.post(ALL, json={field: value}), 422)
        assert field in told["detail"] and all(one["loc"][:2] == ["body", field] for one in told.get("errors", ()))
    assert ada.get(ALL).json()["total"] == before


@on_sqlite
def test_metadata_may_be_as_deep_as_it_says(ada: httpx.Client) -> None:
    def nested(levels: int) -> Any:
        return {} if levels == 1 else {"a": nested(levels - 1)}

    assert ada.post(ALL, json={"metadata": nested(50)}).status_code == 201
    problem(ada.post(ALL, json={"metadata": nested(52)}), 422, "deeper than 50")


def test_what_is_given_is_changed_and_null_empties_it(ada: httpx.Client) -> None:
    made = make(ada, **{key: value for key, value in FULL.items() if key != "session_id"})
    seen = {ada.get(f"{ALL}/s").headers["etag"]}
    for given in (
        {"session_name": "Ten days", "is_active": False},
        {"description": None, "kind": "other"},
        {"agent_instructions": "Be kind.", "agent_name": "x"},
        {"agent_instructions": None, "is_active": True},
        {"session_name": ""},
    ):
        answer = ada.patch(f"{ALL}/s", json=given)
        assert answer.status_code == 200, answer.text
        assert answer.json() == made | given | {"updated_at": answer.json()["updated_at"]}
        assert ada.get(f"{ALL}/s").json() == answer.json()
        made |= given | {"updated_at": answer.json()["updated_at"]}
        seen.add(answer.headers["etag"])
    assert len(seen) == 6
    assert ada.patch(f"{ALL}/s", json={}).json()["session_name"] == ""
    for bad in ({"kind": None}, {"is_active": None}, {"is_active": "yes"}, {"session_id": "t"}, {"parent_id": "p"}, []):
        problem(ada.patch(f"{ALL}/s", json=bad), 422)
    assert ada.get(f"{ALL}/s").json() == made | {"updated_at": ada.get(f"{ALL}/s").json()["updated_at"]}
    problem(ada.patch(f"{ALL}/none", json={"session_name": "x"}), 404, "'none'")


def test_a_session_is_activated_and_deactivated_again_and_again(ada: httpx.Client) -> None:
    make(ada)
    for path, active in (("deactivate", False), ("deactivate", False), ("activate", True), ("activate", True)):
        answer = ada.put(f"{ALL}/s/{path}")
        assert (answer.status_code, answer.json()["is_active"]) == (200, active)
        assert ada.get(f"{ALL}/s").json()["is_active"] is active
        problem(ada.put(f"{ALL}/none/{path}"), 404, "'none'")


CHANGES: list[Callable[..., httpx.Response]] = [
    lambda http, **more: http.patch(f"{ALL}/s", json={"session_name": "new"}, **more),
    lambda http, **more: http.put(f"{ALL}/s/deactivate", **more),
    lambda http, **more: http.put(f"{ALL}/s/activate", **more),
    lambda http, **more: http.delete(f"{ALL}/s", **more),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_made_only_to_what_is_as_if_match_says(ada: httpx.Client, change: Any) -> None:
    make(ada)
    old = ada.get(f"{ALL}/s").headers["etag"]
    ada.patch(f"{ALL}/s", json={"description": "of somebody else"})
    before = ada.get(f"{ALL}/s")
    now = before.headers["etag"]
    assert now != old
    for bad in (old, '"never"', '""', now.strip('"'), f"W/{now}", "", "'*'"):
        problem(change(ada, headers={"If-Match": bad}), 412, "get ")
        assert ada.get(f"{ALL}/s").json() == before.json()
    say(ada, "a message changes no ETag")
    assert ada.get(f"{ALL}/s").headers["etag"] == now
    assert change(ada, headers={"If-Match": now}).status_code in (200, 204)
    if change is not CHANGES[-1]:
        assert change(ada, headers={"If-Match": "*"}).status_code == 200
        assert change(ada).status_code == 200
        ada.delete(f"{ALL}/s")
    for etag in (now, "*", None):
        problem(change(ada, headers={} if etag is None else {"If-Match": etag}), 404, "'s'")


def test_a_session_is_deleted_whole_and_once(ada: httpx.Client) -> None:
    make(ada)
    say(ada, "hello")
    answer = ada.delete(f"{ALL}/s")
    assert (answer.status_code, answer.content) == (204, b"") and "content-type" not in answer.headers
    for path in ("", "/messages", "/tree", "/runs", "/events", "/usage", "/export", "/runs/active"):
        problem(ada.get(f"{ALL}/s{path}"), 404, "'s'")
    problem(ada.delete(f"{ALL}/s"), 404, "'s'")
    assert ada.get(ALL).json()["total"] == 0
    assert make(ada)["messages_count"] == 0


def test_what_has_others_below_it_is_deleted_as_it_is_told(ada: httpx.Client) -> None:
    for session_id, parent in (("top", None), ("a", "top"), ("b", "top"), ("aa", "a")):
        make(ada, session_id, parent_id=parent)
    problem(ada.post(ALL, json={"parent_id": "none"}), 409, "the parent is not there")
    tree = ada.get(f"{ALL}/top/tree").json()["items"]
    assert [(one["session_id"], one["depth"]) for one in tree] == [("top", 0), ("a", 1), ("aa", 2), ("b", 1)]
    assert [one["parent_id"] for one in tree] == [None, "top", "a", "top"]
    problem(ada.delete(f"{ALL}/top"), 409, "below it")
    problem(ada.delete(f"{ALL}/top", params={"children": "refuse"}), 409)
    problem(ada.delete(f"{ALL}/top", params={"children": "yes"}), 422, "children")
    assert len(ada.get(f"{ALL}/top/tree").json()["items"]) == 4
    assert ada.delete(f"{ALL}/a", params={"children": "detach"}).status_code == 204
    assert ada.get(f"{ALL}/aa").json()["parent_id"] is None
    assert ada.delete(f"{ALL}/top", params={"children": "cascade"}).status_code == 204
    assert [one["session_id"] for one in ada.get(ALL).json()["items"]] == ["aa"]
    problem(ada.get(f"{ALL}/top/tree"), 404)


def test_a_fork_goes_on_from_a_message(ada: httpx.Client) -> None:
    make(ada, session_name="Lisbon", agent_instructions="Be brief.")
    said = [say(ada, text)["message_id"] for text in ("one", "two", "three")]
    answer = ada.post(f"{ALL}/s/fork", json={"session_id": "f", "at": said[1]})
    assert answer.status_code == 201 and answer.headers["location"] == f"{ALL}/f"
    fork = answer.json()
    assert (fork["session_name"], fork["parent_id"], fork["messages_count"]) == ("Lisbon", "s", 2)
    assert ada.get(answer.headers["location"]).json() == fork
    assert ada.get(answer.headers["location"]).headers["etag"] == answer.headers["etag"]
    say(ada, "other", "f")
    listed = [one["content"] for one in ada.get(f"{ALL}/f/messages").json()["items"]]
    assert listed == ["one", "two", "other"] and ada.get(f"{ALL}/s").json()["messages_count"] == 3
    whole = ada.post(f"{ALL}/s/fork", json={"session_name": None}).json()
    assert (whole["session_name"], whole["messages_count"]) == (None, 3)
    problem(ada.post(f"{ALL}/s/fork", json={"session_id": "f"}), 409, "'f'")
    problem(ada.post(f"{ALL}/s/fork", json={"session_id": "s"}), 409, "'s'")
    problem(ada.post(f"{ALL}/s/fork", json={"at": "none"}), 404, "'none'")
    problem(ada.post(f"{ALL}/none/fork", json={}), 404, "'none'")
    problem(ada.post(f"{ALL}/s/fork", json={"session_id": "a\nb"}), 422, "session_id")
    problem(ada.post(f"{ALL}/s/fork"), 422, "body")
    assert ada.get(ALL).json()["total"] == 3


def test_an_export_is_an_archive_that_can_be_read_in_elsewhere(ada: httpx.Client, tmp_path: Path) -> None:
    make(ada, session_name="Lisbon")
    say(ada, "one")
    make(ada, "other")
    answer = ada.get(f"{ALL}/s/export")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="session.jsonl"'
    assert answer.headers["cache-control"] == "no-store"
    assert all(json.loads(line) for line in answer.text.splitlines())
    path = tmp_path / "session.jsonl"
    path.write_bytes(answer.content)
    with open_store(f"sqlite:///{tmp_path}/other.db") as elsewhere:
        Sessions(elsewhere).archive.import_(path)
        (found,) = Sessions(elsewhere).list(name_of(ada)).sessions
        assert (found.session.title, found.counters["messages"]) == ("Lisbon", 1)
    problem(ada.get(f"{ALL}/none/export"), 404, "'none'")


def test_an_administrator_acts_for_somebody_else_by_name(ada: httpx.Client, as_: As) -> None:
    root, her = as_("root"), {"user_id": name_of(ada)}
    answer = root.post(ALL, params=her, json={"session_id": "s"})
    assert answer.json()["user_id"] == name_of(ada)
    assert answer.headers["location"] == f"{ALL}/s?user_id={name_of(ada)}"
    assert root.get(answer.headers["location"]).json() == ada.get(f"{ALL}/s").json()
    said = root.post(f"{ALL}/s/messages", params={**her, "agentId": "b"}, json={"role": "user", "content": "x"})
    assert root.get(said.headers["location"]).json() == said.json()
    fork = root.post(f"{ALL}/s/fork", params=her, json={})
    assert root.get(fork.headers["location"]).json() == fork.json()
    problem(root.get(f"{ALL}/s"), 404)
    ownerless = root.post(ALL, params={"user_id": ""}, json={"session_id": name_of(ada)})
    assert ownerless.json()["user_id"] is None
    assert root.get(ownerless.headers["location"]).json() == ownerless.json()
