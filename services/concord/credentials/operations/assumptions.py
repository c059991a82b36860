"""What ends with whoever is behind a session that was opened as somebody else."""

from collections.abc import Iterable

from concord.credentials.model.sessions import Session
from concord.credentials.model.trust import TrustPolicy
from concord.credentials.operations import session_changes
from concord.credentials.store import CredentialStore
from concord.kernel.ids import ApiKeyId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.units import Unit

Sessions = Unit[CredentialStore]


def end_assumed_by(unit: Sessions, caller: PrincipalRef) -> None:
    """End the sessions, in any organization, that a principal of this one is behind."""
    _end(unit, unit.store.sessions_assumed_by(unit.organization_id, caller, unit.now))


def end_assumed_with_key(unit: Sessions, key_id: ApiKeyId) -> None:
    """End the sessions, in any organization, that began with a key of this one."""
    _end(unit, unit.store.sessions_assumed_with_key(unit.organization_id, key_id, unit.now))


def end_assumed_from(unit: Sessions) -> None:
    """End the sessions of other organizations that principals of this one are behind."""
    _end(unit, unit.store.sessions_assumed_from(unit.organization_id, unit.now))


def end_assuming(unit: Sessions, user: PrincipalRef) -> None:
    """End the sessions in which somebody acts as a user."""
    _end(unit, unit.store.sessions_assuming(unit.organization_id, user, unit.now))


def end_distrusted(unit: Sessions, policy: TrustPolicy) -> None:
    """End the sessions as a user of whoever the user's trust policy does not name, whatever its conditions are."""
    user = PrincipalRef(PrincipalKind.USER, policy.user_id)
    ended = []
    for session in unit.store.sessions_assuming(unit.organization_id, user, unit.now):
        behind = unit.store.assumptions_of(session.organization_id, session.id)
        # Who is behind the caller in turn was trusted by the caller, not by this user.
        callers = [each.caller for each in behind if each.caller.principal == session.assumed_by]
        if not any(policy.conditions_for(each) for each in callers):
            ended.append(session)
    _end(unit, ended)


def _end(unit: Sessions, sessions: Iterable[Session]) -> None:
    for session in sessions:
        # It may have gone with one before it.
        if session_changes.is_open(unit, session):
            session_changes.end_with_children(unit, session)
