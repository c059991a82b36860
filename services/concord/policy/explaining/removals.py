"""What might be taken away so that a subject may do more: denies, and what blocks where all must allow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from concord.policy.engine import Combine, Effect, Statement
from concord.policy.explaining.holdings import Holdings
from concord.policy.explaining.repair import Repair, RepairKind
from concord.policy.explaining.trial import Breadth, Part, Trials, breadth_of
from concord.policy.explaining.turns import Turns
from concord.policy.languages import get_language
from concord.policy.model import Grant, Policy, Role


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A change, and what is left after it."""

    repair: Repair
    left: tuple[Part, ...]


async def tried_removals(
    trials: Trials, turns: Turns, holdings: Holdings, parts: Sequence[Part], found: list[Repair]
) -> None:
    """Add every removal that would do."""
    # Where nothing moves, only what denies is among the statements, and it must be gone altogether.
    denies = 0 if trials.asked.may_move or len(trials.asked.places) > 1 else sum(len(_denies(part)) for part in parts)
    for candidate in _candidates(parts, holdings):
        if (denies == 0 or not any(map(_denies, candidate.left))) and await trials.allowed(candidate.left):
            found.append(candidate.repair)
        await turns.pause()


def _candidates(parts: Sequence[Part], holdings: Holdings) -> Iterator[_Candidate]:
    blocking = _blocking(parts)
    interesting = [part for number, part in enumerate(parts) if number in blocking or _denies(part)]
    written: dict[str, Role] = {each.id: role for role in holdings.sources.roles.values() for each in role.statements}
    for part in interesting:
        left = tuple(each for each in parts if each is not part)
        breadth = breadth_of(part.statements, Effect.DENY) if _denies(part) else _unlocked(part, parts)
        if isinstance(part.origin, Policy):
            yield from _without_policy(part, part.origin, breadth, left)
        else:
            name = _role_name(holdings, part.origin)
            grant = part.origin
            repair = Repair(
                RepairKind.DELETE_GRANT,
                breadth,
                name,
                grant.subject,
                role_id=grant.role_id,
                boundary=grant.boundary,
                grant_id=grant.id,
            )
            yield _Candidate(repair, left)
    yield from _statements(interesting, parts, written)
    yield from _roles(interesting, parts, holdings)


def _without_policy(part: Part, policy: Policy, breadth: Breadth, left: tuple[Part, ...]) -> Iterator[_Candidate]:
    if policy.editable or policy.deletable:
        repair = Repair(RepairKind.REMOVE_POLICY, breadth, policy.name, policy.subject, policy_id=policy.id)
        yield _Candidate(repair, left)


def _statements(
    interesting: Sequence[Part], parts: Sequence[Part], written: Mapping[str, Role]
) -> Iterator[_Candidate]:
    """Yield each deny that somebody wrote; what a role says goes from all grants of it."""
    seen: set[str] = set()
    for part in interesting:
        for statement in _denies(part):
            if statement.id in seen:
                continue
            seen.add(statement.id)
            left = tuple(each.without(statement.id) for each in parts)
            breadth = breadth_of([statement], Effect.DENY)
            if isinstance(part.origin, Policy):
                if part.origin.editable:
                    policy = part.origin
                    yield _Candidate(
                        Repair(
                            RepairKind.REMOVE_STATEMENT,
                            breadth,
                            policy.name,
                            policy.subject,
                            policy_id=policy.id,
                            statement_id=statement.id,
                        ),
                        left,
                    )
                continue
            role = written.get(statement.id)
            if role is not None:
                yield _Candidate(
                    Repair(
                        RepairKind.REMOVE_STATEMENT,
                        breadth,
                        role.handle or role.name.text,
                        role_id=role.id,
                        statement_id=statement.id,
                    ),
                    left,
                )


def _roles(interesting: Sequence[Part], parts: Sequence[Part], holdings: Holdings) -> Iterator[_Candidate]:
    """Yield each role that people made and no other includes, with all its grants."""
    seen: set[str] = set()
    for part in interesting:
        role = holdings.sources.roles.get(part.origin.role_id) if isinstance(part.origin, Grant) else None
        if role is None or role.id in seen or role.id in holdings.included:
            continue
        seen.add(role.id)
        granted = [each for each in parts if isinstance(each.origin, Grant) and each.origin.role_id == role.id]
        denied = [statement for each in granted for statement in _denies(each)]
        breadth = breadth_of(denied, Effect.DENY) if denied else _unlocked(part, parts)
        repair = Repair(RepairKind.DELETE_ROLE, breadth, role.handle or role.name.text, role_id=role.id)
        yield _Candidate(repair, tuple(each for each in parts if each not in granted))


def _blocking(parts: Sequence[Part]) -> frozenset[int]:
    """Return the sources that stand beside others of which all must allow."""
    together: dict[tuple[str, str], list[int]] = {}
    for number, part in enumerate(parts):
        if get_language(part.held.language).combine is Combine.ALL_OF:
            together.setdefault((part.held.holder, part.held.language), []).append(number)
    return frozenset(number for numbers in together.values() if len(numbers) > 1 for number in numbers)


def _unlocked(part: Part, parts: Sequence[Part]) -> Breadth:
    """Return what a source holds back at most: what all the others beside it allow, so no more than the least does."""
    held = part.held
    beside = (each for each in parts if each is not part and each.held.holder == held.holder)
    return min((each.breadth for each in beside if each.held.language == held.language), default=(0, 0))


def _denies(part: Part) -> list[Statement]:
    return [each for each in part.statements if each.effect is Effect.DENY]


def _role_name(holdings: Holdings, grant: Grant) -> str:
    role = holdings.role(grant.role_id)
    return "" if role is None else role.handle or role.name.text
