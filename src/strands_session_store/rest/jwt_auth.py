"""Callers by JSON Web Token, verified with keys that are here: no request leaves for one.

Rule 1. Which algorithms are taken is said by who configures it, never by the token. ``none`` is refused, and so is a
        secret beside public keys: one would verify what the other signed.
Rule 2. A token has an expiry and a subject. Issuer and audience are looked at where they are configured; a token for
        some audience is refused where none is.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import jwt
from starlette.requests import Request

from .callers import ADMIN, Caller, Refused, bearer

SECRET: Final = ("HS256", "HS384", "HS512")
PUBLIC: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEAST_SECRET: Final = 32
"""Bytes of a secret: as long as the hash, RFC 7518, 3.2."""


class JwtAuth:
    """``Authorization: Bearer <JWT>``."""

    schemes: Final = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}

    def __init__(
        self,
        key: str | bytes | None = None,
        *,
        jwks_file: str | os.PathLike[str] | None = None,
        algorithms: Sequence[str] = ("RS256", "ES256"),
        issuer: str | None = None,
        audience: str | None = None,
        leeway: float = 30.0,
        user_claim: str = "sub",
        admin_scope: str = ADMIN,
    ) -> None:
        """
        Args:
            key: A secret (HS256 and so on), or a public key as PEM.
            jwks_file: Instead of it a file with a JSON Web Key Set. It is read again when it has changed, so keys can
                be rotated; a token's ``kid`` says which one it is.
            algorithms: Those that are taken: of a secret, or of public keys, not both.
            issuer: What ``iss`` has to be; None: it is not looked at.
            audience: What ``aud`` has to be, or to hold.
            leeway: Seconds that clocks may differ by.
            user_claim: The claim that is the user's id.
            admin_scope: A word of ``scope`` (or ``scp``, ``scopes``) that makes an administrator.

        Raises:
            ValueError: The arguments do not fit together, or the file holds no keys.
            OSError: The file can't be read.
        """
        known = (*SECRET, *PUBLIC)
        if not algorithms or any(one not in known for one in algorithms):  # nor is one name a list of letters
            raise ValueError(f"algorithms must be some of {', '.join(known)}; got {algorithms!r}")
        secret = {one in SECRET for one in algorithms}
        if len(secret) > 1:
            raise ValueError("algorithms must be those of a secret (HS...) or those of public keys, not both")
        if (key is None) == (jwks_file is None):
            raise ValueError("give a key or a jwks_file, one of them")
        if not 0 <= leeway <= 600:
            raise ValueError(f"leeway must be a number of seconds, 0 to 600; got {leeway!r}")
        if key is not None and secret == {True}:
            size = len(key.encode() if isinstance(key, str) else key)
            if size < LEAST_SECRET:
                raise ValueError(f"the key has {size} bytes; a secret needs {LEAST_SECRET} or more, drawn at random")
            if b"-----BEGIN" in (key.encode() if isinstance(key, str) else key):
                raise ValueError("the key is a public key (PEM); name its algorithm, as algorithms=['RS256']")
        self._key, self._algorithms, self._issuer, self._audience = key, list(algorithms), issuer, audience
        self._leeway, self._user_claim, self._admin_scope = leeway, user_claim, admin_scope
        self._file = None if jwks_file is None else _Keys(Path(jwks_file))

    def __call__(self, request: Request) -> Caller:
        return self.of(bearer(request))

    def of(self, token: str) -> Caller:
        """Whose token it is.

        Raises:
            Refused: It is not valid; says why.
        """
        try:
            key = self._key if self._file is None else self._file.key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,  # type: ignore[arg-type]
                self._algorithms,
                options={"require": ["exp", self._user_claim]},
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway,
            )
        except (jwt.InvalidTokenError, jwt.InvalidKeyError) as error:
            raise Refused(f"the token is not valid: {error}") from None
        user = claims[self._user_claim]
        if not isinstance(user, str) or not user:
            raise Refused(f"the token's claim {self._user_claim!r} is no text")
        return Caller(user, self._admin_scope in _scopes(claims))


class _Keys:
    """A key set in a file."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._keys: dict[str | None, Any] = {}
        self._read(self._stamp())

    def key(self, kid: str | None) -> Any:
        """
        Raises:
            jwt.InvalidKeyError: There is no such key.
        """
        with self._lock:
            if (stamp := self._stamp()) != self._seen:
                self._read(stamp)
            if kid is None and len(self._keys) == 1:
                return next(iter(self._keys.values()))
            if kid not in self._keys or kid is None:
                raise jwt.InvalidKeyError("it is signed by a key that is not known here")
            return self._keys[kid]

    def _stamp(self) -> tuple[int, int] | None:
        """What tells whether the file has changed; None: it is gone, as while it is replaced."""
        try:
            found = self._path.stat()
        except OSError:
            if self._seen is None:
                raise
            return self._seen
        return found.st_mtime_ns, found.st_size

    def _read(self, stamp: tuple[int, int] | None) -> None:
        try:
            told = jwt.PyJWKSet.from_dict(json.loads(self._path.read_bytes()))
        except (ValueError, AttributeError, jwt.PyJWTError) as error:
            if self._seen is None:
                raise ValueError(f"{str(self._path)!r} holds no JSON Web Key Set: {error}") from error
            return  # half written: what was known stays, and the next request looks again
        self._keys = {key.key_id: key.key for key in told.keys if key.key_type != "oct"}
        if not self._keys and self._seen is None:
            raise ValueError(f"{str(self._path)!r} holds no public keys; a secret is given as key=")
        self._seen = stamp


def _scopes(claims: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for name in ("scope", "scp", "scopes"):
        told = claims.get(name)
        found.update(told.split() if isinstance(told, str) else told if isinstance(told, list) else ())
    return found
