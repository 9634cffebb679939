"""A Cluster: each request goes to the node that has its slot, all nodes at once; redirections are followed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis import exceptions

from ..locks import ForkSafeLock
from .links import HOPS, Wire, unknown_script
from .scripts import Ask
from .translate import Cut, code_of

_UNREACHABLE: Final = (exceptions.RedisError, exceptions.RedisClusterException, OSError)


def _reason(error: Exception) -> Exception:
    """Why no node told the table of slots: redis-py says of every reason that the Cluster can not be connected."""
    cause = error.__cause__
    return cause if isinstance(cause, exceptions.RedisError | OSError) else exceptions.ConnectionError(str(error))


@dataclass(frozen=True)
class _Way:
    """To which node, and whether as an exception (a slot that is being moved)."""

    host: str
    port: int
    asking: bool = False


class Cluster:
    """The nodes behind a `redis.RedisCluster`, which is made on first use: making one asks the servers."""

    parallel = True

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._client: Any = None
        self._lock = ForkSafeLock()
        self._wires: dict[tuple[str, int], Wire] = {}
        self._stale = False
        """The table of slots was found wrong."""

    def ask(self, asks: Sequence[Ask], until: float) -> list[Any]:
        client = self._ready()
        answers: list[Any] = [None] * len(asks)
        ways: dict[int, _Way] = {}
        for at, ask in enumerate(asks):
            if ask.script is None:  # e.g. WAIT: it is about what was sent just before it, over the same connection
                ways[at] = ways[at - 1]
            else:
                ways[at] = self._way(client, ask)
        for _ in range(HOPS):
            self._trip(client, asks, ways, answers, until)
            ways = {at: way for at in ways if (way := self._next(ways[at], answers[at])) is not None}
            if not ways:
                break
        return answers

    def _trip(self, client: Any, asks: Sequence[Ask], ways: dict[int, _Way], answers: list[Any], until: float) -> None:
        """Send to every node, then read from every node. What got an answer keeps it, also when another was cut off."""
        parts: dict[_Way, list[int]] = {}
        for at, way in ways.items():
            parts.setdefault(way, []).append(at)
        lent: list[tuple[_Way, Wire, Any, list[int]]] = []
        cut: Cut | None = None
        done: set[_Way] = set()
        try:
            for way, some in parts.items():
                wire = self._wire(client, way)
                lent.append((way, wire, wire.lend(), some))
            sent = []
            for way, wire, connection, some in lent:
                try:
                    wire.send(connection, [asks[at] for at in some], asking=way.asking)
                    sent.append((way, wire, connection, some))
                except Cut as error:
                    cut = error
            for way, wire, connection, some in sent:
                try:
                    found = wire.receive(connection, [asks[at] for at in some], until, asking=way.asking)
                except Cut as error:
                    cut = Cut(error.cause, sent=error.sent or (cut is not None and cut.sent))
                    continue
                done.add(way)
                for at, answer in zip(some, found):
                    answers[at] = answer
        except Cut as error:
            cut = error
        finally:
            for way, wire, connection, _ in lent:
                wire.give_back(connection, broken=way not in done)
        if cut is not None:
            # the node may be gone: whoever asks next looks where its slots are now
            self._stale = True
            raise cut

    def _next(self, way: _Way, answer: Any) -> _Way | None:
        """Where to ask again, or None if this is the answer."""
        if unknown_script(answer):
            return way
        if isinstance(answer, exceptions.AskError):
            # a MovedError is an AskError to redis-py
            if isinstance(answer, exceptions.MovedError):
                self._stale = True
            return _Way(answer.host or way.host, int(answer.port), not isinstance(answer, exceptions.MovedError))
        if isinstance(answer, Exception) and code_of(answer) in ("READONLY", "CLUSTERDOWN"):
            self._stale = True
        return None

    def _way(self, client: Any, ask: Ask) -> _Way:
        try:
            node = client.get_node_from_key(ask.keys[0])
        except exceptions.RedisError as error:
            self._stale = True
            raise Cut(error, sent=False) from error
        return _Way(node.host, int(node.port))

    def _wire(self, client: Any, way: _Way) -> Wire:
        with self._lock:
            wire = self._wires.get((way.host, way.port))
            if wire is None:
                wire = self._wires[way.host, way.port] = Wire(lambda: self._pool(client, way))
        return wire

    def _pool(self, client: Any, way: _Way) -> Any:
        node = client.get_node(host=way.host, port=way.port)
        if node is None:
            self._refresh(client)
            node = client.get_node(host=way.host, port=way.port)
        if node is None:
            raise exceptions.ConnectionError(f"{way.host}:{way.port} is no node of the Cluster")
        return client.get_redis_connection(node).connection_pool

    def _ready(self) -> Any:
        with self._lock:
            try:
                if self._client is None:
                    self._client = self._make()
            except _UNREACHABLE as error:
                raise Cut(_reason(error), sent=False) from error
            client, stale = self._client, self._stale
        if stale:
            self._refresh(client)
        return client

    def _refresh(self, client: Any) -> None:
        """Ask the nodes for the table of slots.

        Raises:
            Cut: None of them answers.
        """
        try:
            client.nodes_manager.initialize()
        except _UNREACHABLE as error:
            raise Cut(_reason(error), sent=False) from error
        self._stale = False

    def servers(self) -> Mapping[str, Any]:
        client = self._ready()
        return {node.name: client.get_redis_connection(node) for node in client.get_nodes()}

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
