"""What is stored, as frozen records. Payloads that belong to Strands stay opaque: they are never validated.

Times are Unix seconds (float, UTC), new ones to the millisecond. ``None`` means unknown, never zero.
"""

from __future__ import annotations

import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT = 1
"""Version of the stored format. A document of a higher one is not read (`codec.decode`)."""


def _now() -> float:
    return round(time.time(), 3)


class Record(BaseModel):
    """Base: frozen; unknown keys of a later version are kept out silently, so that an older reader goes on."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Origin(Record):
    """What a fork was made of."""

    session_id: str
    message_id: str | None = None
    """Tracking id of the last message it has; None: of the whole session."""
    agent_id: str | None = None
    """Whose message that is."""
    index: int | None = None
    """Its index, in both histories."""


class Session(Record):
    """Document `session`: written once, by the commit that creates the session."""

    session_id: str
    user_id: str | None = None
    parent_id: str | None = None
    created: float = Field(default_factory=_now)
    title: str | None = None
    origin: Origin | None = None
    """Of a fork."""


class Agent(Record):
    """Document `agents/<id>/agent`: what changes when the application changes it."""

    agent_id: str
    name: str | None = None
    created: float = Field(default_factory=_now)
    state: Any = None
    """`agent.state.get()`."""
    interrupts: Any = None
    """`to_dict()` of the interrupt state; None when there is no interrupt."""
    model_state: Any = None
    """Of a stateful model; None when empty."""


class Context(Record):
    """Document `agents/<id>/context`: what the model sees. Apart from `Agent`, since a window moves with every turn."""

    spans: Any = None
    """Where the context's messages are kept: `context.Context.spans`."""
    conversation_manager: Any = None
    """`get_state()` of the conversation manager; None for an agent without one (BidiAgent)."""


class Writer(Record):
    """Document `agents/<id>/writer`: the manager that may write this agent now. Another one taking over fences it."""

    writer_id: str
    host: str
    pid: int
    since: float = Field(default_factory=_now)

    def __str__(self) -> str:
        return f"{self.host} pid {self.pid} ({self.writer_id})"


class Lease(Record):
    """Document `lease`: the process that may run the session. Changes only when it is taken or released."""

    holder: str | None = None
    """A name drawn by the manager that has it; None: it is free."""
    epoch: int = 0
    """How many times it was taken."""
    host: str = ""
    pid: int = 0
    at: float = Field(default_factory=_now)
    """When it was taken or released, by the clock of who did."""
    expiry: float = 0.0
    """Seconds without a sign of life after which another may take it."""

    def __str__(self) -> str:
        return f"{self.host} pid {self.pid}" + (f" ({self.holder})" if self.holder is not None else "")


class LeaseBeat(Record):
    """Document `lease-beat`: a sign of life of the holder."""

    at: float = Field(default_factory=_now)
    """By the holder's clock."""


class LeaseWanted(Record):
    """Document `lease-wanted`: who waits for the lease, first come first."""

    by: list[str]
    """Names, as in `Lease.holder`."""


class MultiAgent(Record):
    """Document `multi_agents/<id>/state`: `serialize_state()` of a Graph or Swarm."""

    multi_agent_id: str
    created: float = Field(default_factory=_now)
    state: Any = None


class Message(Record):
    """Entry of a history. A history has many, so `codec` keeps it as an array without names."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    message: Any = Field(alias="m")
    """The Strands message: role, content, tracking_id, metadata."""
    at: float | None = Field(default=None, alias="t")
    """When it was written, or last replaced (a merge, a redaction)."""
    redacted: float | None = Field(default=None, alias="r")
    """When its content was replaced by a redaction."""


class Variant(Record):
    """Entry of a variants log."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    of: int | None = None
    """Index in the history of the message this one stands for in the context; None: it is in no history."""
    message: Any = Field(default=None, alias="m")
    """None: the context shows the history's message again."""


class Trace(Record):
    """Entry of a trace: what one job changed of an agent beside its messages; written and read by `trace` alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    history: int = Field(alias="h")
    """Length of the history before the job."""
    at: float | None = Field(default=None, alias="t")
    """When; None for a job that added messages, whose times are theirs."""
    variants: int | None = Field(default=None, alias="v")
    """Length of the variants log after it; None: as before."""
    whole: bool = Field(default=False, alias="w")
    """Whether it says all, and not only what is another now."""
    state: Any = Field(default=None, alias="s")
    """Keys of the agent's state that were set."""
    gone: Any = Field(default=None, alias="g")
    """Keys that were taken out, before any was set."""
    parts: Any = Field(default=None, alias="p")
    """Interrupts (``i``), model state (``m``), spans of the context (``c``), state of the conversation manager (``k``),
    or those of its keys that are others now (``d``)."""
    lost: bool = Field(default=False, alias="x")
    """It was too large to be kept."""


RunStatus = Literal["open", "completed", "interrupted", "failed", "cancelled", "abandoned"]


class Usage(Record):
    """Tokens, as models report them; None where a model did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None


class Run(Record):
    """One invocation of an agent or orchestrator: document `runs/open/<id>` while open, then an entry of log `runs`."""

    run_id: str
    agent_id: str | None = None
    multi_agent_id: str | None = None
    status: RunStatus = "open"
    stop_reason: str | None = None
    started: float = Field(default_factory=_now)
    ended: float | None = None
    first_message: int | None = None
    """Index in the history of the first message of the run; None when it added none."""
    messages: int = 0
    """How many it added."""
    usage: Usage = Usage()
    """Sum over its messages."""
    error: str | None = None
    """Type and text of what ended it, when that was an error."""


class Event(Record):
    """A recorded fact about a run that is no message: an entry of log `events`."""

    type: str
    """``tool_call``, ..."""
    at: float = Field(default_factory=_now)
    """When it ended."""
    run_id: str | None = None
    agent_id: str | None = None
    parent: str | None = None
    """Tracking id of the message it belongs to: for a tool call the assistant message that asked for it."""
    name: str | None = None
    tool_use_id: str | None = None
    status: str | None = None
    """``success``, ``error`` or ``cancelled``."""
    error: str | None = None
    """Type of the exception. What it said is in the tool result, and nowhere else."""
    milliseconds: float | None = None
    attempt: int | None = None
    """1 for the first try of a tool use, 2 for the second ..."""
    data: Any = None
