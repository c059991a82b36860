"""Looking at tokens, and taking them back."""

from dataclasses import dataclass, replace
from datetime import datetime

from concord.credentials.model.clients import OAuthClient
from concord.credentials.model.sessions import FoundToken, Session
from concord.credentials.model.tokens import OPENID
from concord.credentials.operations.authentication import TokenCredential, examine_token, require_good_token
from concord.credentials.operations.oauth_proofs import ShownClient, examine_client
from concord.credentials.operations.refusals import OAuthRefused
from concord.credentials.operations.session_changes import end_with_children
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel.errors import Unauthenticated
from concord.kernel.ids import OAuthClientId, OrganizationId
from concord.kernel.secret import Secret, SecretHash
from concord.kernel.units import Unit

_ACCESS = "Bearer"
_REFRESH = "refresh_token"


@dataclass(frozen=True, slots=True)
class Introspected:
    """What a good token is worth."""

    session: Session
    client: OAuthClient | None
    scopes: tuple[str, ...]
    audience: str
    token_type: str
    issue_time: datetime | None
    expire_time: datetime


def introspect(
    store: CredentialStore, vault: Vault, organization_id: OrganizationId, token: Secret, now: datetime
) -> Introspected | None:
    """Return what a token is worth; None for one that would be refused, whatever for."""
    hashed = vault.hash(token)
    access = store.find_token(hashed)
    if access is not None:
        found = _introspect_access(access, now)
    else:
        found = _introspect_refresh(store, hashed, now)
    if found is None or found.session.organization_id != organization_id:
        return None
    if not found.session.client_id:
        return found
    client = store.find_client_by_id(organization_id, OAuthClientId(found.session.client_id))
    return None if client is None else replace(found, client=client)


def revoke_token(unit: Unit[CredentialStore], shown: ShownClient, token: Secret, vault: Vault) -> None:
    """End the session of a client's token. A token that is not known is none to be ended."""
    client = examine_client(unit.store, vault, shown, unit.organization_id)
    session = session_of_token(unit.store, vault, token)
    if session is None or session.organization_id != unit.organization_id:
        return
    if (session.organization_id, session.client_id) != (client.organization_id, client.id):
        raise OAuthRefused("unauthorized_client", "the token is another client's")
    if session.end_time is None:
        unit.author = replace(unit.author, principal=session.principal, session_id=session.id)
        end_with_children(unit, session)


def organization_of_token(store: CredentialStore, vault: Vault, shown: ShownClient, token: Secret) -> OrganizationId:
    """Return in which organization a token is taken back: the token's, else the client's."""
    session = session_of_token(store, vault, token)
    of_token = None if session is None else session.organization_id
    client = examine_client(store, vault, shown, of_token)
    return of_token or client.organization_id


def session_of_token(store: CredentialStore, vault: Vault, token: Secret) -> Session | None:
    """Return the session behind an access token or a refresh token, ended ones included."""
    hashed = vault.hash(token)
    access = store.find_token(hashed)
    if access is not None:
        return access.session
    refresh = store.find_refresh_token(hashed)
    return None if refresh is None else refresh.session


def user_info(store: CredentialStore, vault: Vault, token: Secret, now: datetime) -> FoundToken:
    """Return whom a good token with the scope `openid` stands for."""
    found = examine_token(store, vault, TokenCredential(token), now)
    scopes = found.session.scopes if found.scopes is None else found.scopes
    if OPENID not in scopes:
        raise OAuthRefused("insufficient_scope", "the scope `openid` is needed")
    return found


def _introspect_access(found: FoundToken, now: datetime) -> Introspected | None:
    try:
        # The very examination that a call with the token would meet, but for whom it is meant.
        expire_time = require_good_token(found, now)
    except Unauthenticated:
        return None
    scopes = found.session.scopes if found.scopes is None else found.scopes
    return Introspected(found.session, None, scopes, found.audience, _ACCESS, found.issue_time, expire_time)


def _introspect_refresh(store: CredentialStore, hashed: SecretHash, now: datetime) -> Introspected | None:
    found = store.find_refresh_token(hashed)
    if found is None:
        return None
    refresh, session = found.refresh, found.session
    if refresh.use_time is not None or now >= refresh.expire_time:
        return None
    if not session.is_live(now) or not found.holder.is_active:
        return None
    return Introspected(
        session, None, refresh.scopes, refresh.audience, _REFRESH, refresh.issue_time, refresh.expire_time
    )
