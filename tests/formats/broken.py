"""Values with something of the wrong shape in them, as what is handed over may be."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

_JUNK = (None, True, 5, 1.5, "junk", "", b"junk", [], {}, [[]], [5], {"type": "text"}, {"a": None}, ["junk"], object())


@st.composite
def broken(draw: Any, value: Any) -> Any:
    """``value`` with something in it dropped, replaced, or put beside it; not at the top."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []
    _walk(value, places)
    if places:
        container, key = draw(st.sampled_from(places))
        junk = copy.copy(draw(st.sampled_from(_JUNK)))
        how = draw(st.sampled_from(("replace", "drop", "beside")))
        if how == "drop":
            del container[key]
        elif how == "beside" and isinstance(container, dict):
            container[draw(st.sampled_from(("junk", "type", "text", "name", "id", "content", "json")))] = junk
        else:
            container[key] = junk
    return value


def _walk(value: Any, places: list[tuple[Any, Any]]) -> None:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        places.append((value, key))
        _walk(inner, places)
