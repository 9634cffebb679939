"""Callers by JSON Web Token, verified with keys that are here: no request leaves for one.

Rule 1. Which algorithms are taken is said by who configures it, never by the token. ``none`` is refused, and so is a
        secret beside public keys: one would verify what the other signed.
Rule 2. A key verifies only what its own kind signs, whatever the token says of itself.
Rule 3. A token has an expiry and a subject. Issuer and audience are looked at where they are configured; a token for
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
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from starlette.requests import Request

from .callers import ADMIN, Caller, Refused, bearer

SECRET: Final = ("HS256", "HS384", "HS512")
PUBLIC: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEAST_SECRET: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Bytes of a secret: as many as the hash has, RFC 7518, 3.2."""
LEAST_RSA: Final = 2048
"""Bits of an RSA key, RFC 7518, 3.3."""


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
        if len({one in SECRET for one in algorithms}) > 1:
            raise ValueError("algorithms must be those of a secret (HS...) or those of public keys, not both")
        if (key is None) == (jwks_file is None):
            raise ValueError("give a key or a jwks_file, one of them")
        _check_leeway(leeway)
        self._algorithms, self._issuer, self._audience = list(algorithms), issuer, audience
        self._leeway, self._user_claim, self._admin_scope = leeway, user_claim, admin_scope
        self._key: Any = None
        self._file: _Keys | None = None
        if jwks_file is not None:
            if algorithms[0] in SECRET:
                raise ValueError("a jwks_file has public keys; name their algorithms, or give the secret as key")
            self._file = _Keys(Path(jwks_file))
        elif algorithms[0] in SECRET:
            self._key = _secret(key, max(LEAST_SECRET[one] for one in algorithms))
        else:
            self._key = _public(key)
            if not any(_signs(self._key, one) for one in algorithms):
                raise ValueError(f"the key is of another kind than algorithms={self._algorithms!r}")

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
                key,
                [one for one in self._algorithms if _signs(key, one)],
                options={"require": ["exp", self._user_claim]},
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway,
            )
        except jwt.InvalidKeyError:
            raise Refused("the token is not valid: the key that it names does not sign as it says") from None
        except jwt.InvalidTokenError as error:
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
            jwt.InvalidTokenError: There is no such key.
        """
        with self._lock:
            if (stamp := self._stamp()) != self._seen:
                self._read(stamp)
            if kid is None and len(self._keys) == 1:
                return next(iter(self._keys.values()))
            if kid not in self._keys or kid is None:
                raise jwt.InvalidTokenError("it is signed by a key that is not known here")
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
            keys = {one.key_id: _strong(one.key) for one in told.keys if one.key_type != "oct"}
            if not keys:
                raise ValueError("it has no public keys; a secret is given as key=")
        except (ValueError, AttributeError, TypeError, jwt.PyJWTError) as error:
            if self._seen is None:
                raise ValueError(f"{str(self._path)!r} holds no JSON Web Key Set to verify by: {error}") from error
            return  # half written: what was known stays, and the next request looks again
        self._keys, self._seen = keys, stamp


def _check_leeway(given: object) -> None:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 600:
        raise ValueError(f"leeway must be a number of seconds, 0 to 600; got {given!r}")


def _secret(key: object, least: int) -> bytes:
    """
    Raises:
        ValueError: It is none, or too short.
    """
    if not isinstance(key, str | bytes):
        raise ValueError(f"key must be a secret, as text or bytes; got {type(key).__name__}")
    secret = key.encode() if isinstance(key, str) else key
    if b"-----BEGIN" in secret:
        raise ValueError("the key is a public key (PEM); name its algorithm, as algorithms=['RS256']")
    if len(secret) < least:
        raise ValueError(f"the key has {len(secret)} bytes; a secret needs {least} or more here, drawn at random")
    return secret


def _public(key: object) -> Any:
    """
    Raises:
        ValueError: It is none, or a weak one.
    """
    if not isinstance(key, str | bytes):
        raise ValueError(f"key must be a public key as PEM, or a secret; got {type(key).__name__}")
    try:
        found = load_pem_public_key(key.encode() if isinstance(key, str) else key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(
            "key is no public key as PEM (-----BEGIN PUBLIC KEY-----); of a secret name the algorithm, as "
            "algorithms=['HS256']"
        ) from error
    return _strong(found)


def _strong(key: Any) -> Any:
    """
    Raises:
        ValueError: It is a weak one.
    """
    if isinstance(key, RSAPublicKey) and key.key_size < LEAST_RSA:
        raise ValueError(f"the key has {key.key_size} bits; RSA needs {LEAST_RSA} or more")
    return key


def _signs(key: Any, algorithm: str) -> bool:
    """Whether keys of this kind sign by an algorithm."""
    if algorithm in SECRET:
        return isinstance(key, bytes)
    if algorithm == "EdDSA":
        return isinstance(key, Ed25519PublicKey | Ed448PublicKey)
    return isinstance(key, EllipticCurvePublicKey if algorithm.startswith("ES") else RSAPublicKey)


def _scopes(claims: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for name in ("scope", "scp", "scopes"):
        told = claims.get(name)
        words = told.split() if isinstance(told, str) else told if isinstance(told, list) else ()
        found.update(one for one in words if isinstance(one, str))
    return found
