"""Messages are put behind those of an agent, from outside of a live one.

Law: one commit, which expects history and context as they were seen. So what is appended is in both, once, and an agent
that is built on the session goes on behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from .. import codec, layout, records
from ..errors import AlreadyExistsError, InterruptPendingError
from ..messages import Message
from ..stores.base import ABSENT, Add, Append, Change, Doc, Expect, Log, LogView, Look, PutDoc
from .access import Access, load
from .reading import entry
from .shapes import Said
from .writing import guards, version, wants

REPEATS: Final = 100
"""Among so many entries at the end of a history an id that was given is looked for."""


def append(
    access: Access[records.Session], agent_id: str, added: Sequence[Message], given: Collection[str]
) -> tuple[Said, ...]:
    """See `Messages.append`.

    Args:
        access: Of the session.
        agent_id: Whose history.
        added: As they are to be stored.
        given: The tracking ids that were the caller's own.
    """
    log = layout.history(agent_id)
    entries = [records.Message(message=message, at=records.now()) for message in added]
    data = [codec.dump(said) for said in entries]
    first = 0

    def decide(look: Look) -> list[Change]:
        nonlocal first
        view = look.logs[log]
        first = view.length
        _check_new(agent_id, view, given)
        return [
            *guards(look, access.space.id, agent_id),
            *_joining(look, agent_id, first),
            Append(log, data, at=first),
            *_counted(added),
        ]

    documents = Doc(layout.agent(agent_id)), Doc(layout.context(agent_id))
    access.change(decide, *wants(agent_id), *documents, Log(log, last=REPEATS if given else 0))
    return tuple(Said(first + i, said) for i, said in enumerate(entries))


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
    if own not in look.docs:
        yield PutDoc(own, codec.dump_document(records.Agent(agent_id=agent_id)), expect=ABSENT)
    else:
        if load(look, own, records.Agent).interrupts is not None:
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


def _counted(added: Sequence[Message]) -> list[Change]:
    """What appended messages add to the session's counters."""
    return [Add("messages", len(added))]
