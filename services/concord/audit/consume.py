"""Turns the changes of the other services into events."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Final

from concord.audit import operations, records
from concord.audit.store import Store
from concord.common.v1.change_pb2 import ChangeEvent
from concord.kernel.units import Unit

SOURCES: Final = ("identity", "credentials", "groups", "policy")


def recorder(source: str) -> Callable[[Unit[Store], ChangeEvent], None]:
    """Return what records the changes of one source."""

    def record(unit: Unit[Store], event: ChangeEvent) -> None:
        operations.keep(unit.store, records.entry_of(source, event))

    return record


def load_contracts() -> None:
    """Make the messages of all sources known, so that what their events carry can be read in any process."""
    for source in SOURCES:
        package = importlib.import_module(f"concord.{source}.v1")
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.endswith("_pb2"):
                importlib.import_module(f"{package.__name__}.{module.name}")
