"""What a condition may cost at most, found from its form before it is ever evaluated.

The library stops after so many rounds of loops, but it cannot be interrupted, and neither what a round
costs nor what it builds is bounded by it: texts that double, or patterns made anew in each round.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import re2

# About a microsecond each; a condition may take this many, and build values of this size.
MAX_STEPS: Final = 20_000
MAX_SIZE: Final = 1 << 18
# The library's own bound on rounds, and how much of a condition is looked at before it counts as too deep.
_ROUNDS: Final = 10_000
_MAX_LOOKS: Final = 4_000
# What a pattern may need to be compiled, and the steps that one with so much memory takes each time.
_PATTERN_STEPS: Final = ((1 << 14, 100), (1 << 17, 1000))
_FUNCTION_STEPS: Final = 10

# The library has no type hints.
_re2: Any = re2

_Fields = list[tuple[int, Any]]


class Refused(Exception):
    """A condition that must not be evaluated; the text says why."""


@dataclass(frozen=True, slots=True)
class _Size:
    """The most that a value may hold: all in all, entries, and in its largest entry."""

    total: int = 1
    count: int = 0
    entry: "_Size | None" = None

    def part(self) -> "_Size":
        return self.entry or _Size(self.total, self.count)

    def beside(self, other: "_Size") -> "_Size":
        """What holds both, as a list or text does."""
        if self.total + other.total > MAX_SIZE:
            raise Refused("may build a value that is too large")
        return _Size(self.total + other.total, self.count + other.count, _larger(self.entry, other.entry))

    def repeated(self, rounds: int) -> "_Size":
        if self.total * rounds > MAX_SIZE:
            raise Refused("may build a value that is too large")
        return _Size(self.total * rounds, self.count * rounds, self.entry)


_ONE: Final = _Size()
_NOTHING: Final = _Size(0)
# What a question says is not known beforehand; it is small.
_FACT: Final = _Size(4096, 64)


def check_cost(serialized: bytes) -> None:
    """Raise Refused for a serialized expression that may take too long or grow too large."""
    wrapped = dict(_fields(serialized))
    parts = dict(_fields(wrapped[2]))
    # The same tree stands elsewhere in what was type-checked and in what was only parsed.
    _Bound().of(parts[4 if wrapped[1].endswith(b"CheckedExpr") else 2], {})


class _Bound:
    """Adds up steps over one expression."""

    __slots__ = ("_looks", "_rounds", "_steps")

    def __init__(self) -> None:
        self._steps = 0.0
        self._rounds = 1
        self._looks = 0

    def of(self, expression: bytes, known: Mapping[str, _Size]) -> _Size:
        """Return the size of an expression's value, and add what it takes."""
        self._looks += 1
        if self._looks > _MAX_LOOKS:
            raise Refused("nests too many loops")
        self._spend(0.3)
        for number, value in _fields(expression):
            match number:
                case 3:
                    return _Size(max(1, len(value)))
                case 4:
                    return known.get(dict(_fields(value)).get(1, b"").decode(), _FACT)
                case 5:
                    return self.of(dict(_fields(value)).get(1, b""), known).part()
                case 6:
                    return self._call(_fields(value), known)
                case 7:
                    return self._list([entry for at, entry in _fields(value) if at == 1], known)
                case 8:
                    entries = [list(_fields(entry)) for at, entry in _fields(value) if at == 2]
                    return self._list([part for each in entries for at, part in each if at in (3, 4)], known)
                case 9:
                    return self._loop(dict(_fields(value)), known)
        return _ONE

    def _spend(self, steps: float) -> None:
        self._steps += steps * self._rounds
        if self._steps > MAX_STEPS:
            raise Refused("may take too long")

    def _list(self, entries: list[bytes], known: Mapping[str, _Size]) -> _Size:
        total, largest = 1, None
        for entry in entries:
            size = self.of(entry, known)
            total += size.total
            largest = _larger(largest, size)
        return _Size(total, len(entries), largest)

    def _call(self, parts: Iterator[tuple[int, Any]], known: Mapping[str, _Size]) -> _Size:
        name, sizes, arguments = "", [], []
        for number, value in parts:
            if number == 2:
                name = value.decode()
            else:
                arguments.append(value)
        if name == "matches":
            self._spend(_pattern_steps(_literal(arguments[-1]) if arguments else None))
        sizes = [self.of(argument, known) for argument in arguments]
        if name == "_+_" and len(sizes) == 2:
            size = sizes[0].beside(sizes[1])
            self._spend(size.total / 1000)
            return size
        if name == "_?_:_" and len(sizes) == 3:
            return _larger(sizes[1], sizes[2]) or _ONE
        if name in ("_[_]", "_?._", "_[?_]") and sizes:
            return sizes[0].part()
        if name[:1] in "_@!-":
            self._spend(sum(size.count for size in sizes) / 20)
            return _ONE
        self._spend(_FUNCTION_STEPS)
        # Functions give back a number, an instant or a text of about what they were given.
        return _Size(64 + 4 * sum(size.total for size in sizes))

    def _loop(self, parts: Mapping[int, Any], known: Mapping[str, _Size]) -> _Size:
        over = self.of(parts.get(2, b""), known)
        start = self.of(parts.get(4, b""), known)
        # A map is gone through by its keys.
        rounds = max(1, min(over.count or over.total, _ROUNDS))
        inside = {**known, parts.get(1, b"").decode(): over.part(), parts.get(8, b"").decode(): over.part()}
        kept = parts.get(3, b"").decode()
        before, self._rounds = self._rounds, min(self._rounds * rounds, _ROUNDS)
        self.of(parts.get(5, b""), {**inside, kept: start})
        added = self.of(parts.get(6, b""), {**inside, kept: _NOTHING})
        grown = self.of(parts.get(6, b""), {**inside, kept: _ONE})
        self._rounds = before
        if grown.total > added.total + 1:
            raise Refused("may build a value that is too large")
        total = start.beside(added.repeated(rounds)) if grown.total > added.total else _larger(start, added) or _ONE
        return self.of(parts.get(7, b""), {**known, kept: total})


@lru_cache(maxsize=1024)
def _pattern_steps(pattern: str | None) -> int:
    if pattern is None:
        raise Refused("needs a pattern that is written out in `matches`")
    options = _re2.Options()
    options.log_errors = False
    reason = ""
    for memory, steps in _PATTERN_STEPS:
        options.max_mem = memory
        try:
            _re2.compile(pattern, options)
        except _re2.error as error:
            reason = str(error)
            continue
        return steps
    if "too large" in reason:
        raise Refused("has a pattern that is too large")
    # No pattern at all: evaluating it is an error, and takes no time.
    return _FUNCTION_STEPS


def _literal(expression: bytes) -> str | None:
    constant = dict(_fields(expression)).get(3)
    text = None if constant is None else dict(_fields(constant)).get(6)
    return text.decode() if isinstance(text, bytes) else None


def _larger(left: _Size | None, right: _Size | None) -> _Size | None:
    if left is None or right is None:
        return left or right
    return _Size(max(left.total, right.total), max(left.count, right.count), _larger(left.entry, right.entry))


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field of a message on the wire."""
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        kind = tag & 7
        if kind == 2:
            length, at = _number(message, at)
            yield tag >> 3, message[at : at + length]
            at += length
        elif kind == 0:
            value, at = _number(message, at)
            yield tag >> 3, value
        else:
            length = 8 if kind == 1 else 4
            yield tag >> 3, message[at : at + length]
            at += length


def _number(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
