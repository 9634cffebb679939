"""The models of `testing`, played by a real agent."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from strands import Agent, tool
from strands.agent.conversation_manager import NullConversationManager
from strands.types.exceptions import ContextWindowOverflowException, MaxTokensReachedException

from strands_session_store.testing.models import OfflineModel, Reply, ScriptedModel, ScriptEnded, ToolCall


@tool
def weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: Which.
    """
    return f"18 degrees in {city}"


@tool
def clock() -> str:
    """The current time."""
    return "12:00"


@tool
def calculator(expression: str) -> str:
    """Compute arithmetic.

    Args:
        expression: What.
    """
    raise ZeroDivisionError(expression)


def talking(model: Any, **options: Any) -> Agent:
    return Agent(model=model, tools=[weather, clock, calculator], callback_handler=None, **options)


def texts(agent: Agent) -> list[str]:
    return [block["text"] for message in agent.messages for block in message["content"] if "text" in block]


# ------------------------------------------------------------------------------------------------------------ scripted


def test_replies_come_in_order_and_every_call_is_recorded() -> None:
    model = ScriptedModel(["one", "two\n\n  words "])
    agent = talking(model, system_prompt="be brief")
    agent("a")
    agent("b")
    assert texts(agent) == ["a", "one", "b", "two\n\n  words "]
    assert [len(call.messages) for call in model.calls] == [1, 3]
    assert model.calls[0].system_prompt == "be brief"
    assert {spec["name"] for spec in model.calls[0].tool_specs} == {"weather", "clock", "calculator"}


def test_what_is_recorded_of_a_call_is_a_copy() -> None:
    model = ScriptedModel(["one"])
    agent = talking(model)
    agent("a")
    agent.messages[0]["content"][0]["text"] = "changed"
    assert model.calls[0].messages[0]["content"] == [{"text": "a"}]


def test_the_end_of_the_script_is_an_error_that_counts() -> None:
    agent = talking(ScriptedModel(["only"]))
    agent("a")
    with pytest.raises(Exception, match="call 2 came, and the script has 1 replies") as error:
        agent("b")
    assert ScriptEnded.__name__ in repr(error.value.__cause__) or isinstance(error.value, ScriptEnded)


def test_parallel_tool_calls_are_one_message() -> None:
    model = ScriptedModel([[ToolCall("weather", {"city": "Lisbon"}), ToolCall("clock", id="c1")], "done"])
    agent = talking(model)
    agent("go")
    uses = [block["toolUse"] for block in agent.messages[1]["content"]]
    assert [(use["name"], use["input"]) for use in uses] == [("weather", {"city": "Lisbon"}), ("clock", {})]
    assert uses[1]["toolUseId"] == "c1"
    results = [block["toolResult"]["content"][0]["text"] for block in agent.messages[2]["content"]]
    assert sorted(results) == ["12:00", "18 degrees in Lisbon"]


def test_text_and_reasoning_may_come_with_a_tool_call() -> None:
    agent = talking(ScriptedModel([Reply("let me look", tools=[ToolCall("clock")], reasoning="hm"), "noon"]))
    agent("time?")
    kinds = [next(iter(block)) for block in agent.messages[1]["content"]]
    assert kinds == ["reasoningContent", "text", "toolUse"]


def test_tool_use_ids_of_two_processes_differ() -> None:
    agents = [talking(ScriptedModel([ToolCall("clock"), "noon"])) for _ in range(2)]
    for agent in agents:
        agent("time?")
    first, second = (agent.messages[1]["content"][0]["toolUse"]["toolUseId"] for agent in agents)
    assert first != second


def test_an_exception_is_raised_as_it_is() -> None:
    model = ScriptedModel([ContextWindowOverflowException("too long"), "fine"])
    agent = talking(model, conversation_manager=NullConversationManager())
    with pytest.raises(ContextWindowOverflowException, match="too long"):
        agent("a")


def test_an_error_after_some_text_leaves_no_message() -> None:
    agent = talking(ScriptedModel([Reply("half a", error=RuntimeError("cut"))]))
    with pytest.raises(Exception, match="cut"):
        agent("a")
    assert "half a" not in texts(agent)


def test_max_tokens_stops_the_turn() -> None:
    agent = talking(ScriptedModel([Reply("cut of", stop_reason="max_tokens")]))
    with pytest.raises(MaxTokensReachedException):
        agent("a")


def test_redaction_reaches_both_sides() -> None:
    agent = talking(ScriptedModel([Reply("a secret", redact_user="[user]", redact_assistant="[assistant]")]))
    agent("my secret")
    assert texts(agent) == ["[user]", "[assistant]"]


def test_usage_is_counted_or_as_told() -> None:
    agent = talking(
        ScriptedModel(["12345678", Reply("x", usage={"inputTokens": 7, "outputTokens": 8, "totalTokens": 15})])
    )
    agent("1234")
    agent("y")
    first, second = (agent.messages[i]["metadata"]["usage"] for i in (1, 3))
    assert (first["inputTokens"], first["outputTokens"]) == (1, 2)
    assert (second["inputTokens"], second["outputTokens"]) == (7, 8)


def test_a_function_can_make_the_replies() -> None:
    agent = talking(ScriptedModel(lambda messages: f"{len(messages)} so far"))
    assert str(agent("a")).strip() == "1 so far"
    assert str(agent("b")).strip() == "3 so far"


def test_a_stateful_model_leaves_a_response_id_and_no_messages() -> None:
    model = ScriptedModel(["one", "two"], stateful=True)
    agent = talking(model)
    agent("a")
    assert agent.messages == []
    first = agent._model_state["response_id"]
    agent("b")
    assert model.calls[1].model_state == {"response_id": first}


class Person(BaseModel):
    name: str
    age: int


def test_structured_output_is_a_call_of_its_tool() -> None:
    agent = talking(ScriptedModel([Person(name="Ada", age=36)]))
    assert agent("who?", structured_output_model=Person).structured_output == Person(name="Ada", age=36)


async def _structured(model: ScriptedModel) -> Any:
    return [event async for event in model.structured_output(Person, [])][-1]["output"]


def test_structured_output_of_the_model_itself_reads_json_too() -> None:
    import asyncio

    model = ScriptedModel(['{"name": "Ada", "age": 36}', Person(name="Bo", age=1)])
    assert asyncio.run(_structured(model)) == Person(name="Ada", age=36)
    assert asyncio.run(_structured(model)) == Person(name="Bo", age=1)


# ------------------------------------------------------------------------------------------------------------- offline


@pytest.fixture
def agent() -> Agent:
    return talking(OfflineModel())


@pytest.mark.parametrize(
    ("told", "asked", "known"),
    [
        ("My name is Ada and my favourite colour is teal.", "What's my favorite color?", "teal"),
        ("My name is Ada.", "Who am I?", "Ada"),
        ("Call me Bo!", "what is my name", "Bo"),
        ("I live in Porto.", "Where do I live?", "Porto"),
        ("Please remember that the code is 4711.", "What did I ask you to remember?", "4711"),
        ("My dog is called Rex. My dog is old.", "What do you know about me?", "old"),
    ],
)
def test_offline_model_recalls_what_was_told(agent: Agent, told: str, asked: str, known: str) -> None:
    agent(told)
    assert known in str(agent(asked))


def test_offline_model_says_what_it_was_not_told(agent: Agent) -> None:
    agent("My name is Ada.")
    assert "not told me your dog's name" in str(agent("What is my dog's name?"))


def test_offline_model_goes_by_the_later_telling(agent: Agent) -> None:
    agent("My name is Ada.")
    agent("My name is Grace.")
    assert str(agent("What is my name?")).strip() == "Your name is Grace."


def test_offline_model_knows_nothing_but_the_messages(agent: Agent) -> None:
    agent("My name is Ada.")
    agent.messages.clear()
    assert "Ada" not in str(agent("What is my name?"))


def test_offline_model_asks_the_tool_and_answers_by_its_result(agent: Agent) -> None:
    assert "18 degrees in New York" in str(agent("What is the weather in New York?"))
    assert len(agent.messages) == 4


def test_offline_model_asks_two_tools_at_once(agent: Agent) -> None:
    answer = str(agent("What time is it, and what is the weather in Lisbon?"))
    assert "12:00" in answer and "18 degrees in Lisbon" in answer
    assert len(agent.messages[1]["content"]) == 2


def test_offline_model_recalls_an_earlier_result(agent: Agent) -> None:
    agent("What is the weather in Lisbon?")
    count = len(agent.messages)
    assert "18 degrees in Lisbon" in str(agent("What was the weather in Lisbon?"))
    assert len(agent.messages) == count + 2


def test_offline_model_reports_a_failing_tool(agent: Agent) -> None:
    assert "calculator failed" in str(agent("What is 3 / 0?"))


def test_offline_model_is_deterministic() -> None:
    prompts = ["Hello, my name is Ada.", "What time is it?", "Tell me a story.", "What did I say first?"]
    first, second = ([str(agent(p)) for p in prompts] for agent in (talking(OfflineModel()), talking(OfflineModel())))
    assert first == second
