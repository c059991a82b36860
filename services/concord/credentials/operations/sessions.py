"""The life of sessions."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from concord.credentials.model.checks import check_ttl, refuse
from concord.credentials.model.sessions import (
    MAX_AGENT,
    MAX_FROZEN_TTL,
    MAX_SESSION_TTL,
    MIN_SESSION_TTL,
    SESSION_TTL,
    Session,
)
from concord.credentials.operations import session_changes
from concord.credentials.operations.assumptions import end_assumed_by, end_assumed_with_key
from concord.credentials.operations.authentication import KeyCredential, Proof, examine_key, prove_key
from concord.credentials.operations.principals import require_principal
from concord.credentials.operations.session_changes import OpenedSession, end_with_children
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import NotFound
from concord.kernel.ids import ApiKeyId, OAuthClientId, OrganizationId, SessionId
from concord.kernel.principal import PrincipalRef
from concord.kernel.units import Unit

Sessions = Unit[CredentialStore]

# How long sessions that are over stay to be looked at.
KEPT: Final = timedelta(days=30)
_AT_ONCE: Final = 1000


def open_session(
    unit: Sessions, shown: KeyCredential, ttl: timedelta | None, vault: Vault, rights_snapshot_id: str = ""
) -> OpenedSession:
    """Open a session for the bearer of a good key. The key is examined here again: it may have ended since."""
    proof = prove_key(examine_key(unit.store, vault, shown, unit.now))
    return begin_frozen(rights_snapshot_id)(unit, proof, ttl, vault)


def begin_session(unit: Sessions, proof: Proof, ttl: timedelta | None, vault: Vault) -> OpenedSession:
    """Open a session for whoever has proved to be somebody in this very unit."""
    # The caller had no passport; what it proved makes it the author.
    unit.author = replace(unit.author, principal=proof.principal, api_key_id=proof.api_key_id)
    expire_time = unit.now + _settle_ttl(unit, ttl, frozen=bool(proof.rights_snapshot_id))
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
    return session_changes.begin_with_token(unit, session, vault)


def begin_frozen(rights_snapshot_id: str) -> Callable[[Sessions, Proof, timedelta | None, Vault], OpenedSession]:
    """Return what opens a session by rights that were frozen; live ones where there is no snapshot."""

    def begin(unit: Sessions, proof: Proof, ttl: timedelta | None, vault: Vault) -> OpenedSession:
        return begin_session(unit, replace(proof, rights_snapshot_id=rights_snapshot_id), ttl, vault)

    return begin


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
    if session.end_time is None:
        end_with_children(unit, session)


def end_sessions_of_client(unit: Sessions, client_id: OAuthClientId) -> None:
    """End what was opened through a client, as whomever."""
    # A passport names a client where others name their key.
    end_assumed_with_key(unit, ApiKeyId(client_id))
    while live := unit.store.live_sessions_of_client(unit.organization_id, client_id, unit.now, _AT_ONCE):
        for session in live:
            end_with_children(unit, session)


def revoke_all_sessions(unit: Sessions, principal: PrincipalRef) -> None:
    """End all sessions that a principal has opened so far."""
    require_principal(unit, principal)
    unit.require_target(principal)
    raise_epoch(unit, principal)


def revoke_organization_sessions(unit: Sessions) -> int:
    """End the sessions of everybody in the organization; return how many were live."""
    total = 0
    for principal, live in unit.store.live_principals(unit.organization_id, unit.now):
        raise_epoch(unit, principal)
        total += live
    return total


def longest_session(unit: Sessions, *, frozen: bool = False) -> timedelta:
    """Return how long a session of the organization may last, one with frozen rights in particular."""
    rules = unit.store.find_organization(unit.organization_id)
    longest = (rules.max_session_ttl if rules is not None else timedelta(0)) or MAX_SESSION_TTL
    return min(longest, MAX_FROZEN_TTL) if frozen else longest


def end_of_key(unit: Sessions, session: Session) -> datetime | None:
    """Return when what a key has opened must end, however long it is asked for; None where there is no such end."""
    key = None if session.api_key_id is None else unit.store.find_key(unit.organization_id, session.api_key_id)
    if key is None:
        return None
    if key.former_expire_time is not None and session.expire_time <= key.former_expire_time:
        # It may have been opened with the pair before a rotation, which is good until then and no longer.
        return session.expire_time
    return key.expire_time


def raise_epoch(unit: Sessions, principal: PrincipalRef) -> None:
    """End a principal's sessions with one event, however many there are, and those of others that hang on them."""
    while children := unit.store.live_foreign_children(unit.organization_id, principal, unit.now, _AT_ONCE):
        for child in children:
            end_with_children(unit, child)
    end_assumed_by(unit, principal)
    session_changes.end_all_of(unit, principal)


def _settle_ttl(unit: Sessions, ttl: timedelta | None, *, frozen: bool) -> timedelta:
    longest = longest_session(unit, frozen=frozen)
    if ttl is None:
        return min(SESSION_TTL, longest)
    refuse(check_ttl(ttl, "ttl", MIN_SESSION_TTL, longest))
    return ttl
