"""Functions that conditions may call beside CEL's own. Each is pure; what it raises is an error of the condition."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from cel_expr_python import cel


def function(
    name: str, implementation: Callable[..., Any], parameters: tuple[cel.Type, ...], result: cel.Type
) -> cel.FunctionDecl:
    """Declare a function for the environment of conditions."""
    overload = cel.Overload(
        f"{name}_{len(parameters)}",
        return_type=result,
        parameters=list(parameters),
        is_member=False,
        impl=implementation,
    )
    return cel.FunctionDecl(name, [overload])


def date_in(instant: datetime, zone: str) -> str:
    """Return the day that an instant falls on in a zone, as `2026-11-22`: such texts sort as the days do."""
    return instant.astimezone(_zone(zone)).date().isoformat()


def time_in(instant: datetime, zone: str) -> str:
    """Return the time of day of an instant in a zone, as `09:05:00`, without parts of seconds."""
    return instant.astimezone(_zone(zone)).strftime("%H:%M:%S")


def path_variable(values: Mapping[str, Any], name: str) -> str:
    """Return the value of a placeholder of the called path; the empty text if the path has none of this name."""
    value = values.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"`{name}` is no text")
    return value


def mismatch(reason: str) -> bool:
    """Raise what a translation found to be wrong with a part of a condition, whenever that part is looked at."""
    raise ValueError(reason)


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    # Known without a zone database, which small machines do not have.
    return UTC if name == "UTC" else ZoneInfo(name)


_TEXT, _INSTANT = cel.Type.STRING, cel.Type.TIMESTAMP

FUNCTIONS: Final = (
    function("dateIn", date_in, (_INSTANT, _TEXT), _TEXT),
    function("timeIn", time_in, (_INSTANT, _TEXT), _TEXT),
    function("pathVariable", path_variable, (cel.Type.MAP, _TEXT), _TEXT),
    function("mismatch", mismatch, (_TEXT,), cel.Type.BOOL),
)
