"""What an organization is born with."""

from collections.abc import Sequence

from concord.kernel import ids
from concord.kernel.ids import GroupId, OrganizationId, PolicyId, ProjectId, StatementId
from concord.kernel.units import Change, Unit
from concord.policy.catalogues.loader import CATALOGUES, BirthPolicy, Catalogue, load_catalogue
from concord.policy.model import Boundary, BoundaryKind, Policy, Statement, Subject, SubjectKind
from concord.policy.store import PolicyStore


def give_birth(unit: Unit[PolicyStore], catalogues: Sequence[str]) -> None:
    """Make the policies that the organization's catalogues bring. Replaying it makes nothing twice."""
    for name in catalogues:
        # Another service's catalogue need not bring policies.
        if name not in CATALOGUES:
            continue
        catalogue = load_catalogue(name)
        for supplied in catalogue.birth_policies():
            policy = _born(unit, catalogue, supplied)
            if unit.store.find_policy(unit.organization_id, policy.id) is None:
                unit.store.add_policy(policy)
                unit.record(Change("policy.created", "policy", policy.id, policy.name, after=policy))


def _born(unit: Unit[PolicyStore], catalogue: Catalogue, supplied: BirthPolicy) -> Policy:
    organization_id = unit.organization_id
    policy_id = ids.derive(PolicyId, organization_id, catalogue.name, supplied.name)
    group_id = ids.derive(GroupId, organization_id, catalogue.name, supplied.group)
    return Policy(
        id=policy_id,
        organization_id=organization_id,
        version=1,
        create_time=unit.now,
        update_time=unit.now,
        name=supplied.name,
        subject=Subject(SubjectKind.GROUP, group_id),
        language=catalogue.language,
        catalogue=catalogue.name,
    ).saying(
        Statement(
            id=ids.derive(StatementId, policy_id, str(position)),
            role_names=rule.role_names,
            boundary=_boundary(rule.in_default_project, organization_id),
        )
        for position, rule in enumerate(supplied.rules)
    )


def _boundary(in_default_project: bool, organization_id: OrganizationId) -> Boundary:
    if in_default_project:
        # The default project's id is the organization's.
        return Boundary(BoundaryKind.PROJECTS, project_ids=(ProjectId(organization_id),))
    return Boundary(BoundaryKind.ORGANIZATION, organization_id=organization_id)
