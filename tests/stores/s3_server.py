"""An S3 for the tests: moto's, in a process of its own, on a free port of the loopback interface.

Requests are served one at a time: moto checks the condition of a put and stores the object in several steps, between
which no other request may come. A page of a listing holds 50 keys, not 1,000, so that tests come to a second one.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PAGE = 50
_buckets, _places = itertools.count(), itertools.count()

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}
"""What boto3 finds; nothing of the machine it runs on."""


class S3Server:
    """The process; started when it is made."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            stdout=subprocess.PIPE,
            env={**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": f"{PAGE}"},
            text=True,
        )
        atexit.register(self.stop)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "moto's server did not start"
        self.port = int(line)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bucket(self) -> str:
        """The name of a new one."""
        name = f"bucket-{next(_buckets)}"
        self.client.create_bucket(Bucket=name)
        return name

    def place(self) -> str:
        """The URL of data that no other test uses."""
        return f"s3://{self.shared}/test{next(_places)}?endpoint_url={self.url}"

    @functools.cached_property
    def shared(self) -> str:
        return self.bucket()

    @functools.cached_property
    def session(self) -> Any:
        import boto3

        return boto3.Session(
            aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
            region_name=ENVIRONMENT["AWS_DEFAULT_REGION"],
        )

    @functools.cached_property
    def client(self) -> Any:
        """One that leads straight to it."""
        return self.session.client("s3", endpoint_url=self.url)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def main() -> None:
    from moto.moto_server.werkzeug_app import create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    inner = create_backend_app("s3")
    turns = threading.Lock()

    def one_at_a_time(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        with turns:
            return list(inner(environ, start_response))

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay open, as those of S3 do

        def log(self, *args: Any) -> None:
            pass

    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True, request_handler=Quiet)
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
