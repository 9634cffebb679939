"""An agent behind AWS Lambda: whichever instance is asked, the conversation is whole.

A cold start reads the session, answers, stores the turn and is frozen. Set STRANDS_SESSION_STORE to s3://bucket/prefix
(or any other store) and send {"session_id": "...", "prompt": "..."}. The function's role needs the permissions that the
README lists.
"""

import os
from typing import Any

from strands import Agent

from strands_session_store import ConflictError, StoreSessionManager, open_store
from strands_session_store.testing import OfflineModel  # any Strands model will do; this one needs no key

# one for each instance: its client and connections are there for the next call, also after the instance was frozen
store = open_store(os.environ["STRANDS_SESSION_STORE"], timeout=10)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    try:
        # the agent is built for this request: no need to read once more whether another went on since
        with StoreSessionManager(event["session_id"], store, durability="turn", on_stale="conflict") as session:
            agent = Agent(model=OfflineModel(), session_manager=session, callback_handler=None)
            answer = str(agent(event["prompt"])).strip()
        # behind the block all is stored: nothing is left to do in an instance that may never run again
        return {"statusCode": 200, "answer": answer, "messages": len(agent.messages)}
    except ConflictError:
        # another instance answers the same session at this moment; its turn stands, this one is not stored
        return {"statusCode": 409, "error": "this session is being answered"}
