"""A proxy that cuts a connection where it hurts: in the middle of a request, or of its answer, or between the two."""

from __future__ import annotations

import contextlib
import socket
import threading


class CuttingProxy:
    """Forwards to ``target``. While `cut` is set, the next occasion ends its connection.

    Attributes:
        target: The port to which connections lead that are made from now on.
        mark: An answer with this in it is an occasion, and is swallowed.
        upward: Another is a request that is past so many bytes of its connection.
        downward: Another is an answer that is.
        spare: How many occasions it lets pass first.
        always: Whether `cut` stays set.
        port: Where it listens.
        cuts: How many connections it ended.
    """

    def __init__(self, target: int, mark: bytes | None = b"done\0") -> None:
        self.target, self.mark = target, mark
        self.upward: int | None = None
        self.downward: int | None = None
        self.cut = threading.Event()
        self.spare = 0
        self.always = False
        self.cuts = 0
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self._sockets += client, server
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._down, args=(client, server), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self._cuts(self.upward is not None and passed + len(data) > self.upward):
                    break
                passed += len(data)
                server.sendall(data)
        self._end(client, server)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                far = self.downward is not None and passed + len(data) > self.downward
                if self._cuts(far or (self.mark is not None and self.mark in data)):
                    break
                passed += len(data)
                client.sendall(data)
        self._end(client, server)

    def _cuts(self, occasion: bool) -> bool:
        if not occasion or not self.cut.is_set():
            return False
        if self.spare:
            self.spare -= 1
            return False
        if not self.always:
            self.cut.clear()
        self.cuts += 1
        return True

    def _end(self, *sockets: socket.socket) -> None:
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end(*self._sockets)
