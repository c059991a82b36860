"""The life of OAuth clients."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from concord.credentials.key_formats import draw_client_id, draw_client_secret
from concord.credentials.model import (
    MAX_NAME,
    ClientAuthMethod,
    ClientSecret,
    OAuthClient,
    check_attributes,
    check_text,
    refuse,
)
from concord.credentials.operations.api_keys import require_principal
from concord.credentials.store import CredentialStore
from concord.credentials.vault import Vault
from concord.kernel import ids
from concord.kernel.errors import AlreadyExists, Conflict, NotFound, Precondition, Reason, Violation
from concord.kernel.ids import OAuthClientId, OrganizationId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import Secret
from concord.kernel.units import Change, Unit

# Printable ASCII without the space and `:`, which ends the id in basic authorization.
_CLIENT_ID: Final = re.compile(r"[!-9;-~]{1,128}")
_ITEM: Final = re.compile(r"[!-~]{1,2048}")
_MAX_ITEMS: Final = 100
_LISTS: Final = ("grant_types", "redirect_uris", "response_types", "scopes", "audiences")

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
    attributes: Mapping[str, str] = field(default_factory=dict)
    secret_name: str = ""


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


def delete_client(unit: Clients, id: str, etag: str = "") -> None:
    """Delete a client and with it its secrets."""
    client = get_client(unit.store, unit.organization_id, id)
    unit.require_target(whose(client))
    if etag and etag != client.etag:
        raise Conflict("oauth_client", client.id)
    if client.is_managed:
        raise Precondition(
            Reason.RESOURCE_MANAGED, "the client was supplied by the platform", "oauth_client", client.id
        )
    end_client(unit, client)


def end_client(unit: Clients, client: OAuthClient) -> None:
    """Turn a client into its tombstone and free its name."""
    unit.store.end_client(client, unit.now)
    unit.record(
        Change(
            "oauth_client.deleted", "oauth_client", client.id, client.client_id, before=client, security_relevant=True
        )
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
    if wanted.client_id and not _CLIENT_ID.fullmatch(wanted.client_id):
        text = "must be 1 to 128 printable ASCII characters without spaces and `:`"
        found.append(Violation("oauth_client.client_id", text, rule="pattern"))
    for name in _LISTS:
        items: tuple[str, ...] = getattr(wanted, name)
        if len(items) > _MAX_ITEMS or not all(_ITEM.fullmatch(item) for item in items):
            text = f"must be at most {_MAX_ITEMS} printable ASCII texts of 1 to 2048 characters without spaces"
            found.append(Violation(f"oauth_client.{name}", text, rule="pattern"))
    if (wanted.auth_method is ClientAuthMethod.TLS) != bool(wanted.tls_subject):
        found.append(Violation("oauth_client.tls_subject", "goes with the method tls and no other", rule="required"))
    return found
