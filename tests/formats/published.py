"""Whether a value is what a vendor's published type says: strict, no key that is not in it. Pure.

pydantic's TypeAdapter would let unknown keys pass, and reads what is declared as Iterable only when it is iterated.
"""

from __future__ import annotations

import collections.abc
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from typing_extensions import NotRequired, Required, is_typeddict


def problems(value: Any, kind: Any, place: str = "") -> list[str]:
    """What is wrong with ``value``, by place; empty: it is a ``kind``."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Annotated, Required, NotRequired):
        return problems(value, args[0], place)
    if origin is Literal:
        return [] if value in args else [f"{place}: {value!r} is none of {args}"]
    if origin is Union or str(origin) == "<class 'types.UnionType'>":
        found = [problems(value, arg, place) for arg in args]
        return [] if [] in found else min(found, key=len)
    if is_typeddict(kind):
        if not isinstance(value, dict):
            return [f"{place}: {type(value).__name__} is no {kind.__name__}"]
        hints = get_type_hints(kind, include_extras=True)
        # __required_keys__ is blind to Required where annotations are texts
        required = {key for key, hint in hints.items() if get_origin(hint) is Required} | kind.__required_keys__
        optional = {key for key, hint in hints.items() if get_origin(hint) is NotRequired}
        missing = [f"{place}.{key} is missing ({kind.__name__})" for key in required - optional - value.keys()]
        unknown = [f"{place}.{key} is not in {kind.__name__}" for key in value.keys() - hints.keys()]
        known = value.keys() & hints.keys()
        wrong = [problem for key in known for problem in problems(value[key], hints[key], f"{place}.{key}")]
        return missing + unknown + wrong
    if origin in (list, collections.abc.Iterable, collections.abc.Sequence):
        if not isinstance(value, list):
            return [f"{place}: {type(value).__name__} is no list"]
        return [problem for i, item in enumerate(value) for problem in problems(item, args[0], f"{place}[{i}]")]
    if origin in (dict, collections.abc.Mapping):
        return [] if isinstance(value, dict) else [f"{place}: {type(value).__name__} is no dict"]
    if kind is object or kind is Any:
        return []
    kind = type(None) if kind is None else kind
    return [] if isinstance(value, origin or kind) else [f"{place}: {type(value).__name__} is no {kind}"]
