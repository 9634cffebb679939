"""Calls that repeat."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from strands_session_store.stores.ticking import Ticking


class Something:
    def call(self) -> None:
        pass


def test_what_is_cancelled_is_forgotten_at_once_however_late_it_would_be_due() -> None:
    ticking, something = Ticking(lambda call: call()), Something()
    seen = weakref.ref(something)
    ticking.every(600, something.call).cancel()
    del something
    gc.collect()
    assert seen() is None


def test_a_thread_that_can_not_be_started_is_started_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    called, ticking = threading.Event(), Ticking(lambda call: call())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _no_thread)
        with pytest.raises(RuntimeError):
            ticking.every(0.001, called.set)
    tick = ticking.every(0.001, called.set)
    assert called.wait(10)
    tick.cancel()


def _no_thread(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
