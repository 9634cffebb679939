"""``python -m strands_session_store.cli`` is ``strands-session``."""

from . import main

main()
