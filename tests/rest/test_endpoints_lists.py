"""Lists over HTTP: what is in them, in which order, page by page; what a client follows reaches all of it, once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import httpx
import pytest

from .conftest import As, name_of, on_sqlite
from .serving import client
from .test_endpoints_sessions import ALL, make, problem, say

MESSAGES = f"{ALL}/s/messages"
SHAPE = {"items", "limit", "offset", "total", "total_is_exact", "next"}


def listed(http: httpx.Client, path: str = ALL, **params: Any) -> dict[str, Any]:
    answer = http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    assert set(page) == SHAPE and len(page["items"]) <= page["limit"]
    assert (page["next"] is None) == ("link" not in answer.headers)
    return page


def followed(http: httpx.Client, path: str, **params: Any) -> Iterator[list[Any]]:
    """The pages, by the Link of each."""
    answer = http.get(path, params=params)
    for _ in range(100):
        assert answer.status_code == 200, answer.text
        yield answer.json()["items"]
        link = answer.headers.get("link")
        if link is None:
            return
        target, _, rel = link.partition(">; ")
        assert rel == 'rel="next"' and answer.json()["next"]
        answer = http.get(target.removeprefix("<"))
    raise AssertionError("it has no end")


def ids(items: list[Any], name: str = "session_id") -> list[str]:
    return [one[name] for one in items]


@pytest.fixture(scope="module")
def readers() -> Iterator[dict[str, httpx.Client]]:
    """By the server's URL."""
    found: dict[str, httpx.Client] = {}
    yield found
    for one in found.values():
        one.close()


@pytest.fixture
def reader(url: str, readers: dict[str, httpx.Client]) -> httpx.Client:
    """A user with sessions that no test changes."""
    if url not in readers:
        readers[url] = client(url, **{"X-User": "reader"})
        fill(readers[url], 25)
    return readers[url]


MANY = [f"s-{n:02}" for n in range(25)]
"""Their ids, oldest first."""


def fill(http: httpx.Client, count: int) -> None:
    for n in range(count):
        more = {"kind": "chat"} if n % 5 == 0 else {}
        make(http, f"s-{n:02}", session_name=f"Trip {n:02}", description="Straße" if n % 3 == 0 else None, **more)
        if n % 4 == 0:
            http.put(f"{ALL}/s-{n:02}/deactivate")


def test_sessions_are_newest_first_twenty_a_page(reader: httpx.Client) -> None:
    first = listed(reader)
    assert ids(first["items"]) == MANY[:4:-1]
    assert (first["limit"], first["offset"], first["total"], first["total_is_exact"]) == (20, 0, 25, True)
    second = listed(reader, cursor=first["next"])
    assert ids(second["items"]) == MANY[4::-1]
    assert (second["limit"], second["offset"], second["total"], second["next"]) == (20, None, None, None)
    same = listed(reader, currentPage=2)
    assert (same["items"], same["offset"], same["total"], same["next"]) == (second["items"], 20, 25, None)
    beyond = listed(reader, currentPage=3)
    assert (beyond["items"], beyond["offset"], beyond["total"], beyond["next"]) == ([], 40, 25, None)
    assert ids(listed(reader, sortOrder="asc", pageSize=1000)["items"]) == MANY
    assert listed(reader, currentPage=1_000_000, pageSize=1000)["items"] == []


@pytest.mark.parametrize("order", ["created_at", "updated_at"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("size", [7, 25])
def test_whoever_follows_the_links_sees_each_session_once(
    reader: httpx.Client, order: str, direction: str, size: int
) -> None:
    pages = list(followed(reader, ALL, pageSize=size, orderBy=order, sortOrder=direction))
    found = [one for page in pages for one in page]
    assert sorted(ids(found)) == MANY and all(len(page) == size for page in pages[:-1])
    times = [one[order] for one in found]
    assert times == sorted(times, reverse=direction == "desc")
    by_number = [
        listed(reader, pageSize=size, orderBy=order, sortOrder=direction, currentPage=n + 1) for n in range(len(pages))
    ]
    assert [page["items"] for page in by_number] == pages
    assert [page["offset"] for page in by_number] == [n * size for n in range(len(pages))]


def test_nothing_is_lost_or_doubled_by_what_comes_and_goes_on_the_way(ada: httpx.Client) -> None:
    fill(ada, 12)
    seen: list[str] = []
    for n, page in enumerate(followed(ada, ALL, pageSize=3)):
        seen += ids(page)
        make(ada, f"new-{n}")
        if n == 2:
            for gone in (seen[0], seen[-1], "s-00"):
                assert ada.delete(f"{ALL}/{gone}").status_code == 204
    assert seen == MANY[11:0:-1]


FILTERS: list[tuple[dict[str, Any], Callable[[int], bool]]] = [
    ({"searchString": "trip 1"}, lambda n: 10 <= n < 20),
    ({"searchString": "trip 1", "searchIgnoreCase": False}, lambda n: False),
    ({"searchString": "Trip 1", "searchIgnoreCase": False}, lambda n: 10 <= n < 20),
    ({"searchString": "STRASSE"}, lambda n: n % 3 == 0),
    ({"searchString": "straße"}, lambda n: n % 3 == 0),
    ({"searchString": ".*"}, lambda n: False),
    ({"searchString": ""}, lambda n: True),
    ({"searchString": "s-1"}, lambda n: False),  # ids are no texts
    ({"isActive": False}, lambda n: n % 4 == 0),
    ({"isActive": True}, lambda n: n % 4 != 0),
    ({"kind": "chat"}, lambda n: n % 5 == 0),
    ({"kind": "none"}, lambda n: False),
    ({"ids": ["s-03", "s-07", "none", "s-03"]}, lambda n: n in (3, 7)),
    ({"ids": ["none"]}, lambda n: False),
    ({"ids": ["s-00", "s-01"], "isActive": False}, lambda n: n == 0),
    ({"isActive": False, "kind": "chat", "searchString": "stra"}, lambda n: n == 0),
]


@pytest.mark.parametrize(("params", "fits"), FILTERS, ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_filters_leave_what_fits_on_as_many_pages_as_it_takes(
    reader: httpx.Client, params: dict[str, Any], fits: Callable[[int], bool]
) -> None:
    wanted = [one for n, one in enumerate(MANY) if fits(n)][::-1]
    page = listed(reader, pageSize=1000, **params)
    assert (ids(page["items"]), page["total"], page["total_is_exact"]) == (wanted, len(wanted), True)
    assert [one for page in followed(reader, ALL, pageSize=3, **params) for one in ids(page)] == wanted
    assert ids(listed(reader, pageSize=3, currentPage=2, **params)["items"]) == wanted[3:6]


def test_sessions_below_another_one(ada: httpx.Client) -> None:
    for session_id, parent in (("top", None), ("a", "top"), ("b", "top"), ("aa", "a")):
        make(ada, session_id, parent_id=parent)
    assert ids(listed(ada, parentId="top")["items"]) == ["b", "a"]
    assert listed(ada, parentId="none")["items"] == []


def test_times_are_from_one_on_and_before_another(ada: httpx.Client) -> None:
    moments = [now()]
    for n in range(6):
        make(ada, MANY[n])
        moments.append(now())
    for after, before in itertools.combinations_with_replacement(range(7), 2):
        wanted = MANY[after:before][::-1]
        params = {"createdAfter": moments[after], "createdBefore": moments[before]}
        assert ids(listed(ada, **params)["items"]) == wanted
        assert ids(listed(ada, **params, orderBy="updated_at")["items"]) == wanted
        assert ids(listed(ada, **params, ids=MANY, sortOrder="asc")["items"]) == wanted[::-1]
    assert ids(listed(ada, createdAfter=moments[2])["items"]) == MANY[5:1:-1]
    assert ids(listed(ada, createdBefore=moments[2])["items"]) == MANY[1::-1]
    ada.patch(f"{ALL}/{MANY[1]}", json={"session_name": "changed"})
    assert ids(listed(ada, updatedAfter=moments[6])["items"]) == MANY[1:2]
    assert ids(listed(ada, updatedBefore=moments[6])["items"]) == MANY[5:1:-1] + MANY[:1]
    assert ids(listed(ada, orderBy="updated_at")["items"])[0] == MANY[1]
    (changed,) = listed(ada, ids=MANY[1])["items"]
    for name in ("created", "updated"):
        at = changed[f"{name}_at"]
        assert ids(listed(ada, ids=MANY[1], **{f"{name}After": at})["items"]) == MANY[1:2]
        assert len(listed(ada, **{f"{name}After": "2020-01-01"})["items"]) == 6
        assert listed(ada, **{f"{name}Before": "2020-01-01T00:00:00"})["items"] == []
        assert listed(ada, **{f"{name}After": "9999-12-31T23:59:59-12:00"})["items"] == []
        assert listed(ada, **{f"{name}Before": "0001-01-01T00:00:00+12:00"})["items"] == []


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


def test_messages_are_oldest_first_fifty_a_page(ada: httpx.Client) -> None:
    make(ada)
    said = [say(ada, f"text {n:02}")["message_id"] for n in range(60)]
    first = listed(ada, MESSAGES)
    assert (ids(first["items"], "message_id"), first["limit"], first["total"]) == (said[:50], 50, 60)
    second = listed(ada, MESSAGES, cursor=first["next"])
    assert (ids(second["items"], "message_id"), second["next"]) == (said[50:], None)
    newest = listed(ada, MESSAGES, sortOrder="desc", pageSize=10, currentPage=2)
    assert (ids(newest["items"], "message_id"), newest["offset"], newest["total"]) == (said[-11:-21:-1], 10, 60)
    for size, order in itertools.product((7, 20, 60), ("asc", "desc")):
        pages = list(followed(ada, MESSAGES, pageSize=size, sortOrder=order))
        assert [one for page in pages for one in ids(page, "message_id")] == said[:: 1 if order == "asc" else -1]
    ada.delete(f"{MESSAGES}/{said[3]}")
    found = [one for page in followed(ada, MESSAGES, pageSize=2) for one in ids(page, "message_id")]
    assert found == said[:3] + said[4:] and listed(ada, MESSAGES)["total"] == 59


def test_messages_are_found_by_what_they_are(ada: httpx.Client) -> None:
    make(ada)
    roles = ("user", "assistant", "system", "tool")
    for n in range(24):
        more = {"tool_call_id": f"c-{n}"} if roles[n % 4] == "tool" else {}
        body = {"role": roles[n % 4], "content": f"Größe {n:02}", "message_id": f"m-{n:02}", **more}
        assert ada.post(MESSAGES, json=body).status_code == 201
    ada.patch(f"{MESSAGES}/m-05", json={"content": "changed"})
    every = listed(ada, MESSAGES)["items"]
    middle = every[12]["created_at"]
    cases: list[tuple[dict[str, Any], Callable[[Any], bool]]] = [
        ({"role": role}, lambda one, role=role: one["role"] == role) for role in roles
    ]
    cases += [
        ({"ids": ["m-03", "m-17", "none"]}, lambda one: one["message_id"] in ("m-03", "m-17")),
        ({"searchString": "GRÖSSE 1"}, lambda one: one["content"].startswith("Größe 1")),
        ({"searchString": "größe 1", "searchIgnoreCase": False}, lambda one: False),
        ({"searchString": "Größe 1", "searchIgnoreCase": False}, lambda one: one["content"].startswith("Größe 1")),
        ({"searchString": "changed"}, lambda one: one["message_id"] == "m-05"),
        ({"searchString": "Größe 05"}, lambda one: False),
        ({"searchString": ""}, lambda one: True),
        ({"createdAfter": middle}, lambda one: one["created_at"] >= middle),
        ({"createdBefore": middle}, lambda one: one["created_at"] < middle),
        ({"updatedAfter": every[5]["updated_at"]}, lambda one: one["updated_at"] >= every[5]["updated_at"]),
        ({"updatedBefore": every[5]["updated_at"]}, lambda one: one["updated_at"] < every[5]["updated_at"]),
        ({"role": "user", "searchString": "größe 2"}, lambda one: one["message_id"] == "m-20"),
    ]
    for params, fits in cases:
        wanted = [one["message_id"] for one in every if fits(one)]
        page = listed(ada, MESSAGES, **params)
        assert (ids(page["items"], "message_id"), page["total"]) == (wanted, len(wanted)), params
        assert [
            one for page in followed(ada, MESSAGES, pageSize=2, **params) for one in ids(page, "message_id")
        ] == wanted
        assert ids(listed(ada, MESSAGES, sortOrder="desc", **params)["items"], "message_id") == wanted[::-1]
        assert ids(listed(ada, MESSAGES, pageSize=2, currentPage=2, **params)["items"], "message_id") == wanted[2:4]


def test_users_are_listed_for_administrators(as_: As, ada: httpx.Client) -> None:
    root = as_("root")
    before = listed(root, "/api/users")["total"]
    made = [f"{name_of(ada)}-{n}" for n in range(7)]
    for n, user_id in enumerate(made):
        assert root.post("/api/users", json={"user_id": user_id}).status_code == 201
        root.patch(f"/api/users/{user_id}", json={"is_active": n % 2 == 0})
    page = listed(root, "/api/users", pageSize=7)
    assert (ids(page["items"], "user_id"), page["total"]) == (made[::-1], before + 7)
    found = [one for page in followed(root, "/api/users", pageSize=2) for one in ids(page, "user_id")]
    assert found[:7] == made[::-1] and len(found) == before + 7
    assert listed(root, "/api/users", pageSize=2, currentPage=2)["items"] == page["items"][2:4]
    inactive = [
        one for page in followed(root, "/api/users", pageSize=2, isActive=False) for one in ids(page, "user_id")
    ]
    assert inactive[:3] == made[5::-2]
    problem(ada.get("/api/users"), 403, "admin")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"pageSize": 0}, "pageSize"),
        ({"pageSize": 1001}, "pageSize"),
        ({"pageSize": "many"}, "pageSize"),
        ({"pageSize": 1.5}, "pageSize"),
        ({"currentPage": 0}, "currentPage"),
        ({"currentPage": 1_000_001}, "currentPage"),
        ({"currentPage": 1, "cursor": "x"}, "currentPage and cursor"),
        ({"cursor": "x"}, "cursor 'x'"),
        ({"cursor": ""}, "cursor ''"),
        ({"cursor": "x" * 2001}, "cursor"),
        ({"sortOrder": "up"}, "sortOrder"),
        ({"orderBy": "session_id"}, "orderBy"),
        ({"createdAfter": "yesterday"}, "createdAfter"),
        ({"createdBefore": "1764000000"}, "createdBefore"),
        ({"updatedAfter": ""}, "updatedAfter"),
        ({"updatedBefore": "2026-02-30T00:00:00Z"}, "updatedBefore"),
        ({"searchString": "x" * 1001}, "searchString"),
        ({"searchIgnoreCase": "maybe"}, "searchIgnoreCase"),
        ({"ids": ["x"] * 1001}, "ids"),
        ({"ids": ["a", ""]}, "ids"),
        ({"ids": "a\nb"}, "ids"),
        ({"pagesize": 5}, "query.pagesize: there is no such parameter"),
        ({"search": "x"}, "query.search: there is no such parameter"),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, dict) else "",
)
@on_sqlite
def test_a_parameter_that_can_not_be_is_refused_by_its_name(ada: httpx.Client, params: Any, words: str) -> None:
    make(ada)
    for path in (ALL, MESSAGES):
        problem(ada.get(path, params=params), 422, words)


def test_a_cursor_is_of_its_own_list(ada: httpx.Client) -> None:
    make(ada)
    say(ada, "one")
    say(ada, "two")
    of_sessions = listed(ada, pageSize=2)["next"]
    of_messages = listed(ada, MESSAGES, pageSize=1)["next"]
    problem(ada.get(ALL, params={"cursor": of_messages}), 422, "cursor")
    problem(ada.get(MESSAGES, params={"cursor": of_sessions}), 422, "cursor")
    problem(ada.get(ALL, params={"cursor": of_sessions, "orderBy": "updated_at"}), 422, "cursor")
    problem(ada.get(f"{ALL}/s/runs", params={"cursor": of_messages}), 422, "cursor")
    problem(ada.get(f"{ALL}/s/events", params={"cursor": of_messages}), 422, "cursor")
