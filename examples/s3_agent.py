"""An agent whose conversation lives in a bucket of S3. Run it twice: the second run goes on where the first one ended.

pip install "strands-session-store[s3]"
python examples/s3_agent.py my-bucket

Credentials and region come from where boto3 finds them; AWS_ENDPOINT_URL_S3 names another service than Amazon's.
"""

import sys

from strands import Agent

from strands_session_store import S3SessionManager
from strands_session_store.testing import OfflineModel  # any Strands model will do; this one needs no key

bucket = sys.argv[1] if len(sys.argv) > 1 else "my-bucket"

# one PUT a turn; a month without a word, and the whole session goes
with S3SessionManager("user-123", bucket, prefix="sessions", durability="turn", ttl=30 * 24 * 3600) as session:
    agent = Agent(model=OfflineModel(), session_manager=session, callback_handler=None)
    if agent.messages:
        print(f"{len(agent.messages)} messages restored")
        print(agent("What is my name?"))
    else:
        print(agent("My name is Ada."))
