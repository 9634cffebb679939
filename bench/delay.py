"""A process that holds every answer of a server back: `python -m bench.delay <port of the server> <milliseconds>`.

It prints the port it listens on, and ends with its standard input. Beside the one that is measured, so that its work
is nobody's CPU time; what it adds by itself both sides of a comparison pay.
"""

from __future__ import annotations

import socket
import sys
import threading
import time


def _forward(source: socket.socket, target: socket.socket, seconds: float) -> None:
    while data := source.recv(1 << 20):
        if seconds:
            time.sleep(seconds)
        target.sendall(data)
    target.close()


def main(server: int, seconds: float) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), _end()), daemon=True).start()
    while True:
        client, _ = listener.accept()
        upstream = socket.create_connection(("127.0.0.1", server))
        for end in (client, upstream):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, target, held in ((client, upstream, 0.0), (upstream, client, seconds)):
            threading.Thread(target=_forward, args=(source, target, held), daemon=True).start()


def _end() -> None:
    import os

    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]) / 1000)
