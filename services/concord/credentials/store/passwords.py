"""What is asked of the storage of passwords."""

from collections.abc import Collection, Mapping
from typing import Protocol

from concord.credentials.model.holders import CredentialStatus
from concord.credentials.model.passwords import Password
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.principal import PrincipalRef


class Passwords(Protocol):
    """The passwords of users: one each."""

    def find_password(self, organization_id: OrganizationId, user_id: UserId) -> Password | None:
        """Return what is known of a user's password, without its hash."""

    def find_encoded(self, organization_id: OrganizationId, user_id: UserId) -> str | None:
        """Return the encoded hash of a user's password."""

    def put_password(self, password: Password, encoded: str) -> None:
        """Store a password in place of the one before, whose hash is kept as the previous one."""

    def find_previous(self, organization_id: OrganizationId, user_id: UserId) -> str | None:
        """Return the encoded hash of the password before the present one."""

    def rehash_password(self, organization_id: OrganizationId, user_id: UserId, stale: str, fresh: str) -> None:
        """Store another hash of the same password, unless the password was changed since `stale` was read."""

    def remove_password(self, organization_id: OrganizationId, user_id: UserId) -> bool:
        """Forget a user's password and the previous one; tell whether there was one."""

    def statuses(
        self, organization_id: OrganizationId, principals: Collection[PrincipalRef]
    ) -> Mapping[PrincipalRef, CredentialStatus]:
        """Return the state of each living principal's credentials, in a fixed number of reads."""
