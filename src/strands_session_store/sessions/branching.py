"""From one of its messages on: a fork goes on elsewhere, a rewind in the same session."""

from __future__ import annotations

import secrets

from .. import ids, layout, records
from . import checks
from .access import Access
from .checks import UNSET, Unset
from .details import Details
from .ended import wherever
from .forks import fork
from .rewinding import rewind


class Branching(Details):
    """Earlier states of a session, gone on from."""

    def fork(
        self,
        session_id: str,
        user_id: str | None = None,
        *,
        at: str | None = None,
        agent_id: str | None = None,
        new_id: str | None = None,
        parent_id: str | Unset | None = UNSET,
        title: str | Unset | None = UNSET,
        expires_in: float | None = None,
    ) -> records.Session:
        """Make a new session of another one, as it was right after one of its messages; the source stays as it is.

        It has the history up to and with that message, the agent's state, context and interrupts of then, other agents
        up to its time, runs and events too, the metadata and state of the session as they are now, and no usage: the
        source paid. Graphs and Swarms are in a fork of the whole session only. A message in a segment that has ended is
        forked from there: other agents, runs and events stay with the conversation. Reads all that it copies, and takes
        one commit for up to 4 MiB. Interrupted, it can be repeated; what was half made is no session, and vanishes.

        Args:
            session_id: Of the source.
            user_id: The owner of both.
            at: Tracking id of the last message the fork has; None: all that there is.
            agent_id: Whose message that is; None: of the one agent that has it.
            new_id: Of the fork; None: one is drawn.
            parent_id: What it hangs below; not given: the source, so that it is deleted with it by
                ``delete(children="cascade")``. None: nothing.
            title: Not given: that of the source.
            expires_in: Seconds until the fork expires; None: never.

        Returns:
            The fork, with its `origin`.

        Raises:
            MessageNotFoundError: The source has no such message.
            NotTracedError: It was not kept what there was right after it.
            AlreadyExistsError: ``new_id`` is there already.
            IllegalMoveError: ``parent_id`` is not there.
            ValueError: Several agents have the message, or ``agent_id`` was given without ``at``.
            Unavailable: The source was being changed the whole time.
        """
        target = self._session(secrets.token_hex(16) if new_id is None else new_id, user_id).space
        checks.text("title", title)
        ttl = None if expires_in is None else checks.seconds("expires_in", expires_in)
        parent = session_id if parent_id is UNSET else parent_id
        if parent is not None and parent != session_id:
            self._parent(ids.check("parent_id", parent), user_id)

        def named(session: records.Session) -> records.Session:
            given = {} if title is UNSET else {"title": title}
            return session.model_copy(update={"kind": "fork", "parent_id": parent, **given})

        def made(found: Access[records.Session], first: int) -> records.Session:
            return fork(self.store, found.space, target, at, _agent(agent_id), named=named, ttl=ttl)

        access = self._session(session_id, user_id)
        return made(access, 0) if at is None else wherever(access, _agent(agent_id), made)

    def rewind(
        self, session_id: str, at: str, user_id: str | None = None, *, agent_id: str | None = None
    ) -> records.Event:
        """Have an agent go on from one of its messages, in the same session. Nothing is erased: what was said since
        stays in the history, and can be gone on from as well. Live agents are reloaded. Reads the way back, and takes
        one commit.

        Args:
            session_id: Which session.
            at: Tracking id of the message that is to be the last one of the context.
            user_id: The owner.
            agent_id: Whose message; None: of the one agent that has it. Other agents stay as they are.

        Returns:
            The event that tells of it, as it is stored.

        Raises:
            MessageNotFoundError: There is no such message.
            NotTracedError: It was not kept what there was right after it.
            SessionBusyError: A living process has the session's lease.
            ValueError: Several agents have the message.
            ConflictError: The agent was being written the whole time.
        """
        space = layout.session_space(ids.check("session_id", session_id), checks.owner(user_id))
        return rewind(self.store, space, at, _agent(agent_id))


def _agent(agent_id: str | None) -> str | None:
    return None if agent_id is None else ids.check("agent_id", agent_id)
