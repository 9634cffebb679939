"""Whoever only reads changes nothing, and needs no right to write: each engine, with rights as operators grant them."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("redis")
pytest.importorskip("moto")

import redis
from strands import Agent
from tests.stores.clock import Clocked
from tests.stores.conversation import SPACE, key_of, prefix_of, say, told
from tests.stores.s3_place import Place
from tests.stores.s3_proxy import S3Proxy, pass_on, refuse
from tests.stores.s3_server import S3Server
from tests.stores.servers import Server, Servers, until

from strands_session_store import (
    DirectorySessionManager,
    RedisSessionManager,
    S3SessionManager,
    SessionNotFoundError,
    SQLiteSessionManager,
    StoreError,
    StoreSessionManager,
    Unavailable,
    open_store,
)
from strands_session_store.stores.base import ABSENT, Doc, Order, Query, Space, Store, new_commit_id
from strands_session_store.stores.counting import Counting
from strands_session_store.stores.objects import ObjectStore
from strands_session_store.stores.objects.directory import DirectoryBlobs
from strands_session_store.stores.read_only import ReadOnlyStore
from strands_session_store.stores.sqlite import SQLiteStore
from strands_session_store.testing.models import ScriptedModel

NOBODY = 65534


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """As a user whom rights bind: root becomes nobody."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that every user can reach; pytest's are this user's alone."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    allow(made)
    shutil.rmtree(made)


def forbid(folder: Path) -> None:
    """Nothing below it can be written by anybody whom rights bind."""
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


def allow(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def looks(store: Store, count: int) -> None:
    """All that can be read is read."""
    told(store, count)
    assert store.read(Space("session", "ann", "none"), Doc("doc")).incarnation is None
    for order in Order:
        for query in (Query("session", "ann", order=order), Query("session", everyone=True, order=order)):
            assert SPACE in [row.space for row in store.list(query).rows]


def agent_of(manager: Any) -> Agent:
    return Agent(model=ScriptedModel(lambda messages: "fine"), session_manager=manager, callback_handler=None)


def talks(make: Callable[..., StoreSessionManager]) -> Agent:
    """A session that is there; its agent, resumed by a session manager that may not write, and led on."""
    with make("s") as manager:
        first = agent_of(manager)
        first("hello")
    return first


def reads(make: Callable[..., StoreSessionManager], first: Agent) -> None:
    with make("s", read_only=True) as manager:
        agent = agent_of(manager)
        assert agent.messages == first.messages
        agent("and this is kept nowhere")
        assert manager.pending == 0
        with pytest.raises(StoreError, match="read_only=True"):
            manager.delete_session()
    with make("other", read_only=True) as manager, pytest.raises(SessionNotFoundError, match="read_only=True"):
        agent_of(manager)
    with make("s", read_only=True) as manager:
        assert agent_of(manager).messages == first.messages


@pytest.mark.parametrize("engine", ["memory", "sqlite", "directory", "redis", "redis+cluster", "s3"])
def test_verbs_that_write_reach_no_engine(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest, aws: None
) -> None:
    fixtures: dict[str, Callable[[], str]] = {
        "memory": lambda: "memory://",
        "sqlite": lambda: f"sqlite:///{tmp_path}/sessions.db",
        "directory": lambda: f"file://{tmp_path}/sessions",
        "redis": lambda: request.getfixturevalue("standalone").url,
        "redis+cluster": lambda: request.getfixturevalue("cluster").url,
        "s3": lambda: request.getfixturevalue("s3").place(),
    }
    with open_store(fixtures[engine]()) as inner:
        store = ReadOnlyStore(inner)
        assert (store.capabilities, store.workers, store.offload) == (inner.capabilities, inner.workers, inner.offload)
        for count in (1, 2):
            say(inner, count - 1)
            looks(store, count)
            for space in (SPACE, Space("session", "ann", "none")):
                with pytest.raises(StoreError, match=f"can not commit to session {space.id!r}: with read_only=True"):
                    say(store, count, space)
                for on in ("*", ABSENT):
                    with pytest.raises(StoreError, match=f"can not drop session {space.id!r}: with read_only=True"):
                        store.drop(space, on=on)  # type: ignore[arg-type]
            looks(store, count)
            assert inner.read(Space("session", "ann", "none")).incarnation is None
        store.close()
        with pytest.raises(StoreError, match="was closed"):
            inner.read(SPACE)


# --------------------------------------------------------------------------------------------------------------- files


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="users are of POSIX")
@pytest.mark.parametrize("held", [True, False], ids=["open elsewhere", "closed"])
@pytest.mark.parametrize("scheme", ["sqlite", "file"])
def test_files_that_may_not_be_written(folder: Path, scheme: str, held: bool) -> None:
    url = {"sqlite": f"sqlite:///{folder}/sessions", "file": f"file://{folder}/sessions"}[scheme]
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(open_store(url))
        for at in range(3):
            say(writer, at)
        if not held:
            stack.close()
        forbid(folder)
        before = files(folder)
        with unprivileged(), open_store(url) as inner:
            for _ in range(2):
                looks(ReadOnlyStore(inner), 3)
            with pytest.raises(StoreError):  # the rights bind
                say(inner, 3)
        assert files(folder).keys() == before.keys()
        if not held:
            assert files(folder) == before
        allow(folder)
        with open_store(url) as writer, open_store(url) as reader:
            looks(reader, 3)
            say(writer, 3)
            looks(reader, 4)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="users are of POSIX")
def test_a_sqlite_file_that_is_written_while_it_is_read_as_it_lies_there_is_no_answer(folder: Path) -> None:
    with SQLiteStore(folder / "db") as store:
        say(store, 0)
    forbid(folder)
    with SQLiteStore(folder / "db") as reader:

        def during(act: Callable[[], None]) -> None:
            with unprivileged(), reader._connections.reading() as db:
                assert db is not None and db.execute("SELECT count(*) FROM spaces").fetchone() == (1,)
                if os.getuid() == 0:
                    os.seteuid(0)
                act()

        def write() -> None:
            allow(folder)
            with SQLiteStore(folder / "db") as writer:
                say(writer, 1)
            forbid(folder)

        during(lambda: None)
        with pytest.raises(Unavailable, match="written while it was read; try again"):
            during(write)
        with unprivileged():
            told(reader, 2)
        allow(folder)
        with SQLiteStore(folder / "db") as writer:
            told(writer, 2)
            forbid(folder)
            with unprivileged():
                told(reader, 2)  # what it was read by before is used no more
            say(writer, 2)
            with unprivileged():
                told(reader, 3)


@pytest.mark.parametrize("manager", [SQLiteSessionManager, DirectorySessionManager])
def test_agents_from_files(folder: Path, manager: Any) -> None:
    def make(session: str, **options: Any) -> StoreSessionManager:
        made: StoreSessionManager = manager(session, folder / "sessions", **options)
        return made

    with make("s", read_only=True) as reader, pytest.raises(SessionNotFoundError):
        agent_of(reader)
    assert not any(folder.iterdir())
    first = talks(make)
    forbid(folder)
    before = files(folder)
    with unprivileged():
        reads(make, first)
    assert files(folder) == before


# --------------------------------------------------------------------------------------------------------------- redis


def grant(server: Server, *rules: str) -> str:
    """A user's name and password, for a URL."""
    with contextlib.closing(server.client()) as admin:
        admin.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">secret", "~strands:*", *rules)
    return f"redis://reader:secret@127.0.0.1:{server.port}/0"


READER = "+@read", "+@connection", "+eval", "+evalsha", "+time"


def test_a_redis_user_who_may_only_read(alone: Callable[..., Server]) -> None:
    server = alone()
    first = talks(lambda session: RedisSessionManager(session, server.url))
    with open_store(server.url) as writer:
        say(writer, 0)
    url = grant(server, *READER)
    reads(lambda session, **options: RedisSessionManager(session, url, timeout=3, **options), first)
    with open_store(url, timeout=3) as inner, contextlib.closing(server.client()) as admin:
        looks(ReadOnlyStore(inner), 1)
        with pytest.raises(StoreError, match="does not allow this user"):
            say(inner, 1)
        admin.script_flush()
        looks(ReadOnlyStore(inner), 1)
    for missing in ("-eval", "-hmget"):
        url = grant(server, *READER, missing)
        told_what_it_takes = pytest.raises(StoreError, match=r"to read only: \+@read \+@connection \+eval ")
        with open_store(url, timeout=3) as inner, told_what_it_takes:
            told(inner, 1)


def test_a_redis_replica(sentinel: Servers) -> None:
    primary, replica = sentinel.servers[:2]
    with contextlib.closing(primary.client()) as admin:
        admin.flushall()
    first = talks(lambda session: RedisSessionManager(session, primary.url))
    with open_store(primary.url) as writer:
        say(writer, 0)
    with contextlib.closing(replica.client()) as client:
        until(lambda: client.exists(key_of(primary.url)))
        assert client.info("replication")["role"] == "slave"
        with pytest.raises(redis.exceptions.ReadOnlyError):
            client.set("x", "y")
    reads(lambda session, **options: RedisSessionManager(session, replica.url, timeout=3, **options), first)
    with open_store(replica.url, timeout=3) as inner:
        looks(ReadOnlyStore(inner), 1)


def test_a_redis_listing_leaves_rows_of_what_is_gone(clocked_standalone: Clocked) -> None:
    with clocked_standalone.stopped() as clock, open_store(url := clock.url) as inner:
        say(inner, 0, ttl=10)
        clock.now += 2 * 3600
        rows = f"{prefix_of(url)}:{{session:ann}}:index"
        with contextlib.closing(clocked_standalone.servers.servers[0].client()) as admin:
            assert ReadOnlyStore(inner).list(Query("session", "ann")).rows == [] and admin.exists(rows)
            assert inner.list(Query("session", "ann")).rows == [] and not admin.exists(rows)


# ------------------------------------------------------------------------------------------------------------------ s3


def only_get(exchange: Any) -> None:
    """What a policy with s3:GetObject and s3:ListBucket alone allows."""
    (pass_on if exchange.method == "GET" else refuse(403, "AccessDenied", "Access Denied"))(exchange)


def test_s3_without_the_right_to_put_or_delete(place: Place, s3: S3Server) -> None:
    def make(session: str, url: str = place.proxy.url, **options: Any) -> StoreSessionManager:
        session_of = place.server.session
        return S3SessionManager(session, place.bucket, "a", endpoint_url=url, boto_session=session_of, **options)

    first = talks(make)
    url = f"s3://{place.bucket}/a?endpoint_url={place.proxy.url}"
    with open_store(url) as writer:
        say(writer, 0)
    with contextlib.closing(S3Proxy(s3.port, rule=only_get)) as proxy:
        reads(lambda session, **options: make(session, proxy.url, **options), first)
        with open_store(url.replace(place.proxy.url, proxy.url)) as inner:
            looks(ReadOnlyStore(inner), 1)
            assert set(proxy.methods) == {"GET"}
            with pytest.raises(StoreError, match="access denied: s3:PutObject"):
                say(inner, 1)


def test_who_only_reads_can_count_where_the_engine_can(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "sessions.db") as inner:
        for at in range(3):
            inner.commit(Space("session", "ann", f"{at}"), commit_id=new_commit_id())
        store = ReadOnlyStore(inner)
        assert isinstance(store, Counting) and store.count(Query("session", "ann", limit=1)) == (3, True)
        assert store.list(Query("session", "ann", counters=["n"])).rows[0].counters == {"n": 0}
    with ReadOnlyStore(ObjectStore(DirectoryBlobs(tmp_path / "sessions"))) as other:
        assert isinstance(other, ReadOnlyStore) and not isinstance(other, Counting)
