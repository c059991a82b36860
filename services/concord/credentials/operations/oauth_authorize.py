"""Letting a client in: the authorization request, the user's consent, and the code."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from concord.credentials.model.clients import OAuthClient
from concord.credentials.model.sessions import Session
from concord.credentials.model.tokens import (
    AUTHORIZATION_CODE,
    CODE_TTL,
    CONSENT_TTL,
    MAX_PARAMETER,
    OPENID,
    AuthorizationCode,
    Consent,
)
from concord.credentials.operations.oauth_proofs import grant_audience, grant_scopes, require_grant
from concord.credentials.operations.refusals import OAuthRefused
from concord.credentials.secrets.drawing import draw_code
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel.ids import SessionId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import Secret
from concord.kernel.units import Change, Unit

Authorizations = Unit[CredentialStore]

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_PROMPTS: Final = frozenset({"", "none", "consent"})


class ConsentDecision(StrEnum):
    """What the user says to the question."""

    UNSAID = "unsaid"
    GRANTED = "granted"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class WantedAuthorization:
    """An authorization request."""

    response_type: str
    client_id: str
    redirect_uri: str
    scope: str
    state: str
    code_challenge: str
    code_challenge_method: str
    nonce: str
    prompt: str
    max_age: timedelta | None
    resource: str
    decision: ConsentDecision
    proof: str


@dataclass(frozen=True, slots=True)
class Asker:
    """Who lets the client in, and in which session."""

    principal: PrincipalRef
    session_id: SessionId | None
    ceiling: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What the user must be asked first."""

    client: OAuthClient
    scopes: tuple[str, ...]
    proof: str


@dataclass(frozen=True, slots=True)
class Authorized:
    """What goes back to the redirect address: a code or an error; or a question that comes first."""

    redirect_uri: str
    state: str
    code: Secret | None = None
    error: str = ""
    description: str = ""
    question: Question | None = None


def authorize(unit: Authorizations, wanted: WantedAuthorization, asker: Asker, vault: Vault) -> Authorized:
    """Answer an authorization request. Until client and redirect address are known to belong together, it fails."""
    unit.require_target(asker.principal)
    client, redirect_uri = _place_to_return(unit, wanted)
    # What cannot be handed back unharmed is not handed back.
    state = wanted.state if len(wanted.state) <= MAX_PARAMETER and wanted.state.isprintable() else ""
    try:
        return _authorize(unit, wanted, asker, client, redirect_uri, vault)
    except OAuthRefused as refusal:
        return Authorized(redirect_uri, state, error=refusal.error, description=refusal.message)


def _authorize(
    unit: Authorizations,
    wanted: WantedAuthorization,
    asker: Asker,
    client: OAuthClient,
    redirect_uri: str,
    vault: Vault,
) -> Authorized:
    _check(wanted, client)
    scopes = _scopes(wanted, asker, client)
    audience = grant_audience(wanted.resource, client)
    session = _login(unit, wanted, asker)
    user_id = UserId(session.principal.id)
    known = unit.store.find_consent(unit.organization_id, user_id, client.id)
    binding = (session.id, client.id, redirect_uri, " ".join(scopes), audience, wanted.code_challenge, wanted.state)
    is_known = known is not None and set(known.scopes).issuperset(scopes) and wanted.prompt != "consent"
    if not is_known:
        answered = wanted.decision is not ConsentDecision.UNSAID and _proves(vault, wanted.proof, binding, unit.now)
        if answered and wanted.decision is ConsentDecision.DENIED:
            raise OAuthRefused("access_denied", "the user does not let the client in")
        if not answered:
            if wanted.prompt == "none":
                raise OAuthRefused("consent_required", "the user has to be asked first")
            proof = _prove(vault, binding, unit.now + CONSENT_TTL)
            return Authorized(redirect_uri, wanted.state, question=Question(client, scopes, proof))
        _remember(unit, known, user_id, client, scopes)
    code = draw_code()
    unit.store.add_code(
        AuthorizationCode(
            organization_id=unit.organization_id,
            client_id=client.id,
            user_id=user_id,
            session_id=session.id,
            redirect_uri=redirect_uri,
            redirect_uri_named=bool(wanted.redirect_uri),
            code_challenge=wanted.code_challenge,
            scopes=scopes,
            audience=audience,
            nonce=wanted.nonce,
            issue_time=unit.now,
            expire_time=unit.now + CODE_TTL,
        ),
        vault.hash(code),
    )
    unit.record(Change("authorization.created", "oauth_client", client.id, client.client_id))
    return Authorized(redirect_uri, wanted.state, code=code)


def _place_to_return(unit: Authorizations, wanted: WantedAuthorization) -> tuple[OAuthClient, str]:
    named = len(wanted.client_id) <= 128 and wanted.client_id.isascii() and wanted.client_id.isprintable()
    client = unit.store.find_client_named(unit.organization_id, wanted.client_id) if named else None
    if client is None:
        raise OAuthRefused("invalid_request", "there is no such client")
    if wanted.redirect_uri:
        # Byte for byte: nothing is decoded, folded or completed before.
        if wanted.redirect_uri not in client.redirect_uris:
            raise OAuthRefused("invalid_request", "the client was not registered with this redirect address")
        return client, wanted.redirect_uri
    if len(client.redirect_uris) != 1 or OPENID in wanted.scope.split(" "):
        raise OAuthRefused("invalid_request", "`redirect_uri` is missing")
    return client, client.redirect_uris[0]


def _check(wanted: WantedAuthorization, client: OAuthClient) -> None:
    for name in ("state", "nonce", "prompt"):
        text: str = getattr(wanted, name)
        if len(text) > MAX_PARAMETER or not text.isprintable():
            raise OAuthRefused("invalid_request", f"`{name}` is too long or not printable")
    if not wanted.response_type:
        raise OAuthRefused("invalid_request", "`response_type` is missing")
    if wanted.response_type != "code":
        raise OAuthRefused("unsupported_response_type", "only `code` is supported")
    require_grant(client, AUTHORIZATION_CODE)
    if client.response_types and "code" not in client.response_types:
        raise OAuthRefused("unauthorized_client", "the client may not use `code`")
    if not wanted.code_challenge:
        raise OAuthRefused("invalid_request", "`code_challenge` is missing")
    if wanted.code_challenge_method != "S256":
        raise OAuthRefused("invalid_request", "`code_challenge_method` must be S256")
    if not _CHALLENGE.fullmatch(wanted.code_challenge):
        raise OAuthRefused("invalid_request", "`code_challenge` is malformed")
    if wanted.prompt not in _PROMPTS:
        raise OAuthRefused("login_required", "the user cannot be made to log in here")


def _scopes(wanted: WantedAuthorization, asker: Asker, client: OAuthClient) -> tuple[str, ...]:
    scopes = grant_scopes(wanted.scope, client.scopes)
    if asker.ceiling:
        scopes = tuple(each for each in scopes if each in asker.ceiling)
    if not scopes:
        # Without a scope the client could do whatever the user can.
        raise OAuthRefused("invalid_scope", "a scope is needed")
    return scopes


def _login(unit: Authorizations, wanted: WantedAuthorization, asker: Asker) -> Session:
    session = None if asker.session_id is None else unit.store.find_session(unit.organization_id, asker.session_id)
    if session is None or not session.is_live(unit.now):
        raise OAuthRefused("login_required", "a login is needed")
    if session.principal.kind is not PrincipalKind.USER or session.client_id or session.assumed_by is not None:
        # Who acts for a user, a program or another person, lets nobody in who would stay.
        raise OAuthRefused("access_denied", "only a user's own login lets a client in")
    if wanted.max_age is not None and unit.now - session.create_time > wanted.max_age:
        raise OAuthRefused("login_required", "the login is too old")
    return session


def _remember(
    unit: Authorizations, known: Consent | None, user_id: UserId, client: OAuthClient, scopes: tuple[str, ...]
) -> None:
    consent = Consent(unit.organization_id, user_id, client.id, tuple(sorted(scopes)), unit.now, unit.now)
    if known is not None:
        both = tuple(sorted({*known.scopes, *scopes}))
        consent = replace(consent, scopes=both, create_time=known.create_time)
    if known is not None and known.scopes == consent.scopes:
        return
    unit.store.put_consent(consent)
    kind = "oauth_consent.created" if known is None else "oauth_consent.updated"
    unit.record(Change(kind, "oauth_consent", client.id, client.client_id, before=known, after=consent))


def _prove(vault: Vault, binding: tuple[str, ...], expire_time: datetime) -> str:
    seconds = str(int(expire_time.timestamp()))
    return f"{seconds}.{_digest(vault, binding, seconds)}"


def _proves(vault: Vault, proof: str, binding: tuple[str, ...], now: datetime) -> bool:
    seconds, _, digest = proof.partition(".")
    if not seconds.isdecimal() or len(seconds) > 12 or int(seconds) <= now.timestamp():
        return False
    return Secret(digest) == Secret(_digest(vault, binding, seconds))


def _digest(vault: Vault, binding: tuple[str, ...], seconds: str) -> str:
    # Lengths in front, so that no two questions run together into one.
    text = ",".join(f"{len(each)}:{each}" for each in ("consent", seconds, *binding))
    return vault.hash(Secret(text)).value.hex()
