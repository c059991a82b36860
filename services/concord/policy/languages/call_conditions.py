"""The small condition language of `call_statements`, read once and said again in CEL.

    currentDate >= date(2023, 02, 01) and (ipAddress('10.0.0.0/24') or not samUserName == 'alice')

Every element has a type that is known when the text is read. Text that cannot be read is refused; text that
compares what cannot be compared is kept, and that part of it is an error whenever it is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import Enum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from concord.policy.engine.condition import syntax_fault
from concord.policy.engine.networks import parse_network
from concord.policy.languages.call_tokens import ConditionFault, Token, fault_at, split

MAX_LENGTH: Final = 2048
# CEL's own bound is 32 for what is made of this, of which each level here can take two.
MAX_DEPTH: Final = 12
DEFAULT_ZONE: Final = "UTC"

_COMPARISONS = frozenset({"==", "!=", ">=", "<=", "<", ">"})
_WORDS = frozenset({"and", "or", "not"})


class _Type(Enum):
    TRUTH = "true or false"
    TEXT = "a text"
    NUMBER = "a number"
    DATE = "a date"
    TIME = "a time"
    INSTANT = "a date with time"


@dataclass(frozen=True, slots=True)
class _Term:
    """A part of the condition: what it is called in CEL and of which type it is."""

    cel: str
    type: _Type


def condition_fault(text: str, zone: str = DEFAULT_ZONE) -> str:
    """Return why a condition cannot be stored, naming the place, or an empty text."""
    try:
        said = to_cel(text, zone)
    except ConditionFault as fault:
        return str(fault)
    return "says too much for one condition" if syntax_fault(said) else ""


@lru_cache(maxsize=4096)
def to_cel(text: str, zone: str = DEFAULT_ZONE) -> str:
    """Return the condition in CEL, with days and times of day counted in a zone; raise ConditionFault if it cannot."""
    if len(text) > MAX_LENGTH:
        raise ConditionFault(f"must have at most {MAX_LENGTH} characters")
    return _Reader(text, zone).read()


def quote(text: str) -> str:
    """Return a text without hidden characters as a literal of CEL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def mismatch(reason: str) -> str:
    """Return CEL that is an error with this reason, wherever it is asked."""
    return f"mismatch({quote(reason)})"


class _Reader:
    """Reads one condition by descent; how deep is bounded, so that hostile text cannot exhaust the stack."""

    def __init__(self, text: str, zone: str) -> None:
        self._text = text
        self._zone = zone
        self._tokens = split(text)
        self._at = 0
        self._depth = 0

    def read(self) -> str:
        """Return the whole condition in CEL."""
        if len(self._tokens) == 1:
            raise self._fault(self._next, "says nothing")
        term = self._either()
        if self._next.kind != "end":
            raise self._fault(self._next, f"`{self._next.text}` does not belong here")
        return self._truth(term, "a condition")

    def _either(self) -> _Term:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._fault(self._next, f"is nested deeper than {MAX_DEPTH} levels")
        term = self._joined("or", "||", lambda: self._joined("and", "&&", self._negated))
        self._depth -= 1
        return term

    def _joined(self, word: str, sign: str, part: Callable[[], _Term]) -> _Term:
        terms = [part()]
        while self._take(word):
            terms.append(part())
        if len(terms) == 1:
            return terms[0]
        said = f" {sign} ".join(self._truth(term, f"a side of `{word}`") for term in terms)
        return _Term(f"({said})", _Type.TRUTH)

    def _negated(self) -> _Term:
        times = 0
        while self._take("not"):
            times += 1
        term = self._compared()
        if not times:
            return term
        # Two cancel each other out, so that a thousand of them are not a thousand levels.
        said = self._truth(term, "what follows `not`")
        return _Term(f"!({said})" if times % 2 else said, _Type.TRUTH)

    def _compared(self) -> _Term:
        left = self._single()
        token = self._next
        if token.text not in _COMPARISONS or token.kind != "sign":
            return left
        self._at += 1
        right = self._single()
        if left.type is not right.type:
            return _Term(mismatch(f"{left.type.value} cannot be compared with {right.type.value}"), _Type.TRUTH)
        if left.type is _Type.TRUTH and token.text not in ("==", "!="):
            return _Term(mismatch(f"`{token.text}` does not order {left.type.value}"), _Type.TRUTH)
        return _Term(f"({left.cel} {token.text} {right.cel})", _Type.TRUTH)

    def _single(self) -> _Term:
        token = self._next
        self._at += 1
        if token.text == "(" and token.kind == "sign":
            term = self._either()
            self._expect(")")
            return term
        if token.kind == "text":
            return _Term(quote(self._literal(token)), _Type.TEXT)
        if token.kind == "number":
            return _Term(repr(float(token.text)), _Type.NUMBER)
        if token.kind != "name" or token.text in _WORDS:
            told = "ends too early" if token.kind == "end" else f"`{token.text}` stands where a value is expected"
            raise self._fault(token, told)
        if self._take("("):
            return self._called(token, self._arguments())
        named = self._named(token.text)
        if named is None:
            raise self._fault(token, f"there is no `{token.text}`")
        return named

    def _named(self, name: str) -> _Term | None:
        zone = quote(self._zone)
        match name:
            case "true" | "false":
                return _Term(name, _Type.TRUTH)
            case "currentDate":
                return _Term(f"dateIn(request.time, {zone})", _Type.DATE)
            case "currentTime":
                return _Term(f"timeIn(request.time, {zone})", _Type.TIME)
            case "currentDateTime":
                return _Term("request.time", _Type.INSTANT)
            case "samUserName":
                return _Term("subject.name", _Type.TEXT)
            case "httpMethod":
                return _Term("request.method", _Type.TEXT)
            case "path":
                return _Term("request.path", _Type.TEXT)
        return None

    def _called(self, name: Token, arguments: list[Token]) -> _Term:
        match name.text:
            case "ipAddress":
                return self._network(name, arguments)
            case "pathVariable":
                self._require(name, arguments, "text", 1, 1)
                asked = quote(self._literal(arguments[0]))
                return _Term(f"pathVariable(request.path_variables, {asked})", _Type.TEXT)
            case "date":
                day = self._made(name, self._numbers(name, arguments, 3, 3), _day)
                return _Term(quote(day), _Type.DATE)
            case "time":
                moment = self._made(name, self._numbers(name, arguments, 2, 3), _time_of_day)
                return _Term(quote(moment), _Type.TIME)
            case "datetime":
                instant = self._made(name, self._numbers(name, arguments, 5, 6), self._instant)
                return _Term(f"timestamp({quote(instant)})", _Type.INSTANT)
        raise self._fault(name, f"there is no function `{name.text}`")

    def _network(self, name: Token, arguments: list[Token]) -> _Term:
        self._require(name, arguments, "text", 1, 1)
        network = self._literal(arguments[0])
        try:
            parse_network(network)
        except ValueError:
            told = "must be an address, or a network as `10.0.0.0/24`"
            raise self._fault(arguments[0], told) from None
        return _Term(f"inIpRange(request.ip, {quote(network)})", _Type.TRUTH)

    def _instant(self, numbers: list[int]) -> str:
        year, month, day, hour, minute, *second = numbers
        zone = UTC if self._zone == DEFAULT_ZONE else ZoneInfo(self._zone)
        local = datetime(year, month, day, hour, minute, sum(second), tzinfo=zone)
        return local.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def _made(self, name: Token, numbers: list[int], make: Callable[[list[int]], str]) -> str:
        try:
            return make(numbers)
        except (ValueError, OverflowError):
            written = ", ".join(map(str, numbers))
            raise self._fault(name, f"there is no such {name.text}: {written}") from None

    def _numbers(self, name: Token, arguments: list[Token], least: int, most: int) -> list[int]:
        self._require(name, arguments, "number", least, most)
        for argument in arguments:
            if not argument.text.isdigit():
                raise self._fault(argument, "must be a whole number")
        return [int(argument.text) for argument in arguments]

    def _require(self, name: Token, arguments: list[Token], kind: str, least: int, most: int) -> None:
        if not least <= len(arguments) <= most or any(argument.kind != kind for argument in arguments):
            count = str(least) if least == most else f"{least} to {most}"
            plural = f"{kind}s" if most > 1 else kind
            raise self._fault(name, f"`{name.text}` takes {count} {plural}")

    def _arguments(self) -> list[Token]:
        """Read up to the closing bracket: only literals can be arguments."""
        found: list[Token] = []
        if self._take(")"):
            return found
        while True:
            token = self._next
            if token.kind not in ("text", "number"):
                told = "ends too early" if token.kind == "end" else "must be a text in quotes or a number"
                raise self._fault(token, told)
            self._at += 1
            found.append(token)
            if self._take(")"):
                return found
            self._expect(",")

    def _truth(self, term: _Term, role: str) -> str:
        if term.type is _Type.TRUTH:
            return term.cel
        return mismatch(f"{role} must be true or false, not {term.type.value}")

    def _literal(self, token: Token) -> str:
        return token.text[1:-1]

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self, text: str) -> bool:
        token = self._next
        if token.text == text and token.kind in ("name", "sign"):
            self._at += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            token = self._next
            found = "the end" if token.kind == "end" else f"`{token.text}`"
            raise self._fault(token, f"`{sign}` is expected, not {found}")

    def _fault(self, token: Token, told: str) -> ConditionFault:
        return fault_at(self._text, token.offset, told)


def _day(numbers: list[int]) -> str:
    year, month, day = numbers
    return date(year, month, day).isoformat()


def _time_of_day(numbers: list[int]) -> str:
    hour, minute, *second = numbers
    return time(hour, minute, sum(second)).isoformat()
