"""Leads a random conversation with a real Agent, and compares what is stored with what is live after every step."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
from strands.agent import _continuation
from strands.hooks import (
    AfterInvocationEvent,
    AfterModelCallEvent,
    BeforeInvocationEvent,
    BeforeModelCallEvent,
    HookOrder,
    MessageAddedEvent,
)

from strands_session_store import StoreError, Unavailable, context
from strands_session_store.plugin.repair import repaired
from strands_session_store.stores import open_store
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.testing.faults import FaultyStore
from strands_session_store.testing.models import ScriptedModel

from .agents import Answer, Guiding, Refused, append_text, build, put, unlocked
from .compare import SESSION, check_history, check_restored, note
from .conversations import Act, Between, Conversation, Hook, Resume, Turn
from .cuts import Moments, judge, plan
from .edits import edit
from .oracle import Oracle, Watched
from .payloads import alike, kept
from .script import REUSED, Script

EVENTS = {
    "before": BeforeInvocationEvent,
    "added": MessageAddedEvent,
    "after": AfterInvocationEvent,
    "model": AfterModelCallEvent,
    "model before": BeforeModelCallEvent,
}


class Play:
    """One conversation. ``fired`` counts what really happened in it."""

    def __init__(self, conversation: Conversation, directory: Path, fired: Counter[str]) -> None:
        self.conversation, self.fired = conversation, fired
        engine = (
            open_store(f"sqlite:///{directory}/{id(self)}.db") if conversation.engine == "sqlite" else MemoryStore()
        )
        self.engine = engine
        self.store = FaultyStore(engine)
        self.oracle = Oracle()
        self.loop = asyncio.new_event_loop()
        self.kind = conversation.kind
        self.snapshots: list[Any] = []
        self.reused: list[Any] = [{"role": "user", "content": [{"text": REUSED}]}]
        self.kept: list[Any] = []
        self.hook_calls: Counter[Hook] = Counter()
        self.guides = [Guiding(*guide, self._fire) for guide in conversation.guides]
        self.script = Script(self._fire)
        self.moments = Moments(self.store, self._fire)
        self.locked = False
        """Whether a stream is open that nobody will end: the agent takes nothing any more."""
        self.manager, self.agent = self._open(self.kind)

    def run(self) -> None:
        if self.conversation.near:
            with mock.patch.multiple(context, REACH=-3, STALE=2):
                self._run()
        else:
            self._run()

    def _run(self) -> None:
        try:
            for step in self.conversation.steps:
                match step:
                    case Turn():
                        self._turn(step)
                    case Between():
                        self._between(step)
                    case Resume():
                        self._resume(step)
        finally:
            self._end()

    # ------------------------------------------------------------------------------------------------------- building

    def _open(self, kind: str, *, ahead: bool = False) -> tuple[Watched, Any]:
        options = {"durability": self.conversation.durability}
        if ahead:
            manager = self.loop.run_until_complete(Watched.open(SESSION, self.store, **options))
        else:
            manager = Watched(SESSION, self.store, **options)
        manager.watch(self.oracle)
        model = ScriptedModel(self._reply, stateful=kind == "stateful", context_window_limit=400)
        agent = build(kind, model, manager, list(self.guides))
        agent.play = self
        agent.hooks.add_callback(MessageAddedEvent, lambda _: self.moments.tick("added"), order=HookOrder.SDK_FIRST)
        for hook in self.conversation.hooks:
            agent.hooks.add_callback(EVENTS[hook.event], self._callback(hook), order=hook.order)
        return manager, agent

    def _reply(self, messages: Any) -> Any:
        self.moments.tick("model")
        return self.script.reply(messages)

    def _callback(self, hook: Hook) -> Callable[[Any], Any]:
        def act(event: Any) -> None:
            self.hook_calls[hook] += 1
            if self.hook_calls[hook] == hook.nth:
                self._fire(f"hook {hook.event} {hook.act}")
                self._fire(f"hook order {hook.order} {'async' if hook.awaited else 'sync'}")
                self._act(hook, event)

        async def awaited(event: Any) -> None:
            await asyncio.sleep(0)
            act(event)

        return awaited if hook.awaited else act

    def _act(self, hook: Hook, event: Any) -> None:
        agent = event.agent
        messages = agent.messages
        target = getattr(event, "message", None) or (messages[-1] if messages else None)
        match hook.act:
            case "edit" if target is not None:
                append_text(target, " (edited by a hook)")
            case "delete" if target is not None:
                agent.messages[:] = [m for m in messages if m is not target]
            case "append":
                agent.messages.append({"role": "user", "content": [{"text": "by a hook"}]})
            case "copy":
                agent.messages[:] = copy.deepcopy(messages)
            case "state":
                put(agent, "by hook", hook.nth)
            case "raise":
                raise Refused(f"hook {hook.event}")
            case "cancel":
                event.cancel = "not now"
            case "resume":
                if not agent._interrupt_state.activated:
                    event.resume = "and go on"
            case "continue":
                # merged into the last message when that is of the same role
                _continuation.add_input(event, _continuation._ContinuationInput("and this"))
            case "retry":
                event.retry = True

    # ---------------------------------------------------------------------------------------------------------- turns

    def _turn(self, turn: Turn) -> None:
        if self.locked:
            self._resume(Resume())
        self.script.lines, self.script.structured = list(turn.lines), turn.structured
        prompt = self._prompt(turn.prompt)
        options: dict[str, Any] = {"structured_output_model": Answer} if turn.structured else {}
        if turn.structured:
            self._fire("structured output")
        hooks_before = self.hook_calls.copy()
        if turn.fault is not None:
            self._fire(f"fault: {turn.fault[0]}")
            plan(self.store, turn.fault)
        clean = turn.way[0] in ("await", "call") and turn.fault is None
        try:
            self._fire(f"way: {turn.way[0]}")
            if turn.way[0] == "call":
                self.agent(prompt, **options)
            else:
                self.loop.run_until_complete(self._invoke(turn.way, prompt, options))
        except AssertionError:
            raise
        except (Exception, asyncio.CancelledError) as error:
            judge(error, faulty=turn.fault is not None)
            self._fire(f"turn ended by {type(error).__name__}")
            clean = False
        self.store.heal()
        # the application's own hooks that run after ours are stored by what comes next
        ours_last = not any(
            h.event == "after" and self.hook_calls[h] > hooks_before[h] and h.act == "raise" for h in self.hook_calls
        )
        if turn.fault is not None:
            with contextlib.suppress(Unavailable):  # of a commit that was on its way before the store was well again
                self.manager.flush()
        if not (clean and ours_last):
            self.manager.flush()
        self._check()
        self.snapshots.append(self.agent.take_snapshot(preset="session"))
        self.snapshots.append(self.agent.take_snapshot(include=["messages"]))

    async def _invoke(self, way: Act, prompt: Any, options: dict[str, Any]) -> None:
        agent = self.agent
        match way:
            case ("await",):
                await agent.invoke_async(prompt, **options)
            case "task.cancel", moment:
                task = asyncio.ensure_future(agent.invoke_async(prompt, **options))
                with self.moments.at(moment, lambda: task.cancel()):
                    await task
            case "agent.cancel", moment:
                with self.moments.at(moment, agent.cancel):
                    await agent.invoke_async(prompt, **options)
                agent._cancel_signal.clear()
            case "anyio", moment:
                with anyio.CancelScope() as scope, self.moments.at(moment, scope.cancel):
                    await agent.invoke_async(prompt, **options)
            case (("closed" | "dropped" | "kept") as end, events):
                stream = agent.stream_async(prompt, **options)
                for _ in range(events):
                    try:
                        await anext(stream)
                    except StopAsyncIteration:
                        self._fire("stream ended before it was given up")
                        return
                if end == "closed":
                    await stream.aclose()
                elif end == "kept":
                    self.kept.append((self.manager, stream))
                    self.locked = bool(events)
                else:
                    del stream
                    gc.collect(0)
                    await asyncio.wait_for(unlocked(agent), 60)

    def _prompt(self, prompt: Act) -> Any:
        waiting = self.agent._interrupt_state
        if waiting.activated:
            self._fire("interrupt answered")
            return [
                {"interruptResponse": {"interruptId": i.id, "response": "yes"}} for i in waiting.interrupts.values()
            ]
        self._fire(f"prompt: {prompt[0]}")
        match prompt:
            case "text", text:
                return text
            case "blocks", payload:
                return [{"text": "look"}, {"document": {"format": "txt", "name": "d", "source": {"bytes": payload}}}]
            case "messages", payload, several:
                metadata = {"custom": {"payload": payload}}
                first = {"role": "user", "content": [{"text": "m"}], "metadata": metadata}
                more = [{"role": "assistant", "content": [{"text": "n"}]}, {"role": "user", "content": [{"text": "o"}]}]
                return [first, *more] if several else [first]
            case ("reused",):
                return self.reused
            case ("none",):
                return None
            case ("empty",):
                return []
        raise AssertionError(prompt)

    # -------------------------------------------------------------------------------------------------- between turns

    def _between(self, between: Between) -> None:
        if self.locked:
            self._resume(Resume())
        self._fire(f"between: {between.act[0]}")
        agent, stored = self.agent, False
        match between.act:
            case "load snapshot", i, preset:
                self._load(i, preset)
            case "direct tool", name:
                self._direct(name)
            case ("structured output",):
                stored = self._structured()
            case act:
                edit(agent, act, self.script.use)
        if between.flushed and not stored:
            self.manager.flush()
        if between.flushed or stored:
            self._check()

    def _load(self, i: int, preset: str) -> None:
        fitting = self.snapshots[0 if preset == "session" else 1 :: 2]
        if not fitting:
            return
        taken = fitting[i % len(fitting)]
        if (
            preset == "session"
            and taken.data["conversation_manager_state"]["__name__"]
            != (self.agent.conversation_manager.get_state()["__name__"])
        ):
            return
        self._fire(f"snapshot loaded: {preset}")
        with contextlib.suppress(ValueError):  # a state that Strands itself would not take; the messages are loaded
            self.agent.load_snapshot(taken)

    def _direct(self, name: str) -> None:
        try:
            getattr(self.agent.tool, name)()
        except (Refused, RuntimeError) as error:
            self._fire(f"direct tool refused: {type(error).__name__}")

    def _structured(self) -> bool:
        if self.agent._interrupt_state.activated or not self.agent.messages:
            return False
        self.script.lines, self.script.structured = [], True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                self.loop.run_until_complete(self.agent.structured_output_async(Answer, "in short?"))
            except Refused:
                return False
        return True

    # --------------------------------------------------------------------------------------------------------- resume

    def _resume(self, resume: Resume) -> None:
        self._fire("resumed" if resume.kind in (None, self.kind) else "resumed by another manager class")
        if self.agent._interrupt_state.activated:
            self._fire("resumed while interrupted")
        self.manager.flush()
        if resume.fault:
            self.store.plan("read", before=Unavailable("not now"))
            try:
                self._open(self.kind)
            except Unavailable:
                self._fire("fault: read")
            self.store.heal()
        if resume.kind is not None and self.kind != "stateful":
            self.kind = resume.kind
        before = self.agent.messages
        self.manager, self.agent = self._open(self.kind, ahead=resume.ahead)
        if self.kind != "stateful":
            assert alike(repaired(kept(before)), self.agent.messages)
        self.locked = False

    # ------------------------------------------------------------------------------------------------------ comparing

    def _check(self) -> None:
        check_history(self.engine, self.oracle)
        if self.oracle.said or self.agent.messages:
            check_restored(self.engine, self.kind, self.agent)
        note(self.fired, self.agent)
        self.fired["recalled"] += self.manager.recalled

    def _end(self) -> None:
        """Let go of all that is still open."""
        with contextlib.suppress(StoreError):
            self.manager.flush()
        for manager, stream in self.kept:
            # another process went on instead of it: what it still wants to write is refused
            with contextlib.suppress(Exception):
                self.loop.run_until_complete(stream.aclose())
            for writer in manager._session.writers:
                writer._queue.clear()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        self.store.offload.close()
        self.engine.offload.close()
        self.engine.close()

    def _fire(self, what: str) -> None:
        self.fired[what] += 1
