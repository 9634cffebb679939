"""Callers by API key. What is kept of a key is its hash: who reads the file can't use it.

A key is 256 random bits, so a plain SHA-256 of it can't be turned around, and comparing hashes tells nothing of a key.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request

from .. import ids
from .callers import Caller, Refused, bearer

HEADER: Final = "x-api-key"
PREFIX: Final = "sss_"
"""Begins every key, so that scanners for leaked secrets can tell one."""
_HASH: Final = re.compile("[0-9a-f]{64}")


class ApiKeyAuth:
    """``X-API-Key: <key>``, or ``Authorization: Bearer <key>``."""

    schemes: Final = {"api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}

    def __init__(self, callers: Mapping[str, Caller]) -> None:
        """
        Args:
            callers: By the hash of their keys, as `hashed` gives it.

        Raises:
            ValueError: Something is no such hash, or no `Caller`.
        """
        for digest, caller in callers.items():
            _check(digest, caller)
        self._callers = dict(callers)

    @classmethod
    def read(cls, file: str | os.PathLike[str]) -> ApiKeyAuth:
        """From a file: ``{"keys": [{"hash": "...", "user_id": "ada", "admin": false}]}``.

        Raises:
            ValueError: It is not like that; names the place.
            OSError: It can't be read.
        """
        path = Path(file)
        try:
            found = json.loads(path.read_bytes())["keys"]
            entries = [_entry(i, one) for i, one in enumerate(found)]
            if len(callers := dict(entries)) < len(entries):
                raise ValueError("two of its keys have the same hash")
            return cls(callers)
        except (KeyError, TypeError, ValueError) as error:
            told = f'it has to be {{"keys": [{{"hash": ..., "user_id": ...}}]}}: {error!s:.200}'
            raise ValueError(f"{str(path)!r} is no file of API keys; {told}") from error

    @staticmethod
    def create() -> tuple[str, str]:
        """A new key, which is for its user alone, and its hash, which is to be kept."""
        key = f"{PREFIX}{secrets.token_urlsafe(32)}"
        return key, ApiKeyAuth.hashed(key)

    @staticmethod
    def hashed(key: str) -> str:
        """The SHA-256 of a key, as hexadecimal digits."""
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

    def __call__(self, request: Request) -> Caller:
        key = request.headers.get(HEADER) or bearer(request)
        caller = self._callers.get(self.hashed(key))
        if caller is None:
            raise Refused("the API key is not known")
        return caller


def _check(digest: object, caller: object) -> None:
    if not isinstance(digest, str) or _HASH.fullmatch(digest) is None:
        raise ValueError("callers are by the hashes of their keys (ApiKeyAuth.hashed), not by the keys")
    if not isinstance(caller, Caller):
        raise ValueError(f"each hash must have a rest.Caller, got {type(caller).__name__}")


def _entry(at: int, one: Any) -> tuple[str, Caller]:
    if not isinstance(one, dict) or set(one) - {"hash", "user_id", "admin", "note"}:
        raise ValueError(f"keys[{at}] must be an object of hash, user_id, admin and note")
    admin = one.get("admin", False)
    if not isinstance(admin, bool):
        raise ValueError(f"keys[{at}].admin must be true or false, got {admin!r}")
    return one["hash"], Caller(ids.check(f"keys[{at}].user_id", one["user_id"]), admin)
