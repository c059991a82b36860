"""The life of OAuth clients."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from concord.credentials.model.checks import MAX_NAME, check_attributes, check_text, check_ttl, refuse
from concord.credentials.model.clients import (
    ClientAuthMethod,
    ClientSecret,
    OAuthClient,
    SigningAlgorithm,
    TokenFormat,
    is_client_id,
)
from concord.credentials.model.sessions import MAX_SESSION_TTL
from concord.credentials.model.tokens import (
    MAX_ACCESS_TTL,
    MAX_CLIENT_SECRETS,
    MAX_SCOPE_TEXT,
    MIN_ACCESS_TTL,
    too_much_scope,
)
from concord.credentials.operations.client_rules import check_audiences, check_grants, check_redirect_uris
from concord.credentials.operations.principals import require_principal
from concord.credentials.operations.sessions import end_sessions_of_client
from concord.credentials.secrets.drawing import draw_client_id, draw_client_secret
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import AlreadyExists, Conflict, Denied, NotFound, Precondition, Reason, Violation
from concord.kernel.ids import OAuthClientId, OrganizationId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import Secret
from concord.kernel.units import Change, Unit

_ITEM: Final = re.compile(r"[!-~]{1,2048}")
_MAX_ITEMS: Final = 100
_LISTS: Final = ("grant_types", "redirect_uris", "response_types", "scopes", "audiences")

MUTABLE: Final = frozenset(
    {
        "name",
        "owner_user_id",
        "grant_types",
        "auth_method",
        "redirect_uris",
        "response_types",
        "scopes",
        "audiences",
        "tls_subject",
        "token_format",
        "signing_algorithm",
        "access_token_ttl",
        "refresh_token_ttl",
        "attributes",
    }
)
# Stands for "nobody's": only who may touch everybody's things may touch one of nobody's.
NOBODY: Final = PrincipalRef(PrincipalKind.SERVICE, "")

Clients = Unit[CredentialStore]


@dataclass(frozen=True, slots=True)
class NewClient:
    """What a caller says about a client to be made."""

    client_id: str = ""
    name: str = ""
    bearer: PrincipalRef | None = None
    owner_user_id: UserId | None = None
    grant_types: tuple[str, ...] = ()
    auth_method: ClientAuthMethod = ClientAuthMethod.BASIC
    redirect_uris: tuple[str, ...] = ()
    response_types: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    tls_subject: str = ""
    token_format: TokenFormat = TokenFormat.OPAQUE
    signing_algorithm: SigningAlgorithm = SigningAlgorithm.RS256
    access_token_ttl: timedelta | None = None
    refresh_token_ttl: timedelta | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    secret_name: str = ""


@dataclass(frozen=True, slots=True)
class CreatedSecret:
    """A new secret of a client, and its text for this once."""

    secret: ClientSecret
    text: Secret


@dataclass(frozen=True, slots=True)
class CreatedClient:
    """A new client, and its first secret for this once."""

    client: OAuthClient
    secret: Secret | None


def create_client(unit: Clients, wanted: NewClient, vault: Vault) -> CreatedClient:
    """Make a client for a principal of the organization, or for whoever logs in through it."""
    refuse(_check(wanted))
    client = OAuthClient(
        id=ids.new(OAuthClientId),
        organization_id=unit.organization_id,
        version=1,
        client_id=wanted.client_id or draw_client_id(),
        create_time=unit.now,
        update_time=unit.now,
        name=wanted.name,
        bearer=wanted.bearer,
        owner_user_id=wanted.owner_user_id,
        grant_types=wanted.grant_types,
        auth_method=wanted.auth_method,
        redirect_uris=wanted.redirect_uris,
        response_types=wanted.response_types,
        scopes=wanted.scopes,
        audiences=wanted.audiences,
        tls_subject=wanted.tls_subject,
        token_format=wanted.token_format,
        signing_algorithm=wanted.signing_algorithm,
        access_token_ttl=wanted.access_token_ttl,
        refresh_token_ttl=wanted.refresh_token_ttl,
        attributes=wanted.attributes,
    )
    if client.bearer is not None:
        require_principal(unit, client.bearer)
    if client.owner_user_id is not None:
        require_principal(unit, PrincipalRef(PrincipalKind.USER, client.owner_user_id))
    unit.require_target(whose(client))
    if unit.store.find_client_named(unit.organization_id, client.client_id) is not None:
        raise AlreadyExists("oauth_client", client.client_id, "client_id")
    unit.store.add_client(client)
    secret = None
    if client.auth_method.has_secret:
        secret = draw_client_secret()
        number = unit.store.next_number(unit.organization_id, "client_secret")
        unit.store.add_client_secret(client, number, wanted.secret_name, vault.hash(secret), unit.now)
        client = replace(client, secrets=(ClientSecret(number, client.id, wanted.secret_name, unit.now),))
    unit.record(Change("oauth_client.created", "oauth_client", client.id, client.client_id, after=client))
    return CreatedClient(client, secret)


def get_client(
    store: CredentialStore, organization_id: OrganizationId, id: str = "", client_id: str = ""
) -> OAuthClient:
    """Return a client by either of its names."""
    if id:
        client = store.find_client_by_id(organization_id, ids.parse(OAuthClientId, id, "id"))
    else:
        client = None if "\x00" in client_id else store.find_client_named(organization_id, client_id)
    if client is None:
        raise NotFound("oauth_client", id or client_id)
    return client


def update_client(
    unit: Clients,
    id: str,
    patch: NewClient,
    named: frozenset[str],
    etag: str = "",
    *,
    ceiling: tuple[str, ...] = (),
) -> OAuthClient:
    """Change the named fields of a client, and end what rests on something that was taken away."""
    before = _own_client(unit, id, etag)
    _require_within(before, ceiling)
    fresh = replace(before, **{name: getattr(patch, name) for name in named})
    refuse(_check(_wanted(fresh)))
    if fresh.owner_user_id is not None and fresh.owner_user_id != before.owner_user_id:
        require_principal(unit, PrincipalRef(PrincipalKind.USER, fresh.owner_user_id))
    # Nobody gives a thing to whom they could not have made it for.
    unit.require_target(whose(fresh))
    _require_within(fresh, ceiling)
    if fresh == before:
        return before
    fresh = replace(fresh, version=before.version + 1, update_time=unit.now)
    unit.store.replace_client(fresh)
    if fresh.auth_method is not before.auth_method:
        # What was proved one way says nothing about the other.
        for secret in before.secrets if not fresh.auth_method.has_secret else ():
            unit.store.remove_client_secret(before, secret.number)
        fresh = fresh if fresh.auth_method.has_secret else replace(fresh, secrets=())
    if _takes_away(before, fresh):
        end_sessions_of_client(unit, before.id)
    unit.record(
        Change(
            "oauth_client.updated",
            "oauth_client",
            fresh.id,
            fresh.client_id,
            before=before,
            after=fresh,
            security_relevant=True,
        )
    )
    return fresh


def create_client_secret(
    unit: Clients, id: str, name: str, vault: Vault, *, ceiling: tuple[str, ...] = ()
) -> CreatedSecret:
    """Make one more secret of a client; the others stay good."""
    client = _own_client(unit, id, "")
    _require_within(client, ceiling)
    refuse(check_text(name, "name", MAX_NAME))
    if not client.auth_method.has_secret:
        raise Precondition(Reason.INVALID_STATE, "the client proves itself without a secret", "oauth_client", client.id)
    if len(client.secrets) >= MAX_CLIENT_SECRETS:
        text = f"a client has at most {MAX_CLIENT_SECRETS} secrets"
        raise Precondition(Reason.INVALID_STATE, text, "oauth_client", client.id)
    secret = draw_client_secret()
    number = unit.store.next_number(unit.organization_id, "client_secret")
    unit.store.add_client_secret(client, number, name, vault.hash(secret), unit.now)
    made = ClientSecret(number, client.id, name, unit.now)
    unit.record(Change("client_secret.created", "client_secret", client.id, client.client_id, after=made))
    return CreatedSecret(made, secret)


def delete_client_secret(unit: Clients, id: str, number: int, *, end_sessions: bool = False) -> None:
    """Delete one secret of a client, and end what was opened through the client where that is asked for."""
    client = _own_client(unit, id, "")
    made = next((each for each in client.secrets if each.number == number), None)
    if made is None or not unit.store.remove_client_secret(client, number):
        raise NotFound("client_secret", str(number))
    if end_sessions:
        end_sessions_of_client(unit, client.id)
    unit.record(
        Change(
            "client_secret.deleted",
            "client_secret",
            client.id,
            client.client_id,
            before=client,
            after=replace(client, secrets=tuple(each for each in client.secrets if each.number != number)),
            security_relevant=True,
        )
    )


def delete_client(unit: Clients, id: str, etag: str = "") -> None:
    """Delete a client and with it its secrets."""
    end_client(unit, _own_client(unit, id, etag))


def end_client(unit: Clients, client: OAuthClient) -> None:
    """Turn a client into its tombstone, free its name, and end what was opened through it."""
    unit.store.end_client(client, unit.now)
    unit.store.remove_consents_of_client(unit.organization_id, client.id)
    end_sessions_of_client(unit, client.id)
    unit.record(
        Change(
            "oauth_client.deleted", "oauth_client", client.id, client.client_id, before=client, security_relevant=True
        )
    )


def _own_client(unit: Clients, id: str, etag: str) -> OAuthClient:
    client = get_client(unit.store, unit.organization_id, id)
    unit.require_target(whose(client))
    if etag and etag != client.etag:
        raise Conflict("oauth_client", client.id)
    if client.is_managed:
        raise Precondition(
            Reason.RESOURCE_MANAGED, "the client was supplied by the platform", "oauth_client", client.id
        )
    return client


def _require_within(client: OAuthClient, ceiling: tuple[str, ...]) -> None:
    """Refuse a caller with limits where the client may do more: it could use the client to get past them."""
    if ceiling and not (client.scopes and set(client.scopes) <= set(ceiling)):
        raise Denied("", message="a credential with limits changes no client that may do more")


def _takes_away(before: OAuthClient, after: OAuthClient) -> bool:
    if (before.auth_method, before.tls_subject) != (after.auth_method, after.tls_subject):
        return True
    narrower = after.scopes and not set(before.scopes or ("",)) <= set(after.scopes)
    return bool(
        narrower
        or not set(before.grant_types) <= set(after.grant_types)
        or not set(before.audiences) <= set(after.audiences)
    )


def _wanted(client: OAuthClient) -> NewClient:
    return NewClient(
        name=client.name,
        grant_types=client.grant_types,
        auth_method=client.auth_method,
        redirect_uris=client.redirect_uris,
        response_types=client.response_types,
        scopes=client.scopes,
        audiences=client.audiences,
        tls_subject=client.tls_subject,
        access_token_ttl=client.access_token_ttl,
        refresh_token_ttl=client.refresh_token_ttl,
        attributes=client.attributes,
    )


def whose(client: OAuthClient) -> PrincipalRef:
    """Return whose thing a client is."""
    return client.belongs_to or NOBODY


def _check(wanted: NewClient) -> list[Violation]:
    found = [
        *check_text(wanted.name, "oauth_client.name", MAX_NAME),
        *check_text(wanted.secret_name, "secret_name", MAX_NAME),
        *check_text(wanted.tls_subject, "oauth_client.tls_subject", 2048),
        *check_attributes(wanted.attributes, "oauth_client.attributes"),
    ]
    if wanted.client_id and not is_client_id(wanted.client_id):
        text = "must be 1 to 128 printable ASCII characters without spaces and `:`"
        found.append(Violation("oauth_client.client_id", text, rule="pattern"))
    for name in _LISTS:
        items: tuple[str, ...] = getattr(wanted, name)
        if len(items) > _MAX_ITEMS or not all(_ITEM.fullmatch(item) for item in items):
            text = f"must be at most {_MAX_ITEMS} printable ASCII texts of 1 to 2048 characters without spaces"
            found.append(Violation(f"oauth_client.{name}", text, rule="pattern"))
    if not found:
        found += check_grants(wanted.grant_types, wanted.auth_method, "oauth_client.grant_types")
        found += check_redirect_uris(wanted.redirect_uris, "oauth_client.redirect_uris")
        found += check_audiences(wanted.audiences, "oauth_client.audiences")
        if too_much_scope(wanted.scopes):
            text = f"must have at most {MAX_SCOPE_TEXT} bytes together"
            found.append(Violation("oauth_client.scopes", text, rule="length"))
    if wanted.access_token_ttl is not None:
        found += check_ttl(wanted.access_token_ttl, "oauth_client.access_token_ttl", MIN_ACCESS_TTL, MAX_ACCESS_TTL)
    if wanted.refresh_token_ttl is not None:
        found += check_ttl(wanted.refresh_token_ttl, "oauth_client.refresh_token_ttl", MIN_ACCESS_TTL, MAX_SESSION_TTL)
    if (wanted.auth_method is ClientAuthMethod.TLS) != bool(wanted.tls_subject):
        found.append(Violation("oauth_client.tls_subject", "goes with the method tls and no other", rule="required"))
    return found
