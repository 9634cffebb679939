"""Messages as Zep's threads take and give them (``zep_cloud.types.Message``): a role, a text, a name, metadata.

    thread.add_messages(id, messages=[AddMessage(**m) for m in to_zep(agent.messages, strict=False).messages])
    from_zep([m.model_dump() for m in page.items])

Zep has one text a message: what has several in Strands is several there, each with the name and the metadata, and what
one role says in a row is one message in Strands. ``name`` is ``metadata.custom["name"]``, ``metadata`` the rest of it:
up to ten keys, of scalars or lists of them. The system prompt is messages of the role system, before all others.
Kept in another form: guarded content is its text; cache points, and messages that say nothing.
Missing there: all that is no text (of citations the text is said), calls of tools and their results.
Missing here: messages of the roles tool and function, as they name no call; system messages behind others. Ids, times
and whether a message was processed are about it, and left out.
"""

from __future__ import annotations

from typing import Any

from ..errors import FormatError
from ..messages import snapshot
from .conversion import Converted, Dialect, Losses, Messages, Restored, System, several
from .fields import Fields
from .inner import Blocks, Joined, blocks, is_mark, prompt, spoken, text_of

_KEYS = 10
_ABOUT = ("uuid", "uuid_", "created_at", "processed", "reference_time", "thread_uuid")


def to_zep(messages: Messages, *, system: System = None, strict: bool = True) -> Converted:
    """Strands' messages for Zep; the system prompt is among them.

    Args:
        messages: One, or a list.
        system: The system prompt: a text, or Strands' content blocks.
        strict: What would be missing is refused; False: it is left out, and listed. A message without a text is left
            out itself.

    Raises:
        FormatError: Something would be missing; or (always) is no message of Strands.
        ValueError: ``messages`` is neither.
    """
    losses = Losses("Zep", strict=strict)
    out: list[Dialect] = [{"role": "system", "content": text} for text in _texts(prompt(system), losses)]
    for i, (role, said, custom) in enumerate(spoken(messages, losses, lambda role, name: True)):
        texts = _texts(said, losses)
        about = _about(custom, f"messages[{i}].metadata.custom", losses) if texts else {}
        out += [{"role": role, "content": text, **snapshot(about)} for text in texts]
        if custom and not texts:
            marks = all(is_mark(name, value) for name, value in custom.items())
            losses.add(f"messages[{i}].metadata.custom", "there is no text that it could be said of", kept=marks)
        if not said:
            losses.add(f"messages[{i}].content", "a message that says nothing", kept=True)
    return Converted(out, None, losses.done())


def from_zep(messages: Messages, *, system: Any = None, strict: bool = True) -> Restored:
    """Zep's messages for Strands.

    Args:
        messages: One, or a list.
        system: A system prompt that stands beside them: a text, or Strands' content blocks.
        strict: as in `to_zep`.

    Raises:
        FormatError: Something would be missing; or (always) is no message of Zep.
        ValueError: ``messages`` is neither.
    """
    losses = Losses("Strands", strict=strict)
    prompts: list[dict[str, Any]] = [{"text": text} for text in _texts(prompt(system), losses)]
    joined = Joined(losses)
    for i, message in enumerate(several(messages)):
        with Fields(message, place := f"messages[{i}]", losses) as fields:
            fields.ignore(*_ABOUT)
            role, text = fields.take("role", str), fields.take("content", str, "")
            if role in ("user", "assistant"):
                custom = snapshot(fields.take("metadata", dict, {}))
                if (name := fields.take("name", str, None)) is not None:
                    if "name" in custom:
                        fields.lose("metadata.name", "the name of who says it stands there")
                    custom["name"] = name
                joined.add(role, [{"text": text}], place, custom)
            elif role == "system" and not joined.messages:
                prompts.append({"text": text})
            elif role in ("system", "tool", "function"):
                why = "a system message behind others" if role == "system" else "which call it answers is not said"
                losses.add(place, why)
                fields.ignore(*fields)
            else:
                raise FormatError(f"{place}.role must be user, assistant, system, tool or function, not {role!r}")
    return Restored(joined.done(), prompts, losses.done())


def _texts(content: Blocks, losses: Losses) -> list[str]:
    out = []
    for place, kind, value in blocks(content, losses):
        if (text := text_of(kind, value, place, losses)) is None:
            losses.add(place, "there is only text", kept=kind == "cachePoint")
        else:
            out.append(text)
    return out


def _about(custom: dict[str, Any], place: str, losses: Losses) -> Dialect:
    """Name and metadata."""
    out: Dialect = {}
    metadata: dict[str, Any] = {}
    for key, value in custom.items():
        if key == "name" and isinstance(value, str):
            out["name"] = value
        elif key == "name" or not _is_scalar(value):
            losses.add(f"{place}.{key}", f"it may not be {type(value).__name__}")
        elif len(metadata) == _KEYS:
            losses.add(f"{place}.{key}", f"metadata has up to {_KEYS} keys")
        else:
            metadata[key] = value
    return out | ({"metadata": metadata} if metadata else {})


def _is_scalar(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str | int | float) for one in value)
    return isinstance(value, str | int | float)
