"""What dropped session managers left is found by every reader, also while another thread takes it up."""

from __future__ import annotations

import threading
from collections import deque

import pytest

from strands_session_store.plugin import process
from strands_session_store.stores.base import Space

SPACE = Space("session", None, "s")


class Left:
    """As much of a writer as is asked for here."""

    space, over, drained = SPACE, False, False

    def start(self) -> None:
        pass

    def drain_here(self, timeout: float) -> None:
        self.drained = True


def test_a_reader_does_not_miss_what_another_thread_is_taking_up(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Left()
    reader = threading.Thread(target=process.store_what_is_left_of, args=(SPACE, 1.0))

    class Pausing(deque):  # type: ignore[type-arg]
        def popleft(self) -> object:
            found = super().popleft()
            reader.start()
            reader.join(0.3)  # it waits for us; before there was a lock, it went on without the writer
            return found

    monkeypatch.setattr(process, "_left", Pausing([writer]))
    monkeypatch.setattr(process, "_tried", [])
    process.store_what_is_left()
    reader.join(10)
    assert not reader.is_alive()
    assert writer.drained
