"""Groups and memberships between model and contract, both ways side by side."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar, cast

from google.protobuf.message import Message

from concord.common.v1 import localized_text_pb2, principal_pb2
from concord.groups.model import (
    MAX_BATCH,
    MAX_NAME,
    Container,
    ContainerKind,
    Group,
    GroupDraft,
    GroupFilter,
    GroupPatch,
    GroupRelation,
    LocalizedText,
    MemberFilter,
    MemberKind,
    Membership,
    MembershipId,
    UniqueWithin,
    raise_all,
)
from concord.groups.v1 import group_pb2, group_service_pb2, membership_pb2, membership_service_pb2
from concord.kernel import ids
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import GroupId, OrganizationId, ProjectId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire, principal_from_wire, principal_to_wire

T = TypeVar("T")
V = TypeVar("V")

_MEMBER_KINDS: Final = {
    MemberKind.ANY: group_pb2.MEMBER_KIND_ANY,
    MemberKind.WORKFORCE: group_pb2.MEMBER_KIND_WORKFORCE,
    MemberKind.CUSTOMER: group_pb2.MEMBER_KIND_CUSTOMER,
}
_MEMBER_KINDS_BACK: Final = {number: kind for kind, number in _MEMBER_KINDS.items()}
_UNIQUE_BACK: Final = {
    group_service_pb2.UNIQUE_WITHIN_ORGANIZATION: UniqueWithin.ORGANIZATION,
    group_service_pb2.UNIQUE_WITHIN_PARENT: UniqueWithin.PARENT,
}
_RELATIONS_BACK: Final = {
    group_service_pb2.GROUP_RELATION_MEMBERS: GroupRelation.MEMBERS,
    group_service_pb2.GROUP_RELATION_SUB_GROUPS: GroupRelation.SUB_GROUPS,
}
_CONTAINER_KINDS_BACK: Final = {
    membership_service_pb2.CONTAINER_KIND_GROUP: ContainerKind.GROUP,
    membership_service_pb2.CONTAINER_KIND_PROJECT: ContainerKind.PROJECT,
}
_PRINCIPAL_KINDS_BACK: Final = {
    principal_pb2.PRINCIPAL_KIND_USER: PrincipalKind.USER,
    principal_pb2.PRINCIPAL_KIND_APPLICATION: PrincipalKind.APPLICATION,
    principal_pb2.PRINCIPAL_KIND_DEVICE: PrincipalKind.DEVICE,
}
_TEXTS: Final = ("name", "description")


# Resources


def localized_to_wire(text: LocalizedText) -> localized_text_pb2.LocalizedText:
    """Return the message for a text."""
    return localized_text_pb2.LocalizedText(text=text.text, translations=text.translations)


def localized_from_wire(message: localized_text_pb2.LocalizedText) -> LocalizedText:
    """Return the text of a message."""
    return LocalizedText(message.text, dict(message.translations))


def group_to_wire(group: Group) -> group_pb2.Group:
    """Return the message for a group."""
    return group_pb2.Group(
        id=group.id,
        organization_id=group.organization_id,
        version=group.version,
        etag=group.etag,
        create_time=instant_to_wire(group.create_time),
        update_time=instant_to_wire(group.update_time),
        catalogue=group.catalogue,
        managed=group.managed,
        editable=group.editable,
        deletable=group.deletable,
        attributes=group.attributes,
        handle=group.handle,
        name=localized_to_wire(group.name),
        description=localized_to_wire(group.description),
        tags=group.tags,
        parent_group_id=group.parent_group_id or "",
        member_kind=cast(Any, _MEMBER_KINDS[group.member_kind]),
        division_ids=group.division_ids,
        exclusion_key=group.exclusion_key,
        template_ids=group.template_ids,
    )


def group_from_wire(message: group_pb2.Group) -> Group:
    """Return the group of a message that this service wrote."""
    return Group(
        id=GroupId(message.id),
        organization_id=OrganizationId(message.organization_id),
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
        version=message.version,
        catalogue=message.catalogue,
        editable=message.editable,
        deletable=message.deletable,
        handle=message.handle,
        name=localized_from_wire(message.name),
        description=localized_from_wire(message.description),
        tags=tuple(message.tags),
        parent_group_id=GroupId(message.parent_group_id) if message.parent_group_id else None,
        member_kind=_member_kind(message.member_kind),
        division_ids=tuple(message.division_ids),
        exclusion_key=message.exclusion_key,
        template_ids=tuple(message.template_ids),
        attributes=dict(message.attributes),
    )


def container_to_wire(container: Container) -> membership_pb2.Container:
    """Return the message for a container."""
    if container.kind is ContainerKind.GROUP:
        return membership_pb2.Container(group_id=container.id)
    return membership_pb2.Container(project_id=container.id)


def container_from_wire(message: membership_pb2.Container, at: str = "container") -> Container:
    """Return the container that a message names, or raise Invalid."""
    arm = message.WhichOneof("container")
    if arm == "group_id":
        return Container(ContainerKind.GROUP, ids.parse(GroupId, message.group_id, f"{at}.group_id"))
    if arm == "project_id":
        return Container(ContainerKind.PROJECT, ids.parse(ProjectId, message.project_id, f"{at}.project_id"))
    raise Invalid(Violation(at, "must name a group or a project", rule="required"))


def membership_to_wire(membership: Membership) -> membership_pb2.Membership:
    """Return the message for a membership."""
    return membership_pb2.Membership(
        id=membership.id,
        organization_id=membership.organization_id,
        version=membership.version,
        etag=membership.etag,
        create_time=instant_to_wire(membership.create_time),
        update_time=instant_to_wire(membership.update_time),
        catalogue=membership.catalogue,
        managed=bool(membership.catalogue),
        editable=True,
        deletable=True,
        container=container_to_wire(membership.container),
        principal=principal_to_wire(membership.principal),
        is_owner=membership.is_owner,
    )


def membership_from_wire(message: membership_pb2.Membership) -> Membership:
    """Return the membership of a message that this service wrote."""
    return Membership(
        id=MembershipId(message.id),
        organization_id=OrganizationId(message.organization_id),
        container=container_from_wire(message.container),
        principal=principal_in(message.principal, "principal"),
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
        version=message.version,
        is_owner=message.is_owner,
        catalogue=message.catalogue,
    )


def snapshot(value: object) -> Message:
    """Return the message that an event carries for a changed resource."""
    if isinstance(value, Group):
        return group_to_wire(value)
    if isinstance(value, Membership):
        return membership_to_wire(value)
    raise TypeError(f"{type(value).__name__} is no resource of this service")


# Requests


def draft_from_wire(message: group_pb2.Group) -> GroupDraft:
    """Return what a request says of a new group; output fields are passed over."""
    return GroupDraft(
        handle=message.handle,
        name=localized_from_wire(message.name),
        description=localized_from_wire(message.description),
        tags=tuple(message.tags),
        parent_group_id=_parent(message),
        member_kind=_member_kind(message.member_kind),
        division_ids=tuple(message.division_ids),
        exclusion_key=message.exclusion_key,
        template_ids=tuple(message.template_ids),
        attributes=dict(message.attributes),
    )


_CHANGEABLE: Final[dict[str, Callable[[group_pb2.Group], Any]]] = {
    "name": lambda message: localized_from_wire(message.name),
    "description": lambda message: localized_from_wire(message.description),
    "tags": lambda message: tuple(message.tags),
    "parent_group_id": lambda message: _parent(message),
    "member_kind": lambda message: _member_kind(message.member_kind),
    "division_ids": lambda message: tuple(message.division_ids),
    "exclusion_key": lambda message: message.exclusion_key,
    "template_ids": lambda message: tuple(message.template_ids),
    "attributes": lambda message: dict(message.attributes),
}


def patch_from_wire(message: group_pb2.Group, paths: Sequence[str]) -> GroupPatch:
    """Return what the paths of a mask change, or raise Invalid for a path that cannot be changed."""
    fields: dict[str, Any] = {}
    parts: dict[tuple[str, str], Any] = {}
    wrong = []
    for path in paths:
        name, _, part = path.partition(".")
        if not part and name in _CHANGEABLE:
            fields[name] = _CHANGEABLE[name](message)
        elif name in _TEXTS and part == "text":
            parts[name, part] = getattr(message, name).text
        elif name in _TEXTS and part == "translations":
            parts[name, part] = dict(getattr(message, name).translations)
        elif path != "etag":
            wrong.append(Violation("update_mask", f"`{path}` cannot be changed", rule="mask"))
    raise_all(wrong)
    return GroupPatch(fields, parts)


def unique_from_wire(number: int) -> UniqueWithin:
    """Return where a name must be unique."""
    return _UNIQUE_BACK.get(cast(Any, number), UniqueWithin.NOWHERE)


def relations_from_wire(numbers: Iterable[int]) -> frozenset[GroupRelation]:
    """Return the relations that forbid a deletion."""
    return frozenset(_known(_RELATIONS_BACK, numbers, "refuse_if"))


def kinds_from_wire(numbers: Iterable[int], at: str) -> tuple[PrincipalKind, ...]:
    """Return kinds of member; services are none."""
    return tuple(dict.fromkeys(_known(_PRINCIPAL_KINDS_BACK, numbers, at)))


def principal_in(message: principal_pb2.PrincipalRef, at: str) -> PrincipalRef:
    """Return the principal that a message names, or raise Invalid."""
    if message.kind not in _PRINCIPAL_KINDS_BACK:
        raise Invalid(Violation(f"{at}.kind", "must be user, application or device", rule="required"))
    principal = principal_from_wire(message)
    if principal is None:
        raise Invalid(Violation(f"{at}.id", "must be given", rule="required"))
    return PrincipalRef(principal.kind, ids.parse(str, principal.id, f"{at}.id"))


def principals_from_wire(messages: Sequence[principal_pb2.PrincipalRef], at: str) -> tuple[PrincipalRef, ...]:
    """Return the principals that a request names; refuse it once for all that is wrong."""
    _require_batch(messages, at)
    return tuple(_each(messages, at, principal_in))


def containers_from_wire(messages: Sequence[membership_pb2.Container]) -> tuple[Container, ...]:
    """Return the containers that a request names; refuse it once for all that is wrong."""
    _require_batch(messages, "containers")
    return tuple(_each(messages, "containers", container_from_wire))


def group_filter_from_wire(request: group_service_pb2.ListGroupsRequest) -> GroupFilter:
    """Return the filter of a list request."""
    if request.parent_group_id and request.top_level:
        raise Invalid(Violation("top_level", "not together with parent_group_id", rule="exclusive"))
    _require_batch(request.ids, "ids")
    for at in ("text", "name", "tag"):
        _require_short(getattr(request, at), at)
    for catalogue in request.catalogues:
        _require_short(catalogue, "catalogues")
    parent = request.parent_group_id
    return GroupFilter(
        ids=tuple(_each(request.ids, "ids", _id)),
        parent_group_id=_id(parent, "parent_group_id") if parent else "",
        top_level=request.top_level,
        text=request.text,
        name=request.name,
        tag=request.tag,
        member_kind=_MEMBER_KINDS_BACK.get(request.member_kind),
        holds=principals_from_wire(request.holds, "holds"),
        holds_all=request.holds_all,
        catalogues=tuple(request.catalogues),
    )


def member_filter_from_wire(request: membership_service_pb2.ListMembersRequest) -> MemberFilter:
    """Return the filter of a request for members."""
    return MemberFilter(
        containers=containers_from_wire(request.containers),
        kinds=kinds_from_wire(request.kinds, "kinds"),
        is_owner=request.is_owner if request.HasField("is_owner") else None,
    )


def membership_filter_from_wire(request: membership_service_pb2.ListMembershipsRequest) -> MemberFilter:
    """Return the filter of a request for memberships."""
    return MemberFilter(
        principals=principals_from_wire(request.principals, "principals"),
        container_kind=_CONTAINER_KINDS_BACK.get(request.container_kind),
    )


def _id(text: str, at: str) -> str:
    parsed: str = ids.parse(str, text, at)
    return parsed


def _parent(message: group_pb2.Group) -> GroupId | None:
    if not message.parent_group_id:
        return None
    parsed: GroupId = ids.parse(GroupId, message.parent_group_id, "group.parent_group_id")
    return parsed


def _member_kind(number: int) -> MemberKind:
    return _MEMBER_KINDS_BACK.get(cast(Any, number), MemberKind.ANY)


def _known(table: Any, numbers: Iterable[int], at: str) -> list[Any]:
    values = list(numbers)
    raise_all(
        Violation(f"{at}[{index}]", "must be said", rule="required")
        for index, number in enumerate(values)
        if number not in table
    )
    return [table[number] for number in values]


def _each(items: Iterable[T], at: str, read: Callable[[T, str], V]) -> list[V]:
    found: list[V] = []
    wrong: list[Violation] = []
    for index, item in enumerate(items):
        try:
            found.append(read(item, f"{at}[{index}]"))
        except Invalid as refusal:
            wrong += refusal.violations
    raise_all(wrong)
    return found


def _require_batch(items: Sequence[Any], at: str) -> None:
    if len(items) > MAX_BATCH:
        raise Invalid(Violation(at, f"must have at most {MAX_BATCH} entries", rule="max_items"))


def _require_short(text: str, at: str) -> None:
    if len(text) > MAX_NAME or "\x00" in text:
        raise Invalid(Violation(at, f"must have at most {MAX_NAME} characters, none of them U+0000", rule="max_length"))
