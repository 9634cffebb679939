"""What only a directory has: files that can be read, processes that share them, disks that are full or read-only."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from strands_session_store.errors import Corrupt, StoreError, Unavailable
from strands_session_store.stores import open_store
from strands_session_store.stores.base import (
    Add,
    Append,
    Counters,
    Doc,
    Log,
    PutDoc,
    Query,
    Space,
    Store,
)
from strands_session_store.stores.objects import ObjectStore
from strands_session_store.stores.objects.blobs import Refused
from strands_session_store.stores.objects.directory import DirectoryBlobs
from strands_session_store.testing.promises.binding import eventually

SPACE = Space("session", None, "one")


@pytest.fixture
def blobs(tmp_path: Path) -> DirectoryBlobs:
    return DirectoryBlobs(tmp_path / "store")


@pytest.fixture
def store(blobs: DirectoryBlobs) -> ObjectStore:
    return ObjectStore(blobs)


def put(store: Store, text: bytes = b"x" * 100) -> int:
    made = store.commit(
        SPACE, Append("a/messages", [b'{"text":"%s"}' % text]), Add("n", 1), commit_id=os.urandom(9).hex()
    )
    return made.counters["n"]


def put_often(store: Store, acknowledged: list[int]) -> None:
    for _ in range(1000):
        acknowledged.append(put(store, b"x" * 5000))


def count(store: Store) -> int:
    look = store.read(SPACE, Counters(["n"]), Log("a/messages", [(0, None)]))
    if look.incarnation is None:
        return 0
    assert look.counters["n"] == len(look.logs["a/messages"].entries)
    return look.counters["n"]


def files(path: Path) -> list[str]:
    return sorted(str(found.relative_to(path)) for found in path.rglob("*") if found.is_file())


# ------------------------------------------------------------------------------------------------------------- verbs


def test_a_conditional_put_finds_what_it_expects_or_is_refused(blobs: DirectoryBlobs) -> None:
    first = blobs.put("a/b", b"1", if_absent=True)
    with pytest.raises(Refused):
        blobs.put("a/b", b"2", if_absent=True)
    second = blobs.put("a/b", b"2", if_match=first)
    for tag in (first, "other"):
        with pytest.raises(Refused):
            blobs.put("a/b", b"3", if_match=tag)
        assert not blobs.remove("a/b", tag)
    with pytest.raises(Refused):
        blobs.put("a/none", b"3", if_match=second)
    assert blobs.get(["a/b", "a/none"]).keys() == {"a/b"} and blobs.get(["a/b"])["a/b"].data == b"2"
    assert blobs.get(["a/b"])["a/b"].tag == second
    assert blobs.remove("a/b", second) and blobs.remove("a/b", second)
    assert files(blobs.path) == []


def test_of_many_that_expect_the_same_one_succeeds(blobs: DirectoryBlobs) -> None:
    tag = blobs.put("a/b", b"0")
    for turn in range(20):
        start = threading.Barrier(4)

        def attempt(number: int, tag: str = tag, turn: int = turn, start: threading.Barrier = start) -> str | None:
            start.wait()
            try:
                return blobs.put("a/b", b"%d %d" % (turn, number), if_match=tag)
            except Refused:
                return None

        with ThreadPoolExecutor(4) as pool:
            tags = [found for found in pool.map(attempt, range(4)) if found]
        assert len(tags) == 1
        tag = tags[0]


def test_listings_are_in_the_order_of_keys_and_go_as_deep_as_asked(blobs: DirectoryBlobs) -> None:
    keys = ["p/a.d/x/1", "p/a.d/x/2", "p/a.json", "p/a/b", "p/a0", "p/b.d/1", "p/b.json", "q/a"]
    for key in reversed(keys):
        blobs.put(key, key.encode())
    (blobs.path / "p" / "empty").mkdir()
    assert [found.key for found in blobs.list("p/", below=True)] == [key for key in keys if key.startswith("p/")]
    assert [found.key for found in blobs.list("p/")] == ["p/a.json", "p/a0", "p/b.json"]
    assert list(blobs.folders("p/")) == ["a.d", "a", "b.d"]
    assert list(blobs.list("none/")) == list(blobs.folders("none/")) == []
    for below in (True, False):
        whole = [found.key for found in blobs.list("p/", below=below)]
        for after in (*keys, "p/a.d/x", "p/zz"):
            assert [found.key for found in blobs.list("p/", after=after, below=below)] == [
                k for k in whole if k > after
            ]
    (listed,) = blobs.list("q/")
    assert listed.size == 3


def test_directories_that_become_empty_are_removed(blobs: DirectoryBlobs) -> None:
    keys = ["a/b/c/1", "a/b/c/2", "a/d"]
    for key in keys:
        blobs.put(key, b"")
    blobs.delete([*keys[:2], "none/x", "a/b/none"])
    assert sorted(path.name for path in blobs.path.rglob("*")) == ["a", "d"]
    blobs.delete(keys)
    assert list(blobs.path.iterdir()) == []


def test_a_directory_that_comes_and_goes_loses_no_put(blobs: DirectoryBlobs) -> None:
    """One makes it, another removes it because it is empty; and they lock it, too."""

    def work(number: int) -> None:
        for turn in range(60):
            key = f"a/b/{number}"
            tag = blobs.put(key, b"%d" % turn, if_absent=True)
            assert blobs.get([key])[key].data == b"%d" % turn
            assert blobs.put(key, b"x%d" % turn, if_match=tag)
            blobs.delete([key])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert list(blobs.path.iterdir()) == []


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/../b", "a/.", ".hidden", "a/.hidden"])
def test_a_key_that_is_no_path_below_the_directory_is_refused(blobs: DirectoryBlobs, key: str) -> None:
    with pytest.raises(ValueError, match="no path"):
        blobs.put(key, b"")
    assert not blobs.path.exists()


def test_what_a_killed_writer_left_is_invisible_and_goes_an_hour_later(
    blobs: DirectoryBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.put("a/b", b"1")
    left = blobs.path / "a" / ".tmp-0123"
    left.write_bytes(b"half")
    assert [found.key for found in blobs.list("a/")] == ["a/b"] and left.exists()
    import strands_session_store.stores.objects.directory as module

    now = module.time.time()
    blobs.tidy()
    assert left.exists()
    monkeypatch.setattr(module.time, "time", lambda: now + 3700)
    assert [found.key for found in blobs.list("a/")] == ["a/b"] and left.exists()  # who looks changes nothing
    with ObjectStore(blobs) as store:
        store.gc(dry_run=True)
        assert left.exists()
        store.gc()
    assert [found.key for found in blobs.list("a/")] == ["a/b"] and not left.exists()


# --------------------------------------------------------------------------------------------------------- legibility


def test_a_session_can_be_read_with_cat_and_jq(store: ObjectStore, blobs: DirectoryBlobs) -> None:
    record = {"role": "user", "content": [{"text": "Gr\u00fc\u00dfe, \u4f1a\u8bdd"}]}
    line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
    for number in range(30):
        store.commit(
            SPACE, Append("agents/a/messages", [line] * 30), PutDoc("agents/a/agent", line), commit_id=f"{number}"
        )
    large = PutDoc("large", b'{"state":"%s"}' % (b"x" * 9000))
    store.commit(SPACE, large, Append("agents/a/messages", [line]), commit_id="large")
    head = json.loads((blobs.path / "sessions/-/one.json").read_text(encoding="utf-8"))
    assert head["documents"]["agents/a/agent"] == [30, record]
    tail = head["logs"]["agents/a/messages"]["tail"]
    assert tail and all(entry == record for entry in tail)
    (folder,) = (blobs.path / "sessions/-/one.d").iterdir()
    assert folder.name == head["incarnation"]
    (file,) = folder.glob("large.*.json")
    assert json.loads(file.read_text())["state"] == "x" * 9000
    entries = []
    for page in sorted((folder / "agents/a/messages").glob("*.jsonl"), key=lambda path: int(path.name.split("-")[0])):
        first, last = map(int, page.name.split(".")[0].split("-"))
        lines = page.read_text(encoding="utf-8").splitlines()
        assert len(lines) == last - first + 1
        entries += [json.loads(text) for text in lines]
    assert entries + tail == [record] * 901


def test_a_file_removed_by_hand_is_named_and_nothing_else_is_lost(store: ObjectStore, blobs: DirectoryBlobs) -> None:
    for _ in range(30):
        put(store, b"x" * 2000)
    page = min(blobs.path.rglob("0-*.jsonl"))
    page.unlink()
    other = ObjectStore(DirectoryBlobs(blobs.path))
    with pytest.raises(Corrupt, match="not there") as info:
        count(other)
    assert str(page).endswith(info.value.path)
    assert put(other) == 31
    assert len(other.read(SPACE, Log("a/messages", last=5)).logs["a/messages"].entries) == 5
    (blobs.path / "sessions/-/one.json").unlink()
    assert count(ObjectStore(DirectoryBlobs(blobs.path))) == 0


def test_who_reads_a_file_reads_it_as_it_was_when_it_was_opened(store: ObjectStore, blobs: DirectoryBlobs) -> None:
    put(store)
    with open(blobs.path / "sessions/-/one.json", encoding="utf-8") as head:
        put(store)
        assert json.load(head)["revision"] == 1


# ------------------------------------------------------------------------------------------------------------ trouble


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file may become larger, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_file_that_can_not_be_written_whole_is_not_written(store: ObjectStore, blobs: DirectoryBlobs) -> None:
    for _ in range(3):
        put(store)
    before = files(blobs.path)
    for size in (0, 100):
        with file_limit(size), pytest.raises(Unavailable, match=r"can not write .*: the file would be larger"):
            put(store)
        assert files(blobs.path) == before
        assert count(store) == 3
    assert put(store) == 4


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_disk_loses_nothing_and_says_so(small_disk: Path) -> None:
    store = ObjectStore(DirectoryBlobs(small_disk / "store"))
    done: list[int] = []
    for _ in range(2):
        with pytest.raises(Unavailable, match="the disk is full; free some space"):
            put_often(store, done)
        assert len(done) > 20 and count(store) == done[-1] == len(done)
        assert not [name for name in files(small_disk) if ".tmp-" in name]
        store = ObjectStore(DirectoryBlobs(small_disk / "store"))
    assert store.drop(SPACE).entries == len(done)
    assert put(store) == 1


def test_a_read_only_file_system_can_be_read_and_says_so(small_disk: Path) -> None:
    store = ObjectStore(DirectoryBlobs(small_disk / "store"))
    done = [put(store) for _ in range(5)][-1]
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for some in (store, ObjectStore(DirectoryBlobs(small_disk / "store"))):
        with pytest.raises(Unavailable, match="read-only; name another directory"):
            put(some)
        with pytest.raises(Unavailable, match="read-only"):
            some.drop(SPACE)
        assert count(some) == done
        assert [row.space for row in some.list(Query("session")).rows] == [SPACE]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_directory_without_permission_says_so(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(Unavailable, match="permission denied"):
        put(ObjectStore(DirectoryBlobs(tmp_path / "closed" / "store")))


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("x")
    store = ObjectStore(DirectoryBlobs(tmp_path / "store"))
    for act in (lambda: put(store), lambda: count(store), lambda: store.list(Query("session"))):
        with pytest.raises(Unavailable, match=r"store.*a file is in the place of a directory"):
            act()
    assert (tmp_path / "store").read_text() == "x"


def test_reading_makes_no_directory(store: ObjectStore, blobs: DirectoryBlobs) -> None:
    assert count(store) == 0 and list(store.list(Query("session", everyone=True)).rows) == []
    assert store.gc().objects == 0 and not store.drop(SPACE).existed
    assert not blobs.path.exists()


def test_a_change_of_directory_is_no_change_of_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = ObjectStore(DirectoryBlobs("sessions"))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    put(store)
    assert (tmp_path / "sessions").is_dir() and not (tmp_path / "other" / "sessions").exists()


# ---------------------------------------------------------------------------------------------------------- processes


def test_a_writer_killed_while_it_holds_the_lock_holds_up_nobody(store: ObjectStore, blobs: DirectoryBlobs) -> None:
    put(store)
    script = """
        import sys, time
        from strands_session_store.stores.objects import directory
        from strands_session_store.stores.objects.directory import DirectoryBlobs
        def stuck(where):
            print("locked", flush=True)
            time.sleep(600)
        directory._tag_at = stuck
        DirectoryBlobs(sys.argv[1]).put("sessions/-/one.json", b"{}", if_match="x")
    """
    path = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", textwrap.dedent(script), str(blobs.path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "locked\n"
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(put, store)
            eventually(lambda: len([name for name in files(blobs.path) if ".tmp-" in name]) == 2)
            assert not waiting.done()
            process.kill()
            assert waiting.result(20) == 2
    assert count(ObjectStore(DirectoryBlobs(blobs.path))) == 2


def test_a_forked_child_goes_on_with_the_store(store: ObjectStore) -> None:
    put(store)
    held = store._turns.turn("sessions/-/one.json")
    with held:  # as another thread of the parent would, at the moment of the fork
        child = os.fork()
        if child == 0:
            try:
                done = put(store)
            except BaseException:
                done = 99
            os._exit(done)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert put(store) == 3


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/a%20b")
    put(store)
    store.close()
    with pytest.raises(StoreError, match=r"a b.* was closed"):
        store.read(SPACE, Doc("x"))
    assert (tmp_path / "a b").is_dir()
