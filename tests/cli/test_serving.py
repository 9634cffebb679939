"""A server is started, its callers are given credentials, and it ends as it is told."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.cli.conftest import Cli

from strands_session_store.cli import admission
from strands_session_store.errors import StoreError
from strands_session_store.rest import ApiKeyAuth, Caller, JwtAuth

SECRET = "0123456789abcdef" * 2


class Serving:
    """`serve`, as a process."""

    def __init__(self, *args: str, **env: str) -> None:
        command = [sys.executable, "-m", "strands_session_store.cli", "serve", "--port", "0", *args]
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **env}
        )
        self.said = ""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if found := re.search(r"Serving .* at (http://\S+?),", line):
                self.url = found[1]
                return
        raise AssertionError(self.said)

    def gone(self) -> None:
        self.process.kill()
        self.process.communicate()

    def ended(self, by: int) -> int:
        self.process.send_signal(by)
        out, err = self.process.communicate(timeout=60)
        assert out == ""
        self.said += err
        return self.process.returncode


def test_serve_knows_who_has_a_key_or_a_token_and_ends_with_what_it_has_begun(cli: Cli, here: Path) -> None:
    key = cli("key", "--user", "ada", "--keys-file", "keys.json").out.strip()
    (here / "mine.py").write_text(
        "import asyncio\n"
        "from strands import Agent\n"
        "from strands_session_store.testing.models import Reply, ScriptedModel\n"
        "def make(request):\n"
        "    model = ScriptedModel(lambda messages: Reply('mine', delay=0.5))\n"
        "    return Agent(model=model, session_manager=request.session_manager, callback_handler=None)\n"
    )
    options = ["--auth", "keys", "--auth", "jwt", "--keys-file", "keys.json", "--agent", "mine:make", "--ttl", "3600"]
    serving = Serving(*options, STRANDS_SESSION_JWT_SECRET=SECRET)
    try:
        assert "sqlite:///strands-sessions.db" in serving.said and SECRET not in serving.said
        os.environ["STRANDS_SESSION_JWT_SECRET"] = SECRET
        token = cli("token", "--user", "root", "--admin").out.strip()
        admin = {"Authorization": f"Bearer {token}"}
        url = f"{serving.url}/api/agent-sessions"
        said = {"session_id": "c", "messages": [{"role": "user", "content": "a private matter"}]}
        assert httpx.post(f"{url}/conversation", json=said, timeout=30).status_code == 401
        with httpx.Client(headers={"X-API-Key": key}, timeout=30) as http:
            answer = http.post(f"{url}/conversation", json=said)
            assert answer.status_code == 201 and answer.json()["response"] == "mine"
            assert http.get(f"{url}/c").json()["expires_at"] is not None
            with pytest.raises(httpx.HTTPStatusError), http.stream("GET", f"{url}?user_id=bob") as refused:
                refused.raise_for_status()
        found = httpx.get(url, params={"user_id": "ada"}, headers=admin).json()
        assert [one["session_id"] for one in found["items"]] == ["c"]
        # a turn that is under way when it is told to end
        with httpx.stream(
            "POST", f"{url}/conversation", json=said, headers={"X-API-Key": key, "Accept": "text/event-stream"}
        ) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("id:")
            serving.process.send_signal(signal.SIGTERM)
            assert any("result" in line for line in lines)
        assert serving.ended(signal.SIGTERM) in (0, -signal.SIGTERM)
        assert "POST /api/agent-sessions/conversation 201" in serving.said
        assert "private matter" not in serving.said and key not in serving.said and "Traceback" not in serving.said
    finally:
        os.environ.pop("STRANDS_SESSION_JWT_SECRET", None)
        serving.gone()


def test_a_turn_that_takes_longer_than_the_grace_is_told_so_and_its_prompt_is_kept_for_later(here: Path) -> None:
    (here / "mine.py").write_text(
        "from strands import Agent\n"
        "from strands_session_store.testing.models import Reply, ScriptedModel\n"
        "def make(request):\n"
        "    model = ScriptedModel(lambda messages: Reply('never', delay=3600))\n"
        "    return Agent(model=model, session_manager=request.session_manager, callback_handler=None)\n"
    )
    serving = Serving("--auth", "none", "--agent", "mine:make", "--grace", "0.5")
    try:
        said = {"session_id": "c", "messages": [{"role": "user", "content": "hello", "message_id": "p-1"}]}
        url = f"{serving.url}/api/agent-sessions/conversation"
        with httpx.stream("POST", url, json=said, headers={"Accept": "text/event-stream"}, timeout=60) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("id:")
            serving.process.send_signal(signal.SIGTERM)
            told = [line for line in lines if line.startswith("data:")]
        assert json.loads(told[-1][5:])["status"] == 503 and "the server ends" in told[-1]
        serving.ended(signal.SIGTERM)
        assert "Traceback" not in serving.said
    finally:
        serving.gone()


@pytest.mark.skipif(sys.platform == "win32", reason="no Ctrl-C for a process of one's own")
def test_ctrl_c_ends_a_server_and_a_taken_port_is_said(cli: Cli, here: Path) -> None:
    serving = Serving("--auth", "none")
    try:
        assert httpx.get(f"{serving.url}/readyz").json() == {"status": "ok"}
        assert httpx.get(f"{serving.url}/api/agent-sessions").status_code == 200
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            command = [sys.executable, "-m", "strands_session_store.cli", "serve", "--auth", "none", "--port", port]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert done.returncode == 1 and f"port {port}" in done.stderr and "Traceback" not in done.stderr
        assert serving.ended(signal.SIGINT) in (130, -signal.SIGINT) and "Traceback" not in serving.said
    finally:
        serving.gone()


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ([], "say who may call"),
        (["--auth", "none", "--host", "0.0.0.0"], "no loopback address"),
        (["--auth", "none", "--auth", "keys"], "leave the other --auth out"),
        (["--auth", "keys"], "needs --keys-file"),
        (["--auth", "keys", "--keys-file", "nowhere.json"], "nowhere.json"),
        (["--auth", "jwt"], "STRANDS_SESSION_JWT_SECRET"),
        (["--auth", "jwt", "--jwt-secret", "short"], "32"),
        (["--auth", "none", "--agent", "nonsense"], "MODULE:NAME"),
        (["--auth", "none", "--agent", "no_such_module:make"], "no_such_module"),
        (["--auth", "none", "--agent", "json:__name__"], "no function"),
        (["--auth", "none", "--model", "gpt"], "no model 'gpt'"),
        (["--auth", "none", "--rate", "often"], "rate must be like"),
        (["--auth", "none", "--log-level", "loud"], "--log-level"),
        (["--auth", "none", "--store", "mysql://user:secret@h/d"], "mysql"),
    ],
)
def test_what_can_not_be_served_is_refused(cli: Cli, args: list[str], why: str) -> None:
    done = cli("serve", *args, status=1)
    assert why in done.err and done.err.count("\n") == 1 and "secret@" not in done.err


@pytest.mark.parametrize(
    ("args", "missing"),
    [
        (["serve", "--auth", "none"], "fastapi"),
        (["serve", "--auth", "none"], "uvicorn"),
        (["key", "--user", "a", "--keys-file", "k"], "jwt"),
    ],
)
def test_without_the_extra_the_remedy_is_said(here: Path, args: list[str], missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from strands_session_store.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "pip install 'strands-session-store[server]'" in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1


def test_token_is_for_whom_it_says(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRANDS_SESSION_JWT_SECRET", SECRET)
    told = json.loads(cli("token", "--user", "ada", "--jwt-issuer", "me", "--jwt-audience", "you", "--json").out)
    auth = JwtAuth(SECRET, algorithms=["HS256"], issuer="me", audience="you")
    assert auth.of(told["token"]) == Caller("ada", admin=False)
    assert auth.of(
        cli("token", "--user", "ada", "--admin", "--jwt-issuer", "me", "--jwt-audience", "you").out.strip()
    ).admin
    assert jwt.decode(told["token"], options={"verify_signature": False})["exp"] == told["expires"]
    monkeypatch.delenv("STRANDS_SESSION_JWT_SECRET")
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (here / "key.pem").write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (here / "public.pem").write_bytes(public)
    made = cli("token", "--user", "ada", "--private-key-file", "key.pem").out.strip()
    told_by = admission.of(
        ["jwt"],
        "127.0.0.1",
        secret=None,
        key_file=here / "public.pem",
        jwks_file=None,
        algorithms=None,
        issuer=None,
        audience=None,
        keys_file=None,
    )
    assert isinstance(told_by, JwtAuth) and told_by.of(made) == Caller("ada")
    assert "give one of them" in cli("token", "--user", "ada", status=1).err
    assert "32" in cli("token", "--user", "ada", "--jwt-secret", "short", status=1).err
    assert (
        "--jwt-algorithm"
        in cli("token", "--user", "a", "--jwt-secret", SECRET, "--jwt-algorithm", "none", status=1).err
    )
    assert "a public key" in cli("token", "--user", "a", "--private-key-file", "public.pem", status=1).err


def test_key_is_shown_once_and_its_file_has_hashes(cli: Cli, here: Path) -> None:
    first = cli("key", "--user", "ada", "--keys-file", "keys.json").out.strip()
    made = json.loads(
        cli("key", "--user", "root", "--admin", "--note", "ops", "--keys-file", "keys.json", "--json").out
    )
    text = (here / "keys.json").read_text()
    assert first not in text and made["key"] not in text and (here / "keys.json").stat().st_mode & 0o077 == 0
    auth = ApiKeyAuth.read(here / "keys.json")
    assert auth._callers == {
        ApiKeyAuth.hashed(first): Caller("ada"),
        ApiKeyAuth.hashed(made["key"]): Caller("root", admin=True),
    }
    (here / "keys.json").write_text("{}")
    assert "keys.json" in cli("key", "--user", "ada", "--keys-file", "keys.json", status=1).err
    assert (here / "keys.json").read_text() == "{}", "it is left as it is"


def test_admission_needs_a_way(here: Path) -> None:
    with pytest.raises(StoreError, match="say who may call"):
        admission.of(
            [],
            "127.0.0.1",
            secret=None,
            key_file=None,
            jwks_file=None,
            algorithms=None,
            issuer=None,
            audience=None,
            keys_file=None,
        )
