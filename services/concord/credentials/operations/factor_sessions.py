"""What becomes of a user's sessions when a second factor becomes active."""

from dataclasses import replace
from typing import Final

from concord.credentials.model.sessions import Session, SessionAt
from concord.credentials.operations.session_changes import end_with_children, is_open
from concord.credentials.store import CredentialStore
from concord.kernel.ids import SessionId
from concord.kernel.principal import PrincipalRef
from concord.kernel.units import Change, Unit

Sessions = Unit[CredentialStore]

OAUTH_CLIENT: Final = "oauth_client"
_AT_ONCE: Final = 1000


def end_logins_without_factor(unit: Sessions, user: PrincipalRef, method: str) -> None:
    """End the sessions that the user could not open any more, but for the one in which the factor was just shown.

    That one counts as opened with it, and so do those it hangs on. Keys and clients that act for themselves are never
    asked for a factor, nor is whoever acts as the user by the user's trust policy: their sessions go on.
    """
    kept = {each.id for each in _lineage(unit, user)}
    for session in _lineage(unit, user):
        _mark(unit, session, method)
    after: SessionId | None = None
    while logins := unit.store.live_logins_without_factor(unit.organization_id, user, after, unit.now, _AT_ONCE):
        for session in logins:
            if session.id not in kept and _is_login(session) and is_open(unit, session):
                end_with_children(unit, session)
        after = logins[-1].id


def _lineage(unit: Sessions, user: PrincipalRef) -> list[Session]:
    """Return the author's session, where it is a login of this user, and those that it hangs on."""
    found: list[Session] = []
    session_id = unit.author.session_id if unit.author.principal == user else None
    while session_id is not None:
        session = unit.store.find_session(unit.organization_id, session_id)
        if session is None or session.principal != user or not _is_login(session):
            break
        found.append(session)
        session_id = session.parent_session_id
    return found


def _is_login(session: Session) -> bool:
    is_program = session.api_key_id is not None or session.methods[:1] == (OAUTH_CLIENT,)
    return not is_program and session.assumed_by is None


def _mark(unit: Sessions, session: Session, method: str) -> None:
    if session.mfa:
        return
    marked = replace(
        session,
        mfa=True,
        methods=(*session.methods, method),
        update_time=unit.now,
        version=session.version + 1,
    )
    unit.store.mark_factor(marked)
    unit.record(
        Change(
            "session.renewed",
            "session",
            session.id,
            before=SessionAt(session, unit.now),
            after=SessionAt(marked, unit.now),
        )
    )
