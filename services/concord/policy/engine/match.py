"""Whether names fit patterns: permissions through an index, operations and paths in linear time.

Patterns come from customers, so nothing here may backtrack.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import re2

from concord.policy.engine.model import Endpoint

EVERYTHING = "*.*.*"

# The services whose permissions come in classes of target; external services have none.
CLASSED_SERVICES = frozenset({"identity", "credentials", "groups", "policy", "audit"})
# A right over others implies the right over oneself, and never one over the owner or over everyone.
_IMPLIED = ("own_",)
_NOT_IMPLIED = ("owner_", "default_")
# Stands in the index for a star that reaches the classes which are not implied.
_EVERY_CLASS = "**"

# The library has no type hints.
_re2: Any = re2

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


class Globs:
    """Globs with owners. Each name is matched once and remembered: operations are few and asked about often.

    A combined automaton would be faster for the first time, but it answers "nothing" when it
    runs out of memory, and a deny must not be lost so.
    """

    _MEMORY = 4096

    def __init__(self, globs: Sequence[tuple[str, int]]) -> None:
        """Take pairs of a glob, in which `*` stands for any characters, and an owner."""
        self._rows = [(_re2.compile(_glob_regex(glob)), owner) for glob, owner in globs]
        self._known: dict[str, tuple[int, ...]] = {}

    def owners(self, text: str) -> tuple[int, ...]:
        """Return the owners of the globs that fit the whole text."""
        known = self._known.get(text)
        if known is None:
            known = tuple(owner for regex, owner in self._rows if regex.fullmatch(text) is not None)
            if len(self._known) >= self._MEMORY:
                self._known.clear()
            self._known[text] = known
        return known


class Endpoints:
    """Path globs with methods, compiled once."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._rows = [(e.method.upper(), e.path in ("*", "**"), _re2.compile(_path_regex(e.path))) for e in endpoints]

    def match(self, method: str, path: str, *, unknown: bool) -> bool:
        """Tell whether one of them fits. `unknown` is the answer for what the request does not say."""
        for row_method, any_path, regex in self._rows:
            method_fits = row_method == "*" or (row_method == method.upper() if method else unknown)
            path_fits = (any_path or unknown) if not path else regex.fullmatch(path) is not None
            if method_fits and path_fits:
                return True
        return False


def _path_regex(glob: str) -> str:
    parts = re.split(r"(\*\*|\*)", glob)
    return "(?s)" + "".join({"**": ".*", "*": "[^/]*"}.get(part) or _re2.escape(part) for part in parts)


def _glob_regex(glob: str) -> str:
    return "(?s)" + ".*".join(_re2.escape(part) for part in glob.split("*"))
