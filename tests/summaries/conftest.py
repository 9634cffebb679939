from __future__ import annotations

from collections.abc import Iterator

import pytest

from .counting import counting


@pytest.fixture(scope="module", autouse=True)
def by_characters() -> Iterator[None]:
    """Four characters are a token here, whatever vocabulary is at hand."""
    with counting("characters"):
        yield
