"""The Lua files of this folder, and what is asked of a server: a key, and a script or a command with its arguments."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Final, TypeAlias

Word: TypeAlias = bytes | str | int
"""An argument. Text is ASCII; whatever may hold anything else is bytes, so no client's encoding has a say."""
Reply: TypeAlias = "bytes | int | list[Reply] | None"


@dataclass(frozen=True)
class Script:
    """``parts`` are files that stand in front of it, as one chunk of Lua."""

    name: str
    parts: tuple[str, ...] = ()

    @cached_property
    def text(self) -> bytes:
        folder = resources.files(__package__)
        return b"\n".join(folder.joinpath(f"{name}.lua").read_bytes() for name in (*self.parts, self.name))

    @cached_property
    def sha(self) -> str:
        return hashlib.sha1(self.text, usedforsecurity=False).hexdigest()


COMMIT: Final = Script("commit", ("words", "order", "paths", "sums"))
READ: Final = Script("read", ("words", "order", "paths"))
DROP: Final = Script("drop")
SWEEP: Final = Script("sweep")
INDEX: Final = Script("index", ("order",))
THERE: Final = Script("there")


@dataclass(frozen=True, slots=True)
class Ask:
    """One command. A script's keys are in one slot; a command without a script goes where the one before it went."""

    script: Script | None
    keys: tuple[bytes, ...]
    args: tuple[Word, ...]

    def words(self, known: bool) -> tuple[Word, ...]:
        """As it is sent; ``known``: the server has the script."""
        if self.script is None:
            return self.args
        head: tuple[Word, Word] = ("EVALSHA", self.script.sha) if known else ("EVAL", self.script.text)
        return (*head, len(self.keys), *self.keys, *self.args)
