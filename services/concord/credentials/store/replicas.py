"""What is kept of other services' facts."""

from datetime import datetime
from typing import Protocol

from concord.credentials.model.holders import LifeState
from concord.credentials.model.organizations import OrganizationRules
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import PrincipalRef


class Replicas(Protocol):
    """What credentials keeps of other services' facts, fed by their changes."""

    def find_organization(self, organization_id: OrganizationId) -> OrganizationRules | None:
        """Return the limits and state of an organization, deleted ones included."""

    def put_organization(self, rules: OrganizationRules) -> None:
        """Store an organization's limits and state in place of what was known."""

    def end_organization(self, organization_id: OrganizationId, now: datetime) -> None:
        """Mark an organization as deleted and forget its passwords, sessions and sealed secrets.

        Its keys and clients stay behind, deleted, so that access ids are never given out again.
        """

    def find_principal(self, organization_id: OrganizationId, principal: PrincipalRef) -> LifeState | None:
        """Return whether a principal lives; DELETED for one that did, None for an unknown one."""

    def put_principal(self, organization_id: OrganizationId, principal: PrincipalRef, state: LifeState) -> None:
        """Store a principal's state in place of what was known. A deleted one stays deleted."""

    def has_project(self, organization_id: OrganizationId, project_id: str) -> bool:
        """Tell whether the organization has this project."""

    def put_project(self, organization_id: OrganizationId, project_id: str) -> None:
        """Remember a project; a known one stays."""

    def remove_project(self, organization_id: OrganizationId, project_id: str) -> None:
        """Forget a project; an unknown one is ignored."""

    def find_limit(self, organization_id: OrganizationId, name: str, default: int) -> int | None:
        """Return the limit an organization was given for a quota, the default where none was; None is unlimited."""

    def put_limit(self, organization_id: OrganizationId, name: str, limit: int | None) -> None:
        """Store a limit in place of the one before; None is unlimited."""
