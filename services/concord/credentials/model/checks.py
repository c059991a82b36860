"""What free texts, attributes and durations must be, whatever they belong to."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from concord.kernel.errors import Invalid, Violation

MAX_NAME: Final = 256
MAX_DESCRIPTION: Final = 1000


def check_text(text: str, name: str, limit: int) -> list[Violation]:
    """Return what is wrong with a free text."""
    if len(text) > limit:
        return [Violation(name, f"must have at most {limit} characters", rule="length")]
    if "\x00" in text:
        return [Violation(name, "must not hold a null character", rule="pattern")]
    return []


def check_attributes(attributes: Mapping[str, str], name: str) -> list[Violation]:
    """Return what is wrong with a thing's attributes: bad names, or more than 16 KiB each and 64 KiB together."""
    found = []
    total = 0
    for key, value in attributes.items():
        size = len(value.encode())
        total += size + len(key.encode())
        namespace, dot, rest = key.partition(".")
        if not (namespace and dot and rest) or len(key) > 128 or "\x00" in key + value:
            found.append(Violation(name, f"`{key[:128]}` must read namespace.key", rule="pattern"))
        elif size > 16 * 1024:
            found.append(Violation(name, f"`{key}` must have at most 16 KiB", rule="length"))
    if total > 64 * 1024:
        found.append(Violation(name, "must have at most 64 KiB together", rule="length"))
    return found


def check_ttl(ttl: timedelta, name: str, least: timedelta, most: timedelta) -> list[Violation]:
    """Return what is wrong with how long something is to last."""
    if least <= ttl <= most:
        return []
    text = f"must lie between {int(least.total_seconds())} and {int(most.total_seconds())} seconds"
    return [Violation(name, text, rule="range")]


def refuse(violations: list[Violation]) -> None:
    """Raise Invalid when there is anything to complain about."""
    if violations:
        raise Invalid(*violations)
