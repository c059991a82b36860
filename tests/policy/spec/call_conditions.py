"""Conditions on calls, in their own small language, read anew and walked as they stand."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any

from concord.policy.engine.model import Request
from policy.spec.acts import in_network
from policy.spec.conditions import COMPARISONS, Condition, Unanswerable

_TOKEN = re.compile(r"\s*(?P<token>'[^']*'|\"[^\"]*\"|-?\d+(?:\.\d+)?|\w+|[=!<>]=|\S)")
_Value = Callable[[Request], Any]


def read(text: str) -> Condition:
    """Return what a condition says about requests; None where it has no answer."""
    if not text:
        return lambda request: True
    value = _Reader(text).read()

    def says(request: Request) -> bool | None:
        try:
            found = value(request)
        except Unanswerable:
            return None
        return found if isinstance(found, bool) else None

    return says


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = [*_TOKEN.findall(text), ""]

    def read(self) -> _Value:
        value = self._either()
        assert self._tokens == [""], self._tokens
        return value

    def _either(self) -> _Value:
        return self._chain("or", True, lambda: self._chain("and", False, self._negated))

    def _chain(self, word: str, decides: bool, part: Callable[[], _Value]) -> _Value:
        parts = [part()]
        while self._take(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else lambda request: _joined(parts, request, decides)

    def _negated(self) -> _Value:
        if not self._take("not"):
            return self._compared()
        negated = self._negated()
        return lambda request: not _truth(negated(request))

    def _compared(self) -> _Value:
        left = self._single()
        if self._tokens[0] not in COMPARISONS:
            return left
        sign = self._tokens.pop(0)
        right = self._single()
        return lambda request: _compare(left(request), sign, right(request))

    def _single(self) -> _Value:
        word = self._tokens.pop(0)
        if word == "(":
            value = self._either()
            assert self._take(")")
            return value
        if word[0] in "'\"":
            return lambda request: word[1:-1]
        if re.fullmatch(r"-?\d+(\.\d+)?", word):
            return lambda request: float(word)
        arguments = self._arguments() if self._take("(") else []
        return lambda request: _named(word, arguments, request)

    def _arguments(self) -> list[str]:
        found: list[str] = []
        while not self._take(")"):
            found.append(self._tokens.pop(0).strip("'\""))
            self._take(",")
        return found

    def _take(self, word: str) -> bool:
        if self._tokens[0] != word:
            return False
        self._tokens.pop(0)
        return True


def _named(word: str, arguments: list[str], request: Request) -> Any:
    context = request.context
    match word:
        case "true" | "false":
            return word == "true"
        case "currentDate":
            return _now(request).date()
        case "currentTime":
            return _now(request).time().replace(microsecond=0)
        case "currentDateTime":
            return _now(request)
        case "samUserName":
            return _known(request.subject.name)
        case "httpMethod":
            return _known(context.method)
        case "path":
            return _known(context.path)
        case "ipAddress":
            try:
                return in_network(_known(context.ip), arguments[0])
            except ValueError as error:
                raise Unanswerable(str(error)) from error
        case "pathVariable":
            # A path without this placeholder has it empty; of an unknown path it is unknown.
            if not context.path and not context.path_variables:
                raise Unanswerable("the path is unknown")
            return context.path_variables.get(arguments[0], "")
        case "date":
            return date(*map(int, arguments))
        case "time":
            return time(*map(int, arguments))  # type: ignore[arg-type]
        case "datetime":
            return datetime(*map(int, arguments), tzinfo=UTC)  # type: ignore[misc, arg-type]
    raise AssertionError(word)


def _now(request: Request) -> datetime:
    if request.context.time is None:
        raise Unanswerable("the time is unknown")
    return request.context.time.astimezone(UTC)


def _known(text: str) -> str:
    if not text:
        raise Unanswerable("it is unknown")
    return text


def _compare(left: Any, sign: str, right: Any) -> bool:
    if type(left) is not type(right) or (isinstance(left, bool) and sign not in ("==", "!=")):
        raise Unanswerable("these cannot be compared")
    found: bool = COMPARISONS[sign](left, right)
    return found


def _joined(parts: list[_Value], request: Request, decides: bool) -> bool:
    """Return the deciding answer if a side has it, else the other one if all have that."""
    unanswered = False
    for part in parts:
        try:
            if _truth(part(request)) is decides:
                return decides
        except Unanswerable:
            unanswered = True
    if unanswered:
        raise Unanswerable("a side has no answer")
    return not decides


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unanswerable("neither true nor false")
    return value
