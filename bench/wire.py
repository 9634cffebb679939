"""What goes over the wire: a proxy before a server that counts round trips and bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class Wire:
    """Listens on `port`, until the process ends.

    A round trip begins where a client sends something after an answer, or the first thing on a connection; HTTP's
    "may I go on" is a part of the request.
    """

    def __init__(self, server: int) -> None:
        self._server = server
        self._lock = threading.Lock()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        self.reset()
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def reset(self) -> None:
        with self._lock:
            self.trips = self.up = self.down = 0

    def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", self._server))
            asking = False

            def up(data: bytes) -> None:
                nonlocal asking
                with self._lock:
                    self.up += len(data)
                    self.trips += not asking
                asking = True

            def down(data: bytes) -> None:
                nonlocal asking
                with self._lock:
                    self.down += len(data)
                asking = data.startswith(b"HTTP/1.1 100 ")

            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for count, source, target in ((up, client, server), (down, server, client)):
                threading.Thread(target=_forward, args=(count, source, target), daemon=True).start()


def _forward(count: Callable[[bytes], None], source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            count(data)
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
