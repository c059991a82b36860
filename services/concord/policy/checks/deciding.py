"""Decides checks, one list at a time, without ever keeping the others waiting for long."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Final

from concord.kernel.clock import Clock
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import OrganizationId, ProjectId
from concord.kernel.principal import Passport, PrincipalRef
from concord.kernel.units import Units
from concord.policy.authorize import standing_fault
from concord.policy.checks.question import NO_CONTEXT, Check, context_of, to_request
from concord.policy.engine import Context, Decision, Program, Request, decide
from concord.policy.programs import Entry, Programs, frozen_for
from concord.policy.sharing import MAX_WEIGHT
from concord.policy.store import PolicyStore
from concord.policy.turns import TURN_SECONDS

REFUSED: Final = Decision(allowed=False)
# Decisions that one call may ask for: each project of a check is one.
MAX_DECISIONS: Final = 10_000
# Decisions that are kept between calls, of all subjects together.
MAX_ANSWERS: Final = 32_768
# What the programs of those may take together, replaced ones included.
MAX_ANSWERED_WEIGHT: Final = MAX_WEIGHT

_WHOLE_ORGANIZATION: Final = (ProjectId(""),)
_NO_LIMITS: Final[Sequence[Program]] = ()


class Checks:
    """Decides checks of one caller, all about one subject from one state of what is kept of it."""

    def __init__(
        self, units: Units[PolicyStore], programs: Programs, clock: Clock, catch_up: Callable[[], Awaitable[None]]
    ) -> None:
        self._units = units
        self._programs = programs
        self._clock = clock
        self._catch_up = catch_up
        self._answers = Answers()

    async def decide(
        self, organization_id: OrganizationId, passport: Passport, checks: Sequence[Check]
    ) -> list[Decision]:
        """Return a decision for each check, in order. What is unknown is denied, never an error.

        The same check twice in the list gets the very same decision.
        """
        if sum(len(check.project_ids) or 1 for check in checks) > MAX_DECISIONS:
            told = f"must ask for at most {MAX_DECISIONS} decisions, one for each project of each"
            raise Invalid(Violation("checks", told, rule="length"))
        caller = passport.principal
        subjects = {subject or caller for subject in subjects_of(checks)}
        entries = await self.entries(organization_id, passport, subjects)
        if any(entry.is_slow for entry in entries.values()):
            await self._programs.lanes.wait(organization_id)
            # What held before the wait may hold no longer.
            entries = await self.entries(organization_id, passport, subjects)
        asked = {project for check in checks if check.project_ids for project in check.project_ids}
        projects = await self.known_projects(organization_id, asked) if asked else frozenset()
        deciding = Deciding(
            self._programs, organization_id, passport, entries, projects, self._clock.now(), self._answers
        )
        decisions = []
        lanes, began = self._programs.lanes, monotonic()
        end = began + TURN_SECONDS
        last = len(checks) - 1
        for at, check in enumerate(checks):
            decisions.append(deciding.decide(check))
            if monotonic() > end:
                entry = entries.get(check.subject or caller)
                if entry is not None:
                    entry.is_slow = lanes.note(organization_id, began)
                if at < last:
                    # Others have their turn, and a call that takes too long can be ended here.
                    await lanes.rest(organization_id, began)
                began = monotonic()
                end = began + TURN_SECONDS
        return decisions

    async def decide_one(self, organization_id: OrganizationId, passport: Passport, check: Check) -> Decision:
        """Decide a single check, as `decide` would, without what a list needs."""
        subject = check.subject or passport.principal
        snapshot_id = frozen_for(passport, check.subject)
        entry = None if check.project_ids else self._programs.fresh(organization_id, subject, snapshot_id)
        if entry is None or entry.is_slow:
            return (await self.decide(organization_id, passport, (check,)))[0]
        deciding = Deciding(
            self._programs, organization_id, passport, {subject: entry}, frozenset(), self._clock.now(), self._answers
        )
        if not entry.looks_at_context:
            return deciding.decide(check)
        began = monotonic()
        decision = deciding.decide(check)
        entry.is_slow = self._programs.lanes.note(organization_id, began)
        return decision

    async def entries(
        self, organization_id: OrganizationId, passport: Passport, subjects: Iterable[PrincipalRef]
    ) -> dict[PrincipalRef, Entry]:
        """Return what is kept of each of the subjects that are known: of the caller, as its session froze it."""
        found: dict[PrincipalRef, Entry] = {}
        caught_up = False
        for subject in subjects:
            snapshot_id = frozen_for(passport, subject)
            entry = self._programs.fresh(organization_id, subject, snapshot_id)
            if entry is None:
                entry = await self._programs.find(organization_id, subject, snapshot_id)
            if entry is None and not caught_up:
                await self._catch_up()
                caught_up = True
                entry = await self._programs.find(organization_id, subject, snapshot_id)
            if entry is not None:
                found[subject] = entry
        return found

    async def known_projects(self, organization_id: OrganizationId, asked: Iterable[ProjectId]) -> frozenset[ProjectId]:
        """Return those of the ids that are projects."""
        wanted = frozenset(asked)
        known = await self._units.read(lambda store: store.known_projects(organization_id, wanted))
        if known != wanted:
            await self._catch_up()
            known = await self._units.read(lambda store: store.known_projects(organization_id, wanted))
        return known


class Deciding:
    """One list of checks being decided: everything that waits has been waited for."""

    __slots__ = (
        "_answers",
        "_asked",
        "_contexts",
        "_entries",
        "_now",
        "_organization_id",
        "_passport",
        "_programs",
        "_projects",
    )

    def __init__(
        self,
        programs: Programs,
        organization_id: OrganizationId,
        passport: Passport,
        entries: dict[PrincipalRef, Entry],
        projects: frozenset[ProjectId],
        now: datetime,
        answers: "Answers",
    ) -> None:
        self._answers = answers
        self._programs = programs
        self._organization_id = organization_id
        self._passport = passport
        self._entries = entries
        self._projects = projects
        self._now = now
        self._asked: dict[int, _Asked | None] = {}
        self._contexts: dict[tuple[bool, int, bool | None, int], Context] = {}

    def decide(self, check: Check) -> Decision:
        """Decide one check of the list."""
        # The checks keep their subjects alive, and looking at which one it is costs less than comparing it.
        number = id(check.subject)
        try:
            asked = self._asked[number]
        except KeyError:
            asked = self._asked[number] = self._about(check.subject)
        if asked is None or (check.organization_id and check.organization_id != self._organization_id):
            return REFUSED
        entry, known = asked.entry, asked.known
        key: Hashable
        if entry.looks_at_context or check.call.path:
            # The very check: two that differ in any circumstance are two.
            key = id(check)
        elif check.scopes or check.project_ids or asked.is_lowered:
            key = (check.permission, check.operation, check.project_ids, check.scopes)
        else:
            # Nothing counts but what the program says of the act, and that never changes.
            known = self._answers.known
            key = (entry.program, check.permission, check.operation)
        decision = known.get(key)
        if decision is None:
            decision = self._work_out(check, asked)
            if known is self._answers.known:
                self._answers.make_room(entry.program)
            known[key] = decision
        return decision

    def _about(self, subject: PrincipalRef | None) -> "_Asked | None":
        passport = self._passport
        entry = self._entries.get(subject or passport.principal)
        if entry is None or standing_fault(entry) is not None:
            return None
        return _Asked(entry, passport if subject is None or subject == passport.principal else None)

    def _work_out(self, check: Check, asked: "_Asked") -> Decision:
        places = check.project_ids or _WHOLE_ORGANIZATION
        if check.project_ids and not self._projects.issuperset(places):
            return REFUSED
        entry, caller = asked.entry, asked.caller
        limits = ceilings(self._programs, check.scopes, caller)
        # Several projects: the act must be allowed in each of them.
        context = self._context(check, caller) if entry.looks_at_context or check.call.path else NO_CONTEXT
        request = to_request(self._organization_id, check, entry, context, project_id=places[0])
        first = limited(entry.program, request, limits)
        if not first.allowed or len(places) == 1:
            return first
        answers = [first]
        for place in places[1:]:
            answer = limited(entry.program, replace(request, project_id=place), limits)
            if not answer.allowed:
                return answer
            answers.append(answer)
        return merged(answers)

    def _context(self, check: Check, caller: Passport | None) -> Context:
        # Checks that share their circumstances share these very objects, and the list keeps them alive.
        key = (caller is None, id(check.context), check.mfa, id(check.call))
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = context_of(check, caller, self._now)
        return context


class _Asked:
    """A subject that checks of the list are about, and what was found about it already."""

    __slots__ = ("caller", "entry", "is_lowered", "known")

    def __init__(self, entry: Entry, caller: Passport | None) -> None:
        self.entry = entry
        self.caller = caller
        self.is_lowered = caller is not None and bool(caller.ceiling)
        self.known: dict[Hashable, Decision] = {}


class Answers:
    """Decisions about the organization as a whole that rest on a program and an act, and on nothing else.

    A program is never changed, only replaced, so no answer here ever becomes wrong. But it keeps its program, be that
    replaced or not: who changes a policy again and again must not fill the memory with what it once said.
    """

    __slots__ = ("_programs", "_weight", "known")

    def __init__(self) -> None:
        self.known: dict[Hashable, Decision] = {}
        self._programs: set[Program] = set()
        self._weight = 0

    def make_room(self, program: Program) -> None:
        """Forget everything where too much is kept. What is still asked about is back after one decision."""
        if program not in self._programs:
            self._programs.add(program)
            self._weight += program.weight
        too_heavy = self._weight > MAX_ANSWERED_WEIGHT and len(self._programs) > 1
        if too_heavy or len(self.known) >= MAX_ANSWERS:
            self.known.clear()
            self._programs = {program}
            self._weight = program.weight


def subjects_of(checks: Iterable[Check]) -> list[PrincipalRef | None]:
    """Return whom checks are about, each at least once; None is the caller."""
    return list({id(check.subject): check.subject for check in checks}.values())


def ceilings(programs: Programs, scopes: tuple[str, ...], caller: Passport | None) -> Sequence[Program]:
    """Return what a check is lowered to: the scopes it names, and those of the caller's own credential."""
    if not scopes and (caller is None or not caller.ceiling):
        return _NO_LIMITS
    limits = [programs.ceiling(scopes)] if scopes else []
    if caller is not None and caller.ceiling:
        limits.append(programs.ceiling(caller.ceiling))
    return limits


def limited(program: Program, request: Request, limits: Sequence[Program]) -> Decision:
    """Decide under every limit."""
    if not limits:
        return decide(program, request)
    decision = decide(program, request, limits[0])
    for limit in limits[1:]:
        if decision.allowed and not decide(limit, request).allowed:
            return REFUSED
    return decision


def merged(answers: Sequence[Decision]) -> Decision:
    """Return the one decision for several places in each of which the act is allowed."""
    if len(answers) == 1:
        return answers[0]
    reach = answers[0].reach
    for each in answers[1:]:
        reach = reach.union(each.reach)
    return Decision(
        allowed=True,
        reach=reach,
        statement_ids=tuple(dict.fromkeys(s for each in answers for s in each.statement_ids)),
        failed_conditions=tuple(dict.fromkeys(f for each in answers for f in each.failed_conditions)),
    )
