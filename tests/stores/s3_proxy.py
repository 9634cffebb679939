"""An HTTP proxy before an S3 that sees what is asked, and answers as a test wants it to."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Exchange:
    """One request, before it is answered."""

    method: str
    target: str
    headers: dict[str, str]
    """By lowercase name."""
    body: bytes
    port: int
    _handler: BaseHTTPRequestHandler

    def forward(self) -> Answer:
        """What the server answers to it."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(upstream):
            upstream.request(self.method, self.target, self.body, self.headers)
            got = upstream.getresponse()
            return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())

    def reply(self, answer: Answer, *, only: int | None = None) -> None:
        """Send it on; ``only``: so many bytes of the body, and then no more."""
        handler = self._handler
        handler.send_response_only(answer.status)
        for name, value in {**answer.headers, "content-length": str(len(answer.body))}.items():
            if name not in ("connection", "transfer-encoding"):
                handler.send_header(name, value)
        handler.end_headers()
        if self.method != "HEAD":
            handler.wfile.write(answer.body[:only])
        if only is not None:
            self.drop()

    def drop(self) -> None:
        """End the connection."""
        self._handler.close_connection = True
        with contextlib.suppress(OSError):
            self._handler.connection.shutdown(socket.SHUT_RDWR)


Act = Callable[[Exchange], None]


def refuse(status: int, code: str = "", message: str = "", headers: Mapping[str, str] | None = None) -> Act:
    """Answer with an error of S3's, without asking it; without a code: with nothing."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode() if code else b""
    return lambda exchange: exchange.reply(Answer(status, {"content-type": "application/xml", **(headers or {})}, body))


def lose(exchange: Exchange) -> None:
    """Do it, and don't say so."""
    exchange.forward()
    exchange.drop()


def pass_on(exchange: Exchange) -> None:
    exchange.reply(exchange.forward())


def certificate(path: Path) -> Path:
    """A new key and its own certificate, for 127.0.0.1, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=12))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@dataclass
class S3Proxy:
    """Listens on `port`; every request is in `seen`.

    The next request of a method is answered by the first of `script` for it, which is used up, any other by `rule`.
    """

    target: int
    certificate: Path | None = None
    """A file with a key and its certificate: speak TLS."""
    rule: Act = pass_on
    script: list[tuple[str, Act]] = field(default_factory=list)
    seen: list[Exchange] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        proxy = self
        turns = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                with turns:
                    proxy.connections += 1

            def any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                exchange = Exchange(self.command, self.path, headers, body, proxy.target, self)
                with turns:
                    proxy.seen.append(exchange)
                    at = next((at for at, (method, _) in enumerate(proxy.script) if method == self.command), None)
                    act = proxy.rule if at is None else proxy.script.pop(at)[1]
                with contextlib.suppress(OSError):
                    act(exchange)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = any

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    @property
    def methods(self) -> list[str]:
        return [exchange.method for exchange in self.seen]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
