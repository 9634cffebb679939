"""The session manager's options, what it refuses, and its life."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from strands import Agent
from strands.types.exceptions import SessionException

from strands_session_store import (
    InvalidIdError,
    SessionNotFoundError,
    SQLiteSessionManager,
    StoreError,
    StoreSessionManager,
    Unavailable,
    open_store,
)
from strands_session_store.errors import Corrupt, Unserializable
from strands_session_store.layout import session_space
from strands_session_store.sessions import Sessions
from strands_session_store.stores.base import Docs, Log, PutDoc, Replace, Store, new_commit_id
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel

from .children import build


def agent_of(manager: Any, **options: Any) -> Agent:
    model = ScriptedModel(lambda messages: "fine")
    return Agent(model=model, session_manager=manager, callback_handler=None, **options)


# -------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("argument", "value", "says"),
    [
        ("session_id", "", "session_id is empty"),
        ("session_id", "x" * 181, "session_id is too long.*limit is 180"),
        ("session_id", "é" * 40, "session_id is too long.*limit is 180"),
        ("session_id", "a\nb", r"session_id holds a control character \(U\+000A\) at position 1"),
        ("session_id", "a\ud800", "session_id holds a lone surrogate"),
        ("session_id", 7, "session_id must be a string, not int"),
        ("user_id", "", "user_id is empty"),
        ("user_id", "\x00", "user_id holds a control character"),
        ("user_id", "u" * 181, "user_id is too long"),
        ("durability", "always", "durability must be one of message, background, turn; got 'always'"),
        ("ttl", 0, "ttl must be a number of seconds above 0"),
        ("ttl", -1.5, "ttl must be a number of seconds above 0"),
        ("ttl", float("inf"), "ttl must be a number of seconds above 0"),
        ("ttl", float("nan"), "ttl must be a number of seconds above 0"),
        ("ttl", "60", "ttl must be a number of seconds above 0.*'60'"),
        ("lease_timeout", None, "lease_timeout must be a number of seconds, .*None"),
        ("lease_expiry", "15", "lease_expiry must be a number of seconds, .*'15'"),
        ("lease_expiry", float("nan"), "lease_expiry must be a number of seconds"),
        ("lease_expiry", 3601, r"lease_expiry must be a number of seconds, 0\.01 to 3,600"),
        ("exclusive", "false", "exclusive must be True or False.*'false'"),
        ("read_only", "yes", "read_only must be True or False.*'yes'"),
        ("on_busy", "raise", "exclusive=True"),
        ("on_conflict", "rebase", "durability='turn'"),
        ("on_stale", "ignore", "on_stale must be one of reload, raise, conflict.*'ignore'"),
        ("timeout", "5", "timeout must be a number of seconds above 0.*'5'"),
        ("timeout", 0, "timeout must be a number of seconds above 0"),
        ("timeout", float("nan"), "timeout must be a number of seconds above 0"),
        ("store", "no url at all", "is no store URL; it must begin with one of file://, memory://, redis://"),
        ("store", "mongo://user:hunter2@host/db", "there is no engine for mongo://; this version knows file://"),
        ("store", "s3://key:hunter2@bucket", "credentials do not belong into the URL"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_read_or_written(
    store: FaultyStore, argument: str, value: Any, says: str
) -> None:
    options = {"session_id": "s", "store": store, argument: value}
    with pytest.raises(ValueError, match=says) as caught:
        StoreSessionManager(**options)
    assert store.calls == [] and "hunter2" not in str(caught.value)
    if "id" in argument:
        assert isinstance(caught.value, InvalidIdError)


@pytest.mark.parametrize("agent_id", ["a\tb", "x" * 181])
def test_a_bad_agent_id_is_named_before_anything_is_written(store: FaultyStore, agent_id: str) -> None:
    with pytest.raises(InvalidIdError, match="agent_id"):
        agent_of(StoreSessionManager("s", store), agent_id=agent_id)
    assert store.calls == []


HOSTILE = [
    "a",
    "ab",
    "a:b",
    "a/b",
    "a*",
    "{a}",
    "..",
    "%61",
    "A",
    "-",
    "a b",
    "💬",
    "a.",
    ".a",
    "a!b",
    "[a]",
    "a\\b",
    "?",
]


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_ids_that_escape_glob_or_separate_are_legal_and_isolated(tmp_path: Path, engine: str) -> None:
    url = "memory://" if engine == "memory" else f"sqlite:///{tmp_path}/x.db"
    with open_store(url) as store:
        for session in HOSTILE:
            for user in (None, "..", "a"):
                agent_of(StoreSessionManager(session, store, user_id=user))(f"{session} of {user}")
        sessions = Sessions(store)
        sessions.delete("a*"), sessions.delete("..", "..")
        for session in HOSTILE:
            for user in (None, "..", "a"):
                if (session, user) in (("a*", None), ("..", "..")):
                    with pytest.raises(SessionNotFoundError):
                        sessions.get(session, user)
                    continue
                (said, _) = sessions.messages.page(session, user).entries.values()
                assert said.message["content"] == [{"text": f"{session} of {user}"}]


def test_sessions_of_two_users_with_one_id_are_two(store: FaultyStore) -> None:
    for user in ("ada", "bob", None):
        agent_of(StoreSessionManager("s", store, user_id=user))(f"I am {user}")
    for user in ("ada", "bob", None):
        resumed = agent_of(StoreSessionManager("s", store, user_id=user))
        assert resumed.messages[0]["content"] == [{"text": f"I am {user}"}] and len(resumed.messages) == 2


def test_the_environment_names_store_and_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRANDS_SESSION_STORE", f"sqlite:///{tmp_path}/named.db")
    monkeypatch.setenv("STRANDS_SESSION_TIMEOUT", "7.5")
    with StoreSessionManager("s") as manager:
        assert manager._session.timeout == 7.5
        agent_of(manager)("hello")
    assert (tmp_path / "named.db").exists()
    for text in ("soon", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("STRANDS_SESSION_TIMEOUT", text)
        with pytest.raises(ValueError, match="STRANDS_SESSION_TIMEOUT must be a number of seconds"):
            StoreSessionManager("s")
    with StoreSessionManager("s", timeout=3) as manager:
        assert manager._session.timeout == 3  # an argument counts more
    monkeypatch.delenv("STRANDS_SESSION_STORE")
    monkeypatch.setenv("STRANDS_SESSION_TIMEOUT", "")
    with StoreSessionManager("s") as manager:
        assert manager._session.timeout == 30
        agent_of(manager)("hello")
    assert (tmp_path / "strands-sessions.db").exists()


def test_a_sqlite_manager_takes_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("relative.db", tmp_path / "with space, % and #?.db", str(tmp_path / "ünï.db")):
        with SQLiteSessionManager("s", path) as manager:
            agent_of(manager)("hello")
        assert Path(path).exists()
        with SQLiteSessionManager("s", path) as manager:
            assert len(agent_of(manager).messages) == 2


def test_state_that_can_not_be_stored_names_its_key_and_nothing_is_written(store: FaultyStore) -> None:
    agent = agent_of(StoreSessionManager("s", store))
    agent("hello")
    written = store.count("commit")
    agent.state._data["lamps"] = [{"genie": object()}]
    with pytest.raises(Unserializable, match=r"agent\.state\['lamps'\]\[0\]\['genie'\] of agent 'default' is a object"):
        agent("rub it")
    assert store.count("commit") == written
    del agent.state._data["lamps"]
    agent("go on")
    assert agent_of(StoreSessionManager("s", store)).messages == agent.messages


# -------------------------------------------------------------------------------------- what is stored can not be read


def _everything(store: Store) -> Any:
    log = "agents/default/messages"
    return store.read(session_space("s", None), Docs(""), Log(log, spans=[(0, None)]))


@pytest.mark.parametrize(
    ("damage", "path"),
    [
        (PutDoc("agents/default/agent", b"{not json"), "agents/default/agent"),
        (PutDoc("agents/default/context", b'{"format":1,"spans":[{"history":[0,99]}]}'), "agents/default/context"),
        (PutDoc("session", b"[]"), "session"),
        (Replace("agents/default/messages", 1, b'{"m":"no message"}'), r"agents/default/messages\[1\]"),
        (Replace("agents/default/messages", 0, b"\xff\xfe"), r"agents/default/messages\[0\]"),
        (
            PutDoc("agents/default/agent", b'{"format":99,"agent_id":"default"}'),
            "format 99, this version reads up to 1",
        ),
    ],
)
def test_a_corrupt_or_newer_record_names_its_path_and_is_not_overwritten(
    store: FaultyStore, damage: Any, path: str
) -> None:
    agent_of(StoreSessionManager("s", store))("hello")
    store.store.commit(session_space("s", None), damage, commit_id=new_commit_id())
    before = _everything(store.store)
    with pytest.raises(Corrupt, match=path):
        agent_of(StoreSessionManager("s", store))

    async def ahead() -> None:
        agent_of(await StoreSessionManager.open("s", store))

    with pytest.raises(Corrupt, match=path):
        asyncio.run(ahead())
    assert _everything(store.store) == before


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but some text that is long enough to be looked at " * 20)
    with pytest.raises(StoreError, match=r"notes\.txt"):
        agent_of(SQLiteSessionManager("s", path))
    assert path.read_text().startswith("not a database")


def test_a_database_of_a_newer_format(tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    with SQLiteSessionManager("s", path) as manager:
        agent_of(manager)("hello")
    db = sqlite3.connect(path)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.execute(f"PRAGMA user_version = {version + 1000}")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match=r"newer\.db.*(newer|format|upgrade)"):
        agent_of(SQLiteSessionManager("s", path))


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        agent_of(SQLiteSessionManager("s", tmp_path / "nowhere" / "x.db"))


# ------------------------------------------------------------------------------------------------- agents and sessions


def test_two_agents_with_one_id_are_refused(store: FaultyStore) -> None:
    manager = StoreSessionManager("s", store)
    agent_of(manager, agent_id="one")
    agent_of(manager, agent_id="two")
    with pytest.raises(SessionException, match="agent_id 'one' must be unique in session 's'"):
        agent_of(manager, agent_id="one")


def test_another_agent_id_on_resume_is_said_in_the_log(store: FaultyStore, caplog: pytest.LogCaptureFixture) -> None:
    agent_of(StoreSessionManager("s", store), agent_id="ada")("hello")
    with caplog.at_level(logging.WARNING, "strands_session_store"):
        assert agent_of(StoreSessionManager("s", store), agent_id="ada").messages
        assert "empty history" not in caplog.text
        assert agent_of(StoreSessionManager("s", store), agent_id="eve").messages == []
    assert "agent_id=<eve>" in caplog.text and "agents=<ada>" in caplog.text and "empty history" in caplog.text


def test_without_auto_create_a_session_must_exist(store: FaultyStore) -> None:
    with pytest.raises(SessionNotFoundError, match="there is no session 's' of user 'ada'"):
        agent_of(StoreSessionManager("s", store, user_id="ada", auto_create=False))
    with pytest.raises(SessionNotFoundError):
        asyncio.run(StoreSessionManager.open("s", store, user_id="ada", auto_create=False))
    assert store.count("commit") == 0
    agent_of(StoreSessionManager("s", store, user_id="ada"))("hello")
    assert agent_of(StoreSessionManager("s", store, user_id="ada", auto_create=False)).messages


def test_an_agent_without_a_word_writes_nothing(store: FaultyStore) -> None:
    with StoreSessionManager("s", store) as manager:
        agent_of(manager)
    assert store.count("commit") == 0
    with pytest.raises(SessionNotFoundError):
        Sessions(store).get("s")


def test_open_reads_ahead_so_that_building_an_agent_in_a_loop_does_no_io(store: FaultyStore) -> None:
    for id in ("one", "two"):
        agent_of(StoreSessionManager("s", store), agent_id=id)(f"I am {id}")

    async def resume() -> None:
        manager = await StoreSessionManager.open("s", store, agent_ids=["one", "two", "new"])
        calls = len(store.calls)
        agents = [agent_of(manager, agent_id=id) for id in ("one", "two")]
        assert len(store.calls) == calls
        assert [a.messages[0]["content"][0]["text"] for a in agents] == ["I am one", "I am two"]
        await agents[0].invoke_async("go on")
        await manager.aclose()

    asyncio.run(resume())


def test_open_of_a_new_session_needs_no_io_for_its_agent_either(store: FaultyStore) -> None:
    async def begin() -> None:
        async with await StoreSessionManager.open("s", store) as manager:
            calls = len(store.calls)
            agent = agent_of(manager)
            assert len(store.calls) == calls == 1
            await agent.invoke_async("hello")

    asyncio.run(begin())
    assert len(agent_of(StoreSessionManager("s", store)).messages) == 2


def test_open_says_when_the_store_does_not_answer(store: FaultyStore) -> None:
    store.plan("read", hang="before")
    with pytest.raises(Unavailable, match=r"has not answered within 0\.05 s"):
        asyncio.run(StoreSessionManager.open("s", store, timeout=0.05))


def test_an_agent_of_another_manager_is_refused(store: FaultyStore) -> None:
    stranger = agent_of(None)
    with pytest.raises(StoreError, match="was not built with the session manager of session 's'"):
        StoreSessionManager("s", store).sync_agent(stranger)


# ------------------------------------------------------------------------------------------------------ flush and close


def test_close_leaves_a_store_that_was_passed_open_and_closes_its_own(store: FaultyStore, tmp_path: Path) -> None:
    with StoreSessionManager("s", store) as manager:
        agent_of(manager)("hello")
    manager.close()
    assert len(Sessions(store).messages.page("s").entries) == 2
    own = SQLiteSessionManager("s", tmp_path / "own.db")
    agent = agent_of(own)
    agent("hello")
    own.close()
    own.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["own.db"]  # SQLite's other files go with the last connection
    with pytest.raises(StoreError, match="was closed"):
        agent("hello again")


def test_with_blocks_store_what_is_pending(store: FaultyStore) -> None:
    with StoreSessionManager("with", store, durability="turn") as manager:
        agent = agent_of(manager)
        agent("hello")
        agent.state.set("set", "behind the turn")
    assert agent_of(StoreSessionManager("with", store)).state.get("set") == "behind the turn"

    async def main() -> None:
        async with StoreSessionManager("async with", store) as manager:
            agent = agent_of(manager)
            await agent.invoke_async("hello")
            agent.state.set("set", "behind the turn")

    asyncio.run(main())
    assert agent_of(StoreSessionManager("async with", store)).state.get("set") == "behind the turn"


def test_a_close_that_fails_can_be_repeated(tmp_path: Path) -> None:
    manager = SQLiteSessionManager("s", tmp_path / "x.db", durability="turn")
    faulty = FaultyStore(manager.store)
    agent = agent_of(manager)
    manager._session.store = manager._session.writers[0]._commits._store = faulty
    faulty.plan("commit", before=Unavailable("down"), times=3)
    agent("hello")
    for _ in range(2):
        with pytest.raises(Unavailable):
            manager.close()
    manager.close()
    with SQLiteSessionManager("s", tmp_path / "x.db") as again:
        assert len(agent_of(again).messages) == 2


def test_a_conflict_does_not_keep_close_from_releasing_the_store(tmp_path: Path) -> None:
    stale = SQLiteSessionManager("s", tmp_path / "x.db", on_stale="conflict")
    agent = agent_of(stale)
    agent("hello")
    with SQLiteSessionManager("s", tmp_path / "x.db") as fresh:
        agent_of(fresh)("and on")
    with pytest.raises(StoreError):
        agent("too late")
    with pytest.raises(StoreError):
        stale.close()
    with pytest.raises(StoreError, match="was closed"):
        stale.store.read(session_space("s", None))


def test_delete_session_gives_a_receipt(store: FaultyStore) -> None:
    agent, manager = build(store, "s", ["fine"])
    assert not manager.delete_session().existed
    agent("hello")
    dropped = manager.delete_session()
    assert dropped.existed and dropped.entries == 3 and dropped.bytes > 0
    with pytest.raises(SessionNotFoundError):
        Sessions(store).get("s")


@pytest.mark.parametrize("option", ["ttl", "timeout"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 1e10])
def test_seconds_that_no_store_takes_are_refused_at_once(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=option):
        StoreSessionManager("s", "memory://", **{option: value})


def test_a_key_of_the_state_that_can_not_be_stored_is_an_error_that_names_it() -> None:
    agent = Agent(
        model=ScriptedModel(["fine"]), session_manager=StoreSessionManager("s", "memory://"), callback_handler=None
    )
    agent.state._data["lamps"] = {object(): 1}
    with pytest.raises(Unserializable, match=r"agent\.state\['lamps'\] \(a key of it\)"):
        agent("hello")
