"""Writes `async_sessions.py`: the classes of the service with every call awaitable, and nothing of their own.

    python scripts/make_async_sessions.py           writes it
    python scripts/make_async_sessions.py --check   fails where it is not as this would write it

A method becomes one that awaits the same on the store's pool; one that returns another class of the service, and does
no I/O itself, becomes one that returns that class awaitable; a context manager becomes an asynchronous one.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import strands_session_store
from strands_session_store.sessions import Sessions
from strands_session_store.sessions.access import Part
from strands_session_store.stores.memory import MemoryStore

PACKAGE = strands_session_store.__name__
TARGET = Path(inspect.getfile(strands_session_store)).with_name("async_sessions.py")

HEAD = '''"""`Sessions`, awaitable. Each call runs on the store's pool, so no event loop ever waits for an engine.

Written by scripts/make_async_sessions.py from the signatures of `Sessions`; what a method promises is said there. A
task that is cancelled while it awaits one no longer waits; what was begun is done all the same.
"""

from __future__ import annotations

import asyncio
'''

BASE = '''

P = ParamSpec("P")
T = TypeVar("T")


class _Offloaded:
    """Calls on the pool of a store."""

    _store: Store

    async def _off(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self._store.offload.submit(call, *args, **kwargs))

    @asynccontextmanager
    async def _within(self, manager: AbstractContextManager[T]) -> AsyncIterator[T]:
        entered = await self._off(manager.__enter__)
        try:
            yield entered
        except BaseException as error:
            # a cancelled task still waits until its end is stored
            if not await asyncio.shield(self._off(manager.__exit__, type(error), error, error.__traceback__)):
                raise
        else:
            await self._off(manager.__exit__, None, None, None)
'''


class Written:
    """The file, class by class."""

    def __init__(self) -> None:
        self.imports: dict[str, set[str]] = {
            "collections.abc": {"AsyncIterator", "Callable"},
            "contextlib": {"AbstractContextManager", "asynccontextmanager"},
            "typing": {"ParamSpec", "TypeVar"},
            ".stores.base": {"Store"},
        }
        self.classes: list[str] = []
        self._done: set[type] = set()

    def text(self) -> str:
        lines = [f"import {name}" for name in sorted(self.imports.pop("", ()))]
        lines += [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(self.imports.items())]
        return HEAD + "\n".join(lines) + BASE + "".join(self.classes)

    def add(self, cls: type, made: str) -> str:
        """Write the class ``cls``; ``made`` is the code of its constructor. Returns its name."""
        name = f"Async{cls.__name__}"
        if cls in self._done:
            return name
        self._done.add(cls)
        methods = [self._method(attribute, value) for attribute, value in _public(cls)]
        head = f'\n\nclass {name}(_Offloaded):\n    """`{cls.__name__}`, awaitable."""\n\n{made}'
        self.classes.append(head + "".join(methods))
        return name

    def _method(self, name: str, value: Callable[..., Any]) -> str:
        function = inspect.unwrap(value)
        handle = self._handle(function)
        within = function is not value
        returns = handle or self._annotation(function, inspect.signature(function).return_annotation)
        if within:  # a context manager: Iterator[X]
            self._use(function, "Iterator", out=True)
            returns = f"AsyncIterator{returns[returns.index('[') :]}"
        given, arguments = self._parameters(function)
        call, inside = ", ".join([f"self._sync.{name}", *arguments]), ", ".join(arguments)
        head = f"def {name}({', '.join(given)})"
        if handle:
            return f"\n    {head} -> {handle}:\n        return {handle}(self._sync.{name}({inside}), self._store)\n"
        if within:
            return (
                f"\n    @asynccontextmanager\n    async {head} -> {returns}:\n"
                f"        async with self._within(self._sync.{name}({inside})) as entered:\n            yield entered\n"
            )
        return f"\n    async {head} -> {returns}:\n        return await self._off({call})\n"

    def _parameters(self, function: Callable[..., Any]) -> tuple[list[str], list[str]]:
        """As they are declared, and as they are handed on."""
        given, arguments, star = ["self"], [], False
        for parameter in list(inspect.signature(function).parameters.values())[1:]:
            text = f"{parameter.name}: {self._annotation(function, parameter.annotation)}"
            if parameter.default is not parameter.empty:
                text += f" = {_default(parameter.default)}"
                if parameter.default is getattr(sys.modules[Sessions.__module__], "UNSET", None):
                    self._import(f"{PACKAGE}.sessions.checks", "UNSET")
            match parameter.kind:
                case parameter.VAR_POSITIONAL:
                    star = True
                    given.append(f"*{text}")
                    arguments.append(f"*{parameter.name}")
                case parameter.KEYWORD_ONLY:
                    if not star:
                        given.append("*")
                        star = True
                    given.append(text)
                    arguments.append(f"{parameter.name}={parameter.name}")
                case _:
                    given.append(text)
                    arguments.append(parameter.name)
        return given, arguments

    def _handle(self, function: Callable[..., Any]) -> str | None:
        """The name of the class that is returned in the place of one of the service's; None if none is."""
        returned = str(inspect.signature(function).return_annotation).split("[")[0]
        found = function.__globals__.get(returned)
        if not isinstance(found, type) or not found.__module__.startswith(f"{PACKAGE}.sessions") or not _acts(found):
            return None
        self._import(found.__module__, found.__name__)
        self._import(PACKAGE, "records")
        generic = "[Any]" if getattr(found, "__parameters__", ()) else ""
        if generic:
            self._import("typing", "Any")
        return self.add(
            found,
            f"    def __init__(self, sync: {found.__name__}{generic}, store: Store) -> None:\n"
            "        self._sync, self._store = sync, store\n",
        )

    def _annotation(self, function: Callable[..., Any], annotation: Any) -> str:
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        for node in ast.walk(ast.parse(text, mode="eval")):
            if isinstance(node, ast.Name):
                self._use(function, node.id)
        return text

    def _use(self, function: Callable[..., Any], name: str, out: bool = False) -> None:
        if hasattr(builtins, name) or out:
            return
        self._import(*_home(function.__module__, name))

    def _import(self, module: str, name: str) -> None:
        if module == PACKAGE or module.startswith(f"{PACKAGE}."):
            module = module[len(PACKAGE) :] or "."
        self.imports.setdefault(module, set()).add(name)


def _public(cls: type) -> list[tuple[str, Callable[..., Any]]]:
    """Its methods, those of its bases first, in the order in which they are written."""
    found: dict[str, Callable[..., Any]] = {}
    for base in reversed(cls.__mro__[:-1]):
        found.update({name: value for name, value in vars(base).items() if inspect.isfunction(value)})
    return [(name, value) for name, value in found.items() if not name.startswith("_")]


def _acts(cls: type) -> bool:
    """Whether it is more than an answer: whether its methods read or write the store."""
    return "__dataclass_fields__" not in vars(cls) and not hasattr(cls, "model_fields")


def _home(module: str, name: str) -> tuple[str, str]:
    """Where a name that is used in a module is defined; no module for one that is a module itself."""
    tree = ast.parse(inspect.getsource(import_module(module)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(a.name == name for a in node.names):
            return "", name
        if isinstance(node, ast.ImportFrom) and any((a.asname or a.name) == name for a in node.names):
            # a package's __init__ counts as one level deeper than a module's name tells
            package = module if hasattr(import_module(module), "__path__") else module.rpartition(".")[0]
            for _ in range(node.level - 1):
                package = package.rpartition(".")[0]
            found = ".".join(filter(None, [package, node.module])) if node.level else str(node.module)
            return found, next(a.name for a in node.names if (a.asname or a.name) == name)
    return module, name


def _default(value: object) -> str:
    return repr(value)


def written() -> str:
    file = Written()
    sessions = Sessions(MemoryStore())
    parts = {name: part for name, part in vars(sessions).items() if isinstance(part, Part)}
    for part in parts.values():
        file._import(type(part).__module__, type(part).__name__)
        file.add(
            type(part),
            f"    def __init__(self, sync: {type(part).__name__}) -> None:\n"
            "        self._sync, self._store = sync, sync.store\n",
        )
    file._import(Sessions.__module__, "Sessions")
    given, arguments = file._parameters(Sessions.__init__)
    made = [f"        self.{name} = Async{type(part).__name__}(self._sync.{name})\n" for name, part in parts.items()]
    file.add(
        Sessions,
        f"    def __init__({', '.join(given)}) -> None:\n"
        '        """As `Sessions`."""\n'
        f"        self._sync = Sessions({', '.join(arguments)})\n"
        "        self._store = self.store = self._sync.store\n" + "".join(made) + "\n"
        "    async def __aenter__(self) -> AsyncSessions:\n        return self\n\n"
        "    async def __aexit__(self, *exc: object) -> None:\n        await self.close()\n",
    )
    return _formatted(file.text())


def _formatted(text: str) -> str:
    ruff = [sys.executable, "-m", "ruff"]
    stdin = f"--stdin-filename={TARGET}"
    sorted_ = subprocess.run(
        [*ruff, "check", "--quiet", "--fix", "--select=I,F401", stdin, "-"], input=text, capture_output=True, text=True
    )
    return subprocess.run(
        [*ruff, "format", "--quiet", stdin, "-"], input=sorted_.stdout, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        if TARGET.read_text() != written():
            sys.exit(f"{TARGET.name} is not what Sessions says; run: python scripts/make_async_sessions.py")
    else:
        TARGET.write_text(written())
