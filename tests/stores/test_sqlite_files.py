"""What only an engine on a file has: formats, damage, rights, full disks, and rows that must not pile up."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from strands_session_store.errors import Corrupt, StoreError, Unavailable
from strands_session_store.stores.base import (
    Add,
    Append,
    Counters,
    Doc,
    DropDoc,
    Log,
    Look,
    Order,
    PutDoc,
    Query,
    Replace,
    Space,
    Summary,
    new_commit_id,
)
from strands_session_store.stores.paging import write_cursor
from strands_session_store.stores.sqlite import SQLiteStore, schema
from strands_session_store.stores.sqlite.reads import listing
from strands_session_store.stores.sqlite.schema import FORMAT
from strands_session_store.testing.promises.binding import SetClock

from .sqlite_file import SPACE, add, python, raw


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


# ------------------------------------------------------------------------------------------------------------- opening


def test_nothing_is_opened_before_the_first_verb(path: Path) -> None:
    store = SQLiteStore(path)
    assert not path.exists()
    assert store.read(SPACE) == Look(None) and store.list(Query(SPACE.kind)).rows == []
    assert not any(path.parent.iterdir())  # who looks makes nothing
    path.touch()
    assert store.read(SPACE) == Look(None) and path.stat().st_size == 0
    path.unlink()
    add(store)
    assert path.exists()
    store.close()
    for verb in (lambda: store.read(SPACE), lambda: store.list(Query(SPACE.kind))):
        path.unlink(missing_ok=True)
        with pytest.raises(StoreError, match="was closed"):
            verb()


def test_a_relative_path_means_the_directory_it_was_given_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("sessions.db")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir("other")
    with store:
        add(store)
    assert (tmp_path / "sessions.db").exists()


@pytest.mark.parametrize("name", ["", ":memory:"])
def test_a_database_without_a_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="MemoryStore"):
        SQLiteStore(name)


def test_the_file_is_in_wal_mode_and_a_closed_store_leaves_one_file(path: Path) -> None:
    with SQLiteStore(path) as store:
        add(store)
        assert raw(path, "PRAGMA journal_mode") == [("wal",)]
        with store._connections.writing() as db:
            # FULL: what no test without a power cut can show
            assert db.execute("PRAGMA synchronous").fetchall() == [(2,)]
        assert raw(path, "PRAGMA user_version") == [(FORMAT,)]
    assert list(path.parent.iterdir()) == [path]


# ------------------------------------------------------------------------------------------- what is no file of ours


def refused(path: Path, error: type[StoreError], says: str) -> None:
    """Every verb raises the error, and the file stays as it is."""
    before = path.read_bytes()
    store = SQLiteStore(path, timeout=0.5)
    for verb in (
        lambda: store.read(SPACE),
        lambda: add(store),
        lambda: store.list(Query("session")),
        lambda: store.drop(SPACE),
    ):
        with pytest.raises(error, match=says) as info:
            verb()
        assert str(path) in str(info.value)
    store.close()
    assert path.read_bytes() == before


def test_a_newer_format_is_refused_and_nothing_is_written(path: Path) -> None:
    with SQLiteStore(path) as store:
        add(store)
    raw(path, f"PRAGMA user_version={FORMAT + 1}")
    refused(path, StoreError, f"format {FORMAT + 1}, .* knows format {FORMAT} at most; upgrade the package")


def test_a_format_that_becomes_newer_while_the_file_is_open_is_refused(path: Path) -> None:
    with SQLiteStore(path) as store:
        add(store)
        raw(path, f"PRAGMA user_version={FORMAT + 1}")
        with pytest.raises(StoreError, match="upgrade the package"):
            add(store)
        with pytest.raises(StoreError, match="upgrade the package"):
            store.read(SPACE)
        raw(path, f"PRAGMA user_version={FORMAT}")
        assert add(store) == 2


def test_the_database_of_another_program_is_refused(path: Path) -> None:
    raw(path, "CREATE TABLE spaces (id TEXT)", f"PRAGMA user_version={FORMAT}")
    refused(path, StoreError, "another program; choose another path")


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()
    with SQLiteStore(path) as store:
        assert add(store) == 1


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as a header" * 20, b"short"])
def test_a_file_that_is_no_database_is_corrupt(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path, Corrupt, "not a database")


def test_a_damaged_database_is_corrupt(path: Path) -> None:
    with SQLiteStore(path) as store:
        for _ in range(20):
            add(store, Append("log", [b"x" * 5000]))
    damaged = bytearray(path.read_bytes())
    for page in range(schema.PAGE_SIZE, len(damaged), schema.PAGE_SIZE):
        damaged[page : page + 100] = b"\xff" * 100
    path.write_bytes(damaged)
    with SQLiteStore(path) as store, pytest.raises(Corrupt, match="malformed") as info:
        store.read(SPACE, Log("log", last=5))
    assert info.value.path == str(path)


# ------------------------------------------------------------------------------------------------------------- rights


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "none" / "sessions.db")
    with pytest.raises(StoreError, match=f"there is no directory '{tmp_path}/none'; create it"):
        add(store)
    (tmp_path / "none").mkdir()
    assert add(store) == 1
    store.close()


def test_a_path_that_is_a_directory_is_named(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path) as store, pytest.raises(StoreError, match="is a directory; name a file in it"):
        add(store)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can reach; pytest's are this user's alone."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="users are of POSIX")
@pytest.mark.parametrize(
    ("exists", "file_mode", "directory_mode"),
    [(False, 0, 0o555), (True, 0o444, 0o755), (True, 0o444, 0o555), (True, 0o666, 0o555), (True, 0o000, 0o777)],
)
def test_missing_rights_are_explained(open_directory: Path, exists: bool, file_mode: int, directory_mode: int) -> None:
    path = open_directory / "sessions.db"
    if exists:
        with SQLiteStore(path) as store:
            add(store)
        path.chmod(file_mode)
    open_directory.chmod(directory_mode)
    before = path.read_bytes() if exists else None
    # rights do not bind root, who may be running this: so a process that has become somebody else asks
    said = python(
        """
        import os, sys
        from strands_session_store.errors import StoreError
        from strands_session_store.stores.base import Add, Space
        from strands_session_store.stores.sqlite import SQLiteStore
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        store = SQLiteStore(sys.argv[1])
        for verb in (lambda: store.commit(Space("session", "ann", "one"), Add("n", 1), commit_id="1"),) * 2:
            try:
                print(verb())
            except StoreError as error:
                print(type(error).__name__, error)
        """,
        path,
    )
    lines = said.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith(f"StoreError '{path}' can not be opened for writing")
        assert f"let this user write to '{open_directory}'" in line
    open_directory.chmod(0o755)
    assert before is None or path.read_bytes() == before


# ---------------------------------------------------------------------------------------------------------- full disks


def test_a_full_database_takes_nothing_and_works_again_when_there_is_space(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLite answers SQLITE_FULL here as it does for ENOSPC, and no file system has to be filled
    monkeypatch.setattr(schema, "PRAGMAS", (*schema.PRAGMAS, "PRAGMA max_page_count=60"))
    with SQLiteStore(path) as store:
        count = 0

        def fill() -> None:
            nonlocal count
            while count < 1000:
                add(store, PutDoc("doc", b"%d" % (count + 1)), Append("log", [b"x" * 5000]))
                count += 1

        with pytest.raises(Unavailable, match="full; free some space"):
            fill()
        for _ in range(3):
            look = store.read(SPACE, Doc("doc"), Log("log"), Counters(["n"]))
            assert look.revision == look.counters["n"] == look.logs["log"].length == count
            assert look.docs["doc"].data == b"%d" % count
            with pytest.raises(Unavailable, match="full"):
                add(store, Append("log", [b"x" * 50_000]))
    monkeypatch.undo()
    with SQLiteStore(path) as store:
        assert add(store, Append("log", [b"x" * 50_000])) == count + 1


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are of POSIX")
def test_a_write_that_the_system_refuses_is_applied_once_when_it_is_repeated(path: Path) -> None:
    said = python(
        """
        import resource, signal, sys
        from strands_session_store.errors import Unavailable
        from strands_session_store.stores.base import Add, Append, Counters, Log, Space
        from strands_session_store.stores.sqlite import SQLiteStore
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        space = Space("session", "ann", "one")
        with SQLiteStore(sys.argv[1]) as store:
            store.commit(space, Add("n", 1), Append("log", [b"x"]), commit_id="0")
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
            at = 0
            try:
                while at < 1000:
                    at += 1
                    store.commit(space, Add("n", 1), Append("log", [b"x" * 20_000]), commit_id=f"{at}")
            except Unavailable as error:
                print(type(error).__name__, error)
            look = store.read(space, Counters(["n"]), Log("log"))
            print(look.counters["n"] == look.logs["log"].length == look.revision == at)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            for _ in range(2):
                made = store.commit(space, Add("n", 1), Append("log", [b"x" * 20_000]), commit_id=f"{at}")
                print(made.counters["n"] == at + 1, made.repeated)
        """,
        path,
    )
    error, *rest = said.splitlines()
    assert error.startswith(("InDoubt", "Unavailable"))
    assert str(path) in error
    assert rest == ["True", "True False", "True True"]


def test_an_error_within_a_transaction_rolls_it_back(path: Path) -> None:
    with SQLiteStore(path) as store:
        add(store)
        with pytest.raises(UnicodeEncodeError):
            add(store, Append("log", [b"x"]), PutDoc("\ud800", b"x"))
        look = store.read(SPACE, Counters(["n"]), Log("log"))
        assert (look.revision, look.counters["n"], look.logs["log"].length) == (1, 1, 0)
        assert add(store) == 2


# -------------------------------------------------------------------------------------------------- what piles up


def test_commit_ids_are_forgotten_once_both_bounds_are_passed(path: Path) -> None:
    clock = SetClock()
    with SQLiteStore(path, clock=clock) as store:
        for _ in range(300):
            clock.now += 1
            add(store)
    ((kept,),) = raw(path, "SELECT count(*) FROM cells WHERE name GLOB 'x*'")
    assert isinstance(kept, int)
    assert 121 <= kept <= 121 + 16


def test_what_expired_is_erased_by_and_by(path: Path) -> None:
    clock = SetClock()
    with SQLiteStore(path, clock=clock) as store:
        for number in range(30):
            store.commit(
                Space("session", "ann", f"{number}"),
                *(PutDoc("doc", b"x"), Append("log", [b"x"] * 250), Add("n", 1)),
                commit_id="1",
                ttl=10,
            )
        clock.now += 10
        for _ in range(160):
            add(store)
    assert raw(path, "SELECT id FROM spaces") == [("one",)]
    assert raw(path, "SELECT * FROM buried") == []
    assert raw(path, "SELECT DISTINCT substr(name, 1, 1) FROM cells") == [
        ("",),
        ("n",),
        ("x",),
    ]  # of the one that lives
    assert raw(path, "SELECT count(DISTINCT space) FROM cells") == [(1,)]
    assert raw(path, "SELECT * FROM entries") == []


def test_a_drop_erases_also_what_has_expired(path: Path) -> None:
    clock = SetClock()
    with SQLiteStore(path, clock=clock) as store:
        store.commit(SPACE, PutDoc("doc", b"x"), Append("log", [b"x"] * 250), commit_id="1", ttl=10)
        clock.now += 10
        assert not store.drop(SPACE).existed
    for table in ("entries", "cells", "spaces"):
        assert raw(path, f"SELECT * FROM {table}") == []


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("descending", [True, False])
def test_a_listing_reads_an_index_in_its_order(path: Path, order: Order, descending: bool) -> None:
    with SQLiteStore(path) as store:
        store.commit(SPACE, commit_id="1", summary=Summary(b"s", "p"))
    base = Query("session", order=order, descending=descending)
    for query in (base, replace(base, owner="ann"), replace(base, everyone=True), replace(base, parent="p")):
        for window in (query, replace(query, since=1.0), replace(query, until=9.0)):
            for paged in (window, replace(window, cursor=write_cursor(order, 5.0, "ann", "one"))):
                sql, values = listing(paged, 1.0)
                connection = sqlite3.connect(path)
                (step,) = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
                connection.close()
                # one step: an index is sought, nothing is sorted
                assert step.startswith("SEARCH spaces USING INDEX")
                assert order.value in step or paged == query


def test_what_is_erased_or_replaced_is_in_the_file_no_more(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    space, gone = Space("session", None, "s"), Space("session", None, "gone")
    with SQLiteStore(path) as store:
        for at in (space, gone):
            secret = [b"secret %d" % n * 50 for n in range(40)]
            store.commit(at, Append("log", secret), PutDoc("doc", b"secret" * 99), commit_id=new_commit_id())
        replaced = [Replace("log", n, b"-") for n in range(40)]
        store.commit(space, *replaced, DropDoc("doc"), commit_id=new_commit_id())
        store.drop(gone)
    assert b"secret" not in path.read_bytes()  # closing has emptied the WAL into it
    assert not path.with_name("s.db-wal").exists()
