"""What the servicers take from every request and from the call it came in."""

from collections.abc import Iterable
from typing import Any

from concord.identity import rules
from concord.identity.operations.access import Sight
from concord.kernel import ids
from concord.kernel.errors import Invalid, Violation
from concord.kernel.rpc.call import Call


def sight() -> Sight:
    """Return what the current call may see."""
    call = Call.current()
    return Sight(call.reach, call.require_passport().principal)


def chosen_ids(given: Iterable[str]) -> frozenset[str] | None:
    """Return the ids a list is narrowed to; None when it is not."""
    return frozenset(ids.parse(str, each, "ids") for each in given) or None


def searched(text: str, field: str) -> str:
    """Return a text to look for, spelled as it is stored. NUL is in none, and some engines cannot be asked for it."""
    if "\0" in text:
        raise Invalid(Violation(field, "must not hold NUL", rule="characters"))
    return rules.normal(text)


def flag(message: Any, field: str) -> bool | None:
    """Return an optional flag of a request; None when it is not said."""
    return bool(getattr(message, field)) if message.HasField(field) else None
