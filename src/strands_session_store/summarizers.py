"""What may make summaries: a callable, a Strands agent or model, or nothing but the conversation's own sentences.

Rule 1. Every summary is asked for afresh: a model sees nothing of other conversations, and of earlier parts only the
        summary so far.
Rule 2. An agent's messages, and what else would carry over (conversation manager, interrupts, model state), are as they
        were afterwards, also when it fails. What its tools and hooks do to its state is the application's.
Rule 3. Only an answer that came to its end is a summary: not what a guardrail says in its place, nor one that stops at
        an interrupt or a limit.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias, cast
from weakref import WeakKeyDictionary

from strands import Agent
from strands.agent import AgentBase, AgentResult
from strands.models import Model

from . import calls, tokens, usage
from .errors import SummaryError
from .summaries import SYSTEM, Summarize, Summarizer, Summary, checked, extractive, instruction, unawaited
from .summaries.base import texts
from .usage import Totals

What: TypeAlias = Summarizer | Agent | Model | Literal["extractive"]
"""An agent has to be there for nothing else: a summary takes its messages away for as long as it takes."""

_CARRIED: Final = ("conversation_manager_state", "interrupt_state", "model_state")


def summarizer(what: What) -> Callable[[Summarize], Summary]:
    """Makes summaries, for callers without a loop.

    Args:
        what: ``"extractive"``; a callable that gives a text or a `Summary`; a model; or an agent, whose summaries are
            made one after the other, in every thread and by whatever was made of it here.

    Raises:
        ValueError: It is none of these, a callable that has to be awaited, or an agent with a session manager.

    What it returns raises SummaryError for what is no summary, and what an agent, model or callable raises.
    """
    _check(what)
    if isinstance(what, Agent):
        agent = what
        return lambda to: _of_agent(agent, to)
    if isinstance(what, Model):
        model = what

        def asked_afresh(to: Summarize) -> Summary:
            fresh, asked = _fresh(model), instruction(to)
            return _told(fresh, asked, fresh(asked), to)

        return asked_afresh
    made = cast("Callable[[Summarize], Any]", extractive if what == "extractive" else what)
    if _awaited(made):
        raise ValueError(f"summarize={made!r} has to be awaited, and there is no loop here: give one that has not")

    return lambda to: checked(unawaited(made(to)), to)


def async_summarizer(what: What) -> Callable[[Summarize], Awaitable[Summary]]:
    """As `summarizer`, awaitable. A callable that has not to be awaited runs in a thread, so that it holds up no loop,
    and so is what a model or an agent is asked written, and what a summary takes counted.

    Raises:
        ValueError: It is none of these, or an agent with a session manager.
    """
    _check(what)
    if isinstance(what, Agent):
        agent = what
        return lambda to: _of_agent_async(agent, to)
    if isinstance(what, Model):
        model = what

        async def asked_afresh(to: Summarize) -> Summary:
            fresh, asked = _fresh(model), await asyncio.to_thread(instruction, to)
            return await asyncio.to_thread(_told, fresh, asked, await fresh.invoke_async(asked), to)

        return asked_afresh
    made = cast("Callable[[Summarize], Any]", extractive if what == "extractive" else what)

    async def called(to: Summarize) -> Summary:
        found = made(to) if _awaited(made) else await asyncio.to_thread(made, to)
        return await asyncio.to_thread(checked, await found if inspect.isawaitable(found) else found, to)

    return called


def _awaited(what: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(what) or inspect.iscoroutinefunction(type(what).__call__)


def _check(what: object) -> None:
    if isinstance(what, Agent):
        if what._session_manager is not None:
            raise ValueError(
                "the agent that is to summarize has a session manager: each summary would be stored in its session, "
                "as if it were said there. Give an agent without one"
            )
    elif isinstance(what, AgentBase) or not (what == "extractive" or isinstance(what, Model) or callable(what)):
        raise ValueError(
            f"summarize={what!r} is no summarizer: give 'extractive', a callable that takes a Summarize, a strands "
            "Agent or a strands Model"
        )


# -------------------------------------------------------------------------------------------------------------- agents


def _fresh(model: Model) -> Agent:
    return Agent(model=model, system_prompt=SYSTEM, callback_handler=None)


def _of_agent(agent: Agent, to: Summarize) -> Summary:
    with _line_of(agent).place() as before:
        if not before.done() and _on_a_loop():
            raise SummaryError("the agent is at work on another summary, for which this loop may have to go on")
        before.result()
        asked = instruction(to)
        with _afresh(agent):
            return _told(agent, asked, agent(asked), to)


async def _of_agent_async(agent: Agent, to: Summarize) -> Summary:
    with _line_of(agent).place() as before:
        await asyncio.shield(asyncio.wrap_future(before))
        asked = await asyncio.to_thread(instruction, to)
        with _afresh(agent):
            return await asyncio.to_thread(_told, agent, asked, await agent.invoke_async(asked), to)


@contextmanager
def _afresh(agent: Agent) -> Iterator[None]:
    """As if nothing had been said to it, and then as it was."""
    messages, carried = agent.messages, agent.take_snapshot(include=list(_CARRIED))
    if carried.data["interrupt_state"].get("activated"):
        raise SummaryError("the agent that is to summarize waits for the answer to an interrupt")
    agent.messages = []
    try:
        agent.load_snapshot(replace(carried, data={"model_state": {}}))
        yield
    finally:
        agent.messages = messages
        agent.load_snapshot(carried)


def _told(agent: Agent, asked: str, result: AgentResult, to: Summarize) -> Summary:
    """An agent's answer as a summary, with what it took."""
    if result.stop_reason not in ("end_turn", "stop_sequence"):
        raise SummaryError(f"the model gave no summary to its end: stop_reason={result.stop_reason!r}")
    text = "\n".join(texts(result.message)).strip()
    if not text:
        raise SummaryError("the model gave no text; an agent that summarizes must not be set to structured output")
    (model, provider), estimated = calls.named(agent.model), 0
    name = model if isinstance(model, str) and model else None
    invocation = result.metrics.latest_agent_invocation
    count = max(len(invocation.cycles), 1) if invocation is not None else 1
    took = usage.reported({"metadata": {"usage": invocation.usage}}) if invocation is not None else None
    if took is None:
        given = tokens.count(agent.system_prompt or "", name)[0] + tokens.count(asked, name)[0]
        took, estimated = (given, tokens.count(text, name)[0], 0, 0), count
    return checked(Summary(text, Totals(*took, count, estimated, unpriced=count), name, provider), to)


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Line:
    """Who waits for an agent, first come first, in whatever threads and loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Future[None] = Future()
        self._last.set_result(None)

    @contextmanager
    def place(self) -> Iterator[Future[None]]:
        """Gives what to wait for; the next one's turn comes when this one was left, and not before this one's."""
        mine: Future[None] = Future()
        with self._lock:
            before, self._last = self._last, mine
        try:
            yield before
        finally:
            before.add_done_callback(lambda _: mine.set_result(None))


_lines: WeakKeyDictionary[Agent, _Line] = WeakKeyDictionary()
_lines_lock = threading.Lock()


def _line_of(agent: Agent) -> _Line:
    """One an agent, whoever summarizes by it: a server has a session manager for each session, and one such agent."""
    with _lines_lock:
        return _lines.setdefault(agent, _Line())
