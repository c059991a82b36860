"""Whether names fit patterns, through tables: permissions and operations. Paths are in `endpoints.py`.

Patterns come from customers, so nothing here may backtrack.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

EVERYTHING = "*.*.*"

# The services whose permissions come in classes of target; external services have none.
CLASSED_SERVICES = frozenset({"identity", "credentials", "groups", "policy", "audit"})
# A right over others implies the right over oneself, and never one over the owner or over everyone.
_IMPLIED = ("own_",)
_NOT_IMPLIED = ("owner_", "default_")
# Stands in the index for a star that reaches the classes which are not implied.
_EVERY_CLASS = "**"

_SEGMENT = re.compile(r"\*|[A-Za-z0-9_\-]+")
_OPERATION = re.compile(r"[A-Za-z0-9_\-/:.*]+")


def permission_pattern_fault(text: str) -> str:
    """Return what is wrong with a permission pattern, or an empty text."""
    if text == "*":
        return ""
    segments = text.split(".")
    if len(text) > 256 or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        return "each segment must be a name or `*`"
    if len(segments) < 2 or (len(segments) != 3 and "*" in segments):
        return "must be `service.resource.verb`, each of them a name or `*`, or `*` alone"
    return ""


def operation_pattern_fault(text: str) -> str:
    """Return what is wrong with an operation pattern, or an empty text."""
    if not 0 < len(text) <= 256 or not _OPERATION.fullmatch(text):
        return "must be the name of an operation, in which `*` stands for any characters"
    return ""


def pattern_keys(pattern: str, *, deny: bool, every_class: bool = False) -> tuple[str, ...]:
    """Return the index keys under which a statement with this pattern is found.

    A deny touches all classes of what it names, an allow only those that its right implies.
    """
    if pattern in ("*", EVERYTHING):
        service = resource = verb = "*"
    else:
        segments = pattern.split(".")
        if len(segments) != 3:
            return (pattern,)
        service, resource, verb = segments
    keys = [f"{service}.{resource}.{verb}"]
    all_classes = deny or every_class
    if resource == "*":
        if all_classes:
            keys.append(f"{service}.{_EVERY_CLASS}.{verb}")
        return tuple(keys)
    if resource.startswith((*_IMPLIED, *_NOT_IMPLIED)):
        return tuple(keys)
    prefixes = (*_IMPLIED, *_NOT_IMPLIED) if all_classes else _IMPLIED
    services = sorted(CLASSED_SERVICES) if service == "*" else [service] if service in CLASSED_SERVICES else []
    keys.extend(f"{name}.{prefix}{resource}.{verb}" for name in services for prefix in prefixes)
    return tuple(keys)


@lru_cache(maxsize=8192)
def permission_keys(permission: str) -> tuple[str, ...]:
    """Return the at most eight index keys that a permission may be found under."""
    segments = permission.split(".")
    if len(segments) != 3:
        return (permission, EVERYTHING)
    service, resource, verb = segments
    star = _EVERY_CLASS if service in CLASSED_SERVICES and resource.startswith(_NOT_IMPLIED) else "*"
    return tuple(f"{s}.{r}.{v}" for s in (service, "*") for r in (resource, star) for v in (verb, "*"))


def class_of(service: str, resource: str) -> tuple[str, str]:
    """Return the class of target that a type of resource names, with its underscore, and the plain type."""
    if service in CLASSED_SERVICES:
        for prefix in (*_IMPLIED, *_NOT_IMPLIED):
            if resource.startswith(prefix):
                return prefix, resource.removeprefix(prefix)
    return "", resource


def star_reaches(service: str, resource: str) -> bool:
    """Tell whether a star in the place of the type stands for this one: never for the owner's and everyone's things."""
    return class_of(service, resource)[0] not in _NOT_IMPLIED


def key_shape(key: str) -> int:
    """Return the place among `permission_keys` at which a key with these stars stands."""
    segments = key.split(".")
    if len(segments) != 3:
        return 0
    service, resource, verb = (segment in ("*", _EVERY_CLASS) for segment in segments)
    return 4 * service + 2 * resource + verb


class Globs:
    """Globs with owners, in which `*` stands for any characters. A look costs what fits, not what there is.

    Prefixes and suffixes are found in tables by their length, the rest by the longest text in it. No
    automaton: a combined one answers "nothing" when it runs out of memory, and a deny must not be lost so.
    """

    __slots__ = ("_exact", "_inside", "_prefixes", "_suffixes")

    def __init__(self, globs: Iterable[tuple[str, int]] = ()) -> None:
        """Take pairs of a glob and an owner."""
        self._exact: dict[str, set[int]] = {}
        self._prefixes: dict[int, dict[str, set[int]]] = {}
        self._suffixes: dict[int, dict[str, set[int]]] = {}
        self._inside: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for glob, owner in globs:
            self.add(glob, owner)

    def add(self, glob: str, owner: int) -> None:
        """Add a glob."""
        pieces = glob.split("*")
        if len(pieces) == 1:
            self._exact.setdefault(pieces[0], set()).add(owner)
            return
        first, last, between = pieces[0], pieces[-1], [piece for piece in pieces[1:-1] if piece]
        if not last and not between:
            self._prefixes.setdefault(len(first), {}).setdefault(first, set()).add(owner)
        elif not first and not between:
            self._suffixes.setdefault(len(last), {}).setdefault(last, set()).add(owner)
        else:
            parts = (first, *between, last)
            self._inside.setdefault(max(parts, key=len), []).append((parts, owner))

    def owners(self, text: str) -> set[int]:
        """Return the owners of the globs that fit the whole text."""
        found = set(self._exact.get(text, ()))
        for length, prefixes in self._prefixes.items():
            if length <= len(text):
                found.update(prefixes.get(text[:length], ()))
        for length, suffixes in self._suffixes.items():
            if length <= len(text):
                found.update(suffixes.get(text[len(text) - length :], ()))
        for longest, rows in self._inside.items():
            if longest in text:
                found.update(owner for parts, owner in rows if _parts_fit(parts, text))
        return found


def _parts_fit(parts: tuple[str, ...], text: str) -> bool:
    # Leftmost is best for each part between the ends, so nothing is ever tried twice.
    at, end = len(parts[0]), len(text) - len(parts[-1])
    if at > end or not text.startswith(parts[0]) or not text.endswith(parts[-1]):
        return False
    for part in parts[1:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
