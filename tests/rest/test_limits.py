"""How much a server takes of everything, and what it tells of it: rates, conversations, pages of other sites, log."""

from __future__ import annotations

import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.stores.servers import until

from strands_session_store.rest import Limits, create_app
from strands_session_store.stores.memory import MemoryStore

from .conftest import by_name
from .serving import client, served
from .talking import TALK, Held, prompt, talking
from .test_endpoints_sessions import ALL, make, problem, say


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def user(url: str, name: str = "ada") -> httpx.Client:
    return client(url, **{"X-User": name})


# ---------------------------------------------------------------------------------------------------------------- rates


def test_each_user_has_so_many_requests_and_is_told_when_to_come_again(store: MemoryStore) -> None:
    with (
        served(create_app(store, auth=by_name, limits=Limits(rate="5/minute"))) as url,
        user(url) as ada,
        user(url, "bob") as bob,
    ):
        answers = [ada.get(ALL) for _ in range(8)]
        assert [one.status_code for one in answers] == [200] * 5 + [429] * 3
        problem(answers[-1], 429, "5 per 1 minute")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert [bob.get(ALL).status_code for _ in range(6)] == [200] * 5 + [429]
        # what is nobody's and what is not there is not counted, nor is health
        with client(url) as nobody:
            assert {nobody.get(ALL).status_code for _ in range(10)} == {401}
            assert {nobody.get("/readyz").status_code for _ in range(10)} == {200}


def test_a_rate_is_one_of_a_sliding_window(store: MemoryStore) -> None:
    with served(create_app(store, auth=by_name, limits=Limits(rate="3/second"))) as url, user(url) as ada:
        until(lambda: ada.get(ALL).status_code == 429)
        begun = time.monotonic()
        until(lambda: ada.get(ALL).status_code == 200)
        assert time.monotonic() - begun < 10


def test_several_servers_can_count_in_one_place(store: MemoryStore, standalone: Any) -> None:
    limits = Limits(rate="6/hour", rate_store=f"async+{standalone.servers[0].url}")
    apps = [create_app(store, auth=by_name, limits=limits) for _ in range(2)]
    with (
        served(apps[0]) as first,
        served(apps[1]) as second,
        user(first, "shared") as one,
        user(second, "shared") as two,
    ):
        statuses = [http.get(ALL).status_code for http in (one, two) * 4]
        assert statuses == [200] * 6 + [429] * 2
        assert 1 <= int(two.get(ALL).headers["retry-after"]) <= 3600


def test_who_can_not_count_lets_in(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits(rate="1/hour", rate_store="async+redis://:hunter2@127.0.0.1:1")
    with (
        caplog.at_level(logging.WARNING),
        served(create_app(store, auth=by_name, limits=limits)) as url,
        user(url) as ada,
    ):
        assert {ada.get(ALL).status_code for _ in range(3)} == {200}
    assert "requests can not be counted" in caplog.text and "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"body": 0}, "body"),
        ({"body": "1"}, "body"),
        ({"body": True}, "body"),
        ({"conversations": 0}, "conversations"),
        ({"conversations_per_user": -1}, "conversations_per_user"),
        ({"rate": "often"}, "rate"),
        ({"rate": ""}, "rate"),
        ({"rate": 5}, "rate"),
        ({"rate_store": "async+nowhere://:hunter2@host"}, "rate_store"),
        ({"rate_store": "redis://:hunter2@host"}, "rate_store"),
        ({"rate_store": "memory://"}, "rate_store"),
    ],
)
def test_limits_that_are_none_are_refused_by_their_name(given: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be") as caught:
        create_app("memory://", auth=by_name, limits=Limits(**given))
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Limits(rate_store="async+redis://:hunter2@127.0.0.1"))


# -------------------------------------------------------------------------------------------------------- conversations


def test_so_many_conversations_are_under_way_at_once_of_all_and_of_each(store: MemoryStore) -> None:
    model = Held(lambda messages: "yes")
    limits = Limits(rate=None, conversations=3, conversations_per_user=2)
    with served(talking(store, model, auth=by_name, limits=limits)) as url, ThreadPoolExecutor(8) as threads:

        def ask(name: str, session_id: str) -> Any:
            with user(url, name) as http:
                return http.post(TALK, json=prompt("hello", session_id))

        running = [threads.submit(ask, "ada", f"s-{n}") for n in range(2)]
        with user(url) as ada, user(url, "bob") as bob, user(url, "eve") as eve:
            until(lambda: sum(_busy(ada, f"s-{n}") for n in range(2)) == 2)
            answer = ada.post(TALK, json=prompt("hello", "s-3"))
            problem(answer, 429, "too many of your conversations are under way")
            assert answer.headers["retry-after"] == "5"
            problem(ada.get(f"{ALL}/s-3"), 404)
            running.append(threads.submit(ask, "bob", "t"))
            until(lambda: _busy(bob, "t"))
            problem(eve.post(TALK, json=prompt("hello", "t")), 429, "too many conversations are under way")
            assert eve.get(ALL).status_code == 200  # all else goes on
            model.let(3)
            assert [one.result().status_code for one in running] == [201] * 3
            model.let(1)
            assert ada.post(TALK, json=prompt("again", "s-0")).status_code == 201


def _busy(http: httpx.Client, session_id: str) -> bool:
    found = http.get(f"{ALL}/{session_id}")
    return found.status_code == 200 and bool(found.json()["is_busy"])


def test_one_that_failed_gives_its_place_back(store: MemoryStore) -> None:
    def broken(messages: Any) -> Any:
        raise RuntimeError("no")

    limits = Limits(rate=None, conversations=1, conversations_per_user=1)
    with served(talking(store, Held(broken), auth=by_name, limits=limits)) as url, user(url) as ada:
        for _ in range(3):
            problem(ada.post(TALK, json=prompt("hello", "s")), 502)
            problem(ada.post(TALK, json={"session_id": "s"}), 422)


# ------------------------------------------------------------------------------------------------- pages of other sites


PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,if-match"}


def test_no_page_of_another_site_may_call_by_default(store: MemoryStore) -> None:
    with served(create_app(store, auth=by_name)) as url, user(url) as ada:
        for origin in ("https://app.example.com", "null"):
            asked = ada.options(f"{ALL}/s", headers={"Origin": origin, **PREFLIGHT})
            assert asked.status_code == 405
            got = ada.get(ALL, headers={"Origin": origin})
            assert got.status_code == 200
            assert not [name for one in (asked, got) for name in one.headers if name.startswith("access-control")]


def test_pages_of_sites_that_are_named_may_call(store: MemoryStore) -> None:
    here, there = {"Origin": "https://app.example.com"}, {"Origin": "https://app.example.com.evil.example"}
    limits = Limits(rate="6/hour", body=1000)
    with served(create_app(store, auth=by_name, cors_origins=[here["Origin"]], limits=limits)) as url, user(url) as ada:
        asked = ada.options(f"{ALL}/s", headers=here | PREFLIGHT)
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == here["Origin"]
        assert asked.headers["access-control-allow-credentials"] == "true"
        assert "PATCH" in asked.headers["access-control-allow-methods"]
        assert "access-control-allow-origin" not in ada.options(f"{ALL}/s", headers=there | PREFLIGHT).headers
        headers = here | {"Content-Type": "application/json"}
        with client(url) as nobody:
            answers = [nobody.get(ALL, headers=here)]
        answers += [
            ada.post(ALL, json={"session_id": "s"}, headers=here),
            ada.get(f"{ALL}/none", headers=here),
            ada.post(ALL, content=b"{", headers=headers),
            ada.post(ALL, content=b"x" * 1001, headers=headers),
            ada.patch(f"{ALL}/s", json={}, headers=here | {"If-Match": '"x"'}),
        ]
        while answers[-1].status_code != 429:
            answers.append(ada.get(ALL, headers=here))
        assert {one.status_code for one in answers} == {201, 404, 400, 413, 412, 401, 200, 429}
        for one in answers:  # a page can read what is refused as well, and its headers
            assert one.headers["access-control-allow-origin"] == here["Origin"], one.status_code
            exposed = one.headers["access-control-expose-headers"].split(", ")
            assert {"ETag", "Link", "Location", "Retry-After", "X-Request-ID"} <= set(exposed)
            assert one.headers["vary"] == "Origin"
        assert "access-control-allow-origin" not in ada.get(ALL, headers=there).headers


def test_pages_of_all_sites_may_call_without_credentials(store: MemoryStore) -> None:
    with served(create_app(store, auth=by_name, cors_origins=["*"])) as url, user(url) as ada:
        got = ada.get(ALL, headers={"Origin": "https://anywhere.example"})
        assert got.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in got.headers


@pytest.mark.parametrize(
    "wrong", ["https://a.example", ["a.example"], ["https://a.example/"], ["https://*.example"], [""], ["null"], [5]]
)
def test_origins_that_are_none_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="cors_origins must be like"):
        create_app("memory://", auth=by_name, cors_origins=wrong)


# ------------------------------------------------------------------------------------------------------ ids and the log


def test_a_request_has_an_id_its_own_or_a_new_one(store: MemoryStore) -> None:
    with served(create_app(store, auth=by_name)) as url, user(url) as ada:
        for given in ("12345678", "a-b_c.D-1234", "x" * 64):
            for path in (ALL, f"{ALL}/none", "/nothing", "/healthz"):
                answer = ada.get(path, headers={"X-Request-ID": given})
                assert answer.headers.get_list("x-request-id") == [given]
                assert path in (ALL, "/healthz") or answer.json()["request_id"] == given
        drawn = set()
        for bad in (None, "", "short", "x" * 65, "a b c d e f", "<script>alert(1)</script>", "ab\tcdefgh"):
            answer = ada.get(ALL, headers={} if bad is None else {"X-Request-ID": bad})
            drawn.add(answer.headers["x-request-id"])
        assert len(drawn) == 7 and all(len(one) == 16 and one.isalnum() for one in drawn)


def test_the_log_says_who_did_what_and_nothing_of_what_was_said(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "xyzzy"
    with caplog.at_level(logging.DEBUG), served(talking(store, auth=by_name)) as url, user(url) as ada:
        make(ada, "s", session_name=secret, agent_instructions=secret, metadata={"a": secret})
        say(ada, secret, extra_data={"a": secret}, message_id="m")
        ada.patch(f"{ALL}/s/messages/m", json={"content": f"{secret} 2"})
        ada.get(ALL, params={"searchString": secret, "user_id": "ada"})
        ada.get(
            f"{ALL}/s", headers={"Authorization": f"Bearer {secret}", "Cookie": secret, "Referer": f"http://{secret}"}
        )
        ada.post(ALL, json={"session_id": f"a\n{secret}", secret: secret})
        ada.post(ALL, content=f'{{"session_name": "{secret}'.encode(), headers={"Content-Type": "application/json"})
        ada.post(TALK, json=prompt(secret, "s"))
        assert ada.get(f"{ALL}/s%0d%0aforged%20line").status_code == 422
        with client(url) as nobody:
            id = nobody.get(ALL).headers["x-request-id"]
    lines = [one.getMessage() for one in caplog.records if one.name == "strands_session_store.rest.access"]
    own = [one.getMessage() for one in caplog.records if one.name.startswith("strands_session_store")]
    assert not [line for line in own if secret in line or "\n" in line]
    assert len(lines) == 10
    assert lines[0].startswith(f"POST {ALL} 201 ") and "user=<ada> request=<" in lines[0]
    assert any(line.startswith(f"GET {ALL}/s%0d%0aforged%20line 422 ") for line in lines)
    assert lines[-1].startswith(f"GET {ALL} 401 ") and lines[-1].endswith(f"user=<-> request=<{id}>")


def test_a_client_that_goes_away_is_no_error(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), served(create_app(store, auth=by_name)) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(b"POST /api/agent-sessions HTTP/1.1\r\nHost: x\r\nX-User: ada\r\nContent-Length: 100\r\n\r\n{")
        until(lambda: f"POST {ALL}" in caplog.text)
        with user(url) as ada:
            assert ada.get(ALL).json()["total"] == 0
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
