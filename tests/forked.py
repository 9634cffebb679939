"""Programs in processes of their own, forked from one that has imported already what they would: a start takes a
hundredth of a second instead of one or two.

    program = forge.start(["-W", "error", "-c", "print('hi')"], cwd=folder, stdout=file)
    done = forge.run(["-m", "strands_session_store.cli", "ls"], env=env)

Law: a program finds all as if ``python`` had been given its arguments: directory, environment, standard files, warnings
that are errors or are not, ``__main__``. Only `IMPORTED` is there before it asks, ``PYTHON...`` variables come too
late, and behind threads and `atexit` nothing is taken apart. So what is to be told of starts and imports needs an
interpreter of its own.

As a program this file serves a socket. For each who connects it forks one that waits for the program and tells how it
ended, and that forks the program. With ``ask`` it is who connects, with the standard files it has: so a shell can.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any, NoReturn

IMPORTED = (
    "strands",
    "strands.multiagent",
    "strands_session_store.conversation",
    "strands_session_store.formats",
    "strands_session_store.plugin",
    "strands_session_store.sessions",
    "strands_session_store.stores.sqlite",
    "strands_session_store.testing.models",
    *("boto3", "fastapi", "httpx", "pydantic", "redis", "rich.console", "typer", "uvicorn"),
)
"""Of what is not installed, nothing. The command line itself looks at its environment as it is imported."""
PATIENCE = 120.0


# ------------------------------------------------------------------------------------------------------ for the tests


class Program:
    """One that runs; its `pid` is its own. ``output``: what it prints, where that was asked for."""

    def __init__(self, connection: socket.socket, output: IO[str] | None = None) -> None:
        self.output = output
        self._told = connection.makefile("r")
        self._connection = connection
        connection.settimeout(PATIENCE)
        self.pid = int(self._told.readline())
        self._status: int | None = None

    def poll(self) -> int | None:
        """How it ended, as `subprocess.Popen.poll`."""
        import select

        if self._status is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self._status

    def wait(self, timeout: float = PATIENCE) -> int:
        """
        Raises:
            TimeoutError: It goes on.
        """
        if self._status is None:
            self._connection.settimeout(timeout)
            self._status = int(self._told.readline())
            self._told.close()
            self._connection.close()
        return self._status

    def kill(self) -> None:
        """Gone when this returns; what it has printed can still be read."""
        import signal

        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        if self.output is not None:
            self.output.close()


class Forge:
    """The process that forks them; started when it is made."""

    def __init__(self) -> None:
        import subprocess
        import tempfile

        self._directory = tempfile.TemporaryDirectory(prefix="forge")
        self.address = f"{self._directory.name}/socket"
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-W", "error", __file__, "serve", self.address]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=env)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "what is to be imported can not be"

    def start(
        self,
        args: Sequence[str],
        *,
        cwd: Any = None,
        env: Mapping[str, str] | None = None,
        stdin: IO[Any] | None = None,
        stdout: IO[Any] | None = None,
        stderr: IO[Any] | None = None,
    ) -> Program:
        """What ``python`` is given. Standard files that are not given are empty."""
        with open(os.devnull, "r+b") as nothing:
            files = [(file or nothing).fileno() for file in (stdin, stdout, stderr)]
            return Program(ask(self.address, args, str(cwd or os.getcwd()), dict(env or os.environ), files))

    def talk(self, *args: str) -> Program:
        """The same, with its output to be read."""
        reading, writing = os.pipe()
        with open(writing, "w") as out:
            connection = ask(self.address, args, os.getcwd(), os.environ, (0, out.fileno(), 2))
        return Program(connection, open(reading, encoding="utf-8"))

    def run(
        self,
        args: Sequence[str],
        *,
        cwd: Any = None,
        env: Mapping[str, str] | None = None,
        check: bool = False,
        timeout: float = PATIENCE,
    ) -> Any:
        """As `subprocess.run` with ``capture_output`` and ``text``."""
        import subprocess
        import tempfile

        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as out,
            tempfile.TemporaryFile("w+", encoding="utf-8") as err,
        ):
            program = self.start(args, cwd=cwd, env=env, stdout=out, stderr=err)
            try:
                program.wait(timeout)
            finally:
                program.kill()
            for file in (out, err):
                file.seek(0)
            done = subprocess.CompletedProcess(args, program.wait(), out.read(), err.read())
        if check:
            done.check_returncode()
        return done

    def command(self, *args: str) -> list[str]:
        """A command that runs ``python`` with these arguments and more in this way, for a shell."""
        return [sys.executable, "-I", "-S", __file__, "ask", self.address, *args]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._directory.cleanup()


def ask(address: str, args: Sequence[str], cwd: str, env: Mapping[str, str], files: Sequence[int]) -> socket.socket:
    """Have a program started; who forked it tells its pid, and then how it ended, each in a line."""
    reading, writing = os.pipe()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    socket.send_fds(connection, [b"?"], [reading, *files])
    os.close(reading)
    with open(writing, "w") as request:  # it may be more than a socket takes at once
        json.dump({"args": list(args), "cwd": cwd, "env": dict(env)}, request)
    return connection


# ------------------------------------------------------------------------------------------------------- the programs


def serve(address: str) -> dict[str, Any]:
    """Returns in each program, with what it was asked for."""
    import gc
    import importlib
    import importlib.util

    for name in IMPORTED:
        if importlib.util.find_spec(name.partition(".")[0]):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(100)
    print("ready", flush=True)
    children: set[int] = set()
    while True:
        connection, _ = listening.accept()
        _, files, _, _ = socket.recv_fds(connection, 1, 4)
        if not files:  # whoever it was is gone
            connection.close()
            continue
        pid = os.fork()
        if pid == 0:
            break
        connection.close()
        for file in files:
            os.close(file)
        children = {child for child in {*children, pid} if os.waitpid(child, os.WNOHANG) == (0, 0)}
    listening.close()
    program = os.fork()
    if program != 0:
        for file in files:
            os.close(file)
        connection.sendall(f"{program}\n".encode())
        _, status = os.waitpid(program, 0)
        with contextlib.suppress(OSError):  # nobody wants to know
            connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    connection.close()
    request, *standard = files
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    with open(request) as file:
        asked: dict[str, Any] = json.load(file)
    return asked


def run(args: list[str], cwd: str, env: dict[str, str]) -> None:
    """What ``python`` does with these."""
    import importlib
    import runpy
    import types
    import warnings

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    importlib.invalidate_caches()
    if args[:2] == ["-W", "error"]:
        del args[:2]
    else:
        warnings.filters.remove(("error", None, Warning, None, 0))  # type: ignore[attr-defined]
        warnings._filters_mutated()  # type: ignore[attr-defined]
    if args[0] == "-c":
        sys.argv[:] = ["-c", *args[2:]]
        sys.path[0] = ""
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(args[1], "<string>", "exec"), main.__dict__)
    elif args[0] == "-m":
        sys.argv[:] = ["-m", *args[2:]]
        sys.path[0] = cwd
        runpy.run_module(args[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = args
        sys.path[0] = os.path.dirname(os.path.abspath(args[0]))
        runpy.run_path(args[0], run_name="__main__")


def main(args: list[str], cwd: str, env: dict[str, str]) -> None:
    """`run`, and the end of the process."""
    import traceback

    status: Any = 0
    try:
        run(args, cwd, env)
    except SystemExit as asked:
        status = asked.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    end(status)


def end(status: int) -> NoReturn:
    """As the interpreter does, but that all that was imported is not taken apart, which would take longest."""
    import atexit
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        told = ask(sys.argv[2], sys.argv[3:], os.getcwd(), os.environ, (0, 1, 2)).makefile("r")
        told.readline()
        sys.exit(int(told.readline()))
    main(**serve(sys.argv[2]))
