"""What is asked of the storage of API keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from concord.credentials.model.api_keys import ApiKey, ApiKeyState
from concord.credentials.model.holders import EVERYTHING, Sight
from concord.kernel.ids import ApiKeyId, OrganizationId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import SecretHash

API_KEY_ORDERS = ("create_time", "update_time", "expire_time", "last_used_time", "access_id", "name", "number")


@dataclass(frozen=True, slots=True)
class ApiKeyFilter:
    """Which keys a list keeps; None keeps all. Texts are found in any ASCII case."""

    now: datetime
    sight: Sight = EVERYTHING
    ids: frozenset[str] | None = None
    bearers: frozenset[PrincipalRef] | None = None
    bearer_kind: PrincipalKind | None = None
    access_ids: frozenset[str] | None = None
    expired: bool | None = None
    text: str | None = None
    description: str | None = None
    editable: bool | None = None
    state: ApiKeyState | None = None


class ApiKeys(Protocol):
    """The keys of organizations."""

    def next_number(self, organization_id: OrganizationId, name: str) -> int:
        """Return 1, 2, 3 … for each name; never the same again, unless the unit is undone."""

    def rotate_key(
        self, key: ApiKey, secret_hash: SecretHash, sealed_secret: bytes | None, former_until: datetime
    ) -> None:
        """Give a known key the access id and secret of its new state, and keep the pair before until an instant.

        Pairs from earlier rotations are good no longer. Raises AlreadyExists when the access id was ever used.
        """

    def find_sealed_secret(self, organization_id: OrganizationId, key_id: ApiKeyId) -> bytes | None:
        """Return the sealed secret of a key that is not deleted, None where there is none."""

    def add_key(self, key: ApiKey, secret_hash: SecretHash, sealed_secret: bytes | None) -> None:
        """Store a new key. Raises AlreadyExists when its access id was ever used in the deployment."""

    def find_key(self, organization_id: OrganizationId, key_id: ApiKeyId) -> ApiKey | None:
        """Return the key, or None when it is unknown or deleted."""

    def find_key_named(self, organization_id: OrganizationId, access_id: str) -> ApiKey | None:
        """Return the key with this access id, or None when it is unknown, deleted or another organization's."""

    def replace_key(self, key: ApiKey) -> None:
        """Store the new state of a known key. A key in state DELETED loses its sealed secret."""

    def count_keys(self, organization_id: OrganizationId) -> int:
        """Return how many keys count against the quota: neither deleted nor supplied."""

    def keys_of(self, organization_id: OrganizationId, bearer: PrincipalRef) -> Sequence[ApiKey]:
        """Return a bearer's keys that are not deleted, by number."""

    def keys_in_project(self, organization_id: OrganizationId, project_id: str) -> Sequence[ApiKey]:
        """Return the keys, not deleted, whose default project this is, by number."""

    def list_keys(self, organization_id: OrganizationId, wanted: ApiKeyFilter, page: PageRequest) -> Page[ApiKey]:
        """Return one page of keys that are not deleted. Missing instants sort as the latest of all."""

    def note_key_use(self, uses: Mapping[tuple[OrganizationId, ApiKeyId], datetime]) -> None:
        """Move `last_used_time` forward, never back. Version and update time stay. Unknown keys are ignored."""
