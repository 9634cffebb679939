"""Messages are put behind those of an agent, from outside of a live one.

Law: one commit, which expects history and context as they were seen. So what is appended is in both, once, and an agent
that is built on the session goes on behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from .. import codec, layout, records, usage
from ..errors import AlreadyExistsError, IllegalTransitionError, InterruptPendingError
from ..messages import Message
from ..stores.base import ABSENT, KEEP, Add, Append, Change, Doc, Expect, Log, LogView, Look, PutDoc, Ttl
from ..usage import Totals
from .access import Access, load
from .entries import entry
from .shapes import Said
from .writing import guards, traced, version, wants

REPEATS: Final = 100
"""Among so many entries at the end of a history an id that was given is looked for."""
HEARD: Final = 10
"""So many of them an estimate takes into account."""

Counts: TypeAlias = Callable[..., records.Counted]


def append(
    access: Access[records.Session],
    agent_id: str,
    added: Sequence[Message],
    given: Collection[str],
    counted: Counts,
    *,
    ttl: Ttl = KEEP,
    make: Callable[[], records.Session] | None = None,
) -> tuple[Said, ...]:
    """See `Messages.append`.

    Args:
        access: Of the session.
        agent_id: Whose history.
        added: As they are to be stored.
        given: The tracking ids that were the caller's own.
        counted: `calls.counted`, told of the model.
        ttl: As `Store.commit` has it.
        make: Gives the session where there is none: then the same commit makes it.
    """
    log = layout.history(agent_id)
    at = records.now()
    answers = any(message["role"] == "assistant" and usage.reported(message) is None for message in added)
    first, entries = 0, list[records.Message]()

    def decide(look: Look) -> list[Change]:
        nonlocal first, entries
        _check_goes_on(access, look)
        view = look.logs[log]
        first = view.length
        _check_new(agent_id, view, given)
        entries, totals = _counted(added, _heard(view, log) if answers else [], counted, at)
        return [
            *guards(look, access.space.id, agent_id),
            *_joining(look, agent_id, first),
            Append(log, [codec.dump(said) for said in entries], at=first),
            Add("messages", len(added)),
            *_adds(totals),
        ]

    documents = Doc(layout.agent(agent_id)), Doc(layout.context(agent_id))
    lengths = Log(layout.variants(agent_id)), Log(layout.trace(agent_id))
    heard = Log(log, last=REPEATS if given else HEARD * answers)
    access.change(decide, *wants(agent_id), *documents, *lengths, heard, ttl=ttl, make=make)
    return tuple(Said(first + i, said) for i, said in enumerate(entries))


def _check_goes_on(access: Access[records.Session], look: Look) -> None:
    if access.path in look.docs and (part := access.record(look).segment) is not None:
        raise IllegalTransitionError(
            f"session {access.space.id!r} is a segment of a conversation that has ended ({part.number} of agent "
            f"{part.agent_id!r}); nothing was written. Go on with the conversation, or with a fork of the segment"
        )


def _check_new(agent_id: str, view: LogView, given: Collection[str]) -> None:
    for index, data in view.entries.items() if given else ():
        said = entry(records.Message, layout.history(agent_id), index, data)
        if (id := said.message.get("tracking_id")) in given:
            raise AlreadyExistsError(
                f"message {id!r} is in the history of agent {agent_id!r} already, at index {index}; nothing was written"
            )


def _joining(look: Look, agent_id: str, length: int) -> Iterator[Change]:
    """What has a history's next messages be in the context; the agent itself where it is new."""
    own, path = layout.agent(agent_id), layout.context(agent_id)
    agent = records.Agent(agent_id=agent_id)
    if own not in look.docs:
        yield PutDoc(own, codec.dump_document(agent), expect=ABSENT)
    else:
        agent = load(look, own, records.Agent)
        if agent.interrupts is not None:
            raise InterruptPendingError(
                f"agent {agent_id!r} waits for the answer to an interrupt; nothing was written. Answer it first"
            )
        yield Expect(own, look.docs[own].version)
    context = load(look, path, records.Context) if path in look.docs else records.Context()
    spans = context.spans or []
    if spans and spans[-1].get("history", (None, 0))[1] is None:
        yield Expect(path, version(look, path))
    else:
        context = context.model_copy(update={"spans": [*spans, {"history": [length, None]}]})
        yield PutDoc(path, codec.dump_document(context), expect=version(look, path))
        yield traced(look, agent, context, None)


def _heard(view: LogView, log: str) -> list[Message]:
    """What was said since the last answer, as far as it was read."""
    heard: list[Message] = []
    for index, data in sorted(view.entries.items())[-HEARD:]:
        said = entry(records.Message, log, index, data)
        heard = [] if said.message["role"] == "assistant" else [*heard, said.message]
    return heard


def _counted(
    added: Sequence[Message], heard: Sequence[Message], counted: Counts, at: float
) -> tuple[list[records.Message], dict[records.UsageKey, Totals]]:
    """The entries with what was counted with them, and what that adds up to."""
    entries: list[records.Message] = []
    totals: dict[records.UsageKey, Totals] = {}
    since = list(heard)
    for message in added:
        kept = None
        if message["role"] == "assistant":
            found = counted(message, since, at=at)
            key = usage.key_of(found)
            totals[key] = totals.get(key, Totals()) + usage.totals_of(found)
            kept, since = usage.kept(found, message, at), []
        else:
            since.append(message)
        entries.append(records.Message(message=message, at=at, usage=kept))
    return entries, totals


def _adds(totals: Mapping[records.UsageKey, Totals]) -> Iterator[Change]:
    """What the calls add to counters, and the documents that tell of these."""
    yield from sum(totals.values(), Totals()).adds()
    for key, total in totals.items():
        yield usage.known(key)
        yield from total.adds(usage.path_of(key))
