"""An import or copy that stops anywhere leaves sessions whole or not at all, and is repeated to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from strands_session_store import SessionNotFoundError, layout
from strands_session_store.errors import InDoubt, StoreError, Unavailable
from strands_session_store.sessions import Sessions, access, building
from strands_session_store.stores.base import Append, new_commit_id
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing.faults import FaultyStore, Stopped

from .contents import OWNED, fill, shape

CLI = [sys.executable, "-m", "strands_session_store.cli"]
STRUCK = """
import os, sys
from strands_session_store.cli import main
from strands_session_store.stores.sqlite import SQLiteStore

_, number, verb, times = sys.argv[:4]
left, real = int(times), getattr(SQLiteStore, verb)

def struck(self, space, *args, **options):
    global left
    done = real(self, space, *args, **options)
    left -= space.id == "large"
    if left == 0:
        os.kill(os.getpid(), int(number))
    return done

setattr(SQLiteStore, verb, struck)
del sys.argv[1:4]
main()
"""


def struck(number: signal.Signals, verb: str, times: int) -> list[str]:
    """The command line's program, sent a signal once it has done something with the large session so many times."""
    return [sys.executable, "-c", STRUCK, f"{int(number)}", verb, f"{times}"]


def whole_or_absent(target: Sessions, source: Sessions) -> int:
    """How many are there, each as it is in the source."""
    there = 0
    for id, owner in OWNED:
        try:
            found = target.get(id, owner).session
        except SessionNotFoundError:
            continue
        assert found == source.get(id, owner).session
        assert target.layout_tree(id, owner) == source.layout_tree(id, owner)
        there += 1
    return there


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", ["import", "copy"])
def test_stopped_at_every_commit(
    memory: Sessions, tmp_path: Path, how: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "BATCH_CHANGES", 3)
    fill(memory)
    memory.archive.export(tmp_path / "a", everyone=True)

    def work(target: Sessions) -> int:
        if how == "import":
            return target.archive.import_(tmp_path / "a").sessions
        return memory.archive.copy(target, everyone=True).sessions

    left, at = set(), 0
    while True:
        at += 1
        store = FaultyStore(MemoryStore())
        store.plan("commit", at=at, stop=when)  # type: ignore[arg-type]
        try:
            work(Sessions(store))
        except Stopped:
            pass
        else:
            break
        store.heal()
        target = Sessions(store.store)
        there = whole_or_absent(target, memory)
        left.add(there)
        assert work(target) == 5 - there
        assert shape(target) == shape(memory)
    assert at > 30 and left == ({0, 1, 2, 3, 4} if when == "before" else {0, 1, 2, 3, 4, 5})


@pytest.mark.parametrize("error", [Unavailable("down"), InDoubt("no answer")])
def test_a_store_that_fails_is_cleaned_up_or_expires(memory: Sessions, error: StoreError) -> None:
    fill(memory)
    for at in (1, 2):
        store = FaultyStore(MemoryStore())
        times = access.SENT if isinstance(error, InDoubt) else 1
        store.plan("commit", at=at, times=times, **{"after" if isinstance(error, InDoubt) else "before": error})  # type: ignore[arg-type]
        with pytest.raises(type(error)):
            memory.archive.copy(store, "ada", ids=["s"])
        target = Sessions(store)
        look = store.read(layout.session_space("s", "ada"))
        if at == 2 and isinstance(error, InDoubt):  # the last commit: it is there, and is not taken back
            assert whole_or_absent(target, memory) == 1
        else:
            assert whole_or_absent(target, memory) == 0
            # of a first commit without an answer nothing is known, so it is left to expire
            assert look.incarnation is None or look.expires is not None
        assert memory.archive.copy(target, "ada").sessions + whole_or_absent(target, memory) >= 3
        assert target.layout_tree("s", "ada") == memory.layout_tree("s", "ada")


@pytest.fixture
def large(tmp_path: Path) -> str:
    """The URL of a store with a session of 20 MB and a small one before it."""
    url = f"sqlite:///{tmp_path}/source.db"
    with Sessions(url) as source:
        source.create("small")
        source.create("large")
        for _ in range(10):
            entries = [os.urandom(1_000).hex().join('""').encode()] * 1_000
            space = layout.session_space("large", None)
            source.store.commit(space, Append("runs", entries), commit_id=new_commit_id())
    return url


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("STRANDS_SESSION_STORE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("how", ["import", "copy"])
def test_a_killed_process_leaves_nothing_half(large: str, plain: None, tmp_path: Path, how: str) -> None:
    target = f"sqlite:///{tmp_path}/target.db"
    subprocess.run([*CLI, "export", "a.jsonl", "--store", large], check=True, capture_output=True)
    words = ["import", "a.jsonl", "--store", target] if how == "import" else ["copy", target, "--store", large]
    killed = subprocess.run([*struck(signal.SIGKILL, "commit", 3), *words], stdout=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    with Sessions(target) as there, Sessions(large) as source:
        assert [one.session.session_id for one in there.list().sessions] == ["small"]
        half = there.store.read(layout.session_space("large", None))
        assert half.incarnation is not None and half.expires is not None
    done = subprocess.run([*CLI, *words, "--json"], check=True, capture_output=True, text=True).stdout
    assert '"sessions": 1,' in done and '"same": 1,' in done
    with Sessions(target) as there, Sessions(large) as source:
        assert there.layout_tree("large") == source.layout_tree("large")
        assert there.get("large").expires is None


@pytest.mark.parametrize(("how", "verb", "times"), [("export", "read", 3), ("copy", "commit", 3)])
def test_ctrl_c_leaves_nothing_half(large: str, plain: None, tmp_path: Path, how: str, verb: str, times: int) -> None:
    target = f"sqlite:///{tmp_path}/target.db"
    words = [how, "a.jsonl" if how == "export" else target, "--store", large]
    done = subprocess.run([*struck(signal.SIGINT, verb, times), *words], capture_output=True, text=True)
    assert done.returncode not in (0, -signal.SIGINT) and done.stdout == "" and "Traceback" not in done.stderr
    assert not [*tmp_path.glob("*a.jsonl*")]
    with Sessions(target) as there:
        assert there.store.read(layout.session_space("large", None)).incarnation is None
