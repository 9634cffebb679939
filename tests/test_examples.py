"""The examples, as a reader runs them: real processes, a real server, real HTTP."""

# ruff: noqa: E402 - what needs redis is imported once it is known to be there
from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

for needed in ("redis", "fastapi", "uvicorn"):
    pytest.importorskip(needed)

from tests.forked import Forge
from tests.stores import servers
from tests.stores.proxy import CuttingProxy
from tests.stores.servers import Server, Servers, until

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def server(standalone: Servers) -> Server:
    return standalone.servers[0]


def test_the_readme_names_every_example() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"examples/\w+\.py", readme)) == {f"examples/{file.name}" for file in EXAMPLES.glob("*.py")}


def test_redis_agent_goes_on_where_it_ended(server: Server, forge: Forge) -> None:
    command = [str(EXAMPLES / "redis_agent.py"), f"{server.url}?prefix=redis_agent"]
    first, second = (forge.run(command, check=True).stdout for _ in range(2))
    assert "restored" not in first and "2 messages restored" in second and "Ada" in second


# ----------------------------------------------------------------------------------------------------- rest_server.py


def test_rest_server_answers_whom_it_knows(server: Server, tmp_path: Path) -> None:
    cli = [sys.executable, "-m", "strands_session_store.cli"]
    make = [*cli, "key", "--user", "ada", "--keys-file", str(tmp_path / "keys.json")]
    key = subprocess.run(make, capture_output=True, text=True, check=True).stdout.strip()
    port = servers.free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "rest_server:app", "--port", f"{port}"]
    store = f"{server.url}?prefix=rest_server"
    env = {**os.environ, "STRANDS_SESSION_STORE": store, "API_KEYS": str(tmp_path / "keys.json")}
    with open(tmp_path / "log", "wb") as log, subprocess.Popen(command, stdout=log, stderr=log, env=env) as process:
        try:
            api = f"http://127.0.0.1:{port}"

            def ready() -> bool:
                assert process.poll() is None, (tmp_path / "log").read_text()
                with contextlib.suppress(httpx.TransportError):
                    return httpx.get(f"{api}/readyz").status_code == 200
                return False

            until(ready)
            said = {"messages": [{"role": "user", "content": "What are your opening hours on day 'sunday'?"}]}
            talk = f"{api}/api/agent-sessions/conversation"
            answer = httpx.post(talk, json=said, headers={"X-API-Key": key}, timeout=30)
            assert answer.status_code == 201 and answer.json()["messages_count"] >= 2
            assert httpx.post(talk, json=said, headers={"X-API-Key": "another"}).status_code == 401
        finally:
            process.kill()


# ------------------------------------------------------------------------------------------------------- redis_web.py


class Worker:
    """A uvicorn process."""

    def __init__(self, forge: Forge, store: str, folder: Path) -> None:
        self.port = servers.free_port()
        self.log = folder / f"{self.port}.log"
        command = ["-m", "uvicorn", "--app-dir", str(EXAMPLES), "redis_web:app", "--port", f"{self.port}"]
        env = {**os.environ, "STRANDS_SESSION_STORE": store}
        with open(self.log, "wb") as log:
            self.process = forge.start(command, stdout=log, stderr=log, env=env)

    def ready(self) -> None:
        until(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return self.ask("GET", "/health")[0] == 200

    def ask(self, verb: str, path: str, user: str = "", body: Any = None) -> tuple[int, Any, Any]:
        """Status, headers and what the body says."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            headers = {"Content-Type": "application/json", **({"X-User": user} if user else {})}
            connection.request(verb, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read())

    def say(self, user: str, text: str, id: str | None = None) -> tuple[int, str]:
        """Status, and the answer or what was wrong. Without an id, the prompt's is its text."""
        status, headers, told = self.ask("POST", "/messages", user, {"id": id or text, "text": text})
        if status != 200:
            assert int(headers["Retry-After"]) > 0
            return status, told["error"]
        return status, told["answer"]["content"][0]["text"]

    def texts(self, user: str) -> list[str]:
        """What is kept of the user's conversation, which has an answer to each prompt."""
        status, _, told = self.ask("GET", "/messages?start=0&limit=1000", user)
        if status == 404:
            return []
        messages = told["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2)
        assert told["total"] == len(messages) and [message["index"] for message in messages] == list(
            range(told["total"])
        )
        return [message["content"][0]["text"] for message in messages[::2]]

    def kill(self) -> None:
        self.process.kill()


@pytest.fixture
def start(forge: Forge, tmp_path: Path) -> Iterator[Callable[..., list[Worker]]]:
    """Starts workers, on sessions that no other test uses; ``at``: a port other than the server's for each."""
    prefix = f"?prefix={tmp_path.name}"
    made: list[Worker] = []

    def start(*at: int) -> list[Worker]:
        new = [Worker(forge, f"redis://127.0.0.1:{port}/0{prefix}", tmp_path) for port in at]
        made.extend(new)
        for worker in new:
            worker.ready()
        return new

    yield start
    for worker in made:
        worker.kill()


@pytest.fixture
def workers(server: Server, start: Callable[..., list[Worker]]) -> list[Worker]:
    return start(server.port, server.port)


def both(*calls: Callable[[], Any]) -> list[Any]:
    """What they return, begun at once."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_a_conversation_goes_on_whichever_worker_is_asked(workers: list[Worker]) -> None:
    one, other = workers
    assert one.say("ada", "My name is Ada.")[0] == 200
    assert other.say("ada", "I live in Lisbon.")[0] == 200
    assert "Ada" in one.say("ada", "What is my name?")[1]
    assert "Lisbon" in other.say("ada", "Where do I live?")[1]
    expected = ["My name is Ada.", "I live in Lisbon.", "What is my name?", "Where do I live?"]
    assert one.texts("ada") == other.texts("ada") == expected
    assert one.texts("eve") == []
    status, _, told = other.ask("GET", "/messages?start=2&limit=1", "ada")
    assert (status, [message["index"] for message in told["messages"]], told["total"]) == (200, [2], 8)


def test_a_prompt_that_is_sent_again_is_said_once_and_gets_the_same_answer(workers: list[Worker]) -> None:
    one, other = workers
    first = one.say("ada", "My name is Ada.", id="1")
    assert first[0] == 200 and other.say("ada", "My name is Ada.", id="1") == first
    assert other.say("ada", "My name is Ada.", id="2")[0] == 200
    assert one.texts("ada") == ["My name is Ada."] * 2


def test_wrong_requests_are_told_what_is_wrong(workers: list[Worker]) -> None:
    worker = workers[0]
    assert worker.ask("GET", "/messages", "ada")[0] == 404
    assert worker.ask("GET", "/messages")[0] == 422
    assert worker.ask("GET", "/messages?limit=0", "ada")[0] == 422
    status, _, told = worker.ask("POST", "/messages", "x" * 200, {"id": "1", "text": "hello"})
    assert status == 400 and "user_id is too long" in told["error"]


def test_users_do_not_see_each_other(workers: list[Worker]) -> None:
    users = [f"user{at}" for at in range(20)]

    def talk(at: int, user: str) -> None:
        for turn in range(3):
            assert workers[(at + turn) % 2].say(user, f"My number {turn} is {user}-{turn}.")[0] == 200
        status, answer = workers[at % 2].say(user, "What do you know of me?")
        assert status == 200 and re.findall(r"user\d+-\d", answer) == [f"{user}-{turn}" for turn in range(3)]

    with ThreadPoolExecutor(len(users)) as pool:
        for done in [pool.submit(talk, at, user) for at, user in enumerate(users)]:
            done.result()
    for at, user in enumerate(users):
        told = [f"My number {turn} is {user}-{turn}." for turn in range(3)]
        assert workers[at % 2].texts(user) == [*told, "What do you know of me?"]


@pytest.mark.parametrize(
    ("alike", "new", "again"),
    [(False, True, False), (False, False, True), (True, True, True)],
    ids=["two workers, new user", "two workers, a double click", "one worker, a double click of a new user"],
)
def test_of_two_requests_at_once_one_waits_for_the_other(
    server: Server, workers: list[Worker], alike: bool, new: bool, again: bool
) -> None:
    one, other = workers[0], workers[0 if alike else 1]
    said = [] if new else ["hello"]
    for text in said:
        assert one.say("ada", text)[0] == 200
    prompts = ["from one", "from one" if again else "from other"]
    with contextlib.closing(server.client()) as admin, ThreadPoolExecutor(2) as pool:
        admin.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")  # scripts wait: both have to read before one writes
        sent = [
            pool.submit(worker.say, "ada", text, id=text) for worker, text in zip((one, other), prompts, strict=True)
        ]
        until(lambda: waiting(admin) == 2)
        admin.execute_command("CLIENT", "UNPAUSE")
        answers = [answer.result() for answer in sent]
    assert [status for status, _ in answers] == [200, 200]
    texts = one.texts("ada")
    assert texts[: len(said)] == said and sorted(texts[len(said) :]) == sorted(set(prompts))
    assert not again or answers[0] == answers[1]


def waiting(admin: Any) -> int:
    """Clients whose command the server holds back."""
    return sum("b" in client["flags"] for client in admin.client_list())


def test_many_requests_at_once_are_each_kept_once(workers: list[Worker]) -> None:
    kept: list[str] = []
    for round in range(5):
        texts = [f"round {round}, prompt {at}" for at in range(6)]
        answers = both(*(lambda at=at, text=text: workers[at % 2].say("ada", text) for at, text in enumerate(texts)))
        assert {status for status, _ in answers} == {200}
        now = workers[0].texts("ada")
        assert now[: len(kept)] == kept and sorted(now[len(kept) :]) == sorted(texts)
        kept = now


def test_a_worker_killed_before_it_has_stored_loses_only_what_was_not_answered(
    server: Server, workers: list[Worker]
) -> None:
    one, other = workers
    assert one.say("ada", "My name is Ada.")[0] == 200
    with contextlib.closing(server.client()) as admin, ThreadPoolExecutor(1) as pool:
        admin.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        lost = pool.submit(one.say, "ada", "I live in Lisbon.")
        until(lambda: waiting(admin) == 1)
        one.kill()
        until(lambda: waiting(admin) == 0)
        admin.execute_command("CLIENT", "UNPAUSE")
        assert isinstance(lost.exception(), http.client.RemoteDisconnected)
    assert other.texts("ada") == ["My name is Ada."]
    assert other.say("ada", "I live in Lisbon.")[0] == 200
    assert other.texts("ada") == ["My name is Ada.", "I live in Lisbon."]


def test_a_worker_killed_before_it_has_answered_loses_and_doubles_nothing(
    server: Server, start: Callable[..., list[Worker]]
) -> None:
    """The worst moment: the turn is stored, and neither worker nor user know it."""
    # one swallows what the server says of a commit, the other what it says of its repetition
    with CuttingProxy(server.port) as near, CuttingProxy(near.port, mark=b"$8\r\nrepeated\r\n") as far:
        one, other = start(far.port, server.port)
        assert one.say("ada", "My name is Ada.")[0] == 200
        near.spare = 1  # the lease's
        for proxy in (near, far):
            proxy.always = True
            proxy.cut.set()
        with ThreadPoolExecutor(1) as pool:
            lost = pool.submit(one.say, "ada", "I live in Lisbon.")
            until(lambda: near.cuts and far.cuts)
            one.kill()
            assert isinstance(lost.exception(), http.client.RemoteDisconnected | ConnectionResetError)
    assert other.texts("ada") == ["My name is Ada.", "I live in Lisbon."]
    status, answer = other.say("ada", "I live in Lisbon.")
    assert status == 200 and "Lisbon" in answer
    assert other.texts("ada") == ["My name is Ada.", "I live in Lisbon."]


def test_workers_that_are_killed_again_and_again_lose_nothing_that_was_answered(
    server: Server, start: Callable[..., list[Worker]]
) -> None:
    """A user who repeats a prompt until it is answered, and workers that are killed in the midst of it."""
    (steady,) = start(server.port)
    said: list[str] = []
    for _ in range(3):
        (victim,) = start(server.port)
        answered = threading.Semaphore(0)

        def talk(victim: Worker = victim, answered: threading.Semaphore = answered) -> str:
            while True:
                text = f"prompt {len(said)}"
                try:
                    assert victim.say("ada", text)[0] == 200
                except (http.client.HTTPException, OSError):
                    return text
                said.append(text)
                answered.release()

        with ThreadPoolExecutor(1) as pool:
            talking: Future[str] = pool.submit(talk)
            for _ in range(5):
                answered.acquire(timeout=30)
            victim.kill()
            cut = talking.result()
        assert steady.say("ada", cut)[0] == 200
        said.append(cut)
        assert steady.texts("ada") == said


def test_while_the_store_is_away_workers_say_so_and_then_go_on(
    tmp_path: Path, start: Callable[..., list[Worker]]
) -> None:
    with servers.ended(
        servers.standalone(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always")
    ) as alone:
        (worker,) = start(alone.port)
        assert worker.say("ada", "My name is Ada.")[0] == 200
        alone.stop()
        health, (status, why) = both(
            lambda: worker.ask("GET", "/health")[0], lambda: worker.say("ada", "I live in Lisbon.")
        )
        assert (health, status) == (503, 503) and "127.0.0.1" not in why
        alone.start()
        assert worker.say("ada", "I live in Lisbon.")[0] == 200
        assert worker.texts("ada") == ["My name is Ada.", "I live in Lisbon."]
