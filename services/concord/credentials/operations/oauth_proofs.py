"""How OAuth clients prove themselves, and what they may ask for."""

import re
from dataclasses import dataclass
from typing import Final

from concord.credentials.model.clients import ClientAuthMethod, FoundClient, OAuthClient, is_client_id
from concord.credentials.model.holders import LifeState
from concord.credentials.model.tokens import MAX_SCOPE_TEXT, MAX_SCOPES
from concord.credentials.operations.refusals import OAuthRefused
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel.ids import OrganizationId
from concord.kernel.secret import Secret

# RFC 6749 appendix A.4: printable, without the space, `"` and `\`.
_SCOPE: Final = re.compile(r"[!#-\[\]-~]{1,256}")


@dataclass(frozen=True, slots=True)
class ShownClient:
    """A client as it shows itself."""

    client_id: str
    method: ClientAuthMethod
    secret: Secret | None = None
    certificate_subject: str = ""


def examine_client(
    store: CredentialStore, vault: Vault, shown: ShownClient, organization_id: OrganizationId | None
) -> OAuthClient:
    """Return the client that was shown, or refuse without telling what was wrong.

    Several organizations may use one client id. A secret tells which is meant; without one the grant does, by its
    organization. Where that is of no help the oldest client is meant, so that nobody can push in before it.
    """
    found = _find(store, vault, shown, organization_id)
    if found is None or found.client.end_time is not None or found.client.auth_method not in _fitting(shown):
        raise _unknown()
    rules = store.find_organization(found.client.organization_id)
    if rules is None or rules.state is not LifeState.ACTIVE:
        raise _unknown()
    if found.client.bearer is not None and (found.holder is None or found.holder.principal is not LifeState.ACTIVE):
        raise _unknown()
    return found.client


def require_grant(client: OAuthClient, grant_type: str) -> None:
    """Refuse a grant that the client was not registered for."""
    if grant_type not in client.grant_types:
        raise OAuthRefused("unauthorized_client", f"the client may not use {grant_type}")


def grant_scopes(requested: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes that are asked for and allowed; all that are allowed where none is asked for.

    No limit is empty on both sides. Asking for nothing but what is not allowed is refused: an empty result would read
    as no limit.
    """
    wanted = parse_scopes(requested)
    if not wanted:
        return allowed
    granted = tuple(each for each in wanted if each in allowed) if allowed else wanted
    if not granted:
        raise OAuthRefused("invalid_scope", "none of the scopes is allowed")
    return granted


def parse_scopes(text: str) -> tuple[str, ...]:
    """Return the scopes of a text, each once, or refuse it."""
    items = text.split(" ") if text else []
    if len(text) > MAX_SCOPE_TEXT or len(items) > MAX_SCOPES or not all(_SCOPE.fullmatch(each) for each in items):
        raise OAuthRefused("invalid_scope", "the scope is malformed")
    return tuple(dict.fromkeys(items))


def grant_audience(requested: str, client: OAuthClient) -> str:
    """Return whom a token may be for; empty is the suite itself."""
    if requested and requested not in client.audiences:
        raise OAuthRefused("invalid_target", "the client's tokens may not be for this resource")
    return requested


def _find(
    store: CredentialStore, vault: Vault, shown: ShownClient, organization_id: OrganizationId | None
) -> FoundClient | None:
    if not is_client_id(shown.client_id):
        return None
    if shown.method.has_secret:
        if shown.secret is None or not shown.secret.reveal():
            return None
        return store.find_client(shown.client_id, vault.hash(shown.secret))
    if shown.secret is not None and shown.secret.reveal():
        return None
    candidates = [
        each
        for each in store.find_clients_named(shown.client_id)
        if each.client.auth_method in _fitting(shown) and _certified(each.client, shown)
    ]
    here = [each for each in candidates if each.client.organization_id == organization_id]
    return next(iter(here or candidates), None)


def _fitting(shown: ShownClient) -> tuple[ClientAuthMethod, ...]:
    """Return the methods that clients may have been registered with to be taken for what is shown.

    A connection can have a certificate that a client without proof knows nothing of.
    """
    return (shown.method, ClientAuthMethod.NONE) if shown.method is ClientAuthMethod.TLS else (shown.method,)


def _certified(client: OAuthClient, shown: ShownClient) -> bool:
    if client.auth_method is not ClientAuthMethod.TLS:
        return True
    # An unset subject on either side proves nothing.
    return bool(client.tls_subject) and client.tls_subject == shown.certificate_subject


def _unknown() -> OAuthRefused:
    return OAuthRefused("invalid_client", "the client does not prove itself")
