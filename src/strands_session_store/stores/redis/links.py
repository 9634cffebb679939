"""One round trip: what is asked goes out at once, then the answers are read. Retries are decided elsewhere.

The client lends its connections (its pools, credentials, TLS, Sentinel, slots); requests go over them directly. So
nothing of the client's own retries, decoding or response callbacks has a say, and it is known whether a request may
have reached the server before the connection broke: that is the difference between Unavailable and InDoubt.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

import redis
from redis import exceptions

from .scripts import Ask, Word
from .translate import Cut, code_of

HOPS: Final = 5
"""Redirections followed within one round of asking; more mean that the Cluster is being rebuilt."""
_LARGE: Final = 2**16
"""Bytes."""


class Link(Protocol):
    """How a store reaches its server or servers."""

    parallel: bool
    """False: what is asked together is also done in that order."""

    def ask(self, asks: Sequence[Ask], until: float) -> list[Any]:
        """The answers, each the server's value (bytes, never text) or its error.

        Args:
            asks: What is sent together.
            until: `time.monotonic` after which no answer is waited for, if the client has no time-out of its own.

        Raises:
            Cut: No answer to some of it.
        """
        ...

    def servers(self) -> Mapping[str, Any]:
        """A client of redis-py for each server, by a name for people: to ask about the server, not for data.

        Raises:
            Cut: They can not be found.
        """
        ...

    def close(self) -> None: ...


class Wire:
    """The connections to one server."""

    def __init__(self, pool: Callable[[], Any]) -> None:
        self._pool = pool
        self._known: set[str] = set()

    def lend(self) -> Any:
        """A connection that is open.

        Raises:
            Cut: Nothing was sent.
        """
        try:
            pool = self._pool()
            connection: Any = pool.get_connection("_") if _wants_name(pool.__class__) else pool.get_connection()
        except (exceptions.RedisError, OSError) as error:
            raise Cut(error, sent=False) from error
        try:
            # here, and not as part of sending, so that it is known to come before
            connection.check_health()
        except (exceptions.RedisError, OSError) as error:
            self.give_back(connection, broken=True)
            raise Cut(error, sent=False) from error
        return connection

    def send(self, connection: Any, asks: Iterable[Ask], *, asking: bool = False) -> None:
        """Raises: Cut"""
        chunks: list[bytes] = []
        known = set(self._known)
        for ask in asks:
            if asking:
                chunks += pack(("ASKING",))
            sha = ask.script.sha if ask.script else ""
            chunks += pack(ask.words(sha in known))
            known.add(sha)
        try:
            connection.send_packed_command(chunks if len(chunks) == 1 else join(chunks), check_health=False)
        except (exceptions.RedisError, OSError) as error:
            raise Cut(error, sent=True) from error

    def receive(self, connection: Any, asks: Sequence[Ask], until: float, *, asking: bool = False) -> list[Any]:
        """Raises: Cut"""
        return [self._receive(connection, ask, until, asking) for ask in asks]

    def _receive(self, connection: Any, ask: Ask, until: float, asking: bool) -> Any:
        try:
            if asking:
                connection.read_response(disable_decoding=True)
            if connection.socket_timeout is None and not connection.can_read(
                timeout=max(0.0, until - time.monotonic())
            ):
                raise exceptions.TimeoutError("no answer within the store's timeout")
            answer = connection.read_response(disable_decoding=True)
        except (exceptions.BusyLoadingError, exceptions.AuthenticationError) as error:
            # connection errors to the client; but the server answered, and did nothing
            raise Cut(error, sent=False) from error
        except exceptions.ResponseError as error:
            if code_of(error) == "NOSCRIPT" and ask.script is not None:
                self._known.discard(ask.script.sha)
            return error
        except (exceptions.RedisError, OSError) as error:
            raise Cut(error, sent=True) from error
        if ask.script is not None:
            self._known.add(ask.script.sha)
        return answer

    def give_back(self, connection: Any, *, broken: bool) -> None:
        if broken:
            connection.disconnect()
        self._pool().release(connection)


@lru_cache
def _wants_name(pool: Any) -> bool:
    """redis-py < 5.3 wants the name of a command, which it does not use; later ones warn when it is given."""
    found = inspect.signature(getattr(pool, "get_connection")).parameters.get("command_name")  # noqa: B009
    return found is not None and found.default is inspect.Parameter.empty


def pack(words: Sequence[Word]) -> list[bytes]:
    """A command as it goes over the wire. Large words are chunks of their own, so that they are not copied."""
    chunks: list[bytes] = []
    small = [b"*%d\r\n" % len(words)]
    for word in words:
        raw = word if isinstance(word, bytes) else b"%d" % word if isinstance(word, int) else word.encode("ascii")
        small.append(b"$%d\r\n" % len(raw))
        if len(raw) > _LARGE:
            chunks += b"".join(small), raw
            small = [b"\r\n"]
        else:
            small += raw, b"\r\n"
    chunks.append(b"".join(small))
    return chunks


def join(chunks: Iterable[bytes]) -> list[bytes]:
    """The same in as few chunks as may be: each is a call of the operating system, and often a packet."""
    joined: list[bytes] = []
    small: list[bytes] = []
    for chunk in chunks:
        if len(chunk) > _LARGE:
            joined += b"".join(small), chunk
            small = []
        else:
            small.append(chunk)
    return [chunk for chunk in (*joined, b"".join(small)) if chunk]


class Single:
    """A server, or what a Sentinel says is the primary."""

    parallel = False

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._wire = Wire(lambda: self._client.connection_pool)

    def ask(self, asks: Sequence[Ask], until: float) -> list[Any]:
        answers = self._trip(asks, until)
        # scripts are sent by their name once the server has seen them; it may forget (SCRIPT FLUSH, a restart)
        again = [at for at, answer in enumerate(answers) if unknown_script(answer)]
        if again:
            for at, answer in zip(again, self._trip([asks[at] for at in again], until)):
                answers[at] = answer
        return answers

    def _trip(self, asks: Sequence[Ask], until: float) -> list[Any]:
        connection = self._wire.lend()
        broken = True
        try:
            self._wire.send(connection, asks)
            answers = self._wire.receive(connection, asks, until)
            # a primary that became a replica: the next connection may lead to the new primary
            broken = any(isinstance(answer, Exception) and code_of(answer) == "READONLY" for answer in answers)
            return answers
        finally:
            self._wire.give_back(connection, broken=broken)

    def servers(self) -> Mapping[str, Any]:
        return {"": self._client}

    def close(self) -> None:
        self._client.close()


def unknown_script(answer: Any) -> bool:
    return isinstance(answer, Exception) and code_of(answer) == "NOSCRIPT"
