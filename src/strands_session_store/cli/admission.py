"""Who may call a server that is started by a command.

Rule. Without authentication it listens on this machine's own address, and nowhere else.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import StoreError
from ..rest import AnyAuth, ApiKeyAuth, Auth, JwtAuth, NoAuth
from ..rest.jwt_auth import SECRET
from ..rest.no_auth import is_loopback


def of(
    kinds: list[str],
    host: str,
    *,
    secret: str | None,
    key_file: Path | None,
    jwks_file: Path | None,
    algorithms: list[str] | None,
    issuer: str | None,
    audience: str | None,
    keys_file: Path | None,
) -> Auth:
    """
    Raises:
        StoreError: The options do not fit together, or a file can't be used.
    """
    if not kinds:
        raise StoreError("say who may call: --auth jwt, --auth keys, or --auth none for this machine alone")
    if "none" in kinds:
        if len(set(kinds)) > 1:
            raise StoreError("--auth none lets everybody in; leave the other --auth out, or this one")
        if not is_loopback(host):
            raise StoreError(f"--auth none serves this machine alone; {host!r} is no loopback address. Use 127.0.0.1")
        return NoAuth()
    try:
        ways: list[Auth] = []
        if "jwt" in kinds:
            ways.append(_jwt(secret, key_file, jwks_file, algorithms, issuer, audience))
        if "keys" in kinds:
            if keys_file is None:
                raise StoreError("--auth keys needs --keys-file; 'strands-session key' makes one")
            ways.append(ApiKeyAuth.read(keys_file))
    except (ValueError, OSError) as error:
        raise StoreError(str(error)) from error
    return ways[0] if len(ways) == 1 else AnyAuth(*ways)


def _jwt(
    secret: str | None,
    key_file: Path | None,
    jwks_file: Path | None,
    algorithms: list[str] | None,
    issuer: str | None,
    audience: str | None,
) -> JwtAuth:
    if [secret, key_file, jwks_file].count(None) != 2:
        raise StoreError(
            "--auth jwt needs one of STRANDS_SESSION_JWT_SECRET, --jwt-key-file and --jwks-file, to verify tokens by"
        )
    taken = algorithms or (["RS256", "ES256"] if secret is None else [SECRET[0]])
    key = secret if key_file is None else key_file.read_bytes()
    return JwtAuth(key, jwks_file=jwks_file, algorithms=taken, issuer=issuer, audience=audience)
