"""The life of sessions."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from concord.credentials.key_formats import draw_token
from concord.credentials.model import (
    MAX_AGENT,
    MAX_SESSION_TTL,
    MIN_SESSION_TTL,
    SESSION_TTL,
    Session,
    SessionAt,
    SessionEpoch,
)
from concord.credentials.operations.api_keys import require_principal
from concord.credentials.operations.authentication import KeyCredential, examine_key, prove_key
from concord.credentials.store import CredentialStore
from concord.credentials.vault import Vault
from concord.kernel import ids
from concord.kernel.errors import Invalid, NotFound, Violation
from concord.kernel.ids import OrganizationId, SessionId
from concord.kernel.principal import PrincipalRef
from concord.kernel.secret import Secret
from concord.kernel.units import Change, Unit

Sessions = Unit[CredentialStore]

# How long sessions that are over stay to be looked at.
KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A new session, and its access token for this once."""

    session: Session
    token: Secret
    now: datetime


def open_session(unit: Sessions, shown: KeyCredential, ttl: timedelta | None, vault: Vault) -> OpenedSession:
    """Open a session for the bearer of a good key. The key is examined here again: it may have ended since."""
    proof = prove_key(examine_key(unit.store, vault, shown, unit.now))
    # The caller had no passport; what it proved makes it the author.
    unit.author = replace(unit.author, principal=proof.principal, api_key_id=proof.api_key_id)
    expire_time = unit.now + _settle_ttl(unit, ttl)
    if proof.expire_time is not None:
        expire_time = min(expire_time, proof.expire_time)

    session = Session(
        id=ids.new(SessionId),
        organization_id=proof.organization_id,
        version=1,
        principal=proof.principal,
        issuer=proof.principal,
        create_time=unit.now,
        update_time=unit.now,
        expire_time=expire_time,
        api_key_id=proof.api_key_id,
        methods=proof.methods,
        mfa=proof.mfa,
        ceiling=proof.ceiling,
        rights_snapshot_id=proof.rights_snapshot_id,
        ip=unit.author.caller_address,
        user_agent=unit.author.caller_agent[:MAX_AGENT],
    )
    token = draw_token()
    unit.store.add_session(session)
    unit.store.add_token(session, vault.hash(token), unit.now, expire_time)
    unit.record(Change("session.created", "session", session.id, after=SessionAt(session, unit.now)))
    return OpenedSession(session, token, unit.now)


def get_session(store: CredentialStore, organization_id: OrganizationId, session_id: str) -> Session:
    """Return a session, live or not."""
    session = store.find_session(organization_id, ids.parse(SessionId, session_id, "id"))
    if session is None:
        raise NotFound("session", session_id)
    return session


def revoke_session(unit: Sessions, session_id: str) -> None:
    """End one session; one that has ended stays as it is."""
    session = get_session(unit.store, unit.organization_id, session_id)
    unit.require_target(session.principal)
    if session.end_time is not None:
        return
    unit.store.end_session(unit.organization_id, session.id, unit.now)
    ended = replace(session, end_time=unit.now, update_time=unit.now, version=session.version + 1)
    unit.record(
        Change(
            "session.ended",
            "session",
            session.id,
            before=SessionAt(session, unit.now),
            after=SessionAt(ended, unit.now),
            security_relevant=True,
        )
    )


def revoke_all_sessions(unit: Sessions, principal: PrincipalRef) -> None:
    """End all sessions that a principal has opened so far."""
    require_principal(unit, principal)
    unit.require_target(principal)
    raise_epoch(unit, principal)


def raise_epoch(unit: Sessions, principal: PrincipalRef) -> None:
    """End a principal's sessions with one event, however many there are."""
    unit.store.end_sessions_of(unit.organization_id, principal, unit.now)
    unit.record(
        Change(
            "session.epoch_raised",
            "session_epoch",
            principal.id,
            after=SessionEpoch(principal, unit.now),
            security_relevant=True,
        )
    )


def _settle_ttl(unit: Sessions, ttl: timedelta | None) -> timedelta:
    rules = unit.store.find_organization(unit.organization_id)
    longest = (rules.max_session_ttl if rules is not None else timedelta(0)) or MAX_SESSION_TTL
    if ttl is None:
        return min(SESSION_TTL, longest)
    if not MIN_SESSION_TTL <= ttl <= longest:
        text = f"must lie between 1 and {int(longest.total_seconds())} seconds"
        raise Invalid(Violation("ttl", text, rule="range"))
    return ttl
