"""A callable, a model or an agent makes summaries: afresh each time, and an agent is as it was."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from strands import Agent, ToolContext, tool
from strands.agent.conversation_manager import SlidingWindowConversationManager
from strands.types.exceptions import MaxTokensReachedException

from strands_session_store import StoreSessionManager
from strands_session_store.errors import SummaryError
from strands_session_store.stores.memory import MemoryStore
from strands_session_store.summaries import SYSTEM, Summarize, Summary, extractive, fold, fold_async, instruction
from strands_session_store.summarizers import async_summarizer, summarizer
from strands_session_store.testing.models import Reply, ScriptedModel, ToolCall
from strands_session_store.usage import Totals

TALK = Summarize(
    [
        {"role": "user", "content": [{"text": "My name is Ada."}]},
        {"role": "assistant", "content": [{"text": "Hello Ada."}]},
        {"role": "user", "content": [{"text": "What is my name?"}]},
        {"role": "assistant", "content": [{"text": "Ada."}]},
    ]
)
USAGE = {"inputTokens": 100, "outputTokens": 7, "totalTokens": 107}


def now(what: Any) -> Callable[[Summarize], Summary]:
    return summarizer(what)


def awaited(what: Any) -> Callable[[Summarize], Summary]:
    made = async_summarizer(what)

    async def ask(to: Summarize) -> Summary:
        return await made(to)

    return lambda to: asyncio.run(ask(to))


both = pytest.mark.parametrize("made", [now, awaited])


@both
def test_without_a_model(made):
    assert made("extractive")(TALK) == Summary(extractive(TALK))
    assert made(lambda to: f"{len(to.messages)} messages")(TALK) == Summary("4 messages")
    told = Summary("so", Totals(1, 1, calls=1), "m")
    assert made(lambda to: told)(TALK) == told
    with pytest.raises(SummaryError, match="int"):
        made(lambda to: 1)(TALK)
    with pytest.raises(ZeroDivisionError):
        made(lambda to: 1 / 0)(TALK)


def test_an_async_callable_is_awaited_or_refused():
    class Later:
        async def __call__(self, to: Summarize) -> str:
            return "later"

    async def later(to: Summarize) -> str:
        return "later"

    for what in later, Later():
        assert awaited(what)(TALK).text == "later"
        with pytest.raises(ValueError, match="has to be awaited"):
            summarizer(what)
    assert awaited(lambda to: later(to))(TALK).text == "later"
    with pytest.raises(SummaryError, match="has to be awaited"):
        summarizer(lambda to: later(to))(TALK)


def test_a_callable_that_takes_long_does_not_hold_up_the_loop():
    async def main() -> Summary:
        go = threading.Event()
        summary = asyncio.ensure_future(async_summarizer(lambda to: str(go.wait(30)))(TALK))
        await asyncio.sleep(0)
        go.set()  # never, if the loop waited for it
        return await summary

    assert asyncio.run(main()).text == "True"


@both
def test_a_model_is_asked_afresh_each_time_and_has_no_tools(made):
    model = ScriptedModel([Reply("one", usage=USAGE), Reply("two", usage=USAGE)])
    summarize = made(model)
    assert summarize(TALK) == Summary("one", Totals(100, 7, calls=1, unpriced=1), "scripted", None)
    assert summarize(TALK).text == "two"
    for call in model.calls:
        (asked,) = call.messages
        assert asked["content"] == [{"text": instruction(TALK)}]
        assert call.system_prompt == SYSTEM and call.tool_specs == []


@both
def test_tokens_that_are_not_reported_are_estimated(made):
    zero = dict.fromkeys(USAGE, 0)
    usage = made(ScriptedModel([Reply("four words of text", usage=zero)]))(TALK).usage
    assert usage.estimated == usage.calls == 1 and usage.output_tokens in (4, 5) and usage.input_tokens > 100


@both
def test_an_agent_is_as_it_was(made):
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    model = ScriptedModel(
        [Reply("hi", usage=USAGE), Reply(tools=[ToolCall("look")], usage=USAGE), Reply("a", usage=USAGE)]
    )
    manager = SlidingWindowConversationManager(window_size=2)
    agent = Agent(
        model=model, tools=[look], system_prompt="Be brief.", conversation_manager=manager, callback_handler=None
    )
    agent("hello")
    messages, said, managed = agent.messages, [*agent.messages], manager.get_state()
    summary = made(agent)(TALK)
    assert summary == Summary("a", Totals(200, 14, calls=2, unpriced=2), "scripted")
    assert agent.messages is messages and messages == said and manager.get_state() == managed
    assert [len(call.messages) for call in model.calls] == [1, 1, 3]
    assert model.calls[1].system_prompt == "Be brief." and model.calls[1].messages[0]["role"] == "user"


@both
def test_an_agent_that_fails_is_as_it_was_and_goes_on(made):
    lines = [RuntimeError("no model"), Reply("cut", stop_reason="max_tokens"), Reply(" "), Reply("good")]
    agent = Agent(model=ScriptedModel(lines), callback_handler=None, retry_strategy=None)
    agent.messages.append({"role": "user", "content": [{"text": "mine"}]})
    messages, said, summarize = agent.messages, [*agent.messages], made(agent)
    with pytest.raises(Exception, match="no model"):
        summarize(TALK)
    with pytest.raises(MaxTokensReachedException):
        summarize(TALK)
    with pytest.raises(SummaryError, match="no text"):
        summarize(TALK)
    assert agent.messages is messages and messages == said
    assert summarize(TALK).text == "good"


@both
def test_what_a_guardrail_says_is_no_summary(made):
    said = Reply("I can not help.", stop_reason="guardrail_intervened")
    for what in ScriptedModel([said]), Agent(model=ScriptedModel([said]), callback_handler=None):
        with pytest.raises(SummaryError, match="guardrail_intervened"):
            made(what)(TALK)


@both
def test_an_interrupt_is_no_summary_and_does_not_stay(made):
    @tool(context=True)
    def ask(tool_context: ToolContext) -> str:
        """Ask."""
        return str(tool_context.interrupt("sure", reason="really?"))

    agent = Agent(model=ScriptedModel([ToolCall("ask"), "fine", ToolCall("ask")]), tools=[ask], callback_handler=None)
    with pytest.raises(SummaryError, match="interrupt"):
        made(agent)(TALK)
    assert made(agent)(TALK).text == "fine"
    assert agent("and you?").stop_reason == "interrupt"
    with pytest.raises(SummaryError, match="waits"):
        made(agent)(TALK)
    assert agent.take_snapshot(include=["interrupt_state"]).data["interrupt_state"]["activated"]


@both
def test_a_stateful_model_is_told_nothing_of_before(made):
    model = ScriptedModel(["hi", "one", "two"], stateful=True)
    agent = Agent(model=model, callback_handler=None)
    agent("hello")
    state = agent.take_snapshot(include=["model_state"]).data
    assert state["model_state"]
    made(agent)(TALK)
    made(agent)(TALK)
    assert [call.model_state for call in model.calls[1:]] == [{}, {}]
    assert agent.take_snapshot(include=["model_state"]).data == state


def test_an_agent_with_a_session_manager_is_refused():
    with StoreSessionManager("s", MemoryStore()) as manager:
        agent = Agent(model=ScriptedModel([]), session_manager=manager, callback_handler=None)
        for make in summarizer, async_summarizer:
            with pytest.raises(ValueError, match="session manager: each summary would be stored"):
                make(agent)


@pytest.mark.parametrize("make", [summarizer, async_summarizer])
@pytest.mark.parametrize("what", [None, "extractiv", 3])
def test_what_is_none_is_refused(make, what):
    with pytest.raises(ValueError, match=f"summarize={what!r} is no summarizer: give 'extractive'"):
        make(what)


# ---------------------------------------------------------------------------------------------------- several at once


def echo(messages: Any) -> Reply:
    """The number in what was asked; a reply takes a while, in which others are asked."""
    (asked,) = messages
    return Reply(re.findall(r"number \d+", asked["content"][0]["text"])[-1], delay=0.01)


def numbered(i: int) -> Summarize:
    return Summarize([{"role": "user", "content": [{"text": f"I am number {i}"}]}])


def test_one_agent_serves_many_one_after_the_other():
    agent = Agent(model=ScriptedModel(echo), callback_handler=None)

    async def gathered(first: int) -> list[Summary]:
        # one for each, as managers of several sessions make them
        return await asyncio.gather(*(async_summarizer(agent)(numbered(first + i)) for i in range(5)))

    with ThreadPoolExecutor(4) as pool:
        loops = [pool.submit(asyncio.run, gathered(first)) for first in (0, 10)]
        threads = [pool.submit(summarizer(agent), numbered(20 + i)) for i in range(5)]
        found = [summary.text for loop in loops for summary in loop.result(30)]
        found += [thread.result(30).text for thread in threads]
    assert found == [f"number {i}" for i in [*range(5), *range(10, 15), *range(20, 25)]]
    assert agent.messages == []


def test_a_loop_is_not_made_to_wait_for_itself():
    agent = Agent(model=ScriptedModel(echo), callback_handler=None)

    async def main() -> list[str]:
        first = asyncio.ensure_future(async_summarizer(agent)(numbered(1)))
        await asyncio.sleep(0)
        with pytest.raises(SummaryError, match="at work"):
            summarizer(agent)(numbered(2))
        return [(await first).text, summarizer(agent)(numbered(3)).text]

    assert asyncio.run(main()) == ["number 1", "number 3"]


def test_who_is_cancelled_leaves_the_line_and_the_agent_as_they_were():
    agent = Agent(model=ScriptedModel(echo), callback_handler=None)
    agent.messages.append({"role": "user", "content": [{"text": "mine"}]})
    kept, summarize = agent.messages, async_summarizer(agent)

    async def main() -> list[Any]:
        tasks = [asyncio.ensure_future(summarize(numbered(i))) for i in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()  # it waits
        while agent.messages == kept or not agent.messages:
            await asyncio.sleep(0)
        tasks[0].cancel()  # it is at work
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(main())
    assert [type(each) for each in found[:2]] == [asyncio.CancelledError] * 2
    assert [each.text for each in found[2:]] == ["number 2", "number 3"]
    assert agent.messages is kept and len(kept) == 1


def test_parts_are_summarized_one_after_the_other_by_an_agent():
    long = Summarize([message for _ in range(20) for message in TALK.messages])
    lines = [Reply(f"summary {i}", usage=USAGE) for i in range(40)]
    for folded in (
        lambda agent: fold(long, summarizer(agent), 60),
        lambda agent: asyncio.run(fold_async(long, async_summarizer(agent), 60)),
    ):
        model = ScriptedModel(lines)
        found = folded(Agent(model=model, callback_handler=None))
        count = len(model.calls)
        assert count > 3 and found.text == f"summary {count - 1}"
        assert found.usage == Totals(100 * count, 7 * count, calls=count, unpriced=count)
        assert f"<summary>\n  summary {count - 2}\n" in model.calls[-1].messages[0]["content"][0]["text"]


class Noted(dict[str, Any]):
    """A message that notes which thread reads it."""

    readers: ClassVar[set[int]] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.readers.add(threading.get_ident())
        return super().get(key, default)


@pytest.mark.parametrize("kind", ["model", "agent", "callable"])
def test_no_loop_waits_for_a_conversation_to_be_read(kind: str) -> None:
    model = ScriptedModel(lambda messages: "so far")
    what = {"model": model, "agent": Agent(model=model, callback_handler=None), "callable": extractive}[kind]
    messages = [Noted(message) for message in TALK.messages]
    Noted.readers.clear()
    asyncio.run(fold_async(Summarize(messages), async_summarizer(what), 32))
    assert Noted.readers
    assert threading.get_ident() not in Noted.readers
