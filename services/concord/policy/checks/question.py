"""One question about a principal, as it was asked, and the form in which the engine takes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Final

from concord.kernel.ids import OrganizationId, ProjectId
from concord.kernel.principal import Passport, PrincipalRef
from concord.policy.catalogues.loader import find_operation
from concord.policy.engine import Context, Request, Resource
from concord.policy.engine.match import CLASSED_SERVICES
from concord.policy.languages.path_classes import PathClass, classify, locate
from concord.policy.programs import Entry

NO_CONTEXT: Final = Context()
_NO_RESOURCE: Final = Resource()


# These two are not frozen: a batch makes thousands of them. Nobody changes one once it is read.
@dataclass(slots=True, eq=False)
class Touched:
    """What an act is about, as far as it was said; groups, divisions and owner are None where they are unknown."""

    type: str = ""
    id: str = ""
    name: str = ""
    locality: str = ""
    group_ids: frozenset[str] | None = frozenset()
    division_ids: frozenset[str] | None = frozenset()
    owner_user_id: str | None = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def to_resource(self) -> Resource:
        """Return it as the engine takes it. Made only for programs that look at it."""
        return Resource(
            self.type,
            self.id,
            self.name,
            self.locality,
            self.group_ids,
            self.division_ids,
            self.owner_user_id,
            self.attributes,
        )


NOTHING_TOUCHED: Final = Touched()


@dataclass(frozen=True, slots=True)
class Call:
    """The HTTP call that an act is, for languages that speak of paths. What is empty is unknown."""

    path: str = ""
    method: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


NO_CALL: Final = Call()


@dataclass(slots=True, eq=False)
class Check:
    """One question. `context.time` None is now, `mfa` None is unknown; an empty organization is the caller's."""

    permission: str = ""
    subject: PrincipalRef | None = None
    operation: str = ""
    organization_id: str = ""
    project_ids: tuple[ProjectId, ...] = ()
    resource: Touched = NOTHING_TOUCHED
    scopes: tuple[str, ...] = ()
    context: Context = NO_CONTEXT
    mfa: bool | None = None
    call: Call = NO_CALL

    @property
    def about_nothing(self) -> bool:
        """Whether it does not say what the act is."""
        return not self.permission and not self.operation and not self.call.path


def to_request(
    organization_id: OrganizationId,
    check: Check,
    entry: Entry,
    context: Context,
    *,
    project_id: str = "",
    anywhere: bool = False,
) -> Request:
    """Return what the engine is asked. What the subject's program does not look at is left out.

    A call whose path leads to a project or group is about that, whatever the subject holds: else what one of its
    statements asks for would change what the others are asked.
    """
    permission = check.permission
    stands = True
    if check.operation:
        operation = find_operation(check.operation)
        if permission:
            stands = operation_stands(check.operation, permission)
        elif operation is not None:
            permission = operation.primary_permission
    led = bool(check.call.path) and not project_id
    # A limit may look at the path where the program does not.
    if not entry.looks_at_context and not check.call.path:
        return Request(
            permission,
            entry.subject,
            check.operation,
            (),
            (),
            _NO_RESOURCE,
            organization_id,
            project_id,
            anywhere,
            operation_stands=stands,
        )
    request = Request(
        permission=permission,
        subject=entry.subject,
        operation=check.operation,
        resource=check.resource.to_resource(),
        organization_id=organization_id,
        project_id=project_id,
        anywhere=anywhere,
        context=context,
        operation_stands=stands,
        path_stands=path_stands(check.permission, check.call.path),
    )
    return locate(request, check.resource.group_ids or ()) if led else request


@lru_cache(maxsize=4096)
def operation_stands(name: str, permission: str) -> bool:
    """Tell whether an operation that is asked about together with a permission may allow it.

    An operation of this platform stands for its own permissions, over oneself too. Whoever asks knows what the
    operations of other services stand for; a permission of this platform is none of that.
    """
    operation = find_operation(name)
    if operation is None:
        return not _is_core(permission)
    carried = (operation.primary_permission, *operation.carries)
    return permission in carried or permission.replace(".own_", ".", 1) in carried


def path_stands(permission: str, path: str) -> bool:
    """Tell whether a path may allow what is asked about together with it.

    None allows a permission of this platform, and one that readers could understand differently allows nothing: what
    is let through as `/open/../shut` would arrive as something else.
    """
    return not _is_core(permission) and (not path or classify(path).path_class is not PathClass.UNCLEAR)


def _is_core(permission: str) -> bool:
    return permission.partition(".")[0] in CLASSED_SERVICES


def context_of(check: Check, caller: Passport | None, now: datetime) -> Context:
    """Return the circumstances of an act; `caller` is the passport where the check is about its bearer."""
    context, mfa, call = check.context, check.mfa, check.call
    ip, agent = context.ip, context.user_agent
    if caller is not None:
        ip, agent = ip or caller.caller_address, agent or caller.caller_agent
        mfa = caller.mfa if mfa is None else mfa
    return replace(
        context,
        ip=ip,
        user_agent=agent,
        time=context.time or now,
        mfa=mfa,
        method=call.method,
        path=call.path,
        path_variables=call.variables,
    )
