"""The agent of `demo` and `chat`: an ordinary `strands.Agent` over an ordinary session manager, by public names only.

This is also the program of the demo's two processes (``python -m strands_session_store.cli.agents``): it reports what
it restored, then answers one prompt a line, each time reporting what it holds after the turn. It never knows whether it
is the first process or the second, nor when it will be killed.
"""

from __future__ import annotations

import ast
import operator
import os
import sys
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from typing import Any

from strands import Agent, ToolContext, tool
from strands.models import Model
from strands.types.exceptions import EventLoopException

from strands_session_store import StoreError, StoreSessionManager

from .. import codec

PROMPT = "You are a friendly assistant. Answer in one or two short sentences. Use a tool where one helps."

# provider -> module, class, and the extra of strands-agents that installs what it needs
_PROVIDERS = {
    "bedrock": ("strands.models.bedrock", "BedrockModel", None),
    "openai": ("strands.models.openai", "OpenAIModel", "openai"),
    "anthropic": ("strands.models.anthropic", "AnthropicModel", "anthropic"),
    "ollama": ("strands.models.ollama", "OllamaModel", "ollama"),
}


class ModelError(StoreError):
    """A model that can not be had, or did not answer."""


def model_named(spec: str) -> Model:
    """The model of ``offline``, ``bedrock``, ``bedrock:id``, ``openai:id``, ``anthropic:id`` or ``ollama:id``.

    Raises:
        ModelError: No such provider, an id is missing, or the provider's package is.
    """
    provider, _, model_id = spec.partition(":")
    if provider == "offline":
        from ..testing.models import OfflineModel

        return OfflineModel()
    if provider not in _PROVIDERS or (not model_id and provider != "bedrock"):
        raise ModelError(f"no model {spec!r}; there are offline, bedrock[:id], openai:id, anthropic:id and ollama:id")
    module, name, extra = _PROVIDERS[provider]
    try:
        make: Callable[..., Model] = getattr(import_module(module), name)
    except ImportError as error:
        raise ModelError(f"{error}; install it with: pip install 'strands-agents[{extra}]'") from error
    options: dict[str, Any] = {"model_id": model_id} if model_id else {}
    if provider == "ollama":
        options["host"] = os.environ.get("OLLAMA_HOST", "http://localhost:11434")
    elif provider == "anthropic":
        options["max_tokens"] = 1000
    try:
        return make(**options)
    except Exception as error:  # a missing key, region or credential: each provider has its own error for it
        raise ModelError(f"{spec}: {error}") from error


# --------------------------------------------------------------------------------------------------------------- tools


@tool(context=True)
def weather(city: str, tool_context: ToolContext) -> str:
    """The current weather in a city.

    Args:
        city: Name of the city.
    """
    asked = tool_context.agent.state.get("cities_asked") or []
    tool_context.agent.state.set("cities_asked", [*asked, city])
    # made up, and the same every time: the demo needs no network
    degrees, sky = 9 + sum(map(ord, city)) % 20, ("clear", "cloudy", "rainy")[len(city) % 3]
    return f"{degrees} degrees and {sky} in {city}"


@tool
def clock() -> str:
    """The current date and time."""
    return datetime.now().astimezone().strftime("%A %d %B %Y, %H:%M %Z")


_OPERATORS: dict[type[ast.operator | ast.unaryop], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
}


@tool
def calculator(expression: str) -> str:
    """Compute an arithmetic expression.

    Args:
        expression: Numbers, + - * / % and parentheses.
    """

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.BinOp(left, op, right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](value(left), value(right))
            case ast.UnaryOp(op, operand) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](value(operand))
        raise ValueError(f"{expression!r} is no arithmetic expression")

    return f"{value(ast.parse(expression, mode='eval').body):g}"


# --------------------------------------------------------------------------------------------------------------- agent


def session(session_id: str, store: str, user_id: str | None = None) -> StoreSessionManager:
    """
    Raises:
        StoreError: Also for a wrong value of the environment's.
    """
    try:
        return StoreSessionManager(session_id, store, user_id=user_id)
    except StoreError:
        raise
    except ValueError as error:
        raise StoreError(str(error)) from error


def agent_of(
    manager: StoreSessionManager, model: Model, callback: Callable[..., Any] | None = None, *, prompt: str | None = None
) -> Agent:
    """An agent with tools, restored if the session has it."""
    tools: list[Any] = [weather, clock, calculator]
    said = prompt or PROMPT
    return Agent(model=model, system_prompt=said, tools=tools, session_manager=manager, callback_handler=callback)


def ask(agent: Agent, prompt: str) -> str:
    """One turn; the answer's text.

    Raises:
        StoreError: The store's, or ModelError for whatever the model's was.
    """
    try:
        return str(agent(prompt))
    except StoreError:
        raise
    except EventLoopException as error:
        if isinstance(error.__cause__, StoreError):
            raise error.__cause__ from error
        raise ModelError(f"{type(error.original_exception).__name__}: {error}") from error
    except Exception as error:  # the providers' own
        raise ModelError(f"{type(error).__name__}: {error}") from error


def held(agent: Agent) -> dict[str, Any]:
    """What a session has to bring back."""
    return {
        "messages": agent.messages,
        "state": agent.state.get(),
        "conversation_manager": agent.conversation_manager.get_state(),
    }


def main() -> None:
    """Talk over stdin and stdout, a line each; values as `codec` writes them."""

    def report(**values: Any) -> None:
        sys.stdout.buffer.write(codec.encode(values) + b"\n")
        sys.stdout.buffer.flush()

    session_id, model = sys.argv[1:]
    try:
        # the URL may hold a password, which a command line would show to everyone
        with session(session_id, os.environ["STRANDS_SESSION_STORE"]) as manager:
            agent = agent_of(manager, model_named(model))
            report(**held(agent))
            for line in sys.stdin.buffer:
                answer = ask(agent, codec.decode(line))
                report(answer=answer, **held(agent))
    except StoreError as error:
        report(error=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
