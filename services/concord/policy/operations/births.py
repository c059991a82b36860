"""What an organization is born with."""

from collections.abc import Sequence

from concord.kernel import ids
from concord.kernel.ids import GroupId, OrganizationId, PolicyId, ProjectId, StatementId
from concord.kernel.units import Change, Unit
from concord.policy.model import Boundary, BoundaryKind, Policy, Statement, Subject, SubjectKind
from concord.policy.store import PolicyStore

_SUPPORT = ("SupportTicketManager", "AbuseTicketManager")

# For each birth group of a catalogue: rules as (whole organization or its default project, role names).
# The default project has a rule of its own so that its rights can be cut back without touching the others.
_BIRTHS: dict[str, dict[str, tuple[tuple[BoundaryKind, tuple[str, ...]], ...]]] = {
    "scaleway": {
        "Administrators": (
            (
                BoundaryKind.ORGANIZATION,
                (
                    "OrganizationManager",
                    "IAMManager",
                    "ProjectManager",
                    "BillingManager",
                    "AuditTrailFullAccess",
                    "NotificationManagerFullAccess",
                    "EnvironmentalImpactReadOnly",
                    *_SUPPORT,
                ),
            ),
            (BoundaryKind.ORGANIZATION, ("AllProductsFullAccess",)),
            (BoundaryKind.PROJECTS, ("AllProductsFullAccess", "AllProductsReadOnly")),
        ),
        "Editors": (
            (BoundaryKind.ORGANIZATION, ("AllProductsFullAccess", "AllProductsReadOnly")),
            (BoundaryKind.PROJECTS, ("AllProductsFullAccess", "AllProductsReadOnly")),
        ),
        "Billing Administrators": ((BoundaryKind.ORGANIZATION, ("BillingManager", "BillingReadOnly")),),
    }
}
_LANGUAGES = {"scaleway": "role_rules"}


def give_birth(unit: Unit[PolicyStore], catalogues: Sequence[str]) -> None:
    """Make the policies that the organization's catalogues bring. Replaying it makes nothing twice."""
    organization_id = unit.organization_id
    for catalogue in catalogues:
        for group, rules in _BIRTHS.get(catalogue, {}).items():
            name = f"Group - {group}"
            policy_id = ids.derive(PolicyId, organization_id, catalogue, name)
            if unit.store.find_policy(organization_id, policy_id) is not None:
                continue
            policy = Policy(
                id=policy_id,
                organization_id=organization_id,
                version=1,
                create_time=unit.now,
                update_time=unit.now,
                name=name,
                subject=Subject(SubjectKind.GROUP, ids.derive(GroupId, organization_id, catalogue, group)),
                language=_LANGUAGES[catalogue],
                catalogue=catalogue,
            ).saying(
                Statement(
                    id=ids.derive(StatementId, policy_id, str(position)),
                    role_names=role_names,
                    boundary=_boundary(kind, organization_id),
                )
                for position, (kind, role_names) in enumerate(rules)
            )
            unit.store.add_policy(policy)
            unit.record(Change("policy.created", "policy", policy.id, policy.name, after=policy))


def _boundary(kind: BoundaryKind, organization_id: OrganizationId) -> Boundary:
    if kind is BoundaryKind.PROJECTS:
        # The default project's id is the organization's.
        return Boundary(kind, project_ids=(ProjectId(organization_id),))
    return Boundary(kind, organization_id=organization_id)
