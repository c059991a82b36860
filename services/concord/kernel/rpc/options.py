"""What the contract says about each rpc, read once from the descriptors at start."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from concord.common.v1 import options_pb2
from concord.kernel.principal import TargetClass


class Access(StrEnum):
    """What opens an rpc. PERMISSION is the ordinary case: the decision point is asked."""

    PERMISSION = "permission"
    PUBLIC = "public"
    SERVICE = "service"
    DEPLOYMENT = "deployment"


_ACCESS: Final = {
    options_pb2.ACCESS_PUBLIC: Access.PUBLIC,
    options_pb2.ACCESS_SERVICE: Access.SERVICE,
    options_pb2.ACCESS_DEPLOYMENT: Access.DEPLOYMENT,
}
_CLASSES: Final = {
    options_pb2.TARGET_CLASS_UNSPECIFIED: TargetClass.ANY,
    options_pb2.TARGET_CLASS_OWN: TargetClass.OWN,
    options_pb2.TARGET_CLASS_OWNER: TargetClass.OWNER,
    options_pb2.TARGET_CLASS_DEFAULT: TargetClass.DEFAULT,
}

# Served by every process and defined by gRPC itself, so they carry none of our options.
# They tell nothing that `protos/` does not tell, and take nothing in.
FOREIGN_PUBLIC_SERVICES: Final = frozenset(
    {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"}
)


class UnruledMethod(Exception):
    """An rpc says neither which permission opens it nor that none does: it must not be served."""


@dataclass(frozen=True, slots=True)
class MethodRules:
    """Everything the chain needs to know about one rpc."""

    path: str
    """As on the wire: `/concord.identity.v1.UserService/UpdateUser`."""
    rpc: str
    """As in questions and audit facts: the path without its first slash."""
    service: str
    name: str
    access: Access
    permission: str
    classes: tuple[TargetClass, ...]
    target_field: str
    pinned_fields: tuple[str, ...]
    request_type: type[Message]
    response_type: type[Message]
    request_streaming: bool
    response_streaming: bool
    in_projects: bool = False

    @property
    def is_public(self) -> bool:
        """Whether anybody may call, without a passport."""
        return self.access is Access.PUBLIC


def find_rules(path: str) -> MethodRules | None:
    """Return the rules of the rpc with this path, or None when no loaded contract knows it."""
    service, _, name = path.removeprefix("/").rpartition("/")
    pool = descriptor_pool.Default()
    try:
        descriptor = pool.FindServiceByName(service)
    except KeyError:
        return None
    method = descriptor.methods_by_name.get(name)
    return None if method is None else read_rules(method)


def get_rules(path: str) -> MethodRules:
    """Return the rules of the rpc with this path, or raise LookupError. Its stubs must have been imported."""
    rules = find_rules(path)
    if rules is None:
        raise LookupError(f"no contract knows the rpc `{path}`")
    return rules


def read_rules(method: MethodDescriptor) -> MethodRules:
    """Read one rpc's options; raise UnruledMethod when they do not say who may call."""
    service = method.containing_service.full_name
    options: Any = method.GetOptions()
    permission: str = options.Extensions[options_pb2.required_permission]
    if service in FOREIGN_PUBLIC_SERVICES:
        access = Access.PUBLIC
    else:
        access = _ACCESS.get(options.Extensions[options_pb2.access], Access.PERMISSION)
    if (access is Access.PERMISSION) != bool(permission):
        raise UnruledMethod(f"`{method.full_name}` needs either a required_permission or an access class")
    target = options.Extensions[options_pb2.target]
    in_projects: bool = options.Extensions[options_pb2.in_projects]
    if in_projects and target.classes and not target.field:
        # A verdict has one reach; classes that hold in different places would need one each.
        raise UnruledMethod(f"`{method.full_name}` is about things in projects, so its request must name the target")
    return MethodRules(
        path=f"/{service}/{method.name}",
        rpc=f"{service}/{method.name}",
        service=service,
        name=method.name,
        access=access,
        permission=permission,
        classes=tuple(_CLASSES[number] for number in target.classes),
        target_field=target.field,
        pinned_fields=tuple(options.Extensions[options_pb2.pinned_fields]),
        request_type=message_factory.GetMessageClass(method.input_type),
        response_type=message_factory.GetMessageClass(method.output_type),
        request_streaming=bool(method.client_streaming),
        response_streaming=bool(method.server_streaming),
        in_projects=in_projects,
    )


def has_update_mask(descriptor: Any) -> bool:
    """Tell whether a request has a mask as updates have it; a mere list of paths is none."""
    field = descriptor.fields_by_name.get("update_mask")
    mask = None if field is None else field.message_type
    return mask is not None and mask.full_name == "google.protobuf.FieldMask"
