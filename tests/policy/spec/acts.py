"""Permissions and operations by name, and where a line holds. What is unknown speaks for a deny and for no allow."""

import ipaddress
from collections.abc import Iterable

from concord.policy.engine.model import Boundary, BoundaryKind, Request

CORE = ("identity", "credentials", "groups", "policy", "audit")


def permission_matches(pattern: str, permission: str, every_class: bool) -> bool:
    """A star stands for one segment, or alone for all; the classes of target follow from the plain permission."""
    if pattern == "*":
        pattern = "*.*.*"
    named = pattern.split(".")
    asked = permission.split(".")
    if len(asked) != 3 or len(named) != 3:
        return pattern in (permission, "*.*.*")
    if named[0] not in ("*", asked[0]) or named[2] not in ("*", asked[2]):
        return False
    if named[1] == asked[1]:
        return True
    classed = asked[0] in CORE
    beyond = classed and asked[1].startswith(("owner_", "default_"))
    if named[1] == "*":
        return every_class or not beyond
    if not classed or named[1].startswith(("own_", "owner_", "default_")):
        return False
    classes = ("own_", "owner_", "default_") if every_class else ("own_",)
    return asked[1] in [prefix + named[1] for prefix in classes]


def operation_matches(globs: Iterable[str], request: Request, deny: bool) -> bool:
    """An allow needs an operation that covers all of the call; a deny needs one that touches it."""
    names = list(request.covering)
    if request.operation and (deny or request.operation_stands):
        names.append(request.operation)
    if deny:
        names.extend(request.touching)
    return any(glob_matches(glob, name) for glob in globs for name in names)


def glob_matches(glob: str, text: str) -> bool:
    """A star stands for any characters."""
    if not glob:
        return not text
    if glob[0] == "*":
        return any(glob_matches(glob[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and text[0] == glob[0] and glob_matches(glob[1:], text[1:])


def holds_within(boundary: Boundary, request: Request, deny: bool, place: str) -> bool:
    """Whether the place asked about, or the resource, lies within a boundary."""
    resource = request.resource
    if boundary.organization_id and boundary.organization_id != request.organization_id:
        return deny and not request.organization_id
    if boundary.kind is BoundaryKind.PROJECTS:
        return place in boundary.project_ids
    if boundary.kind is BoundaryKind.GROUP_SUBTREE:
        return deny if resource.group_ids is None else boundary.group_id in resource.group_ids
    if boundary.kind is BoundaryKind.OWN_DIVISIONS:
        if request.subject.division_ids is None or resource.division_ids is None:
            return deny
        return bool(request.subject.division_ids & resource.division_ids)
    if boundary.kind is BoundaryKind.OWNER_ACCOUNT:
        if resource.owner_user_id is None:
            return deny
        return resource.owner_user_id != "" and resource.owner_user_id == boundary.owner_user_id
    return True


def in_network(address: str, network: str) -> bool:
    """Whether an address lies in a network, whose host bits may be set. Raises ValueError for what is none."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found in ipaddress.ip_network(network, strict=False)


def comes_from(networks: Iterable[str], request: Request, deny: bool) -> bool:
    """Whether the caller comes from one of the networks, if there are any."""
    wanted = list(networks)
    if not wanted:
        return True
    if not request.context.ip:
        return deny
    return any(in_network(request.context.ip, network) for network in wanted)
