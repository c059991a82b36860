"""What is stored and told when sessions begin and end: one event for each, or one for all of a principal's."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from concord.credentials.model.sessions import Session, SessionAt, SessionEpoch
from concord.credentials.secrets.drawing import draw_token
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel.principal import PrincipalRef
from concord.kernel.secret import Secret
from concord.kernel.units import Change, Unit

Sessions = Unit[CredentialStore]

_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A new session, and its access token for this once."""

    session: Session
    token: Secret
    now: datetime


def begin(unit: Sessions, session: Session) -> None:
    """Store a new session and tell of it."""
    unit.store.add_session(session)
    unit.record(Change("session.created", "session", session.id, after=SessionAt(session, unit.now)))


def begin_with_token(unit: Sessions, session: Session, vault: Vault) -> OpenedSession:
    """Store a new session with an access token that lives as long."""
    begin(unit, session)
    token = draw_token()
    unit.store.add_token(session, vault.hash(token), unit.now, session.expire_time)
    return OpenedSession(session, token, unit.now)


def end(unit: Sessions, session: Session) -> None:
    """End a session, of whatever organization, and tell of it."""
    unit.store.end_session(session.organization_id, session.id, unit.now)
    tell_end(unit, session)


def is_open(unit: Sessions, session: Session) -> bool:
    """Tell whether a session that was read before has not been ended since."""
    now = unit.store.find_session(session.organization_id, session.id)
    return now is not None and now.end_time is None


def end_with_children(unit: Sessions, session: Session) -> None:
    """End a session and all that hang on it: in its organization, and what began in it as somebody else anywhere."""
    if session.end_time is None:
        end(unit, session)
    while children := unit.store.live_children(session.organization_id, session.id, unit.now, _AT_ONCE):
        for child in children:
            end_with_children(unit, child)
    while assumed := unit.store.sessions_assumed_in(session.organization_id, session.id, unit.now):
        # With the first may go others of them.
        end_with_children(unit, assumed[0])


def tell_end(unit: Sessions, session: Session) -> None:
    """Tell that a session has ended now."""
    ended = replace(session, end_time=unit.now, update_time=unit.now, version=session.version + 1)
    unit.record(
        Change(
            "session.ended",
            "session",
            session.id,
            before=SessionAt(session, unit.now),
            after=SessionAt(ended, unit.now),
            security_relevant=True,
            organization_id=session.organization_id,
        )
    )


def end_all_of(unit: Sessions, principal: PrincipalRef) -> None:
    """End all sessions of a principal with one event, however many there are."""
    unit.store.end_sessions_of(unit.organization_id, principal, unit.now)
    epoch = SessionEpoch(principal, unit.now)
    unit.record(Change("session.epoch_raised", "session_epoch", principal.id, after=epoch, security_relevant=True))
