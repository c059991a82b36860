"""What principals may do, compiled and kept.

Nothing kept here can change an answer. A kept entry is used only while nothing was committed
through this process since it was last found good, or else after its stamps were compared with the
stored ones in one small read. Entry and stamps come from one snapshot, and the count of commits is
taken before that snapshot, so an entry that raced with a change fails its next comparison. Programs
are kept by organization and by id and version of each source; a version says one thing for ever, so
a program is never wrong, at most unused. Another process on the same database is noticed at once
where it publishes events, else within a second.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, Final

from concord.kernel.ids import OrganizationId, PolicyId
from concord.kernel.principal import Passport, PrincipalRef, Verdict
from concord.kernel.units import Units
from concord.policy.compiling import compile_ceiling, compile_sources
from concord.policy.counted import CountedDatabase
from concord.policy.engine import Program, Statement, Subject, owner_program
from concord.policy.engine.model import BoundaryKind
from concord.policy.model import EndedKind, Policy, Standing
from concord.policy.store import PolicyStore

MAX_ENTRIES: Final = 20_000
MAX_PROGRAMS: Final = 5_000
MAX_CEILINGS: Final = 1_000
MAX_VERDICTS: Final = 64
MAX_UNCHECKED_SECONDS: Final = 1.0

_Sources = tuple[tuple[PolicyId, int], ...]


@dataclass(slots=True)
class Entry:
    """What is kept of one principal."""

    standing: Standing
    program: Program
    subject: Subject
    # What a decision may look at beside permission and boundary; what it does not look at need not be found out.
    looks_at_operations: bool
    looks_at_context: bool
    looks_at_names: bool
    # The count of commits at which, and the instant of the monotonic clock when, this was last found good.
    moves: int
    checked: float
    ended_keys: frozenset[str]
    ended_sessions: frozenset[str]
    keys_epochs: dict[str, datetime]
    sessions_epoch: datetime | None
    # Answers that depend on nothing but this entry and their key; see `remember`.
    verdicts: dict[Hashable, Verdict] = field(default_factory=dict)

    def remember(self, key: Hashable, verdict: Verdict) -> None:
        """Keep an answer for as long as this entry is good. The key must hold all of the question that it rests on.

        Where a statement may look at the circumstances of a call, no key could, and nothing is kept.
        """
        if self.looks_at_context:
            return
        _make_room(self.verdicts, MAX_VERDICTS)
        self.verdicts[key] = verdict

    def has_ended(self, passport: Passport) -> bool:
        """Tell whether the credential behind a passport of this principal is no longer good."""
        key, session = passport.api_key_id, passport.session_id
        if key is not None:
            if key in self.ended_keys:
                return True
            replaced = self.keys_epochs.get(key)
            if replaced is not None and passport.issue_time <= replaced:
                return True
        if session is None:
            return False
        if session in self.ended_sessions:
            return True
        return self.sessions_epoch is not None and passport.issue_time <= self.sessions_epoch


class Programs:
    """Finds what a principal may do, from memory where that is as good as asking the database."""

    def __init__(self, units: Units[PolicyStore]) -> None:
        self._units = units
        # From here on every unit of this service is counted, consumers' included.
        self._database = CountedDatabase(units.database)
        units.database = self._database
        self._entries: dict[tuple[OrganizationId, PrincipalRef], Entry] = {}
        self._programs: dict[tuple[OrganizationId, _Sources], Program] = {}
        self._ceilings: dict[tuple[str, ...], Program] = {}
        self._owner = owner_program()

    def fresh(self, organization_id: OrganizationId, ref: PrincipalRef) -> Entry | None:
        """Return an entry that needs no look at the database; None where one is due. Never waits."""
        entry = self._entries.get((organization_id, ref))
        if entry is None or entry.moves != self._database.moves or monotonic() - entry.checked > MAX_UNCHECKED_SECONDS:
            return None
        return entry

    async def find(self, organization_id: OrganizationId, ref: PrincipalRef) -> Entry | None:
        """Return what is known of a principal, or None where it or its organization is unknown."""
        entry = self.fresh(organization_id, ref)
        if entry is not None:
            return entry
        key = (organization_id, ref)
        moves, checked = self._database.moves, monotonic()
        kept = self._entries.get(key)
        if kept is not None:
            stamps = await self._units.look(lambda store: store.stamps(organization_id, ref))
            if stamps == kept.standing.stamps:
                # Only ever forward: a slower reader must not take back what a faster one found.
                kept.moves, kept.checked = max(kept.moves, moves), max(kept.checked, checked)
                return kept
        entry = await self._load(organization_id, ref, moves, checked)
        there = self._entries.pop(key, None)
        if entry is None:
            return None
        if there is not None and there.moves > moves:
            # Somebody loaded it after us, and has seen what we may have missed.
            entry = there
        _make_room(self._entries, MAX_ENTRIES)
        self._entries[key] = entry
        return entry

    def ceiling(self, scopes: tuple[str, ...]) -> Program:
        """Return the compiled form of what a credential is lowered to. Its names are all of it."""
        program = self._ceilings.get(scopes)
        if program is None:
            program = compile_ceiling(scopes)
            _make_room(self._ceilings, MAX_CEILINGS)
            self._ceilings[scopes] = program
        return program

    async def _load(
        self, organization_id: OrganizationId, ref: PrincipalRef, moves: int, checked: float
    ) -> Entry | None:
        def read(store: PolicyStore) -> tuple[Standing, _Sources, list[Policy] | None] | None:
            standing = store.standing(organization_id, ref)
            if standing is None:
                return None
            # No group, default or inline source touches the owner.
            if standing.principal.is_owner:
                return standing, (), None
            sources = store.versions_of(organization_id, standing.subjects)
            if (organization_id, sources) in self._programs:
                return standing, sources, None
            return standing, sources, list(store.policies_of(organization_id, standing.subjects))

        found = await self._units.read(read)
        if found is None:
            return None
        standing, sources, policies = found
        if standing.principal.is_owner:
            return _entry(standing, self._owner, moves, checked)
        program = self._programs.get((organization_id, sources))
        if program is None:
            if policies is None:
                # Dropped for room since the read: ask again, this time for the documents too.
                return await self._load(organization_id, ref, self._database.moves, monotonic())
            program = compile_sources(policies)
            _make_room(self._programs, MAX_PROGRAMS)
            self._programs[organization_id, sources] = program
        return _entry(standing, program, moves, checked)


def _entry(standing: Standing, program: Program, moves: int, checked: float) -> Entry:
    ended = standing.ended
    return Entry(
        standing=standing,
        program=program,
        subject=Subject(standing.principal.ref.kind.value, standing.principal.ref.id, standing.principal.name),
        looks_at_operations=any(each.statement.operations for each in program.statements),
        looks_at_context=any(_looks_at_context(each.statement) for each in program.statements),
        looks_at_names=any("name" in each.statement.condition for each in program.statements),
        moves=moves,
        checked=checked,
        ended_keys=frozenset(each.id for each in ended if each.kind is EndedKind.API_KEY),
        ended_sessions=frozenset(each.id for each in ended if each.kind is EndedKind.SESSION),
        keys_epochs={each.id: each.end_time for each in ended if each.kind is EndedKind.API_KEY_EPOCH},
        sessions_epoch=max((each.end_time for each in ended if each.kind is EndedKind.SESSION_EPOCH), default=None),
    )


def _looks_at_context(statement: Statement) -> bool:
    return bool(
        statement.condition
        or statement.source_networks
        or statement.parameters
        or statement.endpoints
        or statement.denied_endpoints
        or statement.boundary.kind not in (BoundaryKind.ORGANIZATION, BoundaryKind.PROJECTS)
    )


def _make_room(kept: dict[Any, Any], most: int) -> None:
    # Oldest first: whoever is still asked about is back after one read.
    while len(kept) >= most:
        kept.pop(next(iter(kept)), None)
