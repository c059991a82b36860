"""What is asked of the storage of OAuth clients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from concord.credentials.model.clients import OAuthClient
from concord.credentials.model.holders import EVERYTHING, Sight
from concord.kernel.ids import OAuthClientId, OrganizationId, UserId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalRef
from concord.kernel.secret import SecretHash

CLIENT_ORDERS = ("create_time", "update_time", "client_id", "name")


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """Which clients a list keeps; None keeps all."""

    sight: Sight = EVERYTHING
    ids: frozenset[str] | None = None
    bearers: frozenset[PrincipalRef] | None = None
    text: str | None = None


class Clients(Protocol):
    """The OAuth clients of organizations."""

    def add_client(self, client: OAuthClient) -> None:
        """Store a new client without its secrets. Raises AlreadyExists when a living one has its client id."""

    def add_client_secret(
        self, client: OAuthClient, number: int, name: str, secret_hash: SecretHash, now: datetime
    ) -> None:
        """Store a secret of a client by its hash."""

    def remove_client_secret(self, client: OAuthClient, number: int) -> bool:
        """Forget a secret of a client; tell whether there was one of this number."""

    def replace_client(self, client: OAuthClient) -> None:
        """Store the new state of a known client; its secrets and its bearer stay."""

    def find_client_by_id(self, organization_id: OrganizationId, id: OAuthClientId) -> OAuthClient | None:
        """Return the client with its secrets by number, or None when it is unknown or deleted."""

    def find_client_named(self, organization_id: OrganizationId, client_id: str) -> OAuthClient | None:
        """Return the client with this client id, or None when it is unknown or deleted."""

    def end_client(self, client: OAuthClient, now: datetime) -> None:
        """Mark a client as deleted. Its client id is free again; it and its secrets are found by the directory only."""

    def clients_of(self, organization_id: OrganizationId, principal: PrincipalRef) -> Sequence[OAuthClient]:
        """Return the living clients whose bearer this is, or whose owner where they have none, by creation."""

    def list_clients(
        self, organization_id: OrganizationId, wanted: ClientFilter, page: PageRequest
    ) -> Page[OAuthClient]:
        """Return one page of living clients with their secrets, in a fixed number of reads."""

    def release_clients(self, organization_id: OrganizationId, owner_user_id: UserId) -> None:
        """Take a user's name off the clients it looked after that have a bearer."""

    def note_secret_use(self, uses: Mapping[tuple[OrganizationId, int], datetime]) -> None:
        """Move the secrets' `last_used_time` forward, never back. Unknown secrets are ignored."""
