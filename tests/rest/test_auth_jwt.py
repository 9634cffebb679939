"""Callers by JSON Web Token: what is taken, and all that is not, as it arrives over HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from strands_session_store.rest import JwtAuth, Refused

from .serving import client, served
from .switching import Switched, told

SECRET = "0123456789abcdef" * 4
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
HOUR = 3600


def pem(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def jwk(key: Any, kid: str, algorithm: str) -> dict[str, Any]:
    return {**jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True), "kid": kid}


def token(key: Any, algorithm: str, kid: str | None = None, **claims: Any) -> str:
    """Of ada, for an hour, unless it is told otherwise; a claim that is None is left out."""
    given = {"sub": "ada", "exp": int(time.time()) + HOUR, **claims}
    kept = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={} if kid is None else {"kid": kid})


def forged(key: bytes, header: dict[str, Any], claims: dict[str, Any] | bytes | None = None) -> str:
    """As no library would sign it: with SHA-256, whatever the header says."""
    told = {"sub": "ada", "exp": int(time.time()) + HOUR} if claims is None else claims
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    parts = b".".join(_base64(one) for one in (json.dumps(header).encode(), body))
    return (parts + b"." + _base64(hmac.new(key, parts, hashlib.sha256).digest())).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@pytest.fixture(scope="module")
def auth() -> Switched:
    return Switched()


@pytest.fixture(scope="module")
def http(auth: Switched) -> Iterator[httpx.Client]:
    with served(auth.app()) as url, client(url) as made:
        yield made


def asked(http: httpx.Client, given: str) -> tuple[int, str]:
    """What a token is answered: status, and the user's id or why not."""
    return told(http, {"Authorization": f"Bearer {given}"})


@pytest.mark.parametrize(
    ("key", "signing", "algorithm"),
    [
        (SECRET, SECRET, "HS256"),
        (SECRET.encode(), SECRET, "HS384"),
        (SECRET, SECRET, "HS512"),
        (pem(RSA), RSA, "RS256"),
        (pem(RSA).encode(), RSA, "PS512"),
        (pem(EC), EC, "ES256"),
        (pem(ED), ED, "EdDSA"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 6 else "",
)
def test_a_token_is_taken_by_the_key_and_the_algorithm_that_signed_it(
    auth: Switched, http: httpx.Client, key: str | bytes, signing: Any, algorithm: str
) -> None:
    auth.auth = JwtAuth(key, algorithms=[algorithm])
    good = token(signing, algorithm)
    assert asked(http, good) == (200, "ada")
    head, body, signature = good.split(".")
    other = token(signing, algorithm, sub="bob").split(".")[1]
    spoiled = _base64(bytes([*base64.urlsafe_b64decode(signature + "==")][::-1])).decode()
    for bad in (f"{head}.{other}.{signature}", f"{head}.{body}.{spoiled}", f"{head}.{body}.", f"{head}.{body}"):
        assert asked(http, bad)[0] == 401


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [jwk(RSA, "r", "RS256"), jwk(EC, "e", "ES256")]}))
    return path


def test_what_a_token_says_of_its_algorithm_is_not_believed(auth: Switched, http: httpx.Client, keys: Path) -> None:
    auth.auth = JwtAuth(jwks_file=keys)
    assert asked(http, token(RSA, "RS256", "r")) == asked(http, token(EC, "ES256", "e")) == (200, "ada")
    public = [RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), pem(RSA).encode()]
    for bad in (
        jwt.encode({"sub": "ada", "exp": time.time() + HOUR}, None, "none", headers={"kid": "r"}),
        forged(b"", {"alg": "None", "kid": "r"}),
        forged(b"", {"kid": "r"}),
        *(forged(key, {"alg": "HS256", "kid": "r"}) for key in public),  # the public key as a secret
        *(forged(key, {"alg": "RS256", "kid": "r"}) for key in public),
        token(EC, "ES256", "r"),  # a key of another kind than the one it names
        token(RSA, "RS256", "e"),
        token(RSA, "PS256", "r"),  # no algorithm that is taken
        token(ED, "EdDSA", "e"),
        token(ec.generate_private_key(ec.SECP256R1()), "ES256", "e"),  # another key of the same kind
        token(RSA, "RS256", "x"),
        token(RSA, "RS256"),
        forged(b"", {"alg": "RS256", "kid": ["r"]}),
        forged(b"", {"alg": ["RS256"], "kid": "r"}),
        forged(b"", {"alg": "RS256", "kid": "r", "crit": ["exp"]}),
        forged(b"", {"alg": "RS256", "kid": "r", "b64": False}),
        forged(b"", {"alg": "RS256", "kid": "r", "jwk": jwk(ED, "r", "EdDSA"), "jku": "http://127.0.0.1/"}),
    ):
        status, why = asked(http, bad)
        assert (status, "the token is not valid: " in why, "object at" in why) == (401, True, False), (bad, why)
    auth.auth = JwtAuth(pem(RSA))
    for bad in (*(forged(key, {"alg": "HS256"}) for key in public), token(EC, "ES256")):
        assert asked(http, bad)[0] == 401
    curves = JwtAuth(pem(EC), algorithms=["ES256", "ES384", "ES512"])
    with pytest.raises(Refused):
        curves.of(token(ec.generate_private_key(ec.SECP384R1()), "ES384"))


def test_keys_can_be_rotated_while_it_serves(auth: Switched, http: httpx.Client, keys: Path) -> None:
    auth.auth = JwtAuth(jwks_file=keys)
    older, newer = token(RSA, "RS256", "r"), token(EC, "ES256", "n")
    assert [asked(http, one)[0] for one in (older, newer)] == [200, 401]

    def put(text: str) -> None:
        beside = keys.with_suffix(".new")
        beside.write_text(text)
        os.replace(beside, keys)

    put(json.dumps({"keys": [jwk(RSA, "r", "RS256"), jwk(EC, "n", "ES256")]}))
    assert [asked(http, one)[0] for one in (older, newer)] == [200, 200]
    for broken in ("", "{", "[]", '{"keys": 5}', '{"keys": []}', '{"keys": [{"kty": "oct", "k": "AAAA", "kid": "r"}]}'):
        put(broken)  # half written: what was known stays
        assert [asked(http, one)[0] for one in (older, newer)] == [200, 200], broken
    keys.unlink()
    assert [asked(http, one)[0] for one in (older, newer)] == [200, 200]
    put(json.dumps({"keys": [jwk(EC, "n", "ES256")]}))
    assert [asked(http, one)[0] for one in (older, newer)] == [401, 200]
    assert asked(http, token(EC, "ES256"))[0] == 200  # the only key needs no name


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": None}, 'missing the "exp" claim'),
        ({"exp": 1_000_000}, "has expired"),
        ({"exp": "soon"}, "exp"),
        ({"exp": [4_102_444_800]}, "exp"),
        ({"exp": float("inf")}, "exp"),
        ({"nbf": 4_102_444_800}, "not yet valid"),
        ({"iat": 4_102_444_800}, "not yet valid"),
        ({"nbf": "x"}, "nbf"),
        ({"sub": None}, 'missing the "sub" claim'),
        ({"sub": ""}, "'sub' is no text"),
        ({"sub": 5}, "Subject must be a string"),
        ({"sub": ["ada"]}, "Subject must be a string"),
        ({"sub": "a\nb"}, "control character"),
        ({"sub": "x" * 181}, "too long"),
        ({"iss": None}, 'missing the "iss" claim'),
        ({"iss": "https://elsewhere"}, "Invalid issuer"),
        ({"iss": ["https://here"]}, "iss"),
        ({"aud": None}, 'missing the "aud" claim'),
        ({"aud": "others"}, "Audience doesn't match"),
        ({"aud": ["others"]}, "Audience doesn't match"),
        ({"aud": 5}, "Invalid claim format"),
    ],
    ids=str,
)
def test_a_token_without_what_it_needs_is_refused_with_the_reason(
    auth: Switched, http: httpx.Client, claims: dict[str, Any], why: str
) -> None:
    auth.auth = JwtAuth(SECRET, algorithms=["HS256"], issuer="https://here", audience="sessions")
    good = {"iss": "https://here", "aud": "sessions"}
    assert asked(http, token(SECRET, "HS256", **good)) == (200, "ada")
    given = {"sub": "ada", "exp": int(time.time()) + HOUR, **good, **claims}
    bad = {name: value for name, value in given.items() if value is not None}
    status, said = asked(http, forged(SECRET.encode(), {"alg": "HS256"}, bad))
    assert status == 401 and why in said, said
    assert SECRET not in said


def test_clocks_may_differ_by_the_leeway(auth: Switched, http: httpx.Client) -> None:
    auth.auth = JwtAuth(SECRET, algorithms=["HS256"])
    for claims in ({"exp": time.time() - 20}, {"nbf": time.time() + 20}, {"iat": time.time() + 20}):
        assert asked(http, token(SECRET, "HS256", **claims)) == (200, "ada")
    auth.auth = JwtAuth(SECRET, algorithms=["HS256"], leeway=0)
    for claims in ({"exp": time.time() - 1}, {"nbf": time.time() + 20}, {"iat": time.time() + 20}):
        assert asked(http, token(SECRET, "HS256", **claims))[0] == 401


def test_an_audience_is_one_of_several_and_a_token_for_some_audience_is_for_no_other(
    auth: Switched, http: httpx.Client
) -> None:
    auth.auth = JwtAuth(SECRET, algorithms=["HS256"], audience="sessions")
    assert asked(http, token(SECRET, "HS256", aud=["others", "sessions"]))[0] == 200
    auth.auth = JwtAuth(SECRET, algorithms=["HS256"])
    assert asked(http, token(SECRET, "HS256", iss="anybody"))[0] == 200
    assert asked(http, token(SECRET, "HS256", aud="others"))[0] == 401


def test_a_scope_makes_an_administrator_and_a_claim_can_be_named_for_the_user(
    auth: Switched, http: httpx.Client
) -> None:
    auth.auth = JwtAuth(SECRET, algorithms=["HS256"])
    for claims in ({"scope": "read admin"}, {"scp": ["admin"]}, {"scopes": ["read", "admin"]}):
        assert asked(http, token(SECRET, "HS256", **claims)) == (200, "ada (admin)")
    for claims in ({"scope": "administrator"}, {"scope": ["x admin"]}, {"scope": {"admin": 1}}, {"scp": [["admin"]]}):
        assert asked(http, token(SECRET, "HS256", **claims)) == (200, "ada")
    auth.auth = JwtAuth(SECRET, algorithms=["HS256"], user_claim="email", admin_scope="root")
    assert asked(http, token(SECRET, "HS256", email="a@b.c", scope="admin")) == (200, "a@b.c")
    assert asked(http, token(SECRET, "HS256", email="a@b.c", scope="root")) == (200, "a@b.c (admin)")
    assert asked(http, token(SECRET, "HS256"))[0] == 401


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer  ,", "Basic YTpi", "Token x", "Bearer a.b.c", "Bearer x", "Bearer " + "x" * 9000]
)
def test_what_is_no_token_at_all_is_refused(auth: Switched, http: httpx.Client, header: str) -> None:
    auth.auth = JwtAuth(SECRET, algorithms=["HS256"])
    status, why = told(http, {"Authorization": header} if header else {})
    assert status == 401 and len(why) < 100


def test_a_token_is_taken_with_whatever_case_and_blanks_its_header_has(auth: Switched, http: httpx.Client) -> None:
    auth.auth = JwtAuth(SECRET, algorithms=["HS256"])
    assert told(http, {"authorization": f"bEARER   {token(SECRET, 'HS256')}"}) == (200, "ada")
    for body in (b"[1]", b"\xff", b"", b'"ada"'):
        assert asked(http, forged(SECRET.encode(), {"alg": "HS256"}, body))[0] == 401


PRIVATE = EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "key or a jwks_file"),
        ({"key": SECRET, "jwks_file": "x"}, "key or a jwks_file"),
        ({"key": "x" * 31, "algorithms": ["HS256"]}, "has 31 bytes; a secret needs 32"),
        ({"key": "x" * 47, "algorithms": ["HS256", "HS384"]}, "a secret needs 48"),
        ({"key": b"x" * 63, "algorithms": ["HS512"]}, "a secret needs 64"),
        ({"key": SECRET}, "no public key as PEM"),
        ({"key": ""}, "no public key as PEM"),
        ({"key": 5}, "got int"),
        ({"key": 5, "algorithms": ["HS256"]}, "got int"),
        ({"key": pem(RSA), "algorithms": ["HS256"]}, "name its algorithm"),
        ({"key": pem(RSA), "algorithms": ["ES256", "EdDSA"]}, "of another kind"),
        ({"key": PRIVATE, "algorithms": ["ES256"]}, "no public key as PEM"),
        ({"key": pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))}, "1024 bits; RSA needs 2048"),
        ({"key": SECRET, "algorithms": ["HS256", "RS256"]}, "not both"),
        ({"key": SECRET, "algorithms": []}, "algorithms must be"),
        ({"key": SECRET, "algorithms": ["none"]}, "algorithms must be"),
        ({"key": SECRET, "algorithms": "HS256"}, "algorithms must be"),
        ({"key": SECRET, "algorithms": ["HS256"], "leeway": -1}, "leeway must be"),
        ({"key": SECRET, "algorithms": ["HS256"], "leeway": 601}, "leeway must be"),
        ({"key": SECRET, "algorithms": ["HS256"], "leeway": "5"}, "leeway must be"),
        ({"key": SECRET, "algorithms": ["HS256"], "leeway": float("nan")}, "leeway must be"),
        ({"jwks_file": "x", "algorithms": ["HS256"]}, "public keys"),
    ],
    ids=lambda value: "" if isinstance(value, str) else ",".join(value),
)
def test_arguments_that_do_not_fit_are_refused_at_once(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        JwtAuth(**given)
    assert "x" * 31 not in str(caught.value) and SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "5",
        '{"keys": 5}',
        '{"keys": [5]}',
        '{"keys": []}',
        json.dumps({"keys": [{"kty": "oct", "k": "A" * 43, "kid": "s", "alg": "HS256"}]}),
        json.dumps({"keys": [jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024), "r", "RS256")]}),
    ],
)
def test_a_file_without_keys_to_verify_by_is_refused_at_once(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="holds no JSON Web Key Set to verify by"):
        JwtAuth(jwks_file=path)
    with pytest.raises(FileNotFoundError):
        JwtAuth(jwks_file=tmp_path / "none")
