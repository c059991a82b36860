"""What other services' changes mean here: principals come and go, organizations are born and end."""

from concord.common.v1.change_pb2 import ChangeEvent
from concord.groups.model import Container, ContainerKind, Principal
from concord.groups.operations.groups import end_memberships, keep_new_group
from concord.groups.store import Store
from concord.groups.supplied import birth_groups
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.user_pb2 import USER_KIND_CUSTOMER, User
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.rpc.wire import principal_of_change
from concord.kernel.units import Unit
from concord.policy.v1.quota_pb2 import Quota


def apply_identity(unit: Unit[Store], event: ChangeEvent) -> None:
    """Follow principals, projects and organizations."""
    if event.type == "organization.created":
        _bear(unit, event)
    elif event.type == "organization.deleted":
        unit.store.sweep(unit.organization_id)
    elif event.resource_type == "project":
        _follow_project(unit, event)
    elif (principal := principal_of_change(event)) is not None:
        _follow_principal(unit, event, principal)


def apply_policy(unit: Unit[Store], event: ChangeEvent) -> None:
    """Follow quotas."""
    quota = Quota()
    if event.type == "quota.set" and event.after.Unpack(quota):
        unit.store.put_limit(unit.organization_id, quota.name, None if quota.unlimited else quota.limit)


def _bear(unit: Unit[Store], event: ChangeEvent) -> None:
    organization = Organization()
    event.after.Unpack(organization)
    # The default project has the organization's id.
    unit.store.put_project(unit.organization_id, unit.organization_id)
    for group in birth_groups(unit.organization_id, organization.catalogues, unit.now):
        keep_new_group(unit, group)


def _follow_project(unit: Unit[Store], event: ChangeEvent) -> None:
    if event.type == "project.deleted":
        container = Container(ContainerKind.PROJECT, event.resource_id)
        end_memberships(unit, unit.store.memberships_in(unit.organization_id, [container]))
        unit.store.delete_project(unit.organization_id, event.resource_id)
    else:
        unit.store.put_project(unit.organization_id, event.resource_id)


def _follow_principal(unit: Unit[Store], event: ChangeEvent, ref: PrincipalRef) -> None:
    if event.type == f"{event.resource_type}.deleted":
        end_memberships(unit, unit.store.memberships_of(unit.organization_id, ref))
        unit.store.delete_principal(unit.organization_id, ref)
        return
    user = User()
    if ref.kind is not PrincipalKind.USER:
        unit.store.put_principal(unit.organization_id, Principal(ref))
    elif event.after.Unpack(user):
        unit.store.put_principal(unit.organization_id, Principal(ref, user.kind == USER_KIND_CUSTOMER))
