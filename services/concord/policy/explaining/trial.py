"""Trying a change: the same question put to a program of the changed sources.

Only what could matter is compiled: statements that are not about the act can neither allow nor deny it.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

from concord.policy.catalogues.loader import baselines
from concord.policy.checks.deciding import limited
from concord.policy.engine import BoundaryKind, Effect, Policy, Program, Request, Statement, compile_steps
from concord.policy.explaining.question import Asked
from concord.policy.explaining.turns import Turns
from concord.policy.languages import Held, assemble
from concord.policy.model import Grant
from concord.policy.model import Policy as StoredPolicy

# What all trials of one question may cost together: statements compiled and decisions made.
MAX_WORK: Final = 60_000
# Conditions may be slow, each within its own bounds; all trials together end after so long.
MAX_SECONDS: Final = 5.0
_TRIAL: Final = 8

# What a star in the place of a name counts, in names.
_STAR: Final = 100
_RANKS: Final = {
    BoundaryKind.OWNER_ACCOUNT: 0,
    BoundaryKind.PROJECTS: 1,
    BoundaryKind.GROUP_SUBTREE: 2,
    BoundaryKind.OWN_DIVISIONS: 3,
    BoundaryKind.ORGANIZATION: 4,
}
Breadth = tuple[int, int]


class TooMuch(Exception):
    """There is more to try than one question may cost."""


@dataclass(frozen=True, slots=True)
class Part:
    """One source as far as it is about the act, and what has to be known of the rest of it."""

    held: Held
    origin: StoredPolicy | Grant
    by_place: bool
    breadth: Breadth

    @property
    def statements(self) -> tuple[Statement, ...]:
        """What it says about the act."""
        return self.held.policy.statements

    def without(self, statement_id: str) -> "Part":
        """Return the source without one of its statements."""
        left = tuple(each for each in self.statements if each.id != statement_id)
        return replace(self, held=replace(self.held, policy=Policy(self.held.policy.id, left)))


class Trials:
    """Puts one question again and again, within what one question may cost."""

    def __init__(self, asked: Asked, turns: Turns) -> None:
        self.asked = asked
        self._turns = turns
        self._requests: dict[bool, list[Request]] = {}
        self._work = 0
        self._end = monotonic() + MAX_SECONDS

    async def allowed(self, parts: Sequence[Part]) -> bool:
        """Tell whether the act would be allowed to one who holds just these sources."""
        requests = self._asked(any(part.by_place for part in parts))
        self._spend(_TRIAL + sum(1 + len(part.statements) for part in parts) + len(requests))
        program = await self._turns.run(compile_steps(assemble([part.held for part in parts], baselines())))
        for request in requests:
            if not limited(program, request, self.asked.limits).allowed:
                return False
            await self._turns.pause()
        return True

    def _asked(self, by_place: bool) -> list[Request]:
        requests = self._requests.get(by_place)
        if requests is None:
            requests = [self.asked.whole_request(place, by_place=by_place) for place in self.asked.places]
            self._requests[by_place] = requests
        return requests

    def _spend(self, work: int) -> None:
        self._work += work
        if self._work > MAX_WORK or monotonic() > self._end:
            raise TooMuch


def parts_of(
    held: Sequence[Held], origins: Sequence[StoredPolicy | Grant], about: Iterable[Sequence[Statement]]
) -> Iterator[Part]:
    """Return the sources with the statements of theirs that are about the act."""
    for each, origin, statements in zip(held, origins, about, strict=True):
        yield Part(
            replace(each, policy=Policy(each.policy.id, tuple(statements))),
            origin,
            any(statement.path_class for statement in each.policy.statements),
            breadth_of(each.policy.statements),
        )


def about_the_act(program: Program, nodes: Collection[int], request: Request) -> dict[int, list[Statement]]:
    """Return the statements of a program that are about an act, by node."""
    found: dict[int, list[Statement]] = {node: [] for node in nodes}
    for number in program.candidates(request):
        compiled = program.statements[number]
        if compiled.node in found:
            found[compiled.node].append(compiled.statement)
    return found


def breadth_of(statements: Iterable[Statement], effect: Effect = Effect.ALLOW) -> Breadth:
    """Return how much is allowed, or denied: the widest boundary, and how many names; a star counts as many."""
    boundary = names = 0
    for each in statements:
        if each.effect is effect:
            boundary = max(boundary, _RANKS[each.boundary.kind])
            names += sum(_STAR ** min(text.count("*"), 3) for text in (*each.permissions, *each.operations))
            names += sum(_STAR ** min(each.path.count("*"), 3) for each in each.endpoints)
    return boundary, names


def narrowness(kind: BoundaryKind) -> int:
    """Return a number that is the lower, the less a boundary of this kind covers."""
    return _RANKS[kind]
