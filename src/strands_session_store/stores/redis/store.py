"""One round trip a verb: the decisions are the scripts' (commit.lua, read.lua), the order of the trips is here."""

from __future__ import annotations

import builtins
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import redis

from ...errors import InDoubt, StoreError, Unavailable
from ..base import (
    ANY,
    KEEP,
    Capability,
    Change,
    Committed,
    Dropped,
    Expected,
    Look,
    Page,
    Query,
    Row,
    Space,
    Store,
    Summary,
    Trim,
    Ttl,
    Want,
)
from ..checks import check_commit, check_query
from ..counting import Counting
from ..diagnosing import Diagnosing, Finding
from ..paging import read_cursor, write_cursor
from .acknowledged import Acknowledged
from .commits import Answer, Encoded, Moving, Unclaimed, corrupt, expected_word, regressed, short
from .connect import link_over, link_to
from .counting import STEP, count
from .diagnosis import diagnose
from .index import Found, ask_page, found_in, group_below, groups_of
from .links import Link
from .patience import ask
from .reads import HEAD_WORDS, Named, Part, join, part_of, row_words, words_of
from .scripts import COMMIT, DROP, INDEX, READ, SWEEP, Ask
from .spelling import check_prefix, space_key, spell, unspell

_PRUNED: Final = 50
"""Rows of absent spaces that a listing takes away at most."""


class RedisStore(Store, Counting, Diagnosing):
    """Spaces in Redis >= 6.2 or Valkey, which any number of processes may share.

    Round trips: a commit 1, a read 1 (one for each 3 MiB, and one more for an
    item that is larger), a drop 2, a page of a listing 2. A commit that may create a
    space claims its rows in the index before: on one server in the same trip (a pipeline is done in order); in a
    Cluster in one before it, as the rows are in other slots and must be there first. Once a minute, and with a summary
    that is another, a commit touches its rows, which is one trip more. One that puts a space below another parent takes
    one more than that, or two in a Cluster: it is told to make the row there first.

    Args:
        client: A ready `redis.Redis` (also one that Sentinel manages) or `redis.RedisCluster`, whatever its
            decode_responses. Its connections are used, its retries are not. A process that forks while other threads
            use it gives its children a store by URL: a child would wait for a lock of the client's.
        prefix: Of all keys. Stores of different prefixes share nothing.
        timeout: Seconds a verb may take, with all its retries.
        close_client: Whether `close` closes the client too.
        wait_replicas: A commit returns when so many replicas have it (WAIT); InDoubt if they have not in time.
        wait_timeout: Seconds to wait for them.

    Raises:
        Regressed: (any verb of a space) The server holds an older state than it had acknowledged to this store. It is
            raised once; from then on what the server has counts. A space that is gone altogether reads as absent.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.PERSISTENT, Capability.SHARED})
    workers: ClassVar[int] = 4
    """More of them only take the interpreter from an event loop: with 8 it stood still twice as long."""

    def __init__(
        self,
        client: redis.Redis | redis.RedisCluster,
        *,
        prefix: str = "strands",
        timeout: float = 10.0,
        close_client: bool = False,
        wait_replicas: int = 0,
        wait_timeout: float = 1.0,
    ) -> None:
        link = link_over(client)
        self._begin(link, lambda: link, prefix, timeout, close_client, wait_replicas, wait_timeout)

    @classmethod
    def from_url(cls, url: str, *, timeout: float = 10.0, **options: Any) -> RedisStore:
        """A store on what is at ``url`` (see `connect`), with a client of its own. Options are those of the class; what
        the URL says counts more.

        Raises:
            InvalidUrlError
        """
        link, told = link_to(url, timeout)
        store = cls.__new__(cls)
        settings = {"prefix": "strands", "wait_replicas": 0, "wait_timeout": 1.0, **options, **told}
        store._begin(link, lambda: link_to(url, timeout)[0], timeout=timeout, owned=True, **settings)
        return store

    def _begin(
        self,
        link: Link,
        make: Callable[[], Link],
        prefix: str,
        timeout: float,
        owned: bool,
        wait_replicas: int,
        wait_timeout: float,
    ) -> None:
        if not 0 < timeout < float("inf"):
            raise ValueError(f"timeout must be a number of seconds above 0, got {timeout!r}")
        if wait_replicas < 0 or (wait_replicas and not 0 < wait_timeout < timeout):
            raise ValueError("wait_replicas must not be negative, and wait_timeout above 0 and below timeout")
        self._prefix = check_prefix(prefix)
        self._link: Link | None = link
        self._make, self._pid = make, os.getpid()
        self._timeout = timeout
        self._owned = owned
        self._wait = wait_replicas, max(1, int(wait_timeout * 1000))
        self._known = Acknowledged()
        self._closing = threading.Lock()

    def __repr__(self) -> str:
        # no URL: it may hold a password
        return f"RedisStore(prefix={self._prefix.decode()!r})"

    # ----------------------------------------------------------------------------------------------------- the verbs

    def read(self, space: Space, *wants: Want) -> Look:
        key = space_key(self._prefix, space)
        owed = self._known.get(key)
        part = self._part(space, key, wants, None)
        while part.paused:
            wants = part.look.more
            then = self._part(space, key, wants, part)
            if (then.look.incarnation, then.look.revision) != (part.look.incarnation, part.look.revision):
                break  # changed meanwhile: what came is of one state, and `more` says what did not
            part = join(part, then)
        look = part.look
        if look.incarnation is None:
            self._known.forget(key)
        elif owed is not None and owed[0] == look.incarnation and look.revision < owed[1]:
            self._known.forget(key)
            raise regressed(space, look.revision)
        else:
            self._known.note(key, look.incarnation, look.revision)
        return look

    def _part(self, space: Space, key: bytes, wants: Sequence[Want], so_far: Part | None) -> Part:
        """One call of the script; and of a field that it names, as soon as nothing is committed meanwhile."""
        look = Ask(READ, (key,), words_of(wants, so_far))
        (reply,) = self._ask([look])
        until = time.monotonic() + self._timeout
        fetched: dict[bytes, bytes] = {}
        while True:
            try:
                return part_of(space, wants, reply, fetched)
            except Named as named:
                if time.monotonic() > until:
                    raise Unavailable(f"{space.kind} {space.id!r} changes faster than it can be read") from None
                fetch = Ask(None, (), ("HGET", key, named.field))
                reply, data, then = self._ask([look, fetch, Ask(READ, (key,), HEAD_WORDS)])
                fetched = {named.field: data} if reply and then and reply[:2] == then[:2] else {}

    def commit(
        self,
        space: Space,
        *changes: Change,
        commit_id: str,
        on: Expected = ANY,
        ttl: Ttl = KEEP,
        summary: Summary | None = None,
    ) -> Committed:
        check_commit(changes, commit_id, ttl, summary)
        key = space_key(self._prefix, space)
        owed = self._known.get(key)
        encoded = Encoded(changes, on)

        parent = summary.parent if summary else None

        def attempt(claim: bool, row_of: bytes) -> Answer:
            firmly = self._wait[0] > 0
            words = encoded.words(commit_id, ttl, summary, claimed=claim, row_of=row_of, floor=owed, firmly=firmly)
            asks = [Ask(COMMIT, (key,), words)]
            if self._wait[0]:
                asks.append(Ask(None, (), ("WAIT", *self._wait)))
            groups = groups_of(self._prefix, space, None) if claim else []
            claims = [group.ask(b"claim") for group in groups]
            if parent is not None and (claim or row_of):
                groups.append(group_below(self._prefix, space, parent))
                claims.append(groups[-1].ask(b"claim", *([row_of] if row_of else ())))
            if claims and self._link_or_closed().parallel:
                there = self._ask(claims)
                replies = self._ask(asks, repeatable=False)
            else:
                replies = self._ask(claims + asks, repeatable=False)
                there, replies = replies[: len(claims)], replies[len(claims) :]
            try:
                answer = encoded.answer(space, replies[0])
            except (Unclaimed, Moving):
                raise
            except StoreError:
                # whoever was contradicted may have a wrong idea of the space; the next answer sets it right
                self._known.forget(key)
                raise
            if self._wait[0] and replies[1] < self._wait[0]:
                raise InDoubt(
                    f"the commit was applied, but {replies[1]} of {self._wait[0]} replicas have it after "
                    f"{self._wait[1] / 1000:g} s; repeat it to wait again"
                )
            if answer.created:
                # rows of an earlier life that expired, or of a creation that failed: they are of this one now
                stale = [group.ask(b"renew") for group, old in zip(groups, there) if old]
                if stale:
                    self._ask(stale)
            elif answer.touched:
                rows = groups_of(self._prefix, space, answer.parent)
                after = [group.ask(b"touch", answer.touched) for group in rows]
                if answer.taken_from is not None:
                    # unless it has been claimed since, by who moves it back
                    before = group_below(self._prefix, space, answer.taken_from)
                    after.append(before.ask(b"remove", answer.touched.replace(b".", b"")))
                self._ask(after)
            return answer

        # an incarnation creates nothing; and a space that was there a moment ago most likely is
        claim = not isinstance(on, str) and (owed is None or on is not ANY)
        answer, row_of = None, b""
        while answer is None:
            try:
                answer = attempt(claim, row_of)
            except Unclaimed:
                claim = True
            except Moving as moving:
                # once, unless it is dropped and made again meanwhile
                row_of = moving.created
        made = answer.committed
        self._known.note(key, made.incarnation, made.revision, short(commit_id).hex())
        if answer.undeleted:
            self._sweep(key, [change.log for change in changes if isinstance(change, Trim)])
        return made

    def list(self, query: Query) -> Page:
        check_query(query)
        behind = read_cursor(query)
        rows: builtins.list[Row] = []
        last: Found | None = None
        absent: builtins.list[Found] = []
        words = row_words(query.counters)
        while True:
            asked = query.limit + 1 - len(rows)
            (reply,) = self._ask([ask_page(self._prefix, query, behind, asked)])
            found = found_in(query, reply)
            told = self._ask([Ask(READ, (space_key(self._prefix, row.space),), words) for row in found])
            for row, look in zip(found, told):
                if look is not None and look[0] == b"corrupt":
                    raise corrupt(row.space, look[1:])
                (raw, summary), values = look[4:] if look is not None else ((None, None), ())
                parent = None if raw is None else unspell(raw)
                if look is None or (query.parent is not None and parent != query.parent):
                    # gone; or there again, under another parent
                    absent.append(row)
                    continue
                if len(rows) == query.limit:
                    assert last is not None
                    return self._page(query, rows, last, absent)
                counters = dict(zip(query.counters, map(int, values)))
                rows.append(Row(row.space, row.created, row.updated, parent, summary, counters))
                last = row
            if len(found) < asked:
                return self._page(query, rows, None, absent)
            behind = found[-1].time(query.order), *found[-1].space.key[1:]

    def count(self, query: Query, *, most: int | None = None) -> tuple[int, bool]:
        check_query(query)
        if query.parent is None:
            return count(self._ask, self._prefix, query, most, apart=self._link_or_closed().parallel)
        counted, query = 0, replace(query, limit=STEP, cursor=None, counters=(), prune=False)
        while True:
            page = self.list(query)
            counted += len(page.rows)
            if page.cursor is None:
                return counted, True
            if most is not None and counted >= most:
                return counted, False
            query = replace(query, cursor=page.cursor)

    def drop(self, space: Space, *, on: Expected = ANY) -> Dropped:
        key = space_key(self._prefix, space)
        (reply,) = self._ask([Ask(DROP, (key,), (expected_word(on),))], repeatable=False)
        self._known.forget(key)
        if reply is None:
            # of what expired the rows may be left
            self._ask([group.ask(b"remove", b"") for group in groups_of(self._prefix, space, None)])
            return Dropped()
        if reply[0] == b"corrupt":
            raise corrupt(space, reply[1:])
        if reply[0] == b"on":
            Encoded((), on).answer(space, reply)
        _, documents, entries, size, claimed, parent, moved = reply
        rows = [group.ask(b"remove", claimed) for group in groups_of(self._prefix, space, None)]
        if parent is not None:
            rows.append(group_below(self._prefix, space, unspell(parent)).ask(b"remove", moved))
        self._ask(rows)
        return Dropped(True, documents, entries, size)

    def diagnose(self) -> Sequence[Finding]:
        return diagnose(self._link_or_closed(), self._wait[0])

    def close(self) -> None:
        with self._closing:
            link, self._link = self._link, None
        if link is not None and self._owned:
            link.close()
        super().close()

    # ---------------------------------------------------------------------------------------------------------------

    def _link_or_closed(self) -> Link:
        link = self._link
        if link is None:
            raise StoreError("this RedisStore was closed; make another")
        if self._pid != os.getpid():
            # forked: redis-py makes connections anew too, but waits for its pool's lock, which a thread of the parent
            # may have held
            link = self._link = self._make()
            self._pid = os.getpid()
        return link

    def _ask(self, asks: Sequence[Ask], *, repeatable: bool = True) -> builtins.list[Any]:
        link = self._link_or_closed()
        return ask(link, asks, self._timeout, repeatable=repeatable) if asks else []

    def _sweep(self, key: bytes, logs: Sequence[str]) -> None:
        for log in logs:
            while self._ask([Ask(SWEEP, (key,), (b"l" + spell(log),))])[0]:
                pass

    def _page(self, query: Query, rows: Sequence[Row], more: Found | None, absent: Sequence[Found]) -> Page:
        if absent and query.prune:
            keys = ask_page(self._prefix, query, None, 1).keys
            # each goes only if it is an hour old: a younger one may be of a creation that is under way
            self._ask([Ask(INDEX, keys, (b"remove", row.name, b"")) for row in absent[:_PRUNED]])
        cursor = write_cursor(query.order, more.time(query.order), *more.space.key[1:]) if more else None
        return Page(rows, cursor)
