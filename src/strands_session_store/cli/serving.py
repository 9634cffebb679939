"""`serve`, `token` and `key`: what they take. What serves is `server`, who may call is told by `admission`."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ..errors import StoreError
from .options import JsonOption, ModelOption, StoreOption, url_of

commands = typer.Typer()
PANEL = "Serve"
EXTRA = ("fastapi", "starlette", "uvicorn", "jwt", "limits", "cryptography")
"""What the extra ``server`` installs."""


class AuthKind(str, enum.Enum):
    """How callers are told."""

    NONE = "none"
    JWT = "jwt"
    KEYS = "keys"


AuthOption = Annotated[
    list[AuthKind] | None,
    typer.Option(
        "--auth",
        help="Who may call: jwt (tokens), keys (API keys; both may be given), or none: everybody on this machine.",
    ),
]
SecretOption = Annotated[
    str | None,
    typer.Option(
        "--jwt-secret",
        envvar="STRANDS_SESSION_JWT_SECRET",
        metavar="SECRET",
        help="Of HS256 tokens. By the environment, as others see the command line.",
        show_envvar=True,
    ),
]
AlgorithmOption = Annotated[
    list[str] | None,
    typer.Option("--jwt-algorithm", metavar="NAME", help="RS256 and ES256, or HS256 with a secret; may be repeated."),
]
IssuerOption = Annotated[str | None, typer.Option("--jwt-issuer", metavar="ISS", help="What `iss` has to be.")]
AudienceOption = Annotated[str | None, typer.Option("--jwt-audience", metavar="AUD", help="What `aud` has to hold.")]
KeysOption = Annotated[
    Path | None, typer.Option("--keys-file", metavar="FILE", help="API keys, by their hashes; `key` adds one.")
]


@contextlib.contextmanager
def _extra() -> Iterator[None]:
    """
    Raises:
        StoreError: The extra that serves is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (name := (error.name or "").partition(".")[0]) not in EXTRA:
            raise
        raise StoreError(f"{name} is missing; install it with: pip install 'strands-session-store[server]'") from error


@commands.command(rich_help_panel=PANEL)
def serve(
    store: StoreOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on. 0.0.0.0: all of this machine's.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    auth: AuthOption = None,
    jwt_secret: SecretOption = None,
    jwt_key: Annotated[
        Path | None, typer.Option("--jwt-key-file", metavar="FILE", help="Public key of tokens, as PEM.")
    ] = None,
    jwks: Annotated[
        Path | None, typer.Option("--jwks-file", metavar="FILE", help="Public keys of tokens, as a JSON Web Key Set.")
    ] = None,
    algorithms: AlgorithmOption = None,
    issuer: IssuerOption = None,
    audience: AudienceOption = None,
    keys: KeysOption = None,
    model: ModelOption = "offline",
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="MODULE:NAME", help="An agent_factory of yours, in place of --model's agent."),
    ] = None,
    ttl: Annotated[
        float | None, typer.Option(min=1, help="Seconds after its last turn when a session expires.")
    ] = None,
    segment_after: Annotated[
        int | None, typer.Option(min=1, help="Tokens after which a conversation goes on with a summary.")
    ] = None,
    rate: Annotated[str, typer.Option(help="Requests of each user; 'none': any number.")] = "600/minute",
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of a request.")] = 2 * 2**20,
    conversations: Annotated[int, typer.Option(min=1, help="Agents at work at once.")] = 100,
    cors: Annotated[
        list[str] | None, typer.Option("--cors", metavar="ORIGIN", help="Web pages that may call; may be repeated.")
    ] = None,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that turns under way have to end.")] = 30.0,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve sessions over HTTP (docs/rest.md). Ctrl-C, or SIGTERM, ends it when the turns under way have ended."""
    with _extra():
        from . import admission, server

    kinds = [] if auth is None else [one.value for one in auth]
    told = admission.of(
        kinds,
        host,
        secret=jwt_secret,
        key_file=jwt_key,
        jwks_file=jwks,
        algorithms=algorithms,
        issuer=issuer,
        audience=audience,
        keys_file=keys,
    )
    server.run(
        url_of(store),
        host,
        port,
        told,
        model=model,
        factory=agent,
        manager_options={
            name: value for name, value in {"ttl": ttl, "segment_after": segment_after}.items() if value is not None
        },
        rate=None if rate == "none" else rate,
        max_body=max_body,
        conversations=conversations,
        cors=cors or [],
        grace=grace,
        log_level=log_level,
    )


@commands.command(rich_help_panel=PANEL)
def token(
    user: Annotated[str, typer.Option("--user", metavar="USER_ID", help="Whose.")],
    admin: Annotated[bool, typer.Option("--admin", help="With the scope 'admin'.")] = False,
    expires_in: Annotated[int, typer.Option(min=1, max=10**8, help="Seconds.")] = 3600,
    jwt_secret: SecretOption = None,
    key_file: Annotated[
        Path | None, typer.Option("--private-key-file", metavar="FILE", help="Instead of a secret, a key as PEM.")
    ] = None,
    key_id: Annotated[str | None, typer.Option("--key-id", metavar="KID", help="`kid`, for a JWKS file.")] = None,
    algorithm: Annotated[str | None, typer.Option("--jwt-algorithm", metavar="NAME", help="HS256, or RS256.")] = None,
    issuer: IssuerOption = None,
    audience: AudienceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a token for trying `serve --auth jwt`. Whoever has the secret can make one for any user."""
    with _extra():
        from . import tokens

    tokens.mint(
        user,
        admin=admin,
        expires_in=expires_in,
        secret=jwt_secret,
        key_file=key_file,
        key_id=key_id,
        algorithm=algorithm,
        issuer=issuer,
        audience=audience,
        as_json=as_json,
    )


@commands.command(rich_help_panel=PANEL)
def key(
    user: Annotated[str, typer.Option("--user", metavar="USER_ID", help="Whose.")],
    keys: Annotated[Path, typer.Option("--keys-file", metavar="FILE", help="Where its hash is added.")],
    admin: Annotated[bool, typer.Option("--admin", help="Of an administrator.")] = False,
    note: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API key for `serve --auth keys`. It is shown once; the file has its hash."""
    with _extra():
        from . import tokens

    tokens.add_key(user, keys, admin=admin, said=note, as_json=as_json)
