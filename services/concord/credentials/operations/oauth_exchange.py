"""Exchanging grants for tokens. Codes and refresh tokens are used up before anything else is looked at."""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from concord.credentials.model.clients import ClientAuthMethod, OAuthClient
from concord.credentials.model.holders import LifeState
from concord.credentials.model.sessions import MAX_AGENT, Session
from concord.credentials.model.tokens import (
    ACCESS_TTL,
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    OFFLINE,
    OPENID,
    PASSWORD,
    REFRESH_TOKEN,
    AuthorizationCode,
)
from concord.credentials.operations import session_changes
from concord.credentials.operations.authentication import Proof
from concord.credentials.operations.oauth_proofs import (
    ShownClient,
    examine_client,
    grant_audience,
    grant_scopes,
    parse_scopes,
    require_grant,
)
from concord.credentials.operations.refusals import OAuthRefused, Spent
from concord.credentials.operations.session_changes import end_with_children
from concord.credentials.operations.sessions import end_of_key, longest_session
from concord.credentials.operations.tokens import (
    IssuedRefreshToken,
    IssuedToken,
    Mint,
    issue_access_token,
    issue_refresh_token,
    sign_id_token,
)
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.ids import OrganizationId, SessionId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import Secret
from concord.kernel.units import Change, Unit

Exchanges = Unit[CredentialStore]

_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_BAD_GRANT: Final = "the grant is not good, or is another client's"


@dataclass(frozen=True, slots=True)
class ShownGrant:
    """A token request."""

    client: ShownClient
    grant_type: str
    code: Secret
    redirect_uri: str
    code_verifier: str
    refresh_token: Secret
    scope: str
    resource: str


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What a grant was exchanged for."""

    session: Session
    token: IssuedToken
    refresh: IssuedRefreshToken | None
    id_token: Secret | None
    now: datetime


def organization_of_grant(store: CredentialStore, shown: ShownGrant, mint: Mint) -> OrganizationId:
    """Return in which organization a grant is exchanged: that of the grant, else the client's."""
    of_grant: OrganizationId | None = None
    if shown.grant_type == AUTHORIZATION_CODE:
        code = store.find_code(mint.vault.hash(shown.code))
        of_grant = None if code is None else code.organization_id
    elif shown.grant_type == REFRESH_TOKEN:
        found = store.find_refresh_token(mint.vault.hash(shown.refresh_token))
        of_grant = None if found is None else found.refresh.organization_id
    client = examine_client(store, mint.vault, shown.client, of_grant)
    return of_grant or client.organization_id


def exchange(unit: Exchanges, shown: ShownGrant, mint: Mint) -> Exchanged | Spent:
    """Exchange a code, a refresh token or the client's own proof for tokens."""
    client = examine_client(unit.store, mint.vault, shown.client, unit.organization_id)
    match shown.grant_type:
        case "authorization_code":
            return _exchange_code(unit, shown, mint, client)
        case "refresh_token":
            return _exchange_refresh_token(unit, shown, mint, client)
        case "client_credentials":
            return _exchange_client(unit, shown, mint, client)
    raise OAuthRefused("unsupported_grant_type", "the grant type is not supported")


def exchange_login(unit: Exchanges, shown: ShownGrant, mint: Mint, proof: Proof) -> Exchanged:
    """Exchange a user's name and password, which were found good in this very unit, for tokens."""
    client = examine_client(unit.store, mint.vault, shown.client, unit.organization_id)
    require_grant(client, PASSWORD)
    if client.organization_id != unit.organization_id or proof.organization_id != unit.organization_id:
        raise OAuthRefused("invalid_grant", _BAD_GRANT)
    # What the login itself is lowered to (a temporary password) holds beside the scopes.
    scopes = _lower(grant_scopes(shown.scope, client.scopes), proof.ceiling)
    audience = grant_audience(shown.resource, client)
    session = _open(
        unit,
        client,
        proof.principal,
        scopes,
        methods=proof.methods,
        mfa=proof.mfa,
        until=proof.expire_time,
        refreshable=REFRESH_TOKEN in client.grant_types,
    )
    return _issue(unit, mint, session, client, scopes, audience, nonce="", login_time=unit.now)


def _exchange_code(unit: Exchanges, shown: ShownGrant, mint: Mint, client: OAuthClient) -> Exchanged | Spent:
    hashed = mint.vault.hash(shown.code)
    code = unit.store.find_code(hashed)
    if code is None or code.organization_id != unit.organization_id:
        raise OAuthRefused("invalid_grant", _BAD_GRANT)
    if not unit.store.use_code(hashed, unit.now):
        # Two have it, and one of them must not: what the first one got is worth nothing any more.
        if code.opened_session_id is not None:
            _end(unit, code.opened_session_id)
        return Spent("invalid_grant", _BAD_GRANT)
    login = unit.store.find_session(unit.organization_id, code.session_id)
    if (
        (code.organization_id, code.client_id) != (client.organization_id, client.id)
        or unit.now >= code.expire_time
        or not _same_place(code, shown.redirect_uri)
        # Codes sent to an address that was taken away since are in the wrong hands.
        or code.redirect_uri not in client.redirect_uris
        or not _verifies(shown.code_verifier, code.code_challenge)
        or login is None
        or not login.is_live(unit.now)
        or not _lives(unit, login.principal)
    ):
        return Spent("invalid_grant", _BAD_GRANT)
    try:
        require_grant(client, AUTHORIZATION_CODE)
        # What the client may ask for can have become less since.
        scopes = grant_scopes(" ".join(code.scopes), client.scopes)
        audience = _same_audience(shown.resource, code.audience, client)
    except OAuthRefused as refusal:
        return Spent(refusal.error, refusal.message)
    session = _open(
        unit,
        client,
        login.principal,
        scopes,
        methods=login.methods,
        mfa=login.mfa,
        login=login,
        refreshable=REFRESH_TOKEN in client.grant_types,
    )
    unit.store.finish_code(hashed, session.id)
    return _issue(unit, mint, session, client, scopes, audience, nonce=code.nonce, login_time=login.create_time)


def _exchange_refresh_token(unit: Exchanges, shown: ShownGrant, mint: Mint, client: OAuthClient) -> Exchanged | Spent:
    hashed = mint.vault.hash(shown.refresh_token)
    found = unit.store.find_refresh_token(hashed)
    if found is None or found.refresh.organization_id != unit.organization_id:
        raise OAuthRefused("invalid_grant", _BAD_GRANT)
    refresh, session = found.refresh, found.session
    if (refresh.organization_id, refresh.client_id) != (client.organization_id, client.id):
        # Whoever shows it is not whom it was given to: it is known to somebody else.
        _end(unit, session.id)
        return Spent("invalid_grant", _BAD_GRANT)
    if not session.is_live(unit.now) or unit.now >= refresh.expire_time or not found.holder.is_active:
        raise OAuthRefused("invalid_grant", _BAD_GRANT)
    if refresh.use_time is not None:
        _end(unit, session.id)
        return Spent("invalid_grant", "the refresh token was used before")
    require_grant(client, REFRESH_TOKEN)
    asked = parse_scopes(shown.scope)
    if not set(asked) <= set(refresh.scopes):
        raise OAuthRefused("invalid_scope", "a scope was not granted before")
    scopes = grant_scopes(" ".join(asked or refresh.scopes), client.scopes)
    audience = _same_audience(shown.resource, refresh.audience, client)
    if not unit.store.use_refresh_token(hashed, unit.now):
        _end(unit, session.id)
        return Spent("invalid_grant", "the refresh token was used before")
    unit.author = replace(unit.author, principal=session.principal, session_id=session.id)
    token = issue_access_token(unit, mint, session, client, scopes=scopes, audience=audience)
    # The next one renews what was granted at first, however little was asked for this time.
    following = issue_refresh_token(unit, mint, session, client, refresh.scopes, refresh.audience)
    unit.record(Change("token.rotated", "session", session.id))
    id_token = None
    if OPENID in scopes:
        id_token = sign_id_token(
            unit, mint, session, client, token.token, nonce="", login_time=_login_time(unit, session)
        )
    return Exchanged(session, token, following, id_token, unit.now)


def _exchange_client(unit: Exchanges, shown: ShownGrant, mint: Mint, client: OAuthClient) -> Exchanged:
    require_grant(client, CLIENT_CREDENTIALS)
    if client.bearer is None or client.auth_method is ClientAuthMethod.NONE:
        raise OAuthRefused("unauthorized_client", "the client acts for nobody of its own, or proves nothing")
    scopes = grant_scopes(shown.scope, client.scopes)
    audience = grant_audience(shown.resource, client)
    session = _open(unit, client, client.bearer, scopes, methods=("oauth_client",), mfa=False)
    return _issue(unit, mint, session, client, scopes, audience, nonce="", login_time=unit.now)


def _open(
    unit: Exchanges,
    client: OAuthClient,
    principal: PrincipalRef,
    scopes: tuple[str, ...],
    *,
    methods: tuple[str, ...],
    mfa: bool,
    login: Session | None = None,
    until: datetime | None = None,
    refreshable: bool = False,
) -> Session:
    unit.author = replace(unit.author, principal=principal)
    longest = longest_session(unit)
    lasts = (client.refresh_token_ttl or longest) if refreshable else (client.access_token_ttl or ACCESS_TTL)
    expire_time = unit.now + min(lasts, longest)
    parent = None
    if login is not None and (end := end_of_key(unit, login)) is not None:
        expire_time = min(expire_time, end)
    if until is not None:
        expire_time = min(expire_time, until)
    if login is not None and OFFLINE not in scopes:
        # Unless the user allowed more, the client is in for as long as the user is.
        parent, expire_time = login.id, min(expire_time, login.expire_time)
    if login is not None and login.rights_snapshot_id:
        # Even then: what was frozen for a login must not outlive it, over one client after the other.
        expire_time = min(expire_time, login.expire_time)
    session = Session(
        id=ids.new(SessionId),
        organization_id=unit.organization_id,
        version=1,
        principal=principal,
        issuer=principal,
        create_time=unit.now,
        update_time=unit.now,
        expire_time=expire_time,
        client_id=client.id,
        # The key that opened the login: where that ends, all that came of it ends.
        api_key_id=None if login is None else login.api_key_id,
        methods=methods,
        mfa=mfa,
        scopes=scopes,
        ceiling=scopes,
        # Frozen rights stay those of the login.
        rights_snapshot_id="" if login is None else login.rights_snapshot_id,
        parent_session_id=parent,
        ip=unit.author.caller_address,
        user_agent=unit.author.caller_agent[:MAX_AGENT],
    )
    session_changes.begin(unit, session)
    return session


def _issue(
    unit: Exchanges,
    mint: Mint,
    session: Session,
    client: OAuthClient,
    scopes: tuple[str, ...],
    audience: str,
    *,
    nonce: str,
    login_time: datetime,
) -> Exchanged:
    token = issue_access_token(unit, mint, session, client, scopes=scopes, audience=audience)
    refresh = id_token = None
    of_a_user = session.methods != ("oauth_client",)
    if of_a_user and REFRESH_TOKEN in client.grant_types:
        refresh = issue_refresh_token(unit, mint, session, client, scopes, audience)
    if of_a_user and OPENID in scopes and session.principal.kind is PrincipalKind.USER:
        id_token = sign_id_token(unit, mint, session, client, token.token, nonce=nonce, login_time=login_time)
    return Exchanged(session, token, refresh, id_token, unit.now)


def _end(unit: Exchanges, session_id: SessionId) -> None:
    session = unit.store.find_session(unit.organization_id, session_id)
    if session is not None:
        unit.author = replace(unit.author, principal=session.principal)
        end_with_children(unit, session)


def _same_place(code: AuthorizationCode, redirect_uri: str) -> bool:
    if not redirect_uri:
        return not code.redirect_uri_named
    return redirect_uri == code.redirect_uri


def _verifies(verifier: str, challenge: str) -> bool:
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(digest, challenge)


def _same_audience(requested: str, granted: str, client: OAuthClient) -> str:
    if requested and requested != granted:
        raise OAuthRefused("invalid_target", "the grant is not for this resource")
    return grant_audience(granted, client)


def _lower(scopes: tuple[str, ...], ceiling: tuple[str, ...]) -> tuple[str, ...]:
    if not scopes or not ceiling:
        return scopes or ceiling
    both = tuple(each for each in scopes if each in ceiling)
    if not both:
        # Nothing in common must not read as no limit.
        raise OAuthRefused("invalid_scope", "none of the scopes is allowed to this login")
    return both


def _lives(unit: Exchanges, principal: PrincipalRef) -> bool:
    return unit.store.find_principal(unit.organization_id, principal) is LifeState.ACTIVE


def _login_time(unit: Exchanges, session: Session) -> datetime:
    if session.parent_session_id is not None:
        login = unit.store.find_session(unit.organization_id, session.parent_session_id)
        if login is not None:
            return login.create_time
    return session.create_time
