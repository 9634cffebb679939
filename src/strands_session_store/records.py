"""What is stored, as frozen records. Payloads that belong to Strands stay opaque: they are never validated.

Times are Unix seconds (float, UTC), new ones to the millisecond. ``None`` means unknown, never zero.
"""

from __future__ import annotations

import time
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

PICO = 10**12
"""Costs are whole pico-dollars: so many are a dollar. Why no coarser ones: `prices`."""
FORMAT = 1
"""Version of the stored format. A document of a higher one is not read (`codec.decode`)."""


def now() -> float:
    """Unix time as records have it."""
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


class Segment(Record):
    """Which part of a conversation a session of kind ``segment`` holds. Its parent is the conversation's session."""

    agent_id: str
    number: int
    """From 1 on, for each agent."""
    start: int
    """Index, in the agent's history of the whole conversation, of its first message: what has index 0 here."""
    end: int
    """Of the message behind its last."""


class Session(Record):
    """Document `session`: what the session is. The index row tells the same (`rows`)."""

    session_id: str
    user_id: str | None = None
    parent_id: str | None = None
    """The session it hangs below."""
    kind: str = "session"
    """``session``, ``fork``, ``segment``, ``sub_agent``, ``node``, or what the application calls it."""
    active: bool = True
    created: float = Field(default_factory=now)
    updated: float | None = None
    """When its properties, metadata or state were changed last; None: never. Messages don't count."""
    title: str | None = None
    description: str | None = None
    agent_name: str | None = None
    origin: Origin | None = None
    """Of a fork."""
    segment: Segment | None = None
    """Of a segment."""


class User(Record):
    """Document `user` of a space of its own."""

    user_id: str
    username: str | None = None
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    active: bool = True
    created: float = Field(default_factory=now)
    updated: float | None = None
    """When it or its metadata was changed last; None: never."""


class Agent(Record):
    """Document `agents/<id>/agent`: what changes when the application changes it."""

    agent_id: str
    name: str | None = None
    created: float = Field(default_factory=now)
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


class Segments(Record):
    """Document `agents/<id>/segments`: the segments of an agent's conversation that have ended, and what the one that
    goes on began with."""

    ended: int = 0
    """How many, each in a session of its own."""
    making: int = 0
    """Number of the last whose session was begun: above ``ended``, it may be half made, and is not valid."""
    at: float | None = None
    """When the last one ended; None: none has."""
    summary: str | None = None
    """Of all of them."""
    opening: list[str] = Field(default_factory=list)
    """Tracking ids of the messages that stand for them in the context."""
    until: float | None = None
    """When the first of them expires, at the soonest; None: it is not known, or none does."""


class Summary(Record):
    """Document `agents/<id>/summary` of a segment: of it, and of all before it."""

    text: str
    at: float = Field(default_factory=now)


class Writer(Record):
    """Document `agents/<id>/writer`: the manager that may write this agent now. Another one taking over fences it."""

    writer_id: str
    host: str
    pid: int
    since: float = Field(default_factory=now)

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
    at: float = Field(default_factory=now)
    """When it was taken or released, by the clock of who did."""
    expiry: float = 0.0
    """Seconds without a sign of life after which another may take it."""

    def __str__(self) -> str:
        return f"{self.host} pid {self.pid}" + (f" ({self.holder})" if self.holder is not None else "")


class LeaseBeat(Record):
    """Document `lease-beat`: a sign of life of the holder."""

    at: float = Field(default_factory=now)
    """By the holder's clock."""


class LeaseWanted(Record):
    """Document `lease-wanted`: who waits for the lease, first come first."""

    by: list[str]
    """Names, as in `Lease.holder`."""


class MultiAgent(Record):
    """Document `multi_agents/<id>/state`: `serialize_state()` of a Graph or Swarm."""

    multi_agent_id: str
    created: float = Field(default_factory=now)
    state: Any = None


Source = Literal["user", "llm", "system"]
"""On whose behalf a model was called: the user's, an agent's of its own accord, the application's."""


class Counted(Record):
    """What was counted of a model call: beside its answer, an entry of a history."""

    model: str
    """Its id; ``unknown`` where the agent's model has none."""
    cost: int | None = None
    """Pico-dollars (`PICO`); None: unknown."""
    tokens: tuple[int, int, int, int] | None = None
    """Input, output, read from a cache, written to one; the last two are among the first. None: as the message's own
    ``metadata.usage`` says (`usage.reported`)."""
    estimated: bool = False
    """Whether the tokens were estimated here, as the model had reported none."""
    source: Source = "llm"
    day: str | None = None
    """UTC, as 2026-11-20; None: that of the entry's ``at``."""


class UsageKey(Record):
    """Document `usage/<day>/<model>/<source>`: what the counters below it are of. A store lists documents, not
    counters."""

    day: str
    """UTC, as 2026-11-20."""
    model: str
    source: Source


class Message(Record):
    """Entry of a history. A history has many, so `codec` keeps it as an array without names."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    message: Any = Field(alias="m")
    """The Strands message: role, content, tracking_id, metadata."""
    at: float | None = Field(default=None, alias="t")
    """When it was written, or last replaced by the live agent (a merge, a redaction)."""
    redacted: float | None = Field(default=None, alias="r")
    """When its content was replaced by a redaction."""
    removed: float | None = Field(default=None, alias="d")
    """When it was removed: of the message only role, id and token usage are left, and no context shows it."""
    usage: Counted | None = Field(default=None, alias="u")
    """Of an assistant message: what its model call added to the session's counters. None: nothing; it is another's, or
    was stored by a version that counted no calls."""

    @property
    def tracking_id(self) -> str | None:
        """The message's id: what `Sessions.fork`, `Sessions.rewind` and the methods of `Messages` ask for."""
        id: str | None = self.message.get("tracking_id")
        return id


class Variant(Record):
    """Entry of a variants log."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    of: int | None = None
    """Index in the history of the message this one stands for in the context; None: it is in no history."""
    message: Any = Field(default=None, alias="m")
    """None: the context shows the history's message again, or, without ``of``, it was removed."""


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
EventType = Literal["tool_call", "summary", "reference", "context_bridge", "custom"]
EventSource = Literal["user", "llm", "system"]
MAX_ERROR: Final = 500
"""Characters of an error's type and text that are kept."""


def described(error: BaseException) -> str:
    """Type and text of an error, bounded."""
    return f"{type(error).__name__}: {error}"[:MAX_ERROR]


class Usage(Record):
    """What model calls took; None where it is not known."""

    input_tokens: int | None = None
    """All that the model was given, with what came from a cache or went into one, whatever the provider calls so."""
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    """Of the input tokens, those that were read from a cache."""
    cache_write_input_tokens: int | None = None
    """Of the input tokens, those that were written to a cache."""
    calls: int = 0
    estimated: int = 0
    """Calls whose tokens were estimated here, as the model had reported none."""
    unpriced: int = 0
    """Calls whose price is unknown."""
    cost: int | None = None
    """Pico-dollars (`PICO`) of the other calls; None when there were none."""


class Run(Record):
    """One invocation of an agent or orchestrator, or what the application calls a run: document `runs/open/<id>` while
    open, then an entry of log `runs`."""

    run_id: str
    recorded_by: Literal["manager", "application"] = "manager"
    """Who began it, and so who ends it: a session manager, or the application through the service."""
    agent_id: str | None = None
    multi_agent_id: str | None = None
    status: RunStatus = "open"
    stop_reason: str | None = None
    started: float = Field(default_factory=now)
    ended: float | None = None
    first_message: int | None = None
    """Index in the history of the first message of the run; None when it added none. In an open run of the application:
    the one that its first message would get."""
    messages: int = 0
    """How many it added."""
    model: str | None = None
    """Id of the model that was called last; None when none was."""
    usage: Usage = Usage()
    """Sum over its messages."""
    error: str | None = None
    """Type and text of what ended it, when that was an error."""
    metadata: Any = None
    """A JSON object of the application's; None when it gave none."""

    @property
    def duration(self) -> float | None:
        """Seconds from its beginning to its end; None while it is open."""
        return None if self.ended is None else round(self.ended - self.started, 3)


class Event(Record):
    """A recorded fact about a run that is no message: an entry of log `events`."""

    type: str
    """One of `EventType`; a later version may know more."""
    source: str = "system"
    """Who it comes from, one of `EventSource`: a tool call from the model that asked for it."""
    at: float = Field(default_factory=now)
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


class Values(Record):
    """Documents `metadata`, `managed/<namespace>`, `state`: a JSON object of the application's."""

    values: Any = Field(default_factory=dict)


class Instructions(Record):
    """Document `instructions`."""

    text: str
