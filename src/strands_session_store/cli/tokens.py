"""Credentials for a server: tokens to try it by, and API keys."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jwt

from .. import ids
from ..errors import StoreError
from ..rest import ApiKeyAuth
from ..rest.jwt_auth import LEAST_SECRET, PUBLIC, SECRET
from .terminal import print_json


def mint(
    user: str,
    *,
    admin: bool,
    expires_in: int,
    secret: str | None,
    key_file: Path | None,
    key_id: str | None,
    algorithm: str | None,
    issuer: str | None,
    audience: str | None,
    as_json: bool,
) -> None:
    """Print a token.

    Raises:
        StoreError: There is nothing to sign it by, or it is not fit for that.
    """
    ids.check("--user", user)
    if (secret is None) == (key_file is None):
        raise StoreError("a token is signed by STRANDS_SESSION_JWT_SECRET or --private-key-file; give one of them")
    known = SECRET if key_file is None else PUBLIC
    algorithm = algorithm or known[0]
    if algorithm not in known:
        raise StoreError(f"--jwt-algorithm must be one of {', '.join(known)} here, got {algorithm!r}")
    if secret is not None and len(secret.encode()) < LEAST_SECRET[algorithm]:
        raise StoreError(
            f"the secret has {len(secret.encode())} bytes; {algorithm} needs {LEAST_SECRET[algorithm]} or more"
        )
    now = int(time.time())
    claims: dict[str, Any] = {"sub": user, "iat": now, "exp": now + expires_in}
    claims |= {"scope": "admin"} if admin else {}
    claims |= {name: value for name, value in {"iss": issuer, "aud": audience}.items() if value is not None}
    try:
        signed_by: Any = secret if key_file is None else key_file.read_bytes()
        made = jwt.encode(claims, signed_by, algorithm, headers=None if key_id is None else {"kid": key_id})
    except AttributeError as error:  # PyJWT does not look
        raise StoreError(f"{str(key_file)!r} is a public key; a token is signed by a private one") from error
    except (OSError, ValueError, TypeError, jwt.PyJWTError) as error:
        raise StoreError(f"the token can not be signed: {error}") from error
    if as_json:
        print_json({"token": made, "user_id": user, "admin": admin, "expires": now + expires_in})
    else:
        print(made)


def add_key(user: str, file: Path, *, admin: bool, said: str | None, as_json: bool) -> None:
    """Make a key, put its hash into the file, and print it.

    Raises:
        StoreError: The file is none of keys, or can't be written.
    """
    ids.check("--user", user)
    try:
        told = json.loads(file.read_bytes()) if file.exists() else {"keys": []}
        if file.exists():
            ApiKeyAuth.read(file)
        made, digest = ApiKeyAuth.create()
        entry = {"hash": digest, "user_id": user, "admin": admin} | ({} if said is None else {"note": said})
        told["keys"].append(entry)
        _replace(file, json.dumps(told, indent=2) + "\n")
    except (ValueError, OSError) as error:
        raise StoreError(str(error)) from error
    if as_json:
        print_json({"key": made, "hash": digest, "user_id": user, "admin": admin})
    else:
        print(made)
        print("It is shown this once; a server that runs knows it once it is started again.", file=sys.stderr)


def _replace(file: Path, text: str) -> None:
    """All of it or nothing; for its owner alone."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
