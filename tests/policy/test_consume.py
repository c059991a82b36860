"""What happens elsewhere, and what follows from it here."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from concord.credentials.v1.oauth_client_pb2 import OAuthClient
from concord.groups.v1.group_pb2 import Group
from concord.identity.v1.application_pb2 import Application
from concord.identity.v1.organization_pb2 import ORGANIZATION_STATE_SUSPENDED, Organization
from concord.identity.v1.project_pb2 import Project
from concord.identity.v1.user_pb2 import User
from concord.kernel import ids
from concord.kernel.errors import Reason, Unauthenticated
from concord.kernel.ids import GroupId, PolicyId
from concord.kernel.paging import PageRequest
from concord.kernel.rpc.wire import principal_to_wire
from concord.policy.model import NOBODY, PolicyFilter, SubjectKind
from fakes import ORGANIZATION

from .conftest import OWNER, World, allow, deleted, epoch_event, event, in_group, key_event, rule

ALL = PageRequest(order=(("name", False),))


async def policies(world: World) -> Any:
    page = await world.ask(lambda store: store.list_policies(ORGANIZATION, PolicyFilter(), ALL, with_statements=True))
    return page.items


@pytest.mark.parametrize("kind", ["user", "application", "group"])
async def test_named_policies_outlive_their_subject_without_one(world: World, kind: str) -> None:
    match kind:
        case "user":
            ref = await world.user()
            policy = await world.policy(ref, allow("identity.users.get"))
            gone = deleted("user", ref.id, User)
        case "application":
            ref = await world.application()
            policy = await world.policy(ref, allow("identity.users.get"))
            gone = deleted("application", ref.id, Application)
        case _:
            group = await world.group()
            policy = await world.policy(in_group(group), allow("identity.users.get"))
            gone = deleted("group", group, Group)

    await world.apply("groups" if kind == "group" else "identity", gone)

    after = await world.ask(lambda store: store.find_policy(ORGANIZATION, policy.id))
    assert after.subject == NOBODY
    assert after.statements == policy.statements
    assert after.update_time == policy.update_time
    assert after.version == policy.version + 1


async def test_a_deleted_project_leaves_boundaries_and_widens_none(world: World) -> None:
    user, one, other = await world.user(), await world.project(), await world.project()
    await world.policy(
        user,
        rule("AllProductsFullAccess", projects=(one,)),
        rule("AllProductsReadOnly", projects=(one, other)),
    )

    await world.apply("identity", deleted("project", one, Project))

    (policy,) = await policies(world)
    assert [each.boundary.project_ids for each in policy.statements] == [(), (other,)]
    assert policy.boundary_count == 1
    assert not await world.allows(user, "identity.users.list")


async def test_an_organization_is_born_with_the_policies_of_its_catalogues(world: World) -> None:
    await world.born("scaleway", "unheard-of")
    await world.born("scaleway")

    born = await policies(world)

    counts = {each.name: (each.statement_count, each.boundary_count, each.role_count) for each in born}
    assert counts == {
        "Group - Administrators": (3, 2, 12),
        "Group - Billing Administrators": (1, 1, 2),
        "Group - Editors": (2, 2, 4),
    }
    for policy in born:
        name = policy.name.removeprefix("Group - ")
        assert policy.subject.id == ids.derive(GroupId, ORGANIZATION, "scaleway", name)
        assert policy.id == ids.derive(PolicyId, ORGANIZATION, "scaleway", policy.name)
        assert (policy.editable, policy.deletable, policy.managed) == (True, True, False)
        assert (policy.catalogue, policy.language) == ("scaleway", "role_rules")


async def test_members_of_the_birth_groups_have_what_their_names_say(world: World) -> None:
    await world.born("scaleway")
    administrator, editor = await world.user(), await world.user()
    await world.join(ids.derive(GroupId, ORGANIZATION, "scaleway", "Administrators"), administrator)
    await world.join(ids.derive(GroupId, ORGANIZATION, "scaleway", "Editors"), editor)

    assert await world.allows(administrator, "identity.applications.create")
    assert not await world.allows(editor, "identity.applications.create")


async def test_the_birth_is_recorded_and_names_only_roles_there_are(world: World) -> None:
    from concord.policy.compiling import check_statements
    from concord.policy.operations.births import give_birth

    changes = await world.recorded(lambda unit: give_birth(unit, ["scaleway"]))

    assert [each.type for each in changes] == ["policy.created"] * 3
    for change in changes:
        check_statements("role_rules", change.after.statements)


async def test_nobody_acts_in_a_suspended_or_deleted_organization(world: World) -> None:
    suspended = Organization(id=ORGANIZATION, owner_user_id=OWNER.id, state=ORGANIZATION_STATE_SUSPENDED)
    await world.apply("identity", event("organization.updated", suspended))
    with pytest.raises(Unauthenticated) as refused:
        await world.allows(OWNER, "identity.users.list")
    assert refused.value.reason is Reason.PRINCIPAL_SUSPENDED

    await world.apply("identity", deleted("organization", ORGANIZATION, Organization))

    with pytest.raises(Unauthenticated) as refused:
        await world.allows(OWNER, "identity.users.list")
    assert refused.value.reason is Reason.PRINCIPAL_DELETED


async def test_changes_of_kinds_that_decide_nothing_are_passed_over(world: World) -> None:
    before = await world.ask(lambda store: store.stamps(ORGANIZATION, OWNER))

    await world.apply("identity", event("security_settings.updated", Project(id=str(uuid.uuid4()))))
    await world.apply("credentials", key_event("api_key.created", str(uuid.uuid4()), OWNER))

    assert await world.ask(lambda store: store.stamps(ORGANIZATION, OWNER)) == before


async def test_applying_a_page_twice_is_applying_it_once(world: World) -> None:
    ref = await world.user()
    policy = await world.policy(ref, allow("identity.users.get"))
    gone = deleted("user", ref.id, User)
    await world.apply("identity", gone)

    await world.units.apply("identity", [gone], lambda unit, change: pytest.fail("applied again"))

    after = await world.ask(lambda store: store.find_policy(ORGANIZATION, policy.id))
    assert (after.subject.kind, after.version) == (SubjectKind.NONE, 2)


async def test_a_deleted_client_ends_the_passports_made_from_it(world: World) -> None:
    application, client = await world.application(), str(uuid.uuid4())
    await world.policy(application, allow("identity.users.list"))
    passport = {"api_key_id": client}
    assert await world.allows(application, "identity.users.list", passport=passport)

    bearer = principal_to_wire(application)
    gone = event("oauth_client.deleted", OAuthClient(id=client, bearer=bearer), gone=True)
    await world.apply("credentials", gone)

    with pytest.raises(Unauthenticated) as refused:
        await world.allows(application, "identity.users.list", passport=passport)
    assert refused.value.reason is Reason.CREDENTIAL_REVOKED


@pytest.mark.parametrize("type", ["oauth_client.updated", "client_secret.deleted"])
async def test_a_client_that_lost_something_voids_the_passports_made_from_it_so_far(world: World, type: str) -> None:
    application, client = await world.application(), str(uuid.uuid4())
    await world.policy(application, allow("identity.users.list"))
    passport = {"api_key_id": client}
    assert await world.allows(application, "identity.users.list", passport=passport)

    await world.apply("credentials", event(type, OAuthClient(id=client, bearer=principal_to_wire(application))))

    with pytest.raises(Unauthenticated) as refused:
        await world.allows(application, "identity.users.list", passport=passport)
    assert refused.value.reason is Reason.CREDENTIAL_REVOKED


async def test_a_deleted_client_that_acts_for_nobody_ends_nothing(world: World) -> None:
    before = await world.ask(lambda store: store.stamps(ORGANIZATION, OWNER))

    await world.apply("credentials", event("oauth_client.deleted", OAuthClient(id=str(uuid.uuid4())), gone=True))

    assert await world.ask(lambda store: store.stamps(ORGANIZATION, OWNER)) == before


@pytest.mark.parametrize("minutes", [1, 4, 60])
async def test_no_passport_outlives_an_expiry_that_was_set_after_it(world: World, minutes: int) -> None:
    user, key = await world.user(), str(uuid.uuid4())
    await world.policy(user, allow("identity.users.list"))
    made = {"api_key_id": key, "issue_time": world.clock.now()}
    world.clock.advance(timedelta(seconds=1))
    expire_time = world.clock.now() + timedelta(minutes=minutes)

    await world.apply(
        "credentials", key_event("api_key.updated", key, user, expire_time=expire_time, state="API_KEY_STATE_ACTIVE")
    )

    if minutes == 60:
        # It ends by itself before the key does.
        assert await world.allows(user, "identity.users.list", passport=made)
        return
    with pytest.raises(Unauthenticated) as refused:
        await world.allows(user, "identity.users.list", passport=made)
    assert refused.value.reason is Reason.CREDENTIAL_REVOKED
    world.clock.advance(timedelta(seconds=1))
    # One that was made since has the end in it.
    assert await world.allows(user, "identity.users.list", passport={"api_key_id": key})


async def test_an_epoch_voids_passports_made_until_it_was_there_to_be_read(world: World) -> None:
    user, session = await world.user(), str(uuid.uuid4())
    await world.policy(user, allow("identity.users.list"))
    raised = world.clock.now()
    # The write waited for its turn; meanwhile the session was still good.
    world.clock.advance(timedelta(seconds=2))
    made = {"session_id": session, "issue_time": world.clock.now()}
    world.clock.advance(timedelta(seconds=1))

    await world.apply("credentials", epoch_event(user, raised))

    with pytest.raises(Unauthenticated):
        await world.allows(user, "identity.users.list", passport=made)
    world.clock.advance(timedelta(seconds=1))
    assert await world.allows(user, "identity.users.list", passport={"session_id": session})


async def test_an_epoch_that_arrives_late_does_not_void_what_was_made_long_after_it(world: World) -> None:
    user, session = await world.user(), str(uuid.uuid4())
    await world.policy(user, allow("identity.users.list"))
    raised = world.clock.now()
    world.clock.advance(timedelta(minutes=3))

    await world.apply("credentials", epoch_event(user, raised))

    assert await world.allows(user, "identity.users.list", passport={"session_id": session})
