"""An agent whose conversation lives in Redis. Run it twice: the second run goes on where the first one ended.

pip install "strands-session-store[redis]"
python examples/redis_agent.py redis://localhost:6379/0
"""

import sys

from strands import Agent

from strands_session_store import RedisSessionManager
from strands_session_store.testing import OfflineModel  # any Strands model will do; this one needs no key

url = sys.argv[1] if len(sys.argv) > 1 else "redis://localhost:6379/0"

# a day without a word, and the whole session goes
with RedisSessionManager("user-123", url, ttl=24 * 3600) as session:
    agent = Agent(model=OfflineModel(), session_manager=session, callback_handler=None)
    if agent.messages:
        print(f"{len(agent.messages)} messages restored")
        print(agent("What is my name?"))
    else:
        print(agent("My name is Ada."))
