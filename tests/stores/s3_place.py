"""A bucket behind a proxy, and blobs that go through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from tests.stores.s3_proxy import S3Proxy
from tests.stores.s3_server import S3Server

from strands_session_store.stores.objects.s3 import S3Blobs


@dataclass
class Place:
    bucket: str
    server: S3Server
    proxy: S3Proxy

    def blobs(self, prefix: str = "pre/fix", *, ready: bool = True, **options: Any) -> S3Blobs:
        """With a client that waits for an answer longer than any test needs, whatever ``timeout`` says of retries.

        Args:
            prefix: Of its keys.
            ready: Whether it knows already that conditional writes are honoured.
            **options: Of S3Blobs.
        """
        patient = Config(connect_timeout=30, read_timeout=30)
        # one session for all: it has read boto's description of S3 already
        options = {"timeout": 10.0, "boto_session": self.server.session, "boto_client_config": patient, **options}
        made = S3Blobs(self.bucket, prefix, endpoint_url=self.proxy.url, **options)
        if ready:
            made._conditions._known.set()
        return made

    def raw(self, key: str) -> dict[str, Any]:
        """As S3 has it."""
        answer: dict[str, Any] = self.server.client.get_object(Bucket=self.bucket, Key=key)
        answer["Body"] = answer["Body"].read()
        return answer
