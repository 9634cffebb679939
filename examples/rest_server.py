r"""Sessions and an agent over HTTP, from any number of processes.

pip install "strands-session-store[redis,server,cli]"
strands-session key --user ada --keys-file keys.json
STRANDS_SESSION_STORE=redis://localhost:6379/0 uvicorn --app-dir examples rest_server:app
curl localhost:8000/api/agent-sessions/conversation -H "X-API-Key: ..." \
  --json '{"messages": [{"role": "user", "content": "When are you open on Sunday?"}]}'
"""

import os

from strands import Agent, tool

from strands_session_store.rest import AgentRequest, ApiKeyAuth, Limits, create_app
from strands_session_store.testing import OfflineModel

MODEL = OfflineModel()  # needs no key; any other will do: strands.models.BedrockModel()


@tool
def opening_hours(day: str) -> str:
    """When the shop is open.

    Args:
        day: Name of the weekday.
    """
    return "closed" if day.lower() == "sunday" else "9 to 17"


def make_agent(request: AgentRequest) -> Agent:
    return Agent(
        model=MODEL,
        tools=[opening_hours],
        system_prompt=request.session.instructions or "You work for a small shop. Be brief.",
        session_manager=request.session_manager,
        callback_handler=None,
    )


app = create_app(
    os.environ.get("STRANDS_SESSION_STORE", "redis://localhost:6379/0"),
    auth=ApiKeyAuth.read(os.environ.get("API_KEYS", "keys.json")),
    agent_factory=make_agent,
    manager_options={"ttl": 30 * 24 * 3600, "segment_after": 64_000},
    limits=Limits(rate="120/minute"),
)
