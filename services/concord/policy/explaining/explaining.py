"""Answers one question as a check does, and tells why; for a denial, what would change it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import Final

from concord.kernel.clock import Clock
from concord.kernel.errors import Reason, Unavailable
from concord.kernel.ids import OrganizationId, ProjectId
from concord.kernel.principal import Passport
from concord.kernel.units import Units
from concord.policy.authorize import standing_fault
from concord.policy.checks import Check, Checks
from concord.policy.checks.deciding import REFUSED, Answers, Deciding, ceilings, limited
from concord.policy.compiling import held_steps
from concord.policy.engine import Decision, Looked, Step, Walk, decide
from concord.policy.explaining.additions import (
    Grants,
    Library,
    candidate_boundaries,
    like_of,
    supplied_library_steps,
    tried_memberships,
)
from concord.policy.explaining.holdings import Holdings, read_holdings
from concord.policy.explaining.question import Asked
from concord.policy.explaining.removals import tried_removals
from concord.policy.explaining.repair import Area, Repair
from concord.policy.explaining.tree import Tree, grow, structure
from concord.policy.explaining.trial import Part, TooMuch, Trials, about_the_act, parts_of
from concord.policy.explaining.turns import Turns
from concord.policy.languages import Held
from concord.policy.model import OrganizationState
from concord.policy.programs import Entry, Programs
from concord.policy.store import PolicyStore

MAX_REPAIRS: Final = 100
_TRIES: Final = 5
_NO_TREE: Final = Tree()


class Why(StrEnum):
    """What an answer comes down to."""

    ALLOWED = "allowed"
    OWNER = "owner"
    DENIED = "denied"
    NOTHING_ALLOWS = "nothing_allows"
    CEILING = "ceiling"
    SUBJECT_UNKNOWN = "subject_unknown"
    SUBJECT_SUSPENDED = "subject_suspended"
    ORGANIZATION_SUSPENDED = "organization_suspended"
    PLACE_UNKNOWN = "place_unknown"
    RIGHTS_FROZEN = "rights_frozen"


@dataclass(frozen=True, slots=True)
class Limit:
    """What rights are lowered to."""

    of_credential: bool
    scopes: tuple[str, ...]
    allows: bool


@dataclass(frozen=True, slots=True)
class Explained:
    """An answer with its reasons."""

    decision: Decision
    why: Why
    place: str = ""
    tree: Tree = _NO_TREE
    limits: tuple[Limit, ...] = ()
    repairs: tuple[Repair, ...] = ()
    complete: bool = True
    withheld: bool = False


class Explaining:
    """Explains answers."""

    def __init__(self, units: Units[PolicyStore], checks: Checks, programs: Programs, clock: Clock) -> None:
        self._units = units
        self._checks = checks
        self._programs = programs
        self._clock = clock
        self._supplied: Library | None = None

    async def explain(
        self,
        organization_id: OrganizationId,
        passport: Passport,
        check: Check,
        areas: Collection[Area] = tuple(Area),
        *,
        repairs: bool = True,
    ) -> Explained:
        """Explain the answer to a check. `areas` are what repairs may be about, as far as there are any."""
        subject = check.subject or passport.principal
        for _ in range(_TRIES):
            entry = (await self._checks.entries(organization_id, passport, {subject})).get(subject)
            projects = await self._checks.known_projects(organization_id, check.project_ids)
            why = _unanswered(organization_id, check, entry, projects)
            if entry is None or why is not None:
                return Explained(REFUSED, why or Why.SUBJECT_UNKNOWN)
            if entry.is_void:
                return Explained(REFUSED, Why.RIGHTS_FROZEN)
            if entry.is_slow:
                await self._programs.lanes.wait(organization_id)
            now, began = self._clock.now(), monotonic()
            caller = passport if subject == passport.principal else None
            asked = Asked(organization_id, check, entry, caller, ceilings(self._programs, check.scopes, caller), now)
            decision = Deciding(
                self._programs, organization_id, passport, {subject: entry}, projects, now, Answers()
            ).decide(check)
            entry.is_slow = self._programs.lanes.note(organization_id, began)
            # Nothing but another login changes what was frozen.
            may_help = repairs and not decision.allowed and not entry.snapshot_id
            sought = frozenset(areas) if may_help else frozenset()
            holdings = await self._units.read(
                lambda store, sought=sought, snapshot_id=entry.snapshot_id: read_holdings(  # type: ignore[misc]
                    store,
                    organization_id,
                    subject,
                    snapshot_id,
                    roles=Area.ROLES in sought,
                    groups=Area.GROUPS in sought,
                )
            )
            # The tree is that of the program which decided, so both must be of one state.
            if holdings is not None and holdings.standing.stamps == entry.standing.stamps:
                return await self._explain(asked, decision, holdings, projects, sought, repairs=repairs)
        raise Unavailable("the policies change faster than they can be explained")

    async def _explain(
        self,
        asked: Asked,
        decision: Decision,
        holdings: Holdings,
        projects: frozenset[ProjectId],
        sought: frozenset[Area],
        *,
        repairs: bool,
    ) -> Explained:
        turns = Turns(self._programs.lanes, asked.organization_id)
        owner = holdings.standing.principal.is_owner
        held = [] if owner else await turns.run(held_steps(holdings.sources))
        place = asked.places[0]
        if not decision.allowed:
            place = await _refused_in(asked, turns)
        walk = Walk(asked.entry.program, asked.request(place))
        tree, looked = await grow(walk, structure(held, owner=owner), holdings, decision.statement_ids, turns)
        limits = _limits(asked, walk)
        why = _why(decision, walk, limits, asked.entry)
        answer = Explained(decision, why, place, tree, limits)
        if decision.allowed or why in (Why.CEILING, Why.RIGHTS_FROZEN):
            return answer
        if not repairs:
            return _with(answer, (), complete=False, withheld=False)
        found, all_there = await self._repairs(asked, holdings, held, looked, projects, sought, turns)
        withheld = len(sought) < len(Area)
        return _with(answer, found, complete=all_there and not withheld, withheld=withheld)

    async def _repairs(
        self,
        asked: Asked,
        holdings: Holdings,
        held: Sequence[Held],
        looked: Sequence[Looked],
        projects: frozenset[ProjectId],
        sought: frozenset[Area],
        turns: Turns,
    ) -> tuple[tuple[Repair, ...], bool]:
        parts = _parts(asked, holdings, held, looked)
        trials = Trials(asked, turns)
        found: list[Repair] = []
        complete = True
        denied = any(each.deny and each.step is Step.MATCHED for each in looked)
        try:
            if Area.SOURCES in sought:
                await tried_removals(trials, turns, holdings, parts, found)
            # Whatever is given, what denies goes on denying.
            if asked.may_move or not denied:
                if Area.ROLES in sought:
                    boundaries = candidate_boundaries(trials, holdings, await self._known(trials, projects))
                    supplied = await self._library(turns, trials)
                    await Grants(trials, turns, holdings, boundaries).tried(parts, supplied, found)
                    complete = complete and holdings.all_roles
                if Area.GROUPS in sought:
                    await tried_memberships(trials, turns, holdings, parts, found)
                    complete = complete and holdings.all_groups
        except TooMuch:
            complete = False
        found.sort(key=lambda each: each.order)
        return tuple(found[:MAX_REPAIRS]), complete and len(found) <= MAX_REPAIRS

    async def _known(self, trials: Trials, projects: frozenset[ProjectId]) -> frozenset[ProjectId]:
        """Return the projects that are known, with the one that the path leads to."""
        asked = trials.asked
        led = asked.whole_request(asked.places[0], by_place=True).project_id
        if not led or led in projects:
            return projects
        wanted = frozenset({ProjectId(led)})
        known = await self._units.read(lambda store: store.known_projects(asked.organization_id, wanted))
        return projects | known

    async def _library(self, turns: Turns, trials: Trials) -> Library:
        if self._supplied is None:
            self._supplied = await turns.run(supplied_library_steps(like_of(trials)))
        return self._supplied


def _unanswered(
    organization_id: OrganizationId, check: Check, entry: Entry | None, projects: frozenset[ProjectId]
) -> Why | None:
    """Return why a check is refused without a look at any policy."""
    if check.organization_id and check.organization_id != organization_id:
        return Why.PLACE_UNKNOWN
    if entry is None:
        return Why.SUBJECT_UNKNOWN
    if entry.standing.organization.state is not OrganizationState.ACTIVE:
        return Why.ORGANIZATION_SUSPENDED
    if standing_fault(entry) is Reason.PRINCIPAL_SUSPENDED:
        return Why.SUBJECT_SUSPENDED
    return None if projects.issuperset(check.project_ids) else Why.PLACE_UNKNOWN


async def _refused_in(asked: Asked, turns: Turns) -> ProjectId:
    """Return the first place in which the act is refused."""
    for place in asked.places:
        if not limited(asked.entry.program, asked.request(place), asked.limits).allowed:
            return place
        await turns.pause()
    return asked.places[0]


def _limits(asked: Asked, walk: Walk) -> tuple[Limit, ...]:
    scopes = [(False, asked.check.scopes)] if asked.check.scopes else []
    if asked.caller is not None and asked.caller.ceiling:
        scopes.append((True, asked.caller.ceiling))
    return tuple(
        Limit(of_credential, named, decide(limit, walk.request).allowed)
        for (of_credential, named), limit in zip(scopes, asked.limits, strict=True)
    )


def _why(decision: Decision, walk: Walk, limits: Sequence[Limit], entry: Entry) -> Why:
    if decision.allowed:
        return Why.OWNER if entry.standing.principal.is_owner else Why.ALLOWED
    if not all(limit.allows for limit in limits):
        return Why.CEILING
    if entry.snapshot_id:
        return Why.RIGHTS_FROZEN
    return Why.DENIED if walk.decision.statement_ids else Why.NOTHING_ALLOWS


def _parts(asked: Asked, holdings: Holdings, held: Sequence[Held], looked: Sequence[Looked]) -> list[Part]:
    """Return what the subject holds, as far as it may matter."""
    numbers = _numbers(held)
    if asked.may_move or len(asked.places) > 1:
        request = asked.whole_request(asked.places[0], by_place=False)
        about = about_the_act(asked.entry.program, numbers, request)
    else:
        # Everything is asked the same again, so what did not match will not.
        about = {number: [] for number in numbers}
        for each in looked:
            if each.step is Step.MATCHED and each.node in about:
                about[each.node].append(each.statement)
    return list(parts_of(held, holdings.origins, [about[number] for number in numbers]))


def _numbers(held: Sequence[Held]) -> list[int]:
    """Return the node of each source in the program that is made of them."""
    by_set: dict[tuple[str, str], list[int]] = {}
    for position, each in enumerate(held):
        by_set.setdefault((each.holder, each.language), []).append(position)
    numbers = [0] * len(held)
    at = 0
    for positions in by_set.values():
        at += 1
        for position in positions:
            at += 1
            numbers[position] = at
    return numbers


def _with(answer: Explained, repairs: tuple[Repair, ...], *, complete: bool, withheld: bool) -> Explained:
    return Explained(answer.decision, answer.why, answer.place, answer.tree, answer.limits, repairs, complete, withheld)
