"""What principals may do, compiled and kept.

Nothing kept here can change an answer. A kept entry is used only while nothing was committed
through this process since it was last found good, or else after its stamps were compared with the
stored ones in one small read. Entry and stamps come from one snapshot, and the count of commits is
taken before that snapshot, so an entry that raced with a change fails its next comparison. Programs
are kept by organization and by id and version of each source; a version says one thing for ever, so
a program is never wrong, and it goes with the last entry that uses it. Another process on the same
database is noticed at once where it publishes events, else within a second.

Where rights were frozen, the entry is one of its own: its program is made of the snapshot, all else in it is live.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, Final

from concord.kernel.ids import OrganizationId
from concord.kernel.principal import Passport, PrincipalRef, Verdict
from concord.kernel.units import Units
from concord.policy.compiling import compile_ceiling, source_steps
from concord.policy.counted import CountedDatabase
from concord.policy.engine import Program, Subject, ceiling_program, owner_program
from concord.policy.model import EndedKind, RightsSnapshotId, Sources, SourceStamp, Standing
from concord.policy.sharing import SharedPrograms
from concord.policy.store import PolicyStore
from concord.policy.turns import Lanes

MAX_ENTRIES: Final = 20_000
MAX_CEILINGS: Final = 1_000
MAX_VERDICTS: Final = 64
MAX_UNCHECKED_SECONDS: Final = 1.0


# With the snapshot that takes the place of what the principal holds now; empty for none.
_EntryKey = tuple[OrganizationId, PrincipalRef, str]
# What a program is made of: either tells it for ever.
_SourceKey = SourceStamp | RightsSnapshotId
_ProgramKey = tuple[OrganizationId, _SourceKey]


@dataclass(slots=True)
class Entry:
    """What is kept of one principal."""

    standing: Standing
    program: Program
    # None for the owner, whose program is everybody's.
    sources: _SourceKey | None
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
    # Where rights were frozen: the snapshot that the program is made of.
    snapshot_id: str = ""
    # There is no such snapshot: whoever comes with it has no right at all.
    is_void: bool = False
    # The last decision took so long that the next one has to queue; see `Lanes`.
    is_slow: bool = False
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
        self._entries: dict[_EntryKey, Entry] = {}
        self._shared = SharedPrograms[_ProgramKey, _EntryKey](self._lose)
        self._ceilings: dict[tuple[str, ...], Program] = {}
        self._owner = owner_program()
        self._nothing = ceiling_program(())
        self.lanes = Lanes()

    def fresh(self, organization_id: OrganizationId, ref: PrincipalRef, snapshot_id: str = "") -> Entry | None:
        """Return an entry that needs no look at the database; None where one is due. Never waits."""
        entry = self._entries.get((organization_id, ref, snapshot_id))
        if entry is None or entry.moves != self._database.moves or monotonic() - entry.checked > MAX_UNCHECKED_SECONDS:
            return None
        return entry

    async def find(self, organization_id: OrganizationId, ref: PrincipalRef, snapshot_id: str = "") -> Entry | None:
        """Return what is known of a principal, or None where it or its organization is unknown.

        With a snapshot the program is the one that was frozen, except that the owner's stays the owner's.
        """
        entry = self.fresh(organization_id, ref, snapshot_id)
        if entry is not None:
            return entry
        key = (organization_id, ref, snapshot_id)
        moves, checked = self._database.moves, monotonic()
        kept = self._entries.get(key)
        if kept is not None:
            stamps = await self._units.look(lambda store: store.stamps(organization_id, ref))
            if stamps == kept.standing.stamps:
                # Only ever forward: a slower reader must not take back what a faster one found.
                kept.moves, kept.checked = max(kept.moves, moves), max(kept.checked, checked)
                return kept
        entry = await self._load(key, moves, checked)
        there = self._entries.get(key)
        if entry is None or entry.is_void:
            self._forget(key)
            return entry
        if there is not None and there.moves > moves:
            # Somebody loaded it after us, and has seen what we may have missed.
            return there
        if entry.sources is not None:
            entry.program = self._shared.hold((organization_id, entry.sources), entry.program, key)
        if there is not None and there.sources != entry.sources:
            self._forget(key)
        self._entries.pop(key, None)
        # Oldest first: whoever is still asked about is back after one read.
        while len(self._entries) >= MAX_ENTRIES:
            self._forget(next(iter(self._entries)))
        self._entries[key] = entry
        return entry

    def _lose(self, key: _EntryKey) -> None:
        self._entries.pop(key, None)

    def _forget(self, key: _EntryKey) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None and entry.sources is not None:
            self._shared.release((key[0], entry.sources), key)

    @property
    def kept(self) -> int:
        """How many programs are kept at this moment, the owners' and ceilings aside."""
        return len(self._shared)

    def ceiling(self, scopes: tuple[str, ...]) -> Program:
        """Return the compiled form of what a credential is lowered to. Its names are all of it."""
        program = self._ceilings.get(scopes)
        if program is None:
            program = compile_ceiling(scopes)
            _make_room(self._ceilings, MAX_CEILINGS)
            self._ceilings[scopes] = program
        return program

    async def _load(self, key: _EntryKey, moves: int, checked: float) -> Entry | None:
        found = await self._units.read(lambda store: self._read(store, key))
        if found is None:
            return None
        organization_id, _, snapshot_id = key
        standing, made_of, sources = found
        if made_of is None:
            return _entry(standing, self._nothing, None, moves, checked, snapshot_id, is_void=True)
        if standing.principal.is_owner:
            return _entry(standing, self._owner, None, moves, checked, snapshot_id)
        program = self._shared.find((organization_id, made_of))
        if program is None:
            if sources is None:
                # Dropped since the read: ask again, this time for the documents too.
                return await self._load(key, self._database.moves, monotonic())
            program = await self._shared.compile((organization_id, made_of), lambda: source_steps(sources))
        return _entry(standing, program, made_of, moves, checked, snapshot_id)

    def _read(self, store: PolicyStore, key: _EntryKey) -> tuple[Standing, _SourceKey | None, Sources | None] | None:
        """Return where a principal stands, what its program is made of, and that itself where it is not compiled yet.

        None in the middle is a snapshot that does not exist.
        """
        organization_id, ref, snapshot_id = key
        standing = store.standing(organization_id, ref)
        if standing is None:
            return None
        if snapshot_id:
            frozen = RightsSnapshotId(snapshot_id)
            if self._shared.find((organization_id, frozen)) is not None:
                return standing, frozen, None
            kept = store.find_rights(organization_id, frozen)
            return (standing, None, None) if kept is None else (standing, frozen, kept.sources)
        # No group, default or inline source touches the owner.
        if standing.principal.is_owner:
            return standing, SourceStamp(), None
        stamp = store.source_stamp(organization_id, standing.subjects)
        if self._shared.find((organization_id, stamp)) is not None:
            return standing, stamp, None
        return standing, stamp, store.sources_of(organization_id, standing.subjects)


def frozen_for(passport: Passport, subject: PrincipalRef | None) -> str:
    """Return the snapshot by which a subject is decided for a caller, None being the caller; empty for live rights.

    Nobody's rights but the caller's own were frozen with its session.
    """
    return passport.rights_snapshot_id if subject is None or subject == passport.principal else ""


def _entry(
    standing: Standing,
    program: Program,
    sources: _SourceKey | None,
    moves: int,
    checked: float,
    snapshot_id: str,
    *,
    is_void: bool = False,
) -> Entry:
    ended = standing.ended
    return Entry(
        standing=standing,
        program=program,
        sources=sources,
        # Divisions are not known here, and what is unknown helps no allow and lifts no deny.
        subject=Subject(standing.principal.ref.kind.value, standing.principal.ref.id, standing.principal.name, None),
        looks_at_operations=program.looks_at_operations,
        looks_at_context=program.looks_at_context,
        looks_at_names=program.looks_at_names,
        moves=moves,
        checked=checked,
        ended_keys=frozenset(each.id for each in ended if each.kind is EndedKind.API_KEY),
        ended_sessions=frozenset(each.id for each in ended if each.kind is EndedKind.SESSION),
        keys_epochs={each.id: each.end_time for each in ended if each.kind is EndedKind.API_KEY_EPOCH},
        sessions_epoch=max((each.end_time for each in ended if each.kind is EndedKind.SESSION_EPOCH), default=None),
        snapshot_id=snapshot_id,
        is_void=is_void,
    )


def _make_room(kept: dict[Any, Any], most: int) -> None:
    # Oldest first: whoever is still asked about is back after one read.
    while len(kept) >= most:
        kept.pop(next(iter(kept)), None)
