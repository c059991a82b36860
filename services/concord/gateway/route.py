"""A route and a dialect: the two records from which routing, parsing, documents and catalogue are all made."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from google.protobuf import descriptor_pool

from concord.common.v1 import options_pb2
from concord.credentials.v1.authentication_service_pb2 import AuthenticateRequest
from concord.gateway.http import Answer, Headers, Request
from concord.gateway.shapes import Body, Query, Text
from concord.kernel.errors import Invalid, Violation

if TYPE_CHECKING:
    from concord.gateway.call import Call

Handler = Callable[["Call"], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Covers:
    """How much of one rpc an operation stands for.

    `update_mask` lists the paths it may set, None where the rpc takes no mask; `pinned` gives the values that
    pinned fields may have, as in the contract's JSON form, a list as its values sorted and joined with commas.
    """

    update_mask: tuple[str, ...] | None = None
    pinned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation of a vendor's document."""

    method: str
    path: str
    operation: str
    summary: str
    tag: str
    # The core permission this operation stands for; "public" where none is needed.
    permission: str
    # The rpcs that its handler may call, by full name, and what it does with each.
    covers: Mapping[str, Covers]
    handler: Handler
    path_shapes: Mapping[str, Text]
    query: Query | None = None
    body: Body | None = None
    # The record that a success answers; None means no body.
    answer: type[msgspec.Struct] | None = None
    status: int = 200
    # Statuses of refusals that this operation can give, for the published document.
    refusals: tuple[int, ...] = ()

    @property
    def carries(self) -> tuple[str, ...]:
        """Every further core permission that its calls need, read from the contracts."""
        needed = (_permission(rpc) for rpc in self.covers)
        return tuple(dict.fromkeys(p for p in needed if p != self.permission and _own(p) != self.permission))

    def parse(self, call: "Call") -> None:
        """Turn path, query and body into records, or raise Invalid with everything that is wrong."""
        violations: list[Violation] = []
        for name, shape in self.path_shapes.items():
            if shape.rule is not None and (wrong := shape.rule.check(call.path[name])) is not None:
                violations.append(Violation(name, wrong[1], rule=wrong[0]))
        try:
            if self.query is not None:
                call.query = self.query.parse(call.request.query)
        except Invalid as error:
            violations.extend(error.violations)
        try:
            if self.body is not None:
                call.body = self.body.parse(call.request.body)
        except Invalid as error:
            violations.extend(error.violations)
        if violations:
            raise Invalid(*violations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One vendor's API: its routes and its way to authenticate, to answer and to refuse."""

    name: str
    title: str
    version: str
    description: str
    # Paths under one of these belong to the dialect, so that unknown ones are refused in its own shape.
    prefixes: tuple[str, ...]
    tags: Sequence[tuple[str, str]]
    routes: Sequence[Route]
    # Finds the credential of a request, as a question to the core that lacks only who asks; raises
    # Unauthenticated where there is none that could be one.
    credential: Callable[[Request], AuthenticateRequest]
    # The headers that it looks at: the same texts in them are the same credential.
    credential_headers: tuple[str, ...]
    # Turns any failure into the vendor's status, headers and body. The route is None before one is found.
    refuse: Callable[[BaseException, Request | None, Route | None], Answer]
    success_headers: Headers
    security_schemes: Mapping[str, Any]
    # For documents: the record and description of a refusal by status, and a record's published name.
    refusal_shapes: Mapping[int, tuple[str, Sequence[type[msgspec.Struct]]]]
    schema_name: Callable[[str], str]
    # Members of a record that exclude each other, by the record's name, and whether one of them is needed.
    choices: Mapping[str, tuple[tuple[str, ...], bool]] = field(default_factory=dict)

    def operation_name(self, route: Route) -> str:
        """Return the name under which the core knows the operation."""
        return f"{self.name}/{route.operation}"


def _permission(rpc: str) -> str:
    service, _, method = rpc.partition("/")
    options = descriptor_pool.Default().FindServiceByName(service).methods_by_name[method].GetOptions()
    permission: str = options.Extensions[options_pb2.required_permission]  # type: ignore[index]  # stubs know only our side
    return permission


def _own(permission: str) -> str:
    service, resource, verb = permission.split(".")
    return f"{service}.own_{resource}.{verb}"
