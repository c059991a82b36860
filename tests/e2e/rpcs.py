"""Every rpc of the served contracts, and requests for it made from its descriptor."""

import importlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from concord.common.v1 import boundary_pb2, options_pb2
from concord.credentials.v1 import trust_policy_pb2
from concord.policy.v1 import statement_pb2
from e2e.certificates import certificate

PROTOS = Path(__file__).resolve().parents[2] / "protos"

# What a bare `id` or `ids` in a service's requests is an id of.
OF_SERVICE = {
    "OrganizationService": "organization",
    "ProjectService": "project",
    "UserService": "user",
    "ApplicationService": "application",
    "ApiKeyService": "api_key",
    "SshKeyService": "ssh_key",
    "FederationService": "federation",
    "SessionService": "session",
    "OAuthClientService": "oauth_client",
    "GroupService": "group",
    "PolicyService": "policy",
    "AuditService": "audit_event",
    "RoleService": "role",
    "GrantService": "grant",
}
# The same for rpcs about another kind of thing than the rest of their service.
OF_RPC = {"GetFederationCertificate": "certificate", "DeleteFederationCertificate": "certificate"}
# Fields whose name tells what their id is of.
OF_FIELD = {
    "organization_id": "organization",
    "project_id": "project",
    "project_ids": "project",
    "default_project_id": "project",
    "user_id": "user",
    "peer_user_id": "user",
    "owner_user_id": "user",
    "application_id": "application",
    "group_id": "group",
    "group_ids": "group",
    "parent_group_id": "group",
    "policy_id": "policy",
    "role_id": "role",
    "role_ids": "role",
    "included_role_ids": "role",
    "resource_id": "application",
    "actor_ids": "user",
    "access_id": "access_id",
    "access_ids": "access_id",
    "client_id": "client_id",
    "oauth_client_id": "oauth_client",
    "federation_id": "federation",
    "username": "username",
    "primary_email": "email",
    "slug": "slug",
    "principals_ids": "user",
}
# What a boundary is where this field of it is said.
BOUNDARIES = {
    "project_ids": boundary_pb2.BOUNDARY_KIND_PROJECTS,
    "group_id": boundary_pb2.BOUNDARY_KIND_GROUP_SUBTREE,
    "owner_user_id": boundary_pb2.BOUNDARY_KIND_OWNER_ACCOUNT,
}
# What a field of this name is given where an rpc would else look no further.
TEXTS = {
    "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
    "password": "Correct-horse-7-battery",
    "current_password": "Correct-horse-8-battery",
    "code": "123456",
    "permission": "identity.users.list",
    "replaced_language": "statements",
    "content": certificate(),
    "alias": "wonderful7",
    "token": "ccn_of-nobody",
    "peer_user_id": "0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee",
}
REFERENCES = {"concord.common.v1.PrincipalRef"}


@dataclass(frozen=True)
class Place:
    """A field of a request that holds an id, by its path, and what it is an id of."""

    path: tuple[str, ...]
    kind: str

    def __str__(self) -> str:
        return ".".join(self.path)


def methods() -> Iterator[MethodDescriptor]:
    """Yield every rpc of the contracts."""
    for proto in sorted(PROTOS.rglob("*_service.proto")):
        name = str(proto.relative_to(PROTOS).with_suffix("")).replace("/", ".") + "_pb2"
        for service in importlib.import_module(name).DESCRIPTOR.services_by_name.values():
            yield from service.methods


def is_permission_guarded(method: MethodDescriptor) -> bool:
    """Tell whether an organization's people may call it at all."""
    return bool(method.GetOptions().Extensions[options_pb2.required_permission])


def message_class(descriptor: Any) -> type[Message]:
    """Return the generated class of a message."""
    module = descriptor.file.name.removesuffix(".proto").replace("/", ".") + "_pb2"
    found: type[Message] = getattr(importlib.import_module(module), descriptor.name)
    return found


def places(method: MethodDescriptor) -> list[Place]:
    """Return the fields of a request that hold ids of an organization's things."""
    return list(_places(method.input_type, own_kind(method), (), method.name))


def own_kind(method: MethodDescriptor) -> str:
    """Return what a bare id in the requests of an rpc is an id of."""
    return OF_RPC.get(method.name) or OF_SERVICE.get(method.containing_service.name, "")


def _places(descriptor: Any, own: str, path: tuple[str, ...], verb: str) -> Iterator[Place]:
    for field in descriptor.fields:
        here = (*path, field.name)
        if field.message_type is not None:
            if field.message_type.full_name in REFERENCES:
                yield Place((*here, "id"), "principal")
            elif field.message_type.full_name.startswith("concord.") and len(here) < 4:
                nested = own if len(path) == 0 else ""
                if verb.startswith("Create") and nested:
                    # A resource to be made has no id yet.
                    nested = ""
                yield from _places(field.message_type, nested, here, verb)
        elif field.type == FieldDescriptor.TYPE_STRING:
            if field.name in ("id", "ids") and own:
                yield Place(here, own)
            elif field.name in OF_FIELD and not (verb.startswith("Create") and field.name in NAMES):
                yield Place(here, OF_FIELD[field.name])


# On creation these are what is asked for, not what is referred to.
NAMES = {"username", "primary_email", "slug", "access_id", "client_id", "organization_id_of"}


def build(method: MethodDescriptor, ids: Callable[[str], str], place: Place, value: str) -> Message:
    """Return a request that is sound but for one place, which holds `value`."""
    request = message_class(method.input_type)()
    _fill(request, method, ids, (), place)
    if place.path[0] == "key":
        # What is named by its key is not named by its id as well.
        request.ClearField("id")
    _set(request, place.path, value)
    return request


def _fill(
    message: Message, method: MethodDescriptor, ids: Callable[[str], str], path: tuple[str, ...], place: Place
) -> None:
    for field in message.DESCRIPTOR.fields:
        here = (*path, field.name)
        on_the_way = place.path[: len(here)] == here
        if not on_the_way and _is_other_arm(field, path, place):
            continue
        if field.name == "update_mask":
            message.update_mask.paths.append(_mask(method, place))
        elif field.message_type is not None:
            nested = field.message_type.full_name
            if nested in REFERENCES:
                reference = _held(message, field)
                reference.kind, reference.id = 1, ids("user")
            elif nested.startswith("concord.") and len(here) < 4 and (on_the_way or _is_required(field)):
                _fill(_held(message, field), method, ids, here, place)
        elif not field.is_repeated and field.type == FieldDescriptor.TYPE_STRING:
            text = _text(message, field.name, method, ids, path, on_the_way=on_the_way)
            if text:
                setattr(message, field.name, text)
        elif field.enum_type is not None and _is_required(field):
            if field.is_repeated:
                getattr(message, field.name).append(1)
            else:
                setattr(message, field.name, 1)
    if isinstance(message, trust_policy_pb2.TrustPolicy):
        message.language, message.document = "call_trust", '{"statements": []}'
    if isinstance(message, statement_pb2.Statement):
        _say_something(message, method, place)


def _say_something(statement: statement_pb2.Statement, method: MethodDescriptor, place: Place) -> None:
    """Make a statement whole. New policies are in the core's own language, the one there is in that of roles."""
    kind = BOUNDARIES.get(place.path[-1], boundary_pb2.BOUNDARY_KIND_ORGANIZATION)
    statement.boundary.kind = kind
    if method.name.startswith("Create") or method.name == "SetInlinePolicy":
        statement.permissions.append("identity.users.list")
    else:
        in_projects = kind == boundary_pb2.BOUNDARY_KIND_PROJECTS
        statement.role_names.append("AllProductsReadOnly" if in_projects else "IAMReadOnly")


def _is_other_arm(field: FieldDescriptor, path: tuple[str, ...], place: Place) -> bool:
    """Tell whether the field's oneof is decided otherwise: by the place, or else for its first arm."""
    oneof = field.containing_oneof
    if oneof is None or oneof.name.startswith("_"):
        return False
    arms = {arm.name for arm in oneof.fields}
    if place.path[: len(path)] == path and len(place.path) > len(path) and place.path[len(path)] in arms:
        return True
    return bool(oneof.fields[0].name != field.name)


def _held(message: Message, field: FieldDescriptor) -> Any:
    held: Any = getattr(message, field.name)
    if field.is_repeated:
        return held.add()
    # A required resource is there, even where nothing of it is said.
    held.SetInParent()
    return held


def _text(
    message: Message,
    name: str,
    method: MethodDescriptor,
    ids: Callable[[str], str],
    path: tuple[str, ...],
    *,
    on_the_way: bool,
) -> str:
    own = own_kind(method) or "user"
    creates = method.name.startswith("Create")
    if name == "id" and (not path or (len(path) == 1 and not creates and _is_resource(message))):
        return ids(own)
    in_container = not path or on_the_way or path[-1].endswith("container")
    if name == "role_id":
        return ids("role")
    if name in ("user_id", "policy_id", "group_id") and in_container:
        return ids(OF_FIELD[name])
    if name in TEXTS:
        return TEXTS[name]
    if name == "username" and method.name == "CreateUser":
        return f"new-{uuid.uuid4().hex}"
    if name == "name" and len(path) <= 1 and method.name.startswith(("Create", "Set")):
        return "x"
    return ""


def _is_required(field: FieldDescriptor) -> bool:
    from google.api import field_behavior_pb2

    return field_behavior_pb2.REQUIRED in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def _is_resource(message: Message) -> bool:
    return "create_time" in message.DESCRIPTOR.fields_by_name


def _mask(method: MethodDescriptor, place: Place) -> str:
    """Name the field that the place is about, so that it is really written; else one that can always be."""
    for field in method.input_type.fields:
        if field.message_type is not None and "create_time" in field.message_type.fields_by_name:
            if len(place.path) > 1 and place.path[0] == field.name and place.path[1] not in ("id", "organization_id"):
                return place.path[1]
            for name in ("description", "nickname", "name", "enforce_mfa", "entity_id"):
                if name in field.message_type.fields_by_name:
                    return name
    if method.name == "UpdateLoginMethods":
        # Closed at birth: to close it changes nothing.
        return "login_federation_enabled"
    return "name"


def _set(message: Message, path: tuple[str, ...], value: str) -> None:
    *way, last = path
    target: Any = message
    for step in way:
        field = target.DESCRIPTOR.fields_by_name[step]
        held = getattr(target, step)
        if field.is_repeated:
            target = held[0] if len(held) else held.add()
        else:
            held.SetInParent()
            target = held
    field = target.DESCRIPTOR.fields_by_name[last]
    if field.is_repeated:
        del getattr(target, last)[:]
        getattr(target, last).append(value)
    else:
        setattr(target, last, value)
    if "kind" in target.DESCRIPTOR.fields_by_name and target.DESCRIPTOR.full_name in REFERENCES and not target.kind:
        target.kind = 1
