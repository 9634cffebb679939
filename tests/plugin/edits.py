"""What an application does to its agent between turns."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from strands.agent.state import AgentState

from .agents import append_text, put
from .conversations import Act


def edit(agent: Any, act: Act, new_id: Callable[[], str]) -> None:
    """Do it; what does not fit the agent as it is does nothing."""
    messages = agent.messages
    match act:
        case "append", role, with_id, payload:
            message = {"role": role, "content": [{"text": "by hand"}], "metadata": {"custom": {"payload": payload}}}
            if with_id:
                message["tracking_id"] = f"by hand {new_id()}"
            messages.append(message)
        case "append again", i:
            messages += messages[i : i + 1]
        case "insert", i:
            messages.insert(i, {"role": "user", "content": [{"text": "inserted"}]})
        case "delete", i:
            del messages[i : i + 1]
        case "delete last", n:
            del messages[-n:]
        case "delete first", n:
            del messages[:n]
        case ("clear",):
            messages.clear()
        case "edit", i, payload:
            for message in messages[i : i + 1]:
                message["metadata"] = {**message.get("metadata", {}), "custom": {"edited": payload}}
                append_text(message, "!")
        case "swap", i, j if max(i, j) < len(messages):
            messages[i], messages[j] = messages[j], messages[i]
        case ("deepcopy",):
            agent.messages = copy.deepcopy(messages)
        case "set state", key, payload:
            put(agent, key, payload)
        case "replace state", payload:
            agent.state = AgentState({"n": 1})
            put(agent, "new", payload)
