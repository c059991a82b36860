"""What a decision looked at: the same run over the same program, told statement by statement."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from concord.policy.engine.combine import Program
from concord.policy.engine.condition import facts
from concord.policy.engine.decide import Run, Step
from concord.policy.engine.model import Combine, Policy, PolicySet, Request, Statement

MAX_SEEN: Final = 16
MAX_VALUE: Final = 256

_FACT = re.compile(
    r"""\b(request|resource|subject)\b((?:\s*\.\s*\w+|\s*\[\s*(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*\])*)"""
)
_PART = re.compile(r"""\.\s*(\w+)|\[\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*\]""")
_ESCAPED = re.compile(r"\\(.)")
_CALLED = re.compile(r"\s*\(")
_WORD = re.compile(r"[A-Za-z_]\w*")
# A call's parameters hold whatever its caller sends; what is named so is shown to nobody.
_SECRET = re.compile(
    r"pass|secret|token|credential|authori[sz]ation|private|api_?-?key|cookie|otp|\bpin\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class SeenValue:
    """A fact that a condition names. What is not known is absent for the condition."""

    name: str
    known: bool = False
    value: str = ""
    concealed: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """A statement about the act, and how far it came. `failed` tells that its condition was not plainly true."""

    node: int
    statement: Statement
    deny: bool
    step: Step
    failed: bool = False
    error: str = ""


class Walk:
    """One decision, and what it looked at. Conditions are evaluated once for both."""

    def __init__(self, program: Program, request: Request) -> None:
        """Decide."""
        self._run = Run(program, request)
        self.program = program
        self.request = request
        self.decision = self._run.decision()

    def looked(self) -> Iterator[Looked]:
        """Yield the statements that are about the act. All others end at `Step.ACTION`."""
        run = self._run
        for number in self.program.candidates(self.request):
            compiled = self.program.statements[number]
            before = len(run.failed)
            step = run.step(compiled)
            failed = len(run.failed) > before
            error = run.failed[-1].error if failed else ""
            yield Looked(compiled.node, compiled.statement, compiled.deny, step, failed, error)


def preorder(tree: PolicySet | Policy) -> Iterator[PolicySet | Policy]:
    """Yield sets and policies in the order in which a program numbers its nodes."""
    yield tree
    if isinstance(tree, PolicySet):
        for child in tree.children:
            yield from preorder(child)


def allowing_nodes(program: Program, matched: Iterable[Looked]) -> frozenset[int]:
    """Return the nodes of which matching statements allow the act, denies aside."""
    allowing = {each.node for each in matched if not each.deny and each.step is Step.MATCHED}
    below: dict[int, int] = {}
    # Children are numbered above their parents.
    for number in range(len(program.nodes) - 1, -1, -1):
        node, count = program.nodes[number], below.get(number, 0)
        if number not in allowing and count and (node.combine is not Combine.ALL_OF or count == node.arity):
            allowing.add(number)
        if number in allowing and node.parent >= 0:
            below[node.parent] = below.get(node.parent, 0) + 1
    return frozenset(allowing)


def seen_values(condition: str, request: Request) -> tuple[SeenValue, ...]:
    """Return the facts that a condition names, as it saw them."""
    known = facts(request)
    found: dict[str, SeenValue] = {}
    for match in _FACT.finditer(condition):
        parts = [match[1]]
        for word, double, single in _PART.findall(match[2]):
            parts.append(word or _ESCAPED.sub(r"\1", double or single))
        if len(parts) > 1 and _CALLED.match(condition, match.end()):
            parts.pop()
        for seen in _looked_up(known, parts):
            if len(found) >= MAX_SEEN:
                return tuple(found.values())
            found.setdefault(seen.name, seen)
    return tuple(found.values())


def _looked_up(known: Mapping[str, Any], parts: list[str]) -> Iterator[SeenValue]:
    value: Any = known
    name = ""
    for part in parts:
        if not isinstance(value, Mapping):
            break
        name = _member(name, part)
        if part not in value:
            yield SeenValue(name)
            return
        value = value[part]
    if not isinstance(value, Mapping):
        yield _shown(name, value)
    elif len(parts) > 1:
        # All of a map, for conditions that go through it.
        for key in sorted(value)[:MAX_SEEN]:
            yield _shown(_member(name, key), value[key])


def _member(name: str, part: str) -> str:
    part = part[:MAX_VALUE]
    if not name:
        return part
    return f"{name}.{part}" if _WORD.fullmatch(part) else f'{name}["{part}"]'


def _shown(name: str, value: Any) -> SeenValue:
    if _SECRET.search(name):
        return SeenValue(name, known=True, concealed=True)
    if isinstance(value, Timestamp):
        return SeenValue(name, known=True, value=value.ToJsonString())
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return SeenValue(name, known=True, value=text[:MAX_VALUE])
