"""For tests of engines and of applications. Names load when they are used, so none asks for what another one needs.

StoreContract    what `stores.base` promises, as pytest tests for an engine (needs pytest)
StoreMachine     random commits beside a model of the contract (needs hypothesis)
FaultyStore      an engine that fails, hangs, is slow, loses answers and stops when it is told to
Stopped          what it raises from then on, as if its process had been killed
Schedule         several workers on one engine, in an order that a seed draws
ScriptedModel    a Strands model that says what it is told to
ToolCall         what it says when it is to ask for a tool
OfflineModel     a Strands model that needs no network
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contract import StoreContract as StoreContract
    from .faults import FaultyStore as FaultyStore
    from .faults import Stopped as Stopped
    from .machine import StoreMachine as StoreMachine
    from .models import OfflineModel as OfflineModel
    from .models import ScriptedModel as ScriptedModel
    from .models import ToolCall as ToolCall
    from .schedule import Schedule as Schedule

_HOMES = {
    "StoreContract": "contract",
    "StoreMachine": "machine",
    "FaultyStore": "faults",
    "Stopped": "faults",
    "Schedule": "schedule",
    "ScriptedModel": "models",
    "ToolCall": "models",
    "OfflineModel": "models",
}

__all__ = [
    "FaultyStore",
    "OfflineModel",
    "Schedule",
    "ScriptedModel",
    "Stopped",
    "StoreContract",
    "StoreMachine",
    "ToolCall",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("StoreContract", "StoreMachine"):
        import pytest

        # so that a failing promise shows the values it was about; before either of them imports one
        pytest.register_assert_rewrite(f"{__name__}.contract", f"{__name__}.promises")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
