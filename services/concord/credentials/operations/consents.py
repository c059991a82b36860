"""What users have allowed programs, to be seen and taken back."""

from collections.abc import Sequence
from typing import Final

from concord.credentials.model.tokens import Consent
from concord.credentials.operations.session_changes import end_with_children
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import NotFound
from concord.kernel.ids import OAuthClientId, OrganizationId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.units import Change, Unit

_AT_ONCE: Final = 1000


def list_consents(store: CredentialStore, organization_id: OrganizationId, user_id: str) -> Sequence[Consent]:
    """Return what a user has allowed clients."""
    return store.list_consents(organization_id, ids.parse(UserId, user_id, "user_id"), _AT_ONCE)


def delete_consent(unit: Unit[CredentialStore], user_id: str, client_id: str) -> None:
    """Take back what a user has allowed a client, and end the client's sessions for that user."""
    user = PrincipalRef(PrincipalKind.USER, ids.parse(UserId, user_id, "user_id"))
    unit.require_target(user)
    client = ids.parse(OAuthClientId, client_id, "oauth_client_id")
    consent = unit.store.find_consent(unit.organization_id, UserId(user.id), client)
    if consent is None:
        raise NotFound("oauth_consent", client)
    unit.store.remove_consent(unit.organization_id, UserId(user.id), client)
    while live := unit.store.live_sessions_between(unit.organization_id, user, client, unit.now, _AT_ONCE):
        for session in live:
            end_with_children(unit, session)
    unit.record(Change("oauth_consent.deleted", "oauth_consent", client, before=consent, security_relevant=True))
