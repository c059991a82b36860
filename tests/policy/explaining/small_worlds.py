"""Small worlds in a real store, in every language, about which a question is asked that is mostly refused."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from concord.kernel.errors import Invalid
from concord.kernel.ids import ProjectId
from concord.kernel.principal import PrincipalRef
from concord.policy.checks import Call, Check, Touched
from concord.policy.engine import Context
from concord.policy.model import EVERYONE, Boundary, BoundaryKind, RoleKind, Subject, SubjectKind
from concord.policy.operations.grants import GrantKey, create_grant
from concord.policy.operations.inline_policies import set_inline_policy
from concord.policy.operations.policies import Draft, create_policy
from concord.policy.operations.roles import RoleDraft, create_role
from fakes import ORGANIZATION
from policy.conftest import World

PERMISSIONS = ("shop.orders.read", "shop.orders.write", "shop.carts.read", "identity.users.get")
PATHS = ("/shop/orders", "/shop/orders/1", "/shop/carts")
BASES = ("*", "/shop", "/other")
INSIDE, OUTSIDE = "10.0.0.1", "192.0.2.1"


@dataclass
class Small:
    """One world, and who and what is in it."""

    world: World
    random: Random
    user: PrincipalRef
    rows: bool = False
    """Whether most of what is said is about rows, of which all must allow."""
    projects: list[ProjectId] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)

    def boundaries(self) -> list[Boundary]:
        """Return every boundary that a grant could have here."""
        return [
            Boundary(BoundaryKind.OWNER_ACCOUNT),
            *(Boundary(BoundaryKind.PROJECTS, project_ids=(each,)) for each in self.projects),
            Boundary(BoundaryKind.PROJECTS, project_ids=tuple(self.projects)),
            *(Boundary(BoundaryKind.GROUP_SUBTREE, group_id=each) for each in self.groups),
            Boundary(BoundaryKind.OWN_DIVISIONS),
            Boundary(BoundaryKind.ORGANIZATION, organization_id=ORGANIZATION),
        ]


async def small_world(world: World, seed: int) -> Small:
    """Make a world."""
    random = Random(seed)
    small = Small(world, random, await world.user(name="ada"), rows=seed % 3 == 0)
    small.projects = [ProjectId(await world.project()) for _ in range(2)]
    top = await world.group()
    small.groups = [top, await world.group(parent=top), await world.group()]
    for group in small.groups:
        if random.random() < 0.4:
            await world.join(group, small.user)
    for draft in _role_drafts(random):
        role = await world.do(lambda unit, draft=draft: create_role(unit, draft))
        small.roles.append(role.id)
    composed = RoleDraft(kind=RoleKind.COMPOSED, included=(random.choice(small.roles[:3]),))
    small.roles.append((await world.do(lambda unit: create_role(unit, composed))).id)
    for _ in range(random.randint(0, 4)):
        await _grant(small)
    for _ in range(random.randint(0, 4)):
        await _say(small)
    return small


def question(small: Small) -> Check:
    """Return a question about the user."""
    random = small.random
    places = random.choice([(), (), (small.projects[0],), tuple(small.projects)])
    inside = random.random() < 0.5
    called = small.rows or random.random() < 0.6
    call = Call(random.choice(PATHS), random.choice(("GET", "POST"))) if called else Call()
    if random.random() < 0.2 and not small.rows:
        where = random.choice([f"/v1/projects/{small.projects[0]}/x", f"/auth/groups/{small.groups[1]}/x"])
        call = Call(where, "GET")
    touched = Touched()
    if random.random() < 0.4:
        groups = random.choice([None, frozenset({small.groups[0], small.groups[1]}), frozenset({small.groups[2]})])
        touched = Touched(id="o1", name="order", group_ids=groups, division_ids=None, owner_user_id=None)
    return Check(
        permission=random.choice(PERMISSIONS),
        subject=small.user,
        operation=random.choice(("", "", "soracom/User:getUser")),
        project_ids=places,
        resource=touched,
        context=Context(ip=random.choice((INSIDE, OUTSIDE)) if inside else ""),
        call=call,
    )


def _role_drafts(random: Random) -> list[RoleDraft]:
    broad = random.choice(("shop.*.*", "*", "shop.orders.*"))
    return [
        RoleDraft(handle="broad", permissions=(broad,)),
        RoleDraft(handle="reader", permissions=PERMISSIONS[:1]),
        RoleDraft(handle="denying", document=_statements(random, random.choice(PERMISSIONS))),
        RoleDraft(
            handle="rows", language="endpoint_rows", document=_rows(random.choice(("*", "/shop", "/other")), "*")
        ),
        RoleDraft(handle="network", language="endpoint_rows", document=_rows("*", f"{INSIDE}/24")),
        RoleDraft(handle="nothing", language="endpoint_rows", document='{"resources": []}'),
        RoleDraft(handle="scope", language="endpoint_scopes", document=_scope(random)),
        RoleDraft(handle="verbs", language="resource_roles", document=_verbs(random)),
        RoleDraft(handle="calls", language="call_statements", document=_calls(random)),
        RoleDraft(handle="here", permissions=PERMISSIONS[:2], boundary_kind=BoundaryKind.ORGANIZATION),
    ]


def _statements(random: Random, permission: str) -> str:
    deny = {"effect": "deny", "permissions": [permission], "condition": random.choice(("", "request.ip == '10.0.0.1'"))}
    rows = [deny, {"effect": "allow", "permissions": [random.choice((permission, "shop.*.read"))]}]
    return json.dumps({"statements": random.sample(rows, random.randint(1, 2))})


def _rows(base: str, network: str) -> str:
    return json.dumps({"resources": [{"basePath": base, "path": "*", "verb": "*", "ipAddress": network}]})


def _scope(random: Random) -> str:
    paths = random.choice((["/**"], ["/shop/**"], ["/v1/projects/**", "/auth/groups/**"]))
    denied = random.choice(([], [{"path": "/shop/carts", "method": "*"}]))
    allowed = [{"path": path, "method": "*"} for path in paths]
    return json.dumps({"allowed_endpoints": allowed, "denied_endpoints": denied})


def _verbs(random: Random) -> str:
    types = random.choice((["shop.orders"], ["shop.carts", "shop.orders"], ["identity.users"]))
    return json.dumps({"permissions": [{"verb": random.choice(("read", "manage")), "resource_types": types}]})


def _rules(random: Random) -> str:
    return json.dumps({"rules": [{"role_names": [random.choice(("IAMReadOnly", "ProjectReadOnly"))]}]})


def _calls(random: Random) -> str:
    effect = random.choice(("allow", "deny"))
    return json.dumps({"statements": [{"effect": effect, "api": random.choice(("*", "User:*", "User:getUser"))}]})


async def _grant(small: Small) -> None:
    random = small.random
    holder = random.choice([Subject.of(small.user), *(Subject(SubjectKind.GROUP, each) for each in small.groups)])
    role, boundary = random.choice(small.roles), random.choice(small.boundaries())
    boundary = random.choice([boundary, small.boundaries()[-1]])
    if small.rows:
        role, boundary = random.choice(small.roles[3:6]), small.boundaries()[-1]
    # There are places where a role may not be held.
    with suppress(Invalid):
        await small.world.do(lambda unit: create_grant(unit, GrantKey(holder, role, boundary)))


async def _say(small: Small) -> None:
    random = small.random
    holder = random.choice(
        [Subject.of(small.user), EVERYONE, *(Subject(SubjectKind.GROUP, each) for each in small.groups)]
    )
    language, document = random.choice(
        [
            ("role_rules", _rules(random)),
            ("statements", _statements(random, random.choice(PERMISSIONS))),
            ("statements", _statements(random, random.choice(PERMISSIONS))),
            ("endpoint_rows", _rows("*", random.choice(("*", f"{INSIDE}/24")))),
            ("endpoint_rows", _rows("/other", "*")),
            ("call_statements", _calls(random)),
        ][3 if small.rows else 0 :]
    )
    if random.random() < 0.5 and language != "endpoint_rows":
        await small.world.do(lambda unit: set_inline_policy(unit, holder, language=language, document=document))
        return
    draft = Draft("said", subject=holder, language=language, document=document)
    await small.world.do(lambda unit: create_policy(unit, draft))


def told(check: Check) -> dict[str, Any]:
    """Return a question in words, for failures."""
    return {"permission": check.permission, "call": check.call, "places": check.project_ids, "ip": check.context.ip}
