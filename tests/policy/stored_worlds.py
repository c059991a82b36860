"""Puts worlds into a real store by the service's own operations, and asks about them over its rpcs."""

import json
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from concord.common.v1.boundary_pb2 import BOUNDARY_KIND_OWN_DIVISIONS
from concord.common.v1.boundary_pb2 import Boundary as WireBoundary
from concord.groups.v1.group_pb2 import Group
from concord.identity.v1.project_pb2 import Project
from concord.identity.v1.user_pb2 import USER_STATE_ACTIVE, User
from concord.kernel.clock import SettableClock, SystemClock
from concord.kernel.errors import ConcordError
from concord.kernel.ids import RoleId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.rpc.wire import instant_to_wire, principal_to_wire
from concord.policy import wire
from concord.policy.catalogues.loader import find_operation
from concord.policy.engine import Boundary, Context, Request
from concord.policy.engine import BoundaryKind as EngineKind
from concord.policy.model import BoundaryKind, RoleKind
from concord.policy.operations.grants import GrantKey, create_grant
from concord.policy.operations.policies import Draft, create_policy
from concord.policy.operations.roles import RoleDraft, create_role
from concord.policy.reading import supplied_roles
from concord.policy.server import MIGRATIONS
from concord.policy.sql import METADATA, SqlPolicyStore
from concord.policy.v1 import decision_pb2 as d
from concord.policy.v1 import explanation_pb2
from concord.policy.v1.explanation_pb2 import Repair
from fakes import open_units
from policy import spec
from policy.against import stored_boundary, subject_of
from policy.spec.acts import CORE
from policy.spec.calls import place_of
from policy.spec.world import EVERYONE, NOBODY, without
from policy.worlds import GROUPS, NAMES, OWNER, PROJECTS, USERS, Question, words

from .conftest import World, made
from .decision_world import Asking


class Stored:
    """A world in a store: what the service refused is not in it."""

    def __init__(self, directory: Path) -> None:
        self.clock = SettableClock(SystemClock().now())
        self.refused = 0
        # What the service calls the things of the world, and which entry of a document a statement is.
        self.names: dict[str, str] = {}
        self.entries: dict[str, int] = {}
        self.world: World
        self.asking: Asking
        self._units: Any = open_units(
            directory,
            METADATA,
            SqlPolicyStore,
            wire.snapshot,
            service="policy",
            clock=self.clock,
            migrations=MIGRATIONS,
        )

    async def __aenter__(self) -> "Stored":
        self.world = World(await self._units.__aenter__(), self.clock)
        await self.world.born()
        self.asking = Asking(self.world)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._units.__aexit__(kind, error, trace)

    async def put(self, world: spec.World) -> spec.World:
        """Put a world into the store; return what is in it."""
        await self._put_people(world)
        roles = {each.id: each for each in world.roles.values() if await self._put_role(each)}
        documents = [each for each in world.documents if await self._put_document(each)]
        grants = [each for each in world.grants if each.role in roles and await self._put_grant(each)]
        return replace(world, roles=roles, documents=tuple(documents), grants=tuple(grants))

    async def _put_people(self, world: spec.World) -> None:
        here = self.world
        for user in USERS:
            name = NAMES[user]
            await here.apply("identity", made("user", User(id=user, username=name, state=USER_STATE_ACTIVE)))
        for project in PROJECTS:
            await here.apply("identity", made("project", Project(id=project, name="project")))
        # In any order: a group may be heard of before the one above it.
        for group in GROUPS:
            await here.apply("groups", made("group", Group(id=group, parent_group_id=world.parents.get(group, ""))))
        for group, members in world.members.items():
            for member in sorted(members):
                await here.join(group, ref(member))

    async def _put_role(self, role: spec.Role) -> bool:
        kind = RoleKind.NARROWED if role.resource_type else RoleKind.COMPOSED
        draft = RoleDraft(
            handle=_handle(role.id),
            kind=kind if role.includes else RoleKind.BASIC,
            language=role.language,
            document=role.text,
            included=tuple(_handle(each) for each in role.includes),
            resource_type_id=role.resource_type,
            permissions=role.permissions,
            boundary_kind=None if role.includes else BoundaryKind(role.boundary_kind.value),
        )
        return await self._done(role.id, lambda unit: create_role(unit, draft))

    async def _put_document(self, document: spec.Document) -> bool:
        draft = Draft("policy", subject=subject_of(document.holder), language=document.language, document=document.text)
        return await self._done(document.id, lambda unit: create_policy(unit, draft))

    async def _put_grant(self, grant: spec.Grant) -> bool:
        if grant.holder == NOBODY:
            return False
        key = GrantKey(subject_of(grant.holder), _handle(grant.role), stored_boundary(grant.boundary))
        # Where two of them join the same three things, the first is the one that there is.
        return await self._done(grant.id, lambda unit: create_grant(unit, key)[0])

    async def _done(self, name: str, operation: Any) -> bool:
        try:
            made = await self.world.do(operation)
        except ConcordError:
            self.refused += 1
            return False
        if made.id in self.names:
            return False
        self.names[made.id] = name
        self.entries.update((each.id, at) for at, each in enumerate(getattr(made, "statements", ())))
        return True

    def repaired(self, world: spec.World, principal: str, repair: Repair) -> spec.World:
        """Return a world with a change made that was offered."""
        named = self.names.get
        match repair.kind:
            case explanation_pb2.REPAIR_KIND_ADD_MEMBER:
                members = {**world.members, repair.group_id: world.members[repair.group_id] | {principal}}
                return replace(world, members=members)
            case explanation_pb2.REPAIR_KIND_CREATE_GRANT:
                role = world.roles.get(named(repair.role_id, "")) or _supplied(repair.role_id)
                subject = repair.subject
                holder = subject.group_id or subject.principal.id or EVERYONE
                given = spec.Grant("given", holder, role.id, role.language, _place(repair.boundary))
                return replace(world, roles={**world.roles, role.id: role}, grants=(*world.grants, given))
            case explanation_pb2.REPAIR_KIND_DELETE_GRANT:
                return without(world, grant=named(repair.grant_id, "?"))
            case explanation_pb2.REPAIR_KIND_REMOVE_POLICY:
                return without(world, document=named(repair.policy_id, "?"))
            case explanation_pb2.REPAIR_KIND_DELETE_ROLE:
                return replace(world, grants=tuple(g for g in world.grants if g.role != named(repair.role_id)))
        return self._without_statement(world, repair)

    def _without_statement(self, world: spec.World, repair: Repair) -> spec.World:
        at = self.entries[repair.statement_id]
        if repair.policy_id:
            name = self.names[repair.policy_id]
            documents = (replace(d, text=_shorter(d.text, at)) if d.id == name else d for d in world.documents)
            return replace(world, documents=tuple(documents))
        role = world.roles[self.names[repair.role_id]]
        return replace(world, roles={**world.roles, role.id: replace(role, text=_shorter(role.text, at))})


def _shorter(text: str, at: int) -> str:
    return json.dumps({name: rows[:at] + rows[at + 1 :] for name, rows in json.loads(text).items()})


def _supplied(role_id: str) -> spec.Role:
    role = supplied_roles()[RoleId(role_id)]
    kind = EngineKind(role.boundary_kind.value)
    return spec.Role(role_id, role.language, permissions=role.permissions, boundary_kind=kind)


def _place(boundary: WireBoundary) -> Boundary:
    if boundary.project_ids:
        return Boundary(EngineKind.PROJECTS, project_ids=frozenset(boundary.project_ids))
    if boundary.group_id:
        return Boundary(EngineKind.GROUP_SUBTREE, group_id=boundary.group_id)
    if boundary.owner_user_id:
        return Boundary(EngineKind.OWNER_ACCOUNT, owner_user_id=boundary.owner_user_id)
    own = boundary.kind == BOUNDARY_KIND_OWN_DIVISIONS
    return Boundary(EngineKind.OWN_DIVISIONS) if own else Boundary()


def ref(user: str) -> PrincipalRef:
    """Return a principal of a world."""
    return PrincipalRef(PrincipalKind.USER, user)


def _handle(role_id: str) -> str:
    return f"role {role_id[:8]}"


def askable(question: Question, now: Any) -> Question:
    """Return a question as far as one can ask it over the rpcs, with what the service makes of what is left out."""
    request = question.request
    resource, context = request.resource, request.context
    # Of a thing with an id it is unknown where it lies, unless that is said; what is no thing lies nowhere.
    unknown = None if resource.id else frozenset[str]()
    resource = replace(
        resource,
        group_ids=resource.group_ids or unknown,
        division_ids=resource.division_ids or unknown,
        owner_user_id=resource.owner_user_id or (None if resource.id else ""),
    )
    permission, known = request.permission, find_operation(request.operation) if request.operation else None
    if not permission and not context.path:
        permission = words.PERMISSIONS[0] if known is None else known.primary_permission
    # A permission of the platform is allowed by those operations that stand for it, and by no path.
    core = permission.partition(".")[0] in CORE
    standing = () if known is None else (known.primary_permission, *known.carries)
    stands = not core if known is None else permission in (*standing, *map(_over_oneself, standing))
    asked = Request(
        permission=permission,
        # Divisions of principals are not known to the service.
        subject=replace(request.subject, division_ids=None),
        operation=request.operation,
        resource=resource,
        organization_id=request.organization_id,
        project_id="" if context.path else request.project_id,
        context=replace(context, time=context.time or now),
        operation_stands=stands or not permission,
        path_stands=not core and (not context.path or place_of(context.path).kind != "unclear"),
    )
    return replace(question, request=asked)


def _over_oneself(permission: str) -> str:
    service, _, rest = permission.partition(".")
    return f"{service}.own_{rest}"


def check_of(question: Question) -> d.Check:
    """Return an askable question as it is asked."""
    request = question.request
    resource = request.resource
    touched = d.CheckedResource(
        id=resource.id,
        name=resource.name,
        type=resource.type,
        locality=resource.locality,
        group_ids=sorted(resource.group_ids or ()),
        division_ids=sorted(resource.division_ids or ()),
        owner_user_id=resource.owner_user_id or "",
        attributes=resource.attributes,
    )
    check = d.Check(
        subject=principal_to_wire(ref(question.principal)),
        permission=request.permission,
        operation=request.operation,
        endpoint_path=request.context.path,
        endpoint_method=request.context.method,
        resource=touched,
        scopes=question.ceiling,
        context=_context(request.context),
        path_variables=request.context.path_variables,
    )
    if request.project_id:
        check.boundary.CopyFrom(WireBoundary(project_ids=[request.project_id]))
    return check


def _context(context: Context) -> d.CheckContext:
    said = d.CheckContext(ip=context.ip, user_agent=context.user_agent)
    if context.time is not None:
        said.time.CopyFrom(instant_to_wire(context.time))
    if context.mfa is not None:
        said.mfa = context.mfa
    if context.attributes:
        said.attributes.update(dict(context.attributes))
    return said


OWNER_REF = ref(OWNER)
