"""Making tokens of a session: access tokens of either look, refresh tokens, and tokens for other services."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from concord.credentials.model.checks import check_ttl, refuse
from concord.credentials.model.clients import OAuthClient, SigningAlgorithm, TokenFormat
from concord.credentials.model.sessions import Session, SessionAt
from concord.credentials.model.tokens import (
    ACCESS_TTL,
    AUDIENCE_TOKEN_TTL,
    ID_TOKEN_TTL,
    MIN_ACCESS_TTL,
    RefreshToken,
    is_audience,
    subject_of,
)
from concord.credentials.operations.sessions import end_of_key, longest_session
from concord.credentials.secrets.drawing import draw_refresh_token, draw_token
from concord.credentials.secrets.signing import ACCESS_TOKEN_TYPE, Claims, Signer, half_hash
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import Invalid, Precondition, Reason, Violation
from concord.kernel.ids import SessionId
from concord.kernel.secret import Secret
from concord.kernel.units import Change, Unit

Tokens = Unit[CredentialStore]

_NO_SESSION: Final = "the caller calls without a session"


@dataclass(frozen=True, slots=True)
class Mint:
    """What making tokens needs besides the store: how secrets are hashed, who signs, and under which address."""

    vault: Vault
    signer: Signer
    issuer: str


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token, its text for this once."""

    token: Secret
    session: Session
    scopes: tuple[str, ...]
    audience: str
    issue_time: datetime
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class IssuedRefreshToken:
    """A refresh token, its text for this once."""

    token: Secret
    session_id: SessionId
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class RenewedSession:
    """A session as it is now, with one more token."""

    session: Session
    token: IssuedToken
    now: datetime


def issue_access_token(
    unit: Tokens,
    mint: Mint,
    session: Session,
    client: OAuthClient | None,
    *,
    scopes: tuple[str, ...],
    audience: str = "",
    ttl: timedelta | None = None,
) -> IssuedToken:
    """Make an access token of a session, in the look that its client wants."""
    lasts = ttl or (client.access_token_ttl if client is not None else None) or ACCESS_TTL
    expire_time = min(unit.now + lasts, session.expire_time)
    if client is not None and client.token_format is TokenFormat.JWT:
        token = _sign(unit, mint, session, client, scopes, audience, expire_time)
    else:
        token = draw_token()
    # A signed token is found by its hash like any other: what was ended is refused although its signature is good.
    narrower = scopes if scopes != session.scopes else None
    unit.store.add_token(session, mint.vault.hash(token), unit.now, expire_time, audience, narrower)
    return IssuedToken(token, session, scopes, audience, unit.now, expire_time)


def issue_refresh_token(
    unit: Tokens, mint: Mint, session: Session, client: OAuthClient, scopes: tuple[str, ...], audience: str
) -> IssuedRefreshToken:
    """Make a refresh token, which lives as long as its session does."""
    token = draw_refresh_token()
    refresh = RefreshToken(
        organization_id=session.organization_id,
        session_id=session.id,
        client_id=client.id,
        scopes=scopes,
        audience=audience,
        issue_time=unit.now,
        expire_time=session.expire_time,
    )
    unit.store.add_refresh_token(refresh, mint.vault.hash(token))
    return IssuedRefreshToken(token, session.id, refresh.expire_time)


def sign_id_token(
    unit: Tokens,
    mint: Mint,
    session: Session,
    client: OAuthClient,
    access_token: Secret,
    *,
    nonce: str,
    login_time: datetime | None,
) -> Secret:
    """Return the id token of a login: for the client and nobody else, and good for nothing here."""
    claims = Claims(
        mint.issuer,
        subject_of(session.organization_id, session.principal),
        client.client_id,
        unit.now,
        min(unit.now + ID_TOKEN_TTL, session.expire_time),
        {
            "auth_time": int((login_time or session.create_time).timestamp()),
            "nonce": nonce,
            "azp": client.client_id,
            "at_hash": half_hash(access_token, client.signing_algorithm),
            "amr": list(session.methods) or None,
            "sid": session.id,
            "org": session.organization_id,
        },
    )
    return mint.signer.sign(unit.store, client.signing_algorithm, claims)


def renew_session(unit: Tokens, mint: Mint, session_id: SessionId | None, ttl: timedelta | None) -> RenewedSession:
    """Return one more token of the caller's session, prolonging it where more is asked for than is left."""
    session = _own_session(unit, session_id)
    unit.require_target(session.principal)
    longest = longest_session(unit, frozen=bool(session.rights_snapshot_id))
    lasts = ACCESS_TTL if ttl is None else ttl
    refuse(check_ttl(lasts, "ttl", MIN_ACCESS_TTL, longest) if ttl is not None else [])
    last = session.create_time + longest
    if (end := end_of_key(unit, session)) is not None:
        last = min(last, end)
    if session.parent_session_id is not None or session.assumed_by is not None:
        # What a session hangs on, and whether somebody is trusted to act as another, was looked at once.
        last = min(last, session.expire_time)
    wanted = min(unit.now + lasts, last)
    if wanted > session.expire_time:
        before = session
        session = replace(session, expire_time=wanted, update_time=unit.now, version=session.version + 1)
        unit.store.prolong_session(session)
        unit.record(
            Change(
                "session.renewed",
                "session",
                session.id,
                before=SessionAt(before, unit.now),
                after=SessionAt(session, unit.now),
            )
        )
    # The old token keeps the narrower rights it had; a new one carries those of the session.
    token = issue_access_token(unit, mint, session, None, scopes=session.scopes, ttl=lasts)
    return RenewedSession(session, token, unit.now)


def issue_audience_token(unit: Tokens, mint: Mint, session_id: SessionId | None, audience: str) -> IssuedToken:
    """Return a signed token by which the caller shows another service who it is."""
    if not is_audience(audience) or audience == mint.issuer:
        text = "must be 1 to 512 printable characters without spaces, and not the suite itself"
        raise Invalid(Violation("audience", text, rule="pattern"))
    session = _own_session(unit, session_id)
    expire_time = min(unit.now + AUDIENCE_TOKEN_TTL, session.expire_time)
    token = _sign(unit, mint, session, None, session.scopes, audience, expire_time)
    unit.store.add_token(session, mint.vault.hash(token), unit.now, expire_time, audience)
    unit.record(Change("audience_token.created", "session", session.id))
    return IssuedToken(token, session, session.scopes, audience, unit.now, expire_time)


def _own_session(unit: Tokens, session_id: SessionId | None) -> Session:
    session = None if session_id is None else unit.store.find_session(unit.organization_id, session_id)
    if session is None or not session.is_live(unit.now):
        raise Precondition(Reason.INVALID_STATE, _NO_SESSION, "session", session_id or "")
    if session.client_id:
        # What a program holds for a user is the program's: it must not get more out of it than its scopes and its time.
        raise Precondition(Reason.INVALID_STATE, "the session is a program's", "session", session.id)
    return session


def _sign(
    unit: Tokens,
    mint: Mint,
    session: Session,
    client: OAuthClient | None,
    scopes: tuple[str, ...],
    audience: str,
    expire_time: datetime,
) -> Secret:
    claims = Claims(
        mint.issuer,
        subject_of(session.organization_id, session.principal),
        audience or mint.issuer,
        unit.now,
        expire_time,
        {
            "jti": ids.new(str),
            "client_id": client.client_id if client is not None else session.principal.id,
            "scope": " ".join(scopes),
            # The other service cannot know what the session is lowered to unless it is told. It is no `scope`:
            # whoever made the credential chose its names, and elsewhere a scope may be believed to grant something.
            "ceiling": list(session.ceiling) if client is None and session.ceiling else None,
            "sid": session.id,
            "org": session.organization_id,
            "auth_time": int(session.create_time.timestamp()),
        },
    )
    algorithm = SigningAlgorithm.RS256 if client is None else client.signing_algorithm
    return mint.signer.sign(unit.store, algorithm, claims, ACCESS_TOKEN_TYPE)
