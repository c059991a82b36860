"""What is asked of the storage of SSH keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from concord.credentials.model.ssh_keys import SshKey
from concord.kernel.ids import OrganizationId, SshKeyId
from concord.kernel.paging import Page, PageRequest

SSH_KEY_ORDERS = ("create_time", "update_time", "name")


@dataclass(frozen=True, slots=True)
class SshKeyFilter:
    """Which keys a list keeps; None keeps all."""

    ids: frozenset[str] | None = None
    project_ids: frozenset[str] | None = None
    text: str | None = None
    disabled: bool | None = None
    except_project_ids: frozenset[str] | None = None


class SshKeys(Protocol):
    """The SSH keys of organizations."""

    def add_ssh_key(self, key: SshKey) -> None:
        """Store a new key."""

    def find_ssh_key(self, organization_id: OrganizationId, key_id: SshKeyId) -> SshKey | None:
        """Return the key, or None for an unknown one."""

    def has_ssh_key(self, organization_id: OrganizationId, project_id: str, fingerprint_sha256: str) -> bool:
        """Tell whether a project has a key with this fingerprint."""

    def replace_ssh_key(self, key: SshKey) -> None:
        """Store the new state of a known key."""

    def remove_ssh_key(self, organization_id: OrganizationId, key_id: SshKeyId) -> None:
        """Forget a key; an unknown one is ignored."""

    def count_ssh_keys(self, organization_id: OrganizationId) -> int:
        """Return how many keys count against the quota: those that were not supplied."""

    def ssh_keys_in_project(self, organization_id: OrganizationId, project_id: str) -> Sequence[SshKey]:
        """Return a project's keys."""

    def list_ssh_keys(self, organization_id: OrganizationId, wanted: SshKeyFilter, page: PageRequest) -> Page[SshKey]:
        """Return one page of keys."""
