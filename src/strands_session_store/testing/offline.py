"""What the offline model says: a pure function of the conversation and of the tools at hand.

Rule 1. The last prompt is taken clause by clause; each is a telling, a question, or small talk.
Rule 2. What a user tells of themselves is a fact; a later telling of the same takes its place. Facts are looked for in
        the messages every time: there is no memory but the conversation.
Rule 3. A question that suits a tool, and names what the tool needs, becomes a tool call; with the result in the
        messages it is answered by that. Asked in the past tense, an earlier result answers it.
Rule 4. What is not known is said to be not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from strands.types.content import Message, Messages
from strands.types.tools import ToolSpec


class ToolUse(NamedTuple):
    """A tool that has to be asked first."""

    name: str
    input: dict[str, Any]


class Used(NamedTuple):
    """A tool that was asked, and what it said."""

    name: str
    input: Mapping[str, Any]
    failed: bool
    result: str


def answer(messages: Messages, tools: Sequence[ToolSpec] = ()) -> str | list[ToolUse]:
    """The next thing to say, or the tools to ask before."""
    at = max((i for i, message in enumerate(messages) if message["role"] == "user" and _text(message)), default=None)
    if at is None:
        return "Nothing was asked."
    facts = dict(fact for message in messages[:at] if message["role"] == "user" for fact in _told(_text(message)))
    now, earlier = list(_used(messages[at:])), list(_used(messages[:at]))
    said: list[str] = []
    wanted: list[ToolUse] = []
    for clause in _clauses(_text(messages[at])):
        told = dict(_told(clause))
        facts.update(told)
        if told:
            said.append(f"I will remember that {' and '.join(told.values())}.")
        elif not _QUESTION.search(clause):
            said.append(_small_talk(clause, facts, tools))
        elif (recalled := _recall(clause, facts, messages[:at])) is not None:
            said.append(recalled)
        else:
            match _by_tool(clause, tools, now, earlier):
                case ToolUse() as use:
                    wanted.append(use)
                case None:
                    said.append(_unknown(clause, tools))
                case text:
                    said.append(text)
    return wanted or " ".join(dict.fromkeys(said))


# --------------------------------------------------------------------------------------------------------------- words


def _text(message: Message) -> str:
    return "\n".join(block["text"] for block in message["content"] if "text" in block)


def _clauses(text: str) -> list[str]:
    return [clause.strip() for clause in _SPLIT.split(text) if clause and clause.strip()]


def _plain(text: str) -> str:
    """For comparing: one spelling, one case."""
    return text.lower().replace("colour", "color").replace("favourite", "favorite")


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z']+", _plain(text.replace("\u2019", "'").replace("'s ", " is "))))


def _sentence(text: str) -> str:
    return _ended(text[0].upper() + text[1:])


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _second_person(text: str) -> str:
    return re.sub(r"[\w']+", lambda found: _YOURS.get(found[0].lower(), found[0]), text)


# --------------------------------------------------------------------------------------------------------------- facts

_ASKING = "what|where|who|when|which|how|do|does|did|can|could|is|are|was|tell me|give me|show|calculate|compute|please"
_QUESTION = re.compile(rf"\?\s*$|^({_ASKING})\b", re.I)
_SPLIT = re.compile(rf"(?<=[.!?;])\s+|\n+|,?\s+and\s+(?=(?:my|i|call|remember|{_ASKING})\b)", re.I)
_NAME = re.compile(r"\b(?:my name is|call me|i am called|i'm called)\s+(.+)", re.I)
_MINE = re.compile(r"\bmy\s+([\w' -]{2,40}?)\s+(is|are)\s+(.+)", re.I)
_DOING = "live in|live at|work at|work as|work for|come from|like|love|prefer|hate|need|want|have|own"
_I_DO = re.compile(rf"\bi\s+({_DOING})\s+(.+)", re.I)
_REMEMBER = re.compile(r"\b(?:remember|note|keep in mind)(?: that|:)?\s+(.+)", re.I)
_YOURS = {"my": "your", "mine": "yours", "i": "you", "me": "you", "am": "are", "i'm": "you're", "myself": "yourself"}


def _told(text: str) -> Iterator[tuple[str, str]]:
    """(what it is about, the fact in the second person) for each fact that is told, in order."""
    for clause in _clauses(text):
        if clause.rstrip().endswith("?") or (_QUESTION.search(clause) and not _REMEMBER.search(clause)):
            continue
        about = clause.rstrip(" .!;")
        if found := _NAME.search(about):
            yield "name", f"your name is {found[1]}"
        elif found := _MINE.search(about):
            yield _plain(found[1]), f"your {found[1]} {found[2]} {found[3]}"
        elif found := _I_DO.search(about):
            yield f"i {_plain(found[1])}", f"you {found[1].lower()} {found[2]}"
        elif (found := _REMEMBER.search(about)) and found[1].lower() not in ("me", "this", "that", "it"):
            yield f"note {found[1]}", _second_person(found[1])


def _recall(question: str, facts: Mapping[str, str], before: Messages) -> str | None:
    """The answer to a question about the conversation itself; None for any other."""
    words = _words(question)
    if {"know", "remember"} & words and {"you"} & words:
        return _sentence("; ".join(facts.values())) if facts else "You have not told me anything to remember yet."
    if {"who", "am", "i"} <= words:
        question, words = "what is my name?", {"what", "is", "my", "name"}
    if "my" in words:
        plain = _plain(question)
        hits = [fact for about, fact in facts.items() if re.search(rf"\b(?:my|and)\s+{re.escape(about)}\b", plain)]
        if hits:
            return _sentence("; ".join(hits))
        asked = re.search(r"\bmy\s+([\w' -]+?)\s*[?.!]*$", question, re.I)
        return f"You have not told me your {asked[1]}." if asked else None
    if "i" in words:
        for about, fact in reversed(list(facts.items())):
            if about.startswith("i ") and _words(about.split()[1]) <= words:
                return _sentence(fact)
        if {"say", "said", "ask", "asked", "tell", "told", "mention"} & words:
            texts = [text for message in before if message["role"] == "user" and (text := _text(message))]
            if not texts:
                return "This is the first thing you say."
            which, text = ("last", texts[-1]) if {"last", "just"} & words else ("first", texts[0])
            return f'Your {which} words were: "{text}"'
    return None


def _small_talk(clause: str, facts: Mapping[str, str], tools: Sequence[ToolSpec]) -> str:
    name = facts.get("name", "").removeprefix("your name is ")
    words = _words(clause)
    if {"hello", "hi", "hey", "morning", "evening"} & words:
        return f"Hello{', ' + name if name else ''}."
    if {"thanks", "thank", "great", "cheers"} & words:
        return "You are welcome."
    if {"bye", "goodbye"} & words:
        return f"Goodbye{', ' + name if name else ''}."
    return _unknown(clause, tools)


def _unknown(clause: str, tools: Sequence[ToolSpec]) -> str:
    names = ", ".join(spec["name"] for spec in tools)
    return (
        f'I am an offline model and have no answer to "{clause.strip()}". I recall what you tell me'
        f"{', and I can use ' + names if names else ''}."
    )


# --------------------------------------------------------------------------------------------------------------- tools

_ALIKE = (
    {"time", "clock", "now", "today", "date", "hour", "day"},
    {"weather", "forecast", "temperature", "rain", "sunny", "cold", "warm"},
    {"calculator", "calculate", "calculation", "compute", "arithmetic", "math", "sum", "add", "plus", "minus", "times",
     "multiply", "divide", "divided"},
)  # fmt: skip
_PAST = {"was", "were", "did", "earlier", "before", "again", "said"}
_COMMON = _words(
    """a an the of in on at for to is are was were what which who how do does did it and or you your me my i get tell
    give show please current return returns with given from by this that can could be as"""
)
_SUM = re.compile(r"[\d.(][\d\s.()]*(?:[-+*/%^x][\s\d.()]+)+")
_PLACE = re.compile(r"\b(?:in|for|at|of)\s+((?:[A-Z][\w'-]*)(?:\s+[A-Z][\w'-]*)*)")


def _by_tool(
    clause: str, tools: Sequence[ToolSpec], now: Sequence[Used], earlier: Sequence[Used]
) -> ToolUse | str | None:
    """The tool to ask; or what it said; or None when no tool suits."""
    scored = [(score, spec) for spec in tools if (score := _suits(clause, spec)) > 0]
    for _, spec in sorted(scored, key=lambda pair: -pair[0]):
        name = spec["name"]
        if _PAST & _words(clause):
            for used in reversed(earlier):
                if used.name == name and not used.failed:
                    return _ended(f"Earlier, {name} said: {used.result}")
        values = _input(clause, spec)
        if values is None:
            continue
        for used in now:
            if used.name == name and dict(used.input) == values:
                return _ended(f"{name} {'failed' if used.failed else 'says'}: {used.result}")
        return ToolUse(name, values)
    return None


def _suits(clause: str, spec: ToolSpec) -> int:
    asked = _alike(_words(clause) - _COMMON) | ({"calculator"} if _SUM.search(clause) else set())
    named = _alike(_words(spec["name"].replace("_", " ").replace("-", " ")) - _COMMON)
    described = _words(spec.get("description", "")) - _COMMON
    score = 3 * len(asked & named) + len(asked & described)
    return score if score >= 2 else 0


def _alike(words: set[str]) -> set[str]:
    return words.union(*(group for group in _ALIKE if group & words))


def _input(clause: str, spec: ToolSpec) -> dict[str, Any] | None:
    """What the tool needs, read from the clause; None when a required value is not in it."""
    schema = spec["inputSchema"].get("json", spec["inputSchema"])
    numbers = iter(re.findall(r"-?\d+(?:\.\d+)?", clause))
    values: dict[str, Any] = {}
    for name, kind in schema.get("properties", {}).items():
        value = _value(clause, name.lower(), kind, numbers)
        if value is not None:
            values[name] = value
        elif name in schema.get("required", ()):
            return None
    return values


def _value(clause: str, name: str, kind: Mapping[str, Any], numbers: Iterator[str]) -> Any:
    match kind.get("type"):
        case "integer" | "number" as number:
            text = next(numbers, None)
            return None if text is None else int(float(text)) if number == "integer" else float(text)
        case "array":
            return [float(n) for n in numbers] or None
        case "string":
            if options := kind.get("enum"):
                return next((o for o in options if str(o).lower() in clause.lower()), None)
            if quoted := re.search(r"[\"“']([^\"”']+)[\"”']", clause):
                return quoted[1]
            if name.startswith(("expr", "formula", "equation", "calc")):
                found = _SUM.search(clause)
                return found[0].strip(" .").replace("x", "*") if found else None
            if name in ("query", "question", "text", "topic", "prompt", "input", "message"):
                return clause.strip()
            place = _PLACE.search(clause)
            return place[1] if place else None
    return None


def _used(messages: Sequence[Message]) -> Iterator[Used]:
    asked: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for message in messages:
        for block in message["content"]:
            if "toolUse" in block:
                use = block["toolUse"]
                asked[use["toolUseId"]] = use["name"], use["input"]
            elif "toolResult" in block and block["toolResult"]["toolUseId"] in asked:
                result = block["toolResult"]
                parts = (part["text"] if "text" in part else str(part.get("json", "")) for part in result["content"])
                yield Used(*asked[result["toolUseId"]], result.get("status") == "error", " ".join(parts))
