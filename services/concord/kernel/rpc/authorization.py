"""Sixth step: may the caller do this? The question is put to the decision point; the answer is final."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, Protocol

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToJson
from grpc.aio import AioRpcError

from concord.common.v1 import principal_pb2
from concord.common.v1.authorization_service_pb2_grpc import AuthorizationServiceStub
from concord.kernel.errors import Denied, Reason, Unauthenticated, Unavailable
from concord.kernel.principal import Passport, PrincipalKind, PrincipalRef, Question, Reach, TargetClass, Verdict
from concord.kernel.rpc import metadata
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.chain import Context, Proceed
from concord.kernel.rpc.options import Access, MethodRules, UnruledMethod, has_update_mask
from concord.kernel.rpc.status import from_rpc_error
from concord.kernel.rpc.wire import principal_from_wire, question_to_wire, verdict_from_wire

_EVERYWHERE: Final = Verdict(allowed=True, reach=Reach(classes=frozenset(TargetClass)))
_ASK_SECONDS: Final = 5.0
_PRINCIPAL: Final = principal_pb2.PrincipalRef.DESCRIPTOR.full_name
# What the decision point says about the asked-about passport. Other refusals of identity are about the asker.
_ABOUT_THE_CALLER: Final = frozenset(
    {
        Reason.CREDENTIAL_EXPIRED,
        Reason.CREDENTIAL_REVOKED,
        Reason.PRINCIPAL_SUSPENDED,
        Reason.PRINCIPAL_DELETED,
    }
)


class Authorizer(Protocol):
    """The decision point, wherever it runs."""

    async def authorize(self, question: Question) -> Verdict:
        """Decide; raise Unauthenticated when the credential or its principal has ended."""


class StubAuthorizer:
    """Asks the policy service over its stub, as the process that it runs in."""

    def __init__(self, stub: AuthorizationServiceStub, service_token: Callable[[], str]) -> None:
        self._stub: Any = stub
        self._service_token = service_token

    async def authorize(self, question: Question) -> Verdict:
        pairs = metadata.as_service(self._service_token(), Call.current().call_id)
        try:
            answer = await self._stub.Authorize(question_to_wire(question), metadata=pairs, timeout=_ASK_SECONDS)
        except AioRpcError as error:
            failure = from_rpc_error(error)
            if isinstance(failure, Unauthenticated) and failure.reason not in _ABOUT_THE_CALLER:
                raise Unavailable("the decision point does not know this process") from error
            if failure.reason is Reason.DEADLINE_EXCEEDED:
                raise Unavailable("the decision point does not answer") from error
            raise failure from error
        return verdict_from_wire(answer)


class Authorization:
    """Holds each call to what its rpc's options demand."""

    def __init__(self, authorizer: Authorizer | None = None) -> None:
        # Set later where the decision point is mounted on the same chain.
        self.authorizer = authorizer

    def bind(self, rules: MethodRules, proceed: Proceed) -> Proceed:
        if rules.access is Access.PUBLIC:
            return proceed
        if rules.access is Access.SERVICE:
            return _services_only(rules, proceed)
        question = question_builder(rules)

        async def authorized(call: Call, request: Any, context: Context) -> Any:
            if self.authorizer is None:
                raise Unavailable("the decision point is not there yet")
            asked = question(call, request)
            verdict = await self.authorizer.authorize(asked)
            # Nothing but the very value opens the door.
            if verdict.allowed is not True:
                raise _denial(rules, verdict)
            call.verdict = verdict
            return await proceed(call, request, context)

        return authorized


def _services_only(rules: MethodRules, proceed: Proceed) -> Proceed:
    async def authorized(call: Call, request: Any, context: Context) -> Any:
        if not call.require_passport().is_service:
            raise Denied("", reason=Reason.SERVICE_ONLY, message="only the suite's own processes may call this")
        call.verdict = _EVERYWHERE
        return await proceed(call, request, context)

    return authorized


def _denial(rules: MethodRules, verdict: Verdict) -> Denied:
    if verdict.refusal:
        return Denied(rules.permission, reason=Reason.OPERATION_MISMATCH, message=verdict.refusal)
    if rules.access is Access.DEPLOYMENT:
        return Denied("", message="only the administrator of the deployment may call this")
    return Denied(rules.permission)


def question_builder(rules: MethodRules) -> Callable[[Call, Any], Question]:
    """Work out once where this rpc's request says what the question must tell."""
    deployment = rules.access is Access.DEPLOYMENT
    if rules.request_streaming:
        if rules.target_field or rules.pinned_fields:
            raise UnruledMethod(f"`{rules.rpc}` streams its requests, so none of them can say whom the call is about")

        def ask_without_request(call: Call, request: Any) -> Question:
            return Question(
                _bearer(call),
                rules.rpc,
                rules.permission,
                rules.classes,
                None,
                call.operation,
                deployment=deployment,
                in_projects=rules.in_projects,
            )

        return ask_without_request
    descriptor: Any = rules.request_type.DESCRIPTOR
    target = _target_getter(rules, descriptor)
    mask = _mask_getter(descriptor)
    resource_id = _resource_id_getter(descriptor)
    pinned = tuple((path, _text_getter(rules, descriptor, path)) for path in rules.pinned_fields)

    def ask(call: Call, request: Any) -> Question:
        return Question(
            _bearer(call),
            rules.rpc,
            rules.permission,
            rules.classes,
            None if target is None else target(request),
            call.operation,
            () if mask is None else tuple(mask(request)),
            {path: text(request) for path, text in pinned} if pinned else _NOTHING_PINNED,
            "" if resource_id is None else resource_id(request).lower(),
            deployment,
            rules.in_projects,
        )

    return ask


_NOTHING_PINNED: Final[Mapping[str, str]] = {}


def _bearer(call: Call) -> Passport:
    return call.require_passport()


def _target_getter(rules: MethodRules, descriptor: Descriptor) -> Callable[[Any], PrincipalRef | None] | None:
    if not rules.target_field:
        return None
    field = _field_at(rules, descriptor, rules.target_field)
    get = attrgetter(rules.target_field)
    read: Callable[[Any], PrincipalRef | None]
    if field.message_type is not None and field.message_type.full_name == _PRINCIPAL:
        read = principal_from_wire
    elif field.type == FieldDescriptor.TYPE_STRING:
        read = _user
    else:
        raise UnruledMethod(f"`{rules.target_field}` of `{rules.rpc}` is neither a principal nor a user's id")

    def one(value: Any) -> PrincipalRef | None:
        principal = read(value)
        # Ids are folded when they are parsed. Folding them here too keeps a caller from
        # naming the owner in capitals and passing for somebody who asks about a stranger.
        if principal is None:
            return None
        folded = principal.id.lower()
        return principal if folded == principal.id else PrincipalRef(principal.kind, folded)

    if not field.is_repeated:
        return lambda request: one(get(request))

    def only(request: Any) -> PrincipalRef | None:
        # About several principals at once is about everybody: the plain permission.
        values = get(request)
        return one(values[0]) if len(values) == 1 else None

    return only


def _user(user_id: str) -> PrincipalRef | None:
    return PrincipalRef(PrincipalKind.USER, user_id) if user_id else None


def _mask_getter(descriptor: Descriptor) -> Callable[[Any], Any] | None:
    return attrgetter("update_mask.paths") if has_update_mask(descriptor) else None


def _resource_id_getter(descriptor: Descriptor) -> Callable[[Any], str] | None:
    if _is_text(descriptor.fields_by_name.get("id")):
        return attrgetter("id")
    for field in descriptor.fields:
        resource = field.message_type
        if resource is None or field.is_repeated or resource.file.package.startswith("google."):
            continue
        if resource.full_name != _PRINCIPAL and _is_text(resource.fields_by_name.get("id")):
            return attrgetter(f"{field.name}.id")
    return None


def _is_text(field: FieldDescriptor | None) -> bool:
    return field is not None and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated


def _text_getter(rules: MethodRules, descriptor: Descriptor, path: str) -> Callable[[Any], str]:
    """Return what reads a pinned field as text: enums by name, lists joined by commas, "" for what is not set."""
    field = _field_at(rules, descriptor, path)
    get = attrgetter(path)
    one = _text_of(field)
    if field.is_repeated:
        return lambda request: ",".join(one(value) for value in get(request))
    if not field.has_presence:
        return lambda request: one(get(request))
    parent_path, _, name = path.rpartition(".")
    parent: Callable[[Any], Any] = attrgetter(parent_path) if parent_path else lambda request: request

    def present(request: Any) -> str:
        holder = parent(request)
        return one(getattr(holder, name)) if holder.HasField(name) else ""

    return present


def _text_of(field: FieldDescriptor) -> Callable[[Any], str]:
    if field.enum_type is not None:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return lambda number: names.get(number, str(number))
    if field.message_type is not None:
        if field.message_type.full_name == "google.protobuf.FieldMask":
            return lambda mask: ",".join(mask.paths)
        return lambda message: MessageToJson(message, indent=None, sort_keys=True)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return lambda value: "true" if value else "false"
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: value.hex()
    return str


def _field_at(rules: MethodRules, descriptor: Descriptor, path: str) -> FieldDescriptor:
    found: FieldDescriptor | None = None
    holder: Descriptor | None = descriptor
    for name in path.split("."):
        if found is not None and found.is_repeated:
            holder = None
        found = None if holder is None else holder.fields_by_name.get(name)
        if found is None:
            raise UnruledMethod(f"the request of `{rules.rpc}` has no field `{path}`")
        holder = found.message_type
    assert found is not None
    return found
