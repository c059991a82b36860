"""What the policy service's storage promises. One suite tests every implementation against it.

Every method works inside one unit of work: reads see one snapshot together with the unit's own
writes, and writes become visible to others all at once or not at all. A method that takes an
organization neither sees nor touches rows of another; a stranger's id answers as an unknown one.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from concord.kernel.ids import GroupId, OrganizationId, PolicyId, ProjectId, StatementId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalRef
from concord.policy.model import (
    EndedCredential,
    KnownOrganization,
    KnownPrincipal,
    Policy,
    PolicyFilter,
    Quota,
    Stamps,
    Standing,
    Statement,
    Subject,
)


class PolicyStore(Protocol):
    """Policies with their statements, quotas, and the replicas that decisions look at."""

    # policies -----------------------------------------------------------------------------------

    def add_policy(self, policy: Policy) -> None:
        """Add a policy and its statements. Raises AlreadyExists where the id is taken."""

    def find_policy(self, organization_id: OrganizationId, policy_id: PolicyId) -> Policy | None:
        """Return the policy with its statements in their order, or None."""

    def list_policies(
        self,
        organization_id: OrganizationId,
        wanted: PolicyFilter,
        page: PageRequest,
        *,
        with_statements: bool = False,
    ) -> Page[Policy]:
        """Return one page of the policies that pass every part of the filter.

        Orders are `name` (case folded), `create_time` and `update_time`; the id breaks ties.
        `statements` is None in the result unless asked for. An empty tuple in the filter passes nothing.
        """

    def save_policy(self, policy: Policy) -> None:
        """Overwrite everything but statements and counts. Raises NotFound where the policy is unknown."""

    def replace_statements(self, policy: Policy) -> None:
        """Overwrite the policy with all its statements and counts. Raises NotFound where it is unknown."""

    def delete_policy(self, organization_id: OrganizationId, policy_id: PolicyId) -> bool:
        """Delete a policy and its statements; tell whether it was there."""

    def count_policies(self, organization_id: OrganizationId) -> int:
        """Count the policies that people made: those with an empty catalogue."""

    def list_statements(
        self, organization_id: OrganizationId, policy_id: PolicyId, page: PageRequest
    ) -> Page[Statement]:
        """Return one page of a policy's statements in the order in which they were set; empty for an unknown policy."""

    def policies_of(self, organization_id: OrganizationId, subjects: Iterable[Subject]) -> Sequence[Policy]:
        """Return the policies held by any of these, with statements, ordered by id."""

    def versions_of(
        self, organization_id: OrganizationId, subjects: Iterable[Subject]
    ) -> tuple[tuple[PolicyId, int], ...]:
        """Return id and version of what `policies_of` returns, in the same order. A version says one thing for ever."""

    def policies_within(self, organization_id: OrganizationId, project_id: ProjectId) -> Sequence[Policy]:
        """Return the policies of which a statement's boundary names the project, with statements."""

    def known_statement_ids(self, organization_id: OrganizationId, ids: Iterable[StatementId]) -> frozenset[str]:
        """Return those of the ids that a statement has."""

    # quotas -------------------------------------------------------------------------------------

    def find_quota(self, organization_id: OrganizationId, name: str) -> Quota | None:
        """Return the limit that was set, or None where the default holds."""

    def list_quotas(self, organization_id: OrganizationId) -> Sequence[Quota]:
        """Return all limits that were set, ordered by name."""

    def put_quota(self, quota: Quota) -> None:
        """Add or overwrite a limit."""

    # replicas -----------------------------------------------------------------------------------
    #
    # A write that may change what somebody is allowed moves a stamp in the same unit: the principal's
    # own where it concerns one (state, memberships, ended credentials), else the organization's
    # (policies, groups, owner). Whoever keeps conclusions can therefore tell in one small read
    # whether they still hold.

    def stamps(self, organization_id: OrganizationId, ref: PrincipalRef) -> Stamps | None:
        """Return the stamps of a principal, or None where it or its organization is unknown."""

    def standing(self, organization_id: OrganizationId, ref: PrincipalRef) -> Standing | None:
        """Return where a principal stands, or None where it or its organization is unknown.

        Groups include all those above a direct one, even where the tree has a loop.
        """

    def put_organization(self, organization: KnownOrganization) -> None:
        """Add or overwrite the replica of an organization."""

    def find_organization(self, organization_id: OrganizationId) -> KnownOrganization | None:
        """Return the replica, or None where the organization is not known here."""

    def forget_organization(self, organization_id: OrganizationId) -> None:
        """Drop everything kept for an organization except its own replica."""

    def put_principal(self, organization_id: OrganizationId, principal: KnownPrincipal) -> None:
        """Add or overwrite the replica of a principal. Writing what is there already moves no stamp."""

    def find_principal(self, organization_id: OrganizationId, ref: PrincipalRef) -> KnownPrincipal | None:
        """Return the replica, or None."""

    def delete_principal(self, organization_id: OrganizationId, ref: PrincipalRef) -> bool:
        """Drop the replica and its memberships; tell whether it was there."""

    def put_project(self, organization_id: OrganizationId, project_id: ProjectId, name: str) -> None:
        """Remember a project and its name."""

    def delete_project(self, organization_id: OrganizationId, project_id: ProjectId) -> bool:
        """Forget a project; tell whether it was known."""

    def known_projects(self, organization_id: OrganizationId, ids: Iterable[ProjectId]) -> frozenset[ProjectId]:
        """Return those of the ids that are projects."""

    def put_group(
        self, organization_id: OrganizationId, group_id: GroupId, parent_id: GroupId | None, name: str
    ) -> None:
        """Remember a group, the group above it and its name."""

    def has_group(self, organization_id: OrganizationId, group_id: GroupId) -> bool:
        """Tell whether the group is known."""

    def delete_group(self, organization_id: OrganizationId, group_id: GroupId) -> bool:
        """Forget a group and its memberships; tell whether it was known."""

    def put_membership(self, organization_id: OrganizationId, group_id: GroupId, member: PrincipalRef) -> None:
        """Remember that a principal is a direct member of a group; again is the same as once."""

    def delete_membership(self, organization_id: OrganizationId, group_id: GroupId, member: PrincipalRef) -> None:
        """Forget a direct membership; unknown ones are ignored."""

    def name_of(self, organization_id: OrganizationId, resource_type: str, resource_id: str) -> str:
        """Return the name of a thing kept or copied here, or an empty text.

        Types are `identity.users`, `identity.applications`, `identity.devices`, `identity.projects`,
        `groups.groups` and `policy.policies`; others have no name here.
        """

    def put_ended(self, organization_id: OrganizationId, ended: EndedCredential) -> None:
        """Remember an ended credential. Of two end times the later stays."""

    def delete_ended(self, organization_id: OrganizationId, ended: EndedCredential) -> None:
        """Forget an ended credential that is good again; its end time does not matter."""

    def purge_ended(self, before: datetime) -> int:
        """Forget, in every organization, what ended before the instant; return how many. Moves no stamp."""
