"""What the groups service asks of a store. The promises are here; `sql.py` keeps them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from concord.groups.model import (
    Container,
    Group,
    GroupFilter,
    MemberFilter,
    Membership,
    MembershipId,
    Principal,
)
from concord.kernel.ids import GroupId, OrganizationId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalRef

GROUP_ORDERS: Final = ("create_time", "update_time", "name")
MEMBERSHIP_ORDERS: Final = ("container_id", "principal_id")


class GroupStore(Protocol):
    """Groups by organization. A group of another organization is absent in every method.

    Texts are compared by code point: letter case, accents, normal forms and trailing blanks all count.
    """

    def find_group(self, organization_id: OrganizationId, group_id: GroupId) -> Group | None:
        """Return the group, or None."""

    def find_group_by_handle(self, organization_id: OrganizationId, handle: str) -> Group | None:
        """Return the group with exactly this handle, or None."""

    def find_groups_named(self, organization_id: OrganizationId, name: str) -> Sequence[Group]:
        """Return all groups with exactly this name in the default language, in no order."""

    def insert_group(self, group: Group) -> None:
        """Keep a new group. Raise AlreadyExists when its id or its (non-empty) handle is taken."""

    def update_group(self, group: Group) -> None:
        """Replace the group with the same id, which must be there."""

    def delete_groups(self, organization_id: OrganizationId, group_ids: Collection[GroupId]) -> None:
        """Remove groups; absent ones are passed over. Their memberships are not touched."""

    def subtree(self, organization_id: OrganizationId, group_id: GroupId) -> Sequence[Group]:
        """Return the group and all below it, level by level from the top, within a level by id. Empty if absent."""

    def ancestors(self, organization_id: OrganizationId, group_id: GroupId) -> Sequence[Group]:
        """Return the groups above this one, nearest first, without itself."""

    def count_made_groups(self, organization_id: OrganizationId) -> int:
        """Return how many groups people made, supplied ones not counted."""

    def existing_groups(self, organization_id: OrganizationId, ids: Collection[str]) -> frozenset[str]:
        """Return those of the ids that are groups."""

    def list_groups(self, organization_id: OrganizationId, criteria: GroupFilter, page: PageRequest) -> Page[Group]:
        """Return a page of the groups that match, ordered by create_time, update_time or name as the page asks.

        `total_size` counts all that match, in the same snapshot, where the page asks for it; else it is 0.
        """


class MembershipStore(Protocol):
    """Memberships by organization."""

    def find_memberships(
        self, organization_id: OrganizationId, container: Container, principals: Collection[PrincipalRef]
    ) -> Mapping[PrincipalRef, Membership]:
        """Return the memberships of those principals that belong to the container."""

    def memberships_in(
        self, organization_id: OrganizationId, containers: Collection[Container]
    ) -> Sequence[Membership]:
        """Return all memberships in these containers, by container, then by the principal's id."""

    def memberships_of(self, organization_id: OrganizationId, principal: PrincipalRef) -> Sequence[Membership]:
        """Return all memberships of the principal, by container."""

    def insert_memberships(self, memberships: Sequence[Membership]) -> None:
        """Keep new memberships. Raise AlreadyExists when a principal belongs to the container already."""

    def delete_memberships(self, organization_id: OrganizationId, ids: Collection[MembershipId]) -> None:
        """Remove memberships; absent ones are passed over."""

    def count_members(self, organization_id: OrganizationId, container: Container) -> int:
        """Return how many principals belong to the container."""

    def find_exclusions(
        self,
        organization_id: OrganizationId,
        exclusion_key: str,
        principals: Collection[PrincipalRef],
        besides: GroupId,
    ) -> Sequence[Membership]:
        """Return the memberships of these principals in groups with this key, other than `besides`."""

    def list_memberships(
        self, organization_id: OrganizationId, criteria: MemberFilter, page: PageRequest
    ) -> Page[Membership]:
        """Return a page of the memberships that match.

        The page's order is over `container_id` and `principal_id`, both by code point.
        """


class ReplicaStore(Protocol):
    """Copies of other services' facts, kept by their feeds."""

    def find_principals(
        self, organization_id: OrganizationId, refs: Collection[PrincipalRef]
    ) -> Mapping[PrincipalRef, Principal]:
        """Return those of the principals that are known."""

    def put_principal(self, organization_id: OrganizationId, principal: Principal) -> None:
        """Keep a principal, replacing what was known of it."""

    def delete_principal(self, organization_id: OrganizationId, ref: PrincipalRef) -> None:
        """Forget a principal; an unknown one is passed over."""

    def find_projects(self, organization_id: OrganizationId, ids: Collection[str]) -> frozenset[str]:
        """Return those of the ids that are known projects."""

    def put_project(self, organization_id: OrganizationId, project_id: str) -> None:
        """Keep a project; a known one is passed over."""

    def delete_project(self, organization_id: OrganizationId, project_id: str) -> None:
        """Forget a project; an unknown one is passed over."""

    def find_limit(self, organization_id: OrganizationId, quota: str, default: int) -> int | None:
        """Return what was set for the quota, the default when nothing was; None is unlimited."""

    def put_limit(self, organization_id: OrganizationId, quota: str, limit: int | None) -> None:
        """Keep what was set for the quota; None is unlimited."""

    def sweep(self, organization_id: OrganizationId) -> None:
        """Remove everything of an organization."""


class Store(GroupStore, MembershipStore, ReplicaStore, Protocol):
    """All that the service keeps, over one transaction."""
