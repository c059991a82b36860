"""The tree that a decision walked, with names, cut to a size that can be sent and read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from concord.kernel.ids import GroupId
from concord.policy.catalogues.loader import baselines
from concord.policy.engine import (
    Combine,
    Looked,
    Policy,
    PolicySet,
    SeenValue,
    Statement,
    Step,
    Walk,
    allowing_nodes,
    preorder,
    seen_values,
)
from concord.policy.explaining.holdings import Holdings
from concord.policy.explaining.turns import Turns
from concord.policy.languages import Held, assemble
from concord.policy.model import Boundary, Grant, Role, Subject, SubjectKind
from concord.policy.model import Policy as StoredPolicy
from concord.policy.model import Statement as StoredStatement

MAX_STATEMENTS: Final = 256
MAX_SOURCES: Final = 256
MAX_SETS: Final = 128

_ROOT: Final = 0


class SourceKind(StrEnum):
    """Where statements come from."""

    POLICY = "policy"
    INLINE_POLICY = "inline_policy"
    GRANT = "grant"
    BASELINE = "baseline"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class StatementSeen:
    """One statement of the tree. `failed` tells that its condition was not plainly true."""

    id: str
    deny: bool
    step: Step
    decided: bool = False
    condition: str = ""
    failed: bool = False
    error: str = ""
    seen: tuple[SeenValue, ...] = ()


@dataclass(slots=True)
class SourceSeen:
    """One policy or grant of the tree."""

    kind: SourceKind
    id: str
    name: str = ""
    role_id: str = ""
    boundary: Boundary | None = None
    allows: bool = False
    denies: bool = False
    statement_count: int = 0
    statements: list[StatementSeen] = field(default_factory=list)


@dataclass(slots=True)
class SetSeen:
    """What one holder has in one language; no holder and no language for what is nobody's."""

    holder: Subject | None
    holder_name: str
    language: str
    combine: Combine
    allows: bool
    source_count: int
    sources: list[SourceSeen] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tree:
    """All that was looked at."""

    sets: tuple[SetSeen, ...] = ()
    statement_count: int = 0
    truncated: bool = False


def structure(held: Sequence[Held], *, owner: bool) -> PolicySet:
    """Return the tree that a program was compiled from."""
    if owner:
        return PolicySet(Combine.ANY_OF, (Policy(SourceKind.OWNER.value),))
    return assemble(held, baselines())


async def grow(
    walk: Walk, tree: PolicySet, holdings: Holdings, decided: Iterable[str], turns: Turns
) -> tuple[Tree, list[Looked]]:
    """Return what was looked at, and every statement that was about the act."""
    looked: list[Looked] = []
    for each in walk.looked():
        looked.append(each)
        await turns.pause()
    by_node: dict[int, list[Statement]] = {}
    for compiled in walk.program.statements:
        by_node.setdefault(compiled.node, []).append(compiled.statement)
        await turns.pause()
    return _Growing(walk, tree, holdings, frozenset(decided), looked, by_node).tree(), looked


class _Growing:
    """Builds the tree of one walk."""

    def __init__(
        self,
        walk: Walk,
        tree: PolicySet,
        holdings: Holdings,
        decided: frozenset[str],
        looked: Sequence[Looked],
        by_node: Mapping[int, Sequence[Statement]],
    ) -> None:
        self._walk = walk
        self._tree = tree
        self._holdings = holdings
        self._decided = decided
        self._by_node = by_node
        self._looked: dict[int, list[Looked]] = {}
        for each in looked:
            self._looked.setdefault(each.node, []).append(each)
        self._allowing = allowing_nodes(walk.program, looked)
        sources = holdings.sources
        self._origins: dict[str, StoredPolicy | Grant] = {each.id: each for each in holdings.origins}
        self._written: dict[str, str] = {
            statement.id: statement.condition
            for said in (*(each.statements or () for each in sources.policies), *_statements(sources.roles.values()))
            for statement in said
        }

    def tree(self) -> Tree:
        found: list[tuple[int, int, SetSeen, SourceSeen]] = []
        sets: list[SetSeen] = []
        parent: SetSeen | None = None
        left = 0
        for number, node in enumerate(preorder(self._tree)):
            if number == _ROOT:
                continue
            if isinstance(node, PolicySet):
                parent = self._set(number, node)
                sets.append(parent)
                left = len(node.children)
                continue
            if left == 0:
                # What hangs on the root itself is nobody's.
                parent = SetSeen(None, "", "", Combine.ANY_OF, number in self._allowing, 1)
                sets.append(parent)
            assert parent is not None
            left = max(0, left - 1)
            found.append((self._rank(number), number, parent, self._source(number, node)))
        found.sort(key=lambda each: each[:2])
        chosen = found[:MAX_SOURCES]
        self._fill(chosen)
        shown = [each for each in sets if each.sources][:MAX_SETS]
        total = len(self._walk.program.statements)
        told = sum(len(source.statements) for each in shown for source in each.sources)
        truncated = told < total or len(chosen) < len(found) or len(shown) < len(sets)
        return Tree(tuple(shown), total, truncated)

    def _set(self, number: int, node: PolicySet) -> SetSeen:
        holder, _, language = node.label.partition(" ")
        kind, _, id_ = holder.partition(":")
        subject = Subject(SubjectKind(kind), id_)
        name = ""
        if subject.kind is SubjectKind.GROUP:
            name = self._holdings.names.get(GroupId(id_), "")
        elif subject.kind is not SubjectKind.EVERYONE:
            name = self._holdings.standing.principal.name
        return SetSeen(subject, name, language, node.combine, number in self._allowing, len(node.children))

    def _source(self, number: int, policy: Policy) -> SourceSeen:
        origin = self._origins.get(policy.id)
        if isinstance(origin, StoredPolicy):
            kind = SourceKind.INLINE_POLICY if origin.inline else SourceKind.POLICY
            source = SourceSeen(kind, origin.id, origin.name)
        elif isinstance(origin, Grant):
            role = self._holdings.role(origin.role_id)
            name = "" if role is None else role.handle or role.name.text
            source = SourceSeen(SourceKind.GRANT, origin.id, name, origin.role_id, origin.boundary)
        elif policy.id == SourceKind.OWNER.value:
            source = SourceSeen(SourceKind.OWNER, policy.id)
        else:
            source = SourceSeen(SourceKind.BASELINE, policy.id.partition(":")[2])
        source.allows = number in self._allowing
        source.denies = any(each.deny and each.step is Step.MATCHED for each in self._looked.get(number, ()))
        source.statement_count = len(self._by_node.get(number, ()))
        return source

    def _rank(self, node: int) -> int:
        return min((self._rank_of(each) for each in self._looked.get(node, ())), default=4)

    def _rank_of(self, looked: Looked) -> int:
        if looked.step is Step.MATCHED:
            if looked.statement.id in self._decided:
                return 0
            return 1 if looked.deny else 2
        return 3

    def _fill(self, chosen: Sequence[tuple[int, int, SetSeen, SourceSeen]]) -> None:
        """Give the sources their statements: over all of them those first that tell the most."""
        ranked = [
            (self._rank_of(each), node, position)
            for _, node, _, _ in chosen
            for position, each in enumerate(self._looked.get(node, ()))
        ]
        ranked.sort()
        kept: dict[int, list[int]] = {}
        for _, node, position in ranked[:MAX_STATEMENTS]:
            kept.setdefault(node, []).append(position)
        room = MAX_STATEMENTS - len(ranked)
        for _, node, parent, source in chosen:
            looked = self._looked.get(node, [])
            source.statements.extend(self._seen(looked[position]) for position in kept.get(node, ()))
            for statement in self._others(node, looked):
                if room <= 0:
                    break
                room -= 1
                deny = statement.effect.value == "deny"
                source.statements.append(StatementSeen(statement.id, deny, Step.ACTION))
            parent.sources.append(source)

    def _others(self, node: int, looked: Sequence[Looked]) -> Iterator[Statement]:
        there = {id(each.statement) for each in looked}
        return (each for each in self._by_node.get(node, ()) if id(each) not in there)

    def _seen(self, looked: Looked) -> StatementSeen:
        statement = looked.statement
        asked = bool(statement.condition) and looked.step in (Step.CONDITION, Step.MATCHED)
        return StatementSeen(
            id=statement.id,
            deny=looked.deny,
            step=looked.step,
            decided=looked.step is Step.MATCHED and statement.id in self._decided,
            condition=(self._written.get(statement.id) or statement.condition) if asked else "",
            failed=looked.failed,
            error=looked.error,
            seen=seen_values(statement.condition, self._walk.request) if asked else (),
        )


def _statements(roles: Iterable[Role]) -> Iterator[Sequence[StoredStatement]]:
    for role in roles:
        yield role.statements
