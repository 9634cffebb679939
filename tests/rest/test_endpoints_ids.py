"""Any id that is legal can be used in a path: written as one segment of it, whatever is in it."""

from __future__ import annotations

from urllib.parse import quote, unquote

import httpx
import pytest

from .conftest import As, name_of, on_sqlite
from .test_endpoints_sessions import ALL, make, problem, say

pytestmark = on_sqlite  # how engines escape ids is tested with them
IDS = [
    "a/b",
    "/",
    "//",
    "a/messages",
    "a/",
    "/a",
    "..",
    ".",
    "...",
    "../../etc/passwd",
    "a/../b",
    "%",
    "%2F",
    "a%2Fb",
    "%25",
    "100%",
    "a b",
    " ",
    " a ",
    "a+b",
    "a?b=c&d",
    "a#b",
    "a;b=c",
    "a:b",
    "a*",
    "{a}",
    "{session_id}",
    "a\\b",
    '"a"',
    "'; DROP TABLE spaces; --",
    "<script>",
    "naïve",
    "日本語",
    "👩‍👩‍👧",
    "e\u0301",
    "\u00e9",
    "\u202eabc",
    "\ufeff",
    "A",
    "a",
    "conversation",
    "clear-messages",
    "fork",
    "tree",
    "active",
    "@0",
    "-",
    "null",
    "0",
]


def segment(id: str) -> str:
    """As a client writes it."""
    return quote(id, safe="").replace(".", "%2E")


@pytest.mark.parametrize("id", IDS)
def test_an_id_of_a_session_is_one_segment(ada: httpx.Client, id: str) -> None:
    answer = ada.post(ALL, json={"session_id": id, "session_name": "mine"})
    assert answer.status_code == 201, answer.text
    location = answer.headers["location"]
    assert location.isascii() and unquote(location.removeprefix(f"{ALL}/")) == id
    path = f"{ALL}/{segment(id)}"
    assert ada.get(location).json() == ada.get(path).json() == answer.json()
    assert ada.patch(path, json={"session_name": "changed"}).json()["session_name"] == "changed"
    assert ada.get(f"{path}/tree").json()["items"][0]["session_id"] == id
    assert [one["session_id"] for one in ada.get(ALL, params={"ids": id}).json()["items"]] == [id]
    assert [one["session_id"] for one in ada.get(ALL).json()["items"]] == [id]
    assert ada.delete(path).status_code == 204
    problem(ada.get(path), 404)


def test_ids_of_messages_agents_and_forks_are_segments_as_well(ada: httpx.Client) -> None:
    make(ada)
    for id in IDS:
        said = say(ada, "x", message_id=id)
        assert said["message_id"] == id
        path = f"{ALL}/s/messages/{segment(id)}"
        assert ada.get(path).json() == said
        assert ada.patch(path, json={"content": id}).json()["content"] == id
    listed = [one["message_id"] for one in ada.get(f"{ALL}/s/messages").json()["items"]]
    assert listed == IDS
    for id in ("a/b", "..", "日本語", "a?b#c"):
        answer = ada.post(f"{ALL}/s/messages", params={"agentId": id}, json={"role": "user", "content": id})
        assert ada.get(answer.headers["location"]).json() == answer.json()
        fork = ada.post(f"{ALL}/s/fork", json={"session_id": id, "at": "a/b"})
        assert fork.json()["messages_count"] == 1
        assert ada.get(fork.headers["location"]).json() == fork.json()
    assert ada.delete(f"{ALL}/s/messages/{segment('a/b')}").status_code == 204
    problem(ada.get(f"{ALL}/s/messages/{segment('a/b')}"), 404)


def test_links_of_pages_lead_on_whatever_is_in_the_id_and_in_the_query(ada: httpx.Client) -> None:
    for id in ("a/b?c#d e%2F", "..", "日本語"):
        make(ada, id)
        path = f"{ALL}/{segment(id)}/messages"
        for text in ("a&b=c one", "a&b=c two", "three"):
            assert ada.post(path, json={"role": "user", "content": text}).status_code == 201
        answer = ada.get(path, params={"pageSize": 1, "searchString": "a&b=c", "currentPage": 1})
        target = answer.headers["link"].removeprefix("<").partition(">")[0]
        assert target.isascii() and target.startswith(f"{path}?") and "currentPage" not in target
        assert [one["content"] for one in ada.get(target).json()["items"]] == ["a&b=c two"]


def test_a_user_may_have_any_id_as_well(as_: As) -> None:
    root = as_("root")
    for id in ("../x", "a/b", "ü?#", "..", "100%"):
        made = root.post("/api/users", json={"user_id": id})
        assert made.status_code == 201, made.text
        assert root.get(made.headers["location"]).json() == made.json()
        assert root.post(ALL, params={"user_id": id}, json={"session_id": id}).json()["user_id"] == id
        assert root.delete(f"/api/users/{segment(id)}").json()["sessions"] == [id]


def test_a_path_that_is_no_utf_8_names_something_that_is_not_there(ada: httpx.Client) -> None:
    for raw in ("%ff", "%C3%28", "%ED%A0%80", "a%2Fb%FF"):
        told = problem(ada.get(f"{ALL}/{raw}"), 404)
        assert told["instance"] == f"{ALL}/{raw}"


@pytest.mark.parametrize("raw", ["%00", "a%0Ab", "%7F", "%C2%85", "x" * 181, "%C3%9F" * 31, "x" * 256])
def test_what_is_no_id_is_refused_in_paths_as_elsewhere(ada: httpx.Client, raw: str) -> None:
    make(ada)
    for path in (f"{ALL}/{raw}", f"{ALL}/{raw}/messages", f"{ALL}/s/messages/{raw}", f"{ALL}/{raw}/usage"):
        problem(ada.get(path), 422)
        assert len(ada.get(path).json()["detail"]) < 300


def test_whoever_is_named_like_another_is_not_them(as_: As) -> None:
    """An id never reaches another user's session."""
    ada = as_()
    make(ada, "s")
    for name in (f"{name_of(ada)}/s", name_of(ada).upper(), f"{name_of(ada)}:", "..", "-"):
        other = as_(name)
        for id in ("s", f"../{name_of(ada)}/s", f"{name_of(ada)}/s"):
            problem(other.get(f"{ALL}/{segment(id)}"), 404)
