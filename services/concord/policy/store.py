"""What the policy service's storage promises. One suite tests every implementation against it.

Every method works inside one unit of work: reads see one snapshot together with the unit's own
writes, and writes become visible to others all at once or not at all. A method that takes an
organization neither sees nor touches rows of another; a stranger's id answers as an unknown one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from concord.kernel.ids import GroupId, OrganizationId, PolicyId, ProjectId, RoleId, StatementId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalRef
from concord.policy.model import (
    EndedCredential,
    Grant,
    GrantFilter,
    GrantId,
    KnownGroup,
    KnownOrganization,
    KnownPrincipal,
    Policy,
    PolicyFilter,
    Quota,
    Role,
    Sources,
    SourceStamp,
    Stamps,
    Standing,
    Statement,
    Subject,
)
from concord.policy.rights_store import RightsStore


class PolicyStore(RightsStore, Protocol):
    """Policies with their statements, roles, grants, quotas, and the replicas that decisions look at."""

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
        Everyone's unnamed policy is never among them.
        """

    def save_policy(self, policy: Policy) -> None:
        """Overwrite everything but statements and counts. Raises NotFound where the policy is unknown."""

    def replace_statements(self, policy: Policy) -> None:
        """Overwrite the policy with all its statements and counts. Raises NotFound where it is unknown."""

    def delete_policy(self, organization_id: OrganizationId, policy_id: PolicyId) -> bool:
        """Delete a policy and its statements; tell whether it was there."""

    def count_policies(self, organization_id: OrganizationId) -> int:
        """Count the named policies that people made: those with an empty catalogue."""

    def find_inline_policy(self, organization_id: OrganizationId, subject: Subject) -> Policy | None:
        """Return the holder's unnamed policy with its statements, or None."""

    def list_statements(
        self, organization_id: OrganizationId, policy_id: PolicyId, page: PageRequest
    ) -> Page[Statement]:
        """Return one page of a policy's statements in the order in which they were set; empty for an unknown policy."""

    def policies_of(self, organization_id: OrganizationId, subjects: Iterable[Subject]) -> Sequence[Policy]:
        """Return the policies held by any of these, with statements, ordered by id."""

    def policies_within(self, organization_id: OrganizationId, project_id: ProjectId) -> Sequence[Policy]:
        """Return the policies of which a statement's boundary names the project, with statements."""

    def known_statement_ids(self, organization_id: OrganizationId, ids: Iterable[StatementId]) -> frozenset[str]:
        """Return those of the ids that a statement of a policy has."""

    # what a program is made of --------------------------------------------------------------------

    def source_stamp(self, organization_id: OrganizationId, subjects: Iterable[Subject]) -> SourceStamp:
        """Return ids and versions of what `sources_of` returns, each kind ordered by id."""

    def sources_of(self, organization_id: OrganizationId, subjects: Iterable[Subject]) -> Sources:
        """Return the policies and grants held by any of these, ordered by id, and the roles of the grants.

        The roles are those that people made, with all that they include, however deep and even in a circle.
        """

    # roles ----------------------------------------------------------------------------------------

    def add_role(self, role: Role) -> None:
        """Add a role. Raises AlreadyExists where the id or the handle is taken."""

    def save_role(self, role: Role) -> None:
        """Overwrite a role. Raises NotFound where it is unknown."""

    def delete_role(self, organization_id: OrganizationId, role_id: RoleId) -> bool:
        """Delete a role; tell whether it was there. Grants of it are the caller's to end."""

    def find_role(self, organization_id: OrganizationId, role_id: RoleId) -> Role | None:
        """Return the role, or None."""

    def find_role_by_handle(self, organization_id: OrganizationId, handle: str) -> Role | None:
        """Return the role whose handle has exactly these characters, or None."""

    def find_roles(self, organization_id: OrganizationId, ids: Iterable[RoleId]) -> Mapping[RoleId, Role]:
        """Return those of the roles that there are, by id."""

    def role_heads(self, organization_id: OrganizationId) -> Sequence[Role]:
        """Return all roles in the order of their ids, without documents and statements."""

    def roles_within(self, organization_id: OrganizationId, ids: Iterable[RoleId]) -> Mapping[RoleId, Role]:
        """Return these roles and all that they include, however deep, by id."""

    def including(self, organization_id: OrganizationId, role_id: RoleId) -> Sequence[RoleId]:
        """Return the ids of the roles that include this one directly, in order."""

    def count_roles(self, organization_id: OrganizationId) -> int:
        """Count the roles."""

    # grants ---------------------------------------------------------------------------------------

    def add_grant(self, grant: Grant) -> None:
        """Add a grant. Raises AlreadyExists where its id, or the three things that it joins, are taken."""

    def move_grant(self, grant: Grant) -> None:
        """Overwrite boundary, version and update time of a grant. Raises NotFound where it is unknown."""

    def delete_grant(self, grant: Grant) -> bool:
        """Delete a grant; tell whether it was there."""

    def find_grant(self, organization_id: OrganizationId, grant_id: GrantId) -> Grant | None:
        """Return the grant, or None."""

    def find_grant_by_key(
        self, organization_id: OrganizationId, subject: Subject, role_id: RoleId, boundary_key: str
    ) -> Grant | None:
        """Return the one grant that joins these three, or None."""

    def list_grants(self, organization_id: OrganizationId, wanted: GrantFilter, page: PageRequest) -> Page[Grant]:
        """Return one page of the grants that pass every part of the filter.

        The order is `create_time`; the id breaks ties. An empty tuple in the filter passes nothing.
        """

    def grants_of(self, organization_id: OrganizationId, subjects: Iterable[Subject]) -> Sequence[Grant]:
        """Return the grants held by any of these, ordered by id."""

    def grants_of_role(self, organization_id: OrganizationId, role_id: RoleId) -> Sequence[Grant]:
        """Return the grants of a role, ordered by id."""

    def grants_in_group(self, organization_id: OrganizationId, group_id: GroupId) -> Sequence[Grant]:
        """Return the grants whose boundary is the group, ordered by id."""

    def grants_in_project(self, organization_id: OrganizationId, project_id: ProjectId) -> Sequence[Grant]:
        """Return the grants whose boundary names the project, ordered by id."""

    def count_grants(self, organization_id: OrganizationId) -> int:
        """Count the grants that people made: those with an empty catalogue."""

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
    # own where it concerns one (state, memberships, its grants, ended credentials), else the
    # organization's (policies, roles, grants to groups, groups, owner). Whoever keeps conclusions can
    # therefore tell in one small read whether they still hold.

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

    def list_groups(self, organization_id: OrganizationId, most: int) -> Sequence[KnownGroup]:
        """Return the groups in the order of their ids, and no more of them than wanted."""

    def delete_group(self, organization_id: OrganizationId, group_id: GroupId) -> bool:
        """Forget a group and its memberships; tell whether it was known."""

    def put_membership(self, organization_id: OrganizationId, group_id: GroupId, member: PrincipalRef) -> None:
        """Remember that a principal is a direct member of a group; again is the same as once."""

    def delete_membership(self, organization_id: OrganizationId, group_id: GroupId, member: PrincipalRef) -> None:
        """Forget a direct membership; unknown ones are ignored."""

    def name_of(self, organization_id: OrganizationId, resource_type: str, resource_id: str) -> str:
        """Return the name of a thing kept or copied here, or an empty text.

        Types are `identity.users`, `identity.applications`, `identity.devices`, `identity.projects`,
        `groups.groups`, `policy.policies` and `policy.roles`; others have no name here.
        """

    def put_ended(self, organization_id: OrganizationId, ended: EndedCredential) -> None:
        """Remember an ended credential. Of two end times the later stays."""

    def delete_ended(self, organization_id: OrganizationId, ended: EndedCredential) -> None:
        """Forget an ended credential that is good again; its end time does not matter."""

    def purge_ended(self, before: datetime) -> int:
        """Forget, in every organization, what ended before the instant; return how many. Moves no stamp."""
