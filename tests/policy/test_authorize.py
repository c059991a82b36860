"""Who may make which call, and who is nobody any more."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from concord.identity.v1.user_pb2 import User
from concord.kernel.errors import Reason, Unauthenticated
from concord.kernel.ids import ProjectId
from concord.kernel.principal import PrincipalKind, PrincipalRef, TargetClass
from concord.policy.model import EVERYONE, Boundary, BoundaryKind, Effect, Statement

from .conftest import OWNER, World, allow, deleted, epoch_event, in_group, key_event, new_user, rule, session_event

OWN, OWNERS, ANY = TargetClass.OWN, TargetClass.OWNER, TargetClass.ANY
UPDATE_USER = "concord.identity.v1.UserService/UpdateUser"


async def test_the_owner_may_do_everything_whatever_policies_say(world: World) -> None:
    await world.policy(OWNER, allow("identity.users.get"))

    verdict = await world.authorizer.authorize(
        world.question(OWNER, "credentials.api_keys.create", classes=(OWN, OWNERS), target=OWNER)
    )

    assert verdict.allowed
    assert verdict.statement_ids == ("owner",)


async def test_a_stranger_to_all_policies_may_do_nothing(world: World) -> None:
    user = await world.user()

    assert not await world.allows(user, "identity.users.list")


async def test_a_policy_of_the_user_a_group_or_everyone_counts(world: World) -> None:
    user = await world.user()
    top = await world.group()
    await world.group(user, parent=top)
    await world.policy(user, allow("identity.users.get"))
    await world.policy(in_group(top), allow("identity.users.list"))
    await world.policy(EVERYONE, allow("groups.groups.list"))

    allowed = [await world.allows(user, p) for p in ("identity.users.get", "identity.users.list", "groups.groups.list")]

    assert allowed == [True, True, True]


@pytest.mark.parametrize(
    ("granted", "target", "expected"),
    [
        ("identity.users.update", "self", {OWN}),
        ("identity.users.update", "other", {ANY, OWN}),
        ("identity.users.update", "owner", None),
        ("identity.users.update", None, {ANY, OWN}),
        ("identity.own_users.update", "self", {OWN}),
        ("identity.own_users.update", "other", None),
        ("identity.own_users.update", None, {OWN}),
        ("identity.owner_users.update", "owner", {OWNERS}),
        ("identity.owner_users.update", "self", None),
        ("identity.owner_users.update", "other", None),
        ("identity.*.*", "owner", None),
        ("identity.*.*", "other", {ANY, OWN}),
    ],
)
async def test_a_right_holds_for_the_class_of_its_target(
    world: World, granted: str, target: str | None, expected: set[TargetClass] | None
) -> None:
    user = await world.user()
    await world.policy(user, allow(granted))
    named = {"self": user, "owner": OWNER, "other": new_user(), None: None}[target]

    verdict = await world.authorizer.authorize(
        world.question(user, "identity.users.update", classes=(OWN, OWNERS), target=named)
    )

    assert verdict.allowed is (expected is not None)
    assert not verdict.allowed or verdict.reach.classes == expected


async def test_asking_about_oneself_needs_no_right(world: World) -> None:
    user = await world.user()

    verdict = await world.authorizer.authorize(world.question(user, "policy.decisions.check", classes=(OWN,)))

    assert verdict.allowed
    assert verdict.reach.classes == {OWN}


async def test_rules_within_projects_open_nothing_of_the_organization(world: World) -> None:
    user = await world.user()
    project = await world.project()
    await world.policy(user, rule("AllProductsFullAccess", projects=(project,)))

    assert not await world.allows(user, "identity.users.list")


async def test_the_right_roles_of_the_catalogue_open_our_own_rpcs(world: World) -> None:
    user = await world.user()
    await world.policy(user, rule("IAMReadOnly"))

    assert await world.allows(user, "identity.applications.list")
    assert not await world.allows(user, "identity.applications.create")


@pytest.mark.parametrize(
    ("operation", "mask", "fits"),
    [
        ("scaleway/UpdateUser", ("description",), False),
        ("scaleway/CreatePolicy", ("tags",), False),
        ("scaleway/NoSuchOperation", ("tags",), False),
        ("stranger/UpdateUser", ("tags",), False),
        ("", ("username",), True),
    ],
)
async def test_a_claimed_operation_must_stand_for_the_call(
    world: World, operation: str, mask: tuple[str, ...], fits: bool
) -> None:
    question = world.question(
        OWNER, "identity.users.update", rpc=UPDATE_USER, operation=operation, update_mask=mask, classes=(OWN, OWNERS)
    )

    verdict = await world.authorizer.authorize(question)

    assert verdict.allowed is fits
    assert bool(verdict.refusal) is not fits


async def test_a_covered_operation_passes_and_its_baseline_holds_there_only(world: World) -> None:
    user = await world.user()
    question: dict[str, Any] = {"rpc": "concord.policy.v1.RoleService/ListRoles"}

    through_the_dialect = await world.allows(
        user, "policy.roles.list", operation="scaleway/ListPermissionSets", **question
    )
    natively = await world.allows(user, "policy.roles.list", **question)

    assert (through_the_dialect, natively) == (True, False)


async def test_a_ceiling_takes_away_and_never_gives(world: World) -> None:
    user = await world.user()
    await world.policy(user, allow("identity.users.*", "groups.groups.list"))
    lowered = {"passport": {"ceiling": ("identity.users.get", "credentials.api_keys.create", "openid")}}

    allowed = {
        permission: await world.allows(user, permission, **lowered)
        for permission in ("identity.users.get", "identity.users.list", "credentials.api_keys.create")
    }
    owners = await world.allows(OWNER, "identity.users.delete", passport={"ceiling": ("IAMReadOnly",)})

    assert allowed == {
        "identity.users.get": True,
        "identity.users.list": False,
        "credentials.api_keys.create": False,
    }
    assert not owners


async def test_conditions_see_the_callers_address_and_an_unnamed_resource_is_absent(world: World) -> None:
    user = await world.user()
    network = 'inIpRange(request.ip, "192.0.2.0/24")'
    await world.policy(user, allow("identity.users.get", condition=network))
    await world.policy(user, allow("identity.users.list", condition='resource.id == "x"'))
    await world.policy(user, allow("groups.groups.list", condition='resource.id == "x" || !has(resource.id)'))

    inside, outside = [
        await world.allows(user, "identity.users.get", passport={"caller_address": address})
        for address in ("192.0.2.7", "198.51.100.7")
    ]

    assert (inside, outside) == (True, False)
    assert not await world.allows(user, "identity.users.list")
    assert await world.allows(user, "groups.groups.list")


async def test_conditions_on_names_see_the_name_of_what_is_touched(world: World) -> None:
    user = await world.user()
    inside, outside = await world.application("ci-deploy"), await world.application("prod")
    await world.policy(
        user, allow("identity.applications.delete", condition='!has(resource.name) || resource.name.startsWith("ci-")')
    )

    assert await world.allows(user, "identity.applications.delete", resource_id=inside.id)
    assert not await world.allows(user, "identity.applications.delete", resource_id=outside.id)


@pytest.mark.parametrize("ending", ["key", "session", "epoch", "expiry", "suspension", "deletion"])
async def test_what_ended_authenticates_nobody(world: World, ending: str) -> None:
    user, key, session = await world.user(), str(uuid.uuid4()), str(uuid.uuid4())
    await world.policy(user, allow("identity.users.list"))
    question = world.question(user, "identity.users.list", passport={"api_key_id": key, "session_id": session})
    assert (await world.authorizer.authorize(question)).allowed

    match ending:
        case "key":
            await world.apply("credentials", key_event("api_key.deleted", key, user))
        case "session":
            await world.apply("credentials", session_event(session, user))
        case "epoch":
            await world.apply("credentials", epoch_event(user, world.clock.now()))
        case "expiry":
            world.clock.advance(timedelta(minutes=5))
        case "suspension":
            await world.suspend(user)
        case "deletion":
            await world.apply("identity", deleted("user", user.id, User))

    with pytest.raises(Unauthenticated) as refused:
        await world.authorizer.authorize(question)
    assert refused.value.reason is {
        "expiry": Reason.CREDENTIAL_EXPIRED,
        "suspension": Reason.PRINCIPAL_SUSPENDED,
        "deletion": Reason.PRINCIPAL_DELETED,
    }.get(ending, Reason.CREDENTIAL_REVOKED)


async def test_a_key_made_active_again_is_good_again(world: World) -> None:
    user, key = await world.user(), str(uuid.uuid4())
    await world.policy(user, allow("identity.users.list"))
    await world.apply("credentials", key_event("api_key.updated", key, user, state="API_KEY_STATE_SUSPENDED"))
    with pytest.raises(Unauthenticated):
        await world.allows(user, "identity.users.list", passport={"api_key_id": key})

    await world.apply("credentials", key_event("api_key.updated", key, user, state="API_KEY_STATE_ACTIVE"))

    assert await world.allows(user, "identity.users.list", passport={"api_key_id": key})


async def test_a_session_opened_after_the_epoch_is_good(world: World) -> None:
    user = await world.user()
    await world.policy(user, allow("identity.users.list"))
    await world.apply("credentials", epoch_event(user, world.clock.now()))
    world.clock.advance(timedelta(seconds=1))

    assert await world.allows(user, "identity.users.list", passport={"session_id": str(uuid.uuid4())})


async def test_a_principal_made_a_moment_ago_is_waited_for(world: World) -> None:
    user = new_user()
    world.arriving.append(lambda: world.user(user))

    assert not await world.allows(user, "identity.users.list")
    assert world.catch_ups == ["identity"]


async def test_kb36_somebody_never_heard_of_is_refused_after_catching_up(world: World) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await world.allows(new_user(), "identity.users.list")

    assert refused.value.reason is Reason.PRINCIPAL_DELETED
    assert world.catch_ups == ["identity"]


async def test_the_deployments_administrator_passes_and_other_services_do_not(world: World) -> None:
    def of(role: str, *, deployment: bool = False) -> Any:
        return world.question(PrincipalRef(PrincipalKind.SERVICE, role), "identity.users.list", deployment=deployment)

    assert (await world.authorizer.authorize(of("system"))).allowed
    assert (await world.authorizer.authorize(of("system", deployment=True))).allowed
    assert not (await world.authorizer.authorize(of("gateway"))).allowed
    assert not (await world.authorizer.authorize(world.question(OWNER, "", deployment=True))).allowed


async def test_rights_frozen_elsewhere_are_no_rights_here(world: World) -> None:
    assert not await world.allows(OWNER, "identity.users.list", passport={"rights_snapshot_id": "x"})


async def test_a_deny_within_a_place_that_is_not_known_of_the_resource_denies(world: World) -> None:
    user, group = await world.user(), await world.group()
    within = Boundary(BoundaryKind.GROUP_SUBTREE, group_id=group)
    deny = Statement(id="", effect=Effect.DENY, permissions=("identity.users.update",), boundary=within)
    await world.policy(user, allow("identity.users.*"), deny)

    # Nobody says in which groups the user lies, so it may lie in this one.
    assert not await world.allows(user, "identity.users.update", resource_id=str(uuid.uuid4()))
    assert await world.allows(user, "identity.users.list")


async def test_a_rule_of_one_project_holds_for_calls_about_that_project(world: World) -> None:
    user, shut, open_ = await world.user(), await world.project(), await world.project()
    deny = Statement(
        id="",
        effect=Effect.DENY,
        permissions=("identity.projects.update",),
        boundary=Boundary(BoundaryKind.PROJECTS, project_ids=(shut,)),
    )
    await world.policy(user, allow("identity.projects.*"), deny)

    # In both orders: what is remembered of one project must not answer for the other.
    for project, expected in ((open_, True), (shut, False), (open_, True)):
        assert await world.allows(user, "identity.projects.update", resource_id=project) is expected


def deny(*permissions: str, projects: tuple[ProjectId, ...]) -> Statement:
    within = Boundary(BoundaryKind.PROJECTS, project_ids=projects)
    return Statement(id="", effect=Effect.DENY, permissions=permissions, boundary=within)


async def test_a_deny_of_one_project_is_left_out_where_things_lie_in_projects(world: World) -> None:
    user, shut = await world.user(), await world.project()
    permissions = ("identity.projects.list", "credentials.ssh_keys.create", "identity.users.list")
    await world.policy(user, allow(*permissions), deny(*permissions, projects=(shut,)))

    for permission in permissions[:2]:
        verdict = await world.authorizer.authorize(world.question(user, permission, in_projects=True))
        assert (verdict.allowed, verdict.reach.everything) == (True, True)
        assert verdict.reach.except_project_ids == {shut}
    # What belongs to the organization as a whole lies in no project that could be left out.
    whole = await world.authorizer.authorize(world.question(user, "identity.users.list"))
    assert (whole.allowed, whole.reach.everything, whole.reach.except_project_ids) == (True, True, frozenset())


async def test_rights_in_some_projects_open_what_lies_there(world: World) -> None:
    user, one, two, shut = await world.user(), *[await world.project() for _ in range(3)]
    within = Boundary(BoundaryKind.PROJECTS, project_ids=(one, two, shut))
    await world.policy(user, allow("credentials.ssh_keys.*", boundary=within))
    await world.policy(user, deny("credentials.ssh_keys.*", projects=(shut,)))

    verdict = await world.authorizer.authorize(world.question(user, "credentials.ssh_keys.list", in_projects=True))

    assert (verdict.allowed, verdict.reach.everything) == (True, False)
    assert verdict.reach.project_ids == {one, two}
    assert not await world.allows(user, "credentials.ssh_keys.list")


async def test_rights_that_are_denied_wherever_they_hold_open_nothing(world: World) -> None:
    user, shut = await world.user(), await world.project()
    within = Boundary(BoundaryKind.PROJECTS, project_ids=(shut,))
    await world.policy(user, allow("credentials.ssh_keys.*", boundary=within))
    await world.policy(user, deny("credentials.ssh_keys.*", projects=(shut,)))

    assert not await world.allows(user, "credentials.ssh_keys.list", in_projects=True)


async def test_a_question_about_one_project_is_about_that_one_though_things_lie_in_projects(world: World) -> None:
    user, shut, open_ = await world.user(), await world.project(), await world.project()
    await world.policy(user, allow("identity.projects.*"), deny("identity.projects.*", projects=(shut,)))

    def asked(project: str) -> Any:
        return world.question(user, "identity.projects.get", resource_id=project, in_projects=True)

    assert not (await world.authorizer.authorize(asked(shut))).allowed
    verdict = await world.authorizer.authorize(asked(open_))
    assert verdict.allowed
    assert verdict.reach.holds_in(open_)
    assert not verdict.reach.holds_in(shut)


async def test_what_is_remembered_of_the_whole_organization_answers_for_no_project(world: World) -> None:
    user, shut = await world.user(), await world.project()
    await world.policy(user, allow("identity.users.list"), deny("identity.users.list", projects=(shut,)))

    for in_projects in (False, True, False):
        question = world.question(user, "identity.users.list", in_projects=in_projects)
        verdict = await world.authorizer.authorize(question)
        assert verdict.reach.except_project_ids == ({shut} if in_projects else frozenset())


async def test_classes_that_hold_in_different_places_are_not_granted_each_others(world: World) -> None:
    user, one, two = await world.user(), await world.project(), await world.project()
    for permission, project in (("groups.memberships.get", one), ("groups.own_memberships.get", two)):
        within = Boundary(BoundaryKind.PROJECTS, project_ids=(project,))
        await world.policy(user, allow(permission, boundary=within))

    verdict = await world.authorizer.authorize(
        world.question(user, "groups.memberships.get", classes=(OWN,), in_projects=True)
    )

    assert (verdict.reach.project_ids, verdict.reach.classes) == ({one}, {ANY})


async def test_a_ceiling_leaves_out_what_the_rights_below_it_leave_out(world: World) -> None:
    user, shut = await world.user(), await world.project()
    await world.policy(user, allow("credentials.ssh_keys.*"), deny("credentials.ssh_keys.*", projects=(shut,)))
    question = world.question(
        user,
        "credentials.ssh_keys.list",
        in_projects=True,
        passport={"ceiling": ("credentials.ssh_keys.list",)},
    )

    verdict = await world.authorizer.authorize(question)

    assert verdict.allowed
    assert verdict.reach.except_project_ids == {shut}


async def test_a_native_call_is_not_covered_by_what_an_operation_only_carries(world: World) -> None:
    user = await world.user()
    by_operation = Statement(id="", effect=Effect.ALLOW, operations=("scaleway/CreateUser",))
    await world.policy(user, by_operation)
    rpc = "concord.credentials.v1.PasswordService/SetPassword"

    assert not await world.allows(user, "credentials.passwords.set", rpc=rpc)
