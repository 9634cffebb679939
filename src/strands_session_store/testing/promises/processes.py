"""Of many processes: what one committed all see, and what was acknowledged no kill takes back."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ...stores.base import Add, Append, Capability, Counters, PutDoc, Query, Store, Summary
from .binding import PATIENCE, SPACE, Binding, entries, need, rows, whole
from .commits import put, seed


@contextmanager
def child(*args: object) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `promises.child` with these arguments; gone at the end, whatever happened."""
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.child", *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class Processes(Binding):
    kills = 4
    """How often a writing process is killed; more in a soak test."""

    def test_what_was_committed_is_there_when_the_store_is_opened_again(self, store: Store, url: str) -> None:
        need(store, Capability.PERSISTENT)
        made = store.commit(
            SPACE, PutDoc("doc", b"d"), Append("log", [b"0"]), Add("n", 5), commit_id="id", summary=Summary(b"s", "p")
        )
        state, listed = whole(store, SPACE), rows(store, Query("session", "ann", parent="p"))
        store.close()
        with self.open(url) as again:
            assert whole(again, SPACE) == state and rows(again, Query("session", "ann", parent="p")) == listed
            assert again.commit(SPACE, Add("n", 5), commit_id="id").repeated
            assert put(again, Append("log", [b"1"], 1), on=made.incarnation).revision == 2

    def test_another_process_reads_what_this_one_wrote(self, store: Store, url: str) -> None:
        need(store, Capability.PERSISTENT)
        seed(store)
        store.close()
        with child("length", url) as process:
            assert hear(process) == "3"

    def test_no_append_of_concurrent_processes_is_lost_or_doubled(self, store: Store, url: str) -> None:
        need(store, Capability.SHARED)
        count, each = 3, 60
        with child("append", url, 0, each) as a, child("append", url, 1, each) as b, child("append", url, 2, each) as c:
            processes = a, b, c
            assert [hear(process) for process in processes] == ["ready"] * count
            for process in processes:
                say(process, "go")
            put(store, Add("n", 1))
            assert [hear(process) for process in processes] == ["done"] * count
            assert [process.wait(PATIENCE) for process in processes] == [0] * count
        found = entries(store, SPACE)
        assert sorted(found) == sorted(b"%d %d" % (number, at) for number in range(count) for at in range(each))
        for number in range(count):
            mine = [entry for entry in found if entry.startswith(b"%d " % number)]
            assert mine == [b"%d %d" % (number, at) for at in range(each)]
        assert store.read(SPACE, Counters(["n"])).counters == {"n": count * each + 1}

    def test_a_kill_takes_back_no_acknowledged_commit_and_leaves_no_half(self, store: Store, url: str) -> None:
        need(store, Capability.PERSISTENT)
        store.close()
        chance = random.Random(7)
        for _ in range(self.kills):
            with child("grow", url) as process:
                acknowledged = int(hear(process))
                for _ in range(chance.randrange(1, 60)):
                    acknowledged = int(hear(process))
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(chance.random() * 0.02)
                process.kill()
                process.wait(PATIENCE)
                # what it said before it was killed; communicate() would leave out what was read ahead of the last line
                assert process.stdout is not None
                rest = process.stdout.read()
                acknowledged = max([acknowledged, *map(int, rest.split("\n")[:-1])])
            with self.open(url) as again:
                look = whole(again, SPACE, ["log", "other"])
                count = look.counters["n"]
                # the one commit that was under way may be there, if it is whole
                assert acknowledged <= count <= acknowledged + 1
                assert look.revision == count == look.logs["log"].length == look.logs["other"].length
                assert look.docs["a"].data == look.docs["b"].data == b"%d" % count
                assert look.docs["a"].version == look.docs["b"].version
                for at, entry in look.logs["log"].entries.items():
                    assert entry.startswith(b"%d " % (at + 1))
                row = rows(again, Query("session", "ann"))
                assert [row.summary for row in row] == [b"%d" % count]
