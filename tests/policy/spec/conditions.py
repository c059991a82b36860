"""Conditions in CEL, as much of it as worlds are written with, read anew and walked as they stand.

Three answers: true, false, and that there is none. `&&` and `||` need only as much as decides them, from either side.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from concord.policy.engine.model import Request
from policy.spec.acts import in_network

_TOKEN = re.compile(r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<number>\d+)|(?P<name>\w+)|(?P<sign>&&|\|\||[=!<>]=|\S))""")
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_VARIABLES = ("request", "resource", "subject")


class Unanswerable(Exception):
    """What is asked is unknown, or makes no sense."""


@dataclass(frozen=True)
class Node:
    """A part of a condition: what it does, and to what."""

    act: str
    parts: tuple[Any, ...] = ()
    word: Any = None


Condition = Callable[[Request], bool | None]


def read(text: str) -> Condition:
    """Return what a condition says about requests; None where it has no answer."""
    if not text:
        return lambda request: True
    node = _Reader(text).read()
    sound = is_sound(node)

    def says(request: Request) -> bool | None:
        try:
            value = value_of(node, facts(request)) if sound else None
        except Unanswerable:
            return None
        return value if isinstance(value, bool) else None

    return says


def facts(request: Request) -> dict[str, Any]:
    """Return what there is to look at. What is unknown is not there."""
    context, resource, subject = request.context, request.resource, request.subject
    asked = {
        "ip": context.ip or None,
        "time": context.time,
        "user_agent": context.user_agent[:255] or None,
        "mfa": context.mfa,
        "method": context.method or None,
        "path": context.path or None,
        "attributes": dict(context.attributes),
    }
    touched = {
        **resource.attributes,
        "id": resource.id or resource.attributes.get("id"),
        "name": resource.name or resource.attributes.get("name"),
        "locality": resource.locality or resource.attributes.get("locality"),
    }
    who = {"kind": subject.kind or None, "id": subject.id or None, "name": subject.name or None}
    return {"request": _known(asked), "resource": _known(touched), "subject": _known(who)}


def _known(named: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if value is not None}


def is_sound(node: Node) -> bool:
    """Whether a condition can be asked at all: it names nothing unheard of, and compares nothing incomparable."""
    if node.act == "variable" and node.word not in _VARIABLES:
        return False
    if node.act in ("&&", "||", "!") and any(p.act == "literal" and not isinstance(p.word, bool) for p in node.parts):
        return False
    if node.act == "compare":
        kinds = {type(part.word) for part in node.parts if part.act == "literal"}
        if len(kinds) > 1:
            return False
    return all(is_sound(part) for part in node.parts)


def value_of(node: Node, known: Mapping[str, Any]) -> Any:
    """Work a part out, or raise Unanswerable."""
    match node.act:
        case "literal":
            return node.word
        case "variable":
            return known[node.word]
        case "list":
            return [value_of(part, known) for part in node.parts]
        case "&&":
            return _joined(node, known, decides=False)
        case "||":
            return _joined(node, known, decides=True)
        case "!":
            return not _truth(value_of(node.parts[0], known))
        case "member":
            owner = value_of(node.parts[0], known)
            if not isinstance(owner, dict) or node.word not in owner:
                raise Unanswerable(f"no {node.word}")
            return owner[node.word]
        case "has":
            (member,) = node.parts
            owner = value_of(member.parts[0], known)
            if not isinstance(owner, dict):
                raise Unanswerable("nothing has a part but a map")
            return member.word in owner
        case "compare":
            left, right = (value_of(part, known) for part in node.parts)
            if node.word == "in":
                return left in right
            if type(left) is not type(right) and node.word not in ("==", "!="):
                raise Unanswerable("these have no order")
            return COMPARISONS[node.word](left, right)
        case "/":
            left, right = (value_of(part, known) for part in node.parts)
            if right == 0:
                raise Unanswerable("nothing is divided by nothing")
            return left // right
    return _called(node.word, [value_of(part, known) for part in node.parts])


def _joined(node: Node, known: Mapping[str, Any], *, decides: bool) -> bool:
    """Return the deciding answer if a side has it, else the other one if both have that."""
    unanswered = False
    for part in node.parts:
        try:
            if _truth(value_of(part, known)) is decides:
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


def _called(name: str, values: list[Any]) -> Any:
    try:
        match name, values:
            case "startsWith", [str() as text, part]:
                return text.startswith(part)
            case "endsWith", [str() as text, part]:
                return text.endswith(part)
            case "contains", [str() as text, part]:
                return part in text
            case "matches", [str() as text, pattern]:
                return re.search(pattern, text) is not None
            case "getHours", [datetime() as instant, zone]:
                return instant.astimezone(ZoneInfo(zone)).hour
            case "getDayOfWeek", [datetime() as instant, zone]:
                return instant.astimezone(ZoneInfo(zone)).isoweekday() % 7
            case "timestamp", [str() as text]:
                return datetime.fromisoformat(text)
            case "inIpRange", [str() as address, network]:
                return in_network(address, network)
    except (ValueError, KeyError) as error:
        raise Unanswerable(str(error)) from error
    raise Unanswerable(f"no `{name}` of these")


class _Reader:
    """Reads a condition by descent."""

    def __init__(self, text: str) -> None:
        self._tokens = [(str(m.lastgroup), m.group(str(m.lastgroup))) for m in _TOKEN.finditer(text)]
        self._tokens.append(("end", ""))

    def read(self) -> Node:
        node = self._either()
        assert self._tokens[0][0] == "end", self._tokens
        return node

    def _either(self) -> Node:
        return self._chain("||", lambda: self._chain("&&", self._compared))

    def _chain(self, sign: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self._take(sign):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Node(sign, tuple(parts))

    def _compared(self) -> Node:
        left = self._divided()
        _, word = self._tokens[0]
        if word not in COMPARISONS and word != "in":
            return left
        self._tokens.pop(0)
        return Node("compare", (left, self._divided()), word)

    def _divided(self) -> Node:
        left = self._negated()
        return Node("/", (left, self._negated())) if self._take("/") else left

    def _negated(self) -> Node:
        return Node("!", (self._negated(),)) if self._take("!") else self._member()

    def _member(self) -> Node:
        node = self._single()
        while self._take("."):
            _, name = self._tokens.pop(0)
            node = Node("call", (node, *self._arguments()), name) if self._take("(") else Node("member", (node,), name)
        return node

    def _single(self) -> Node:
        kind, word = self._tokens.pop(0)
        if kind == "text":
            return Node("literal", word=word[1:-1])
        if kind == "number":
            return Node("literal", word=int(word))
        if word == "(":
            node = self._either()
            assert self._take(")")
            return node
        if word == "[":
            return Node("list", self._arguments("]"))
        if word in ("true", "false"):
            return Node("literal", word=word == "true")
        if self._take("("):
            return Node("has" if word == "has" else "call", self._arguments(), word)
        return Node("variable", word=word)

    def _arguments(self, end: str = ")") -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._take(end):
            found.append(self._either())
            self._take(",")
        return tuple(found)

    def _take(self, word: str) -> bool:
        if self._tokens[0][1] != word or self._tokens[0][0] == "text":
            return False
        self._tokens.pop(0)
        return True
