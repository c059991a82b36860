"""What people come for, from beginning to end, through each way in."""

import contextlib
import uuid
from collections.abc import Callable, Iterator

import pytest

from journeys.driver import DRIVERS, Driver, Key, Refused
from processes import RunningSuite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]


@pytest.fixture(params=DRIVERS)
def owner(request: pytest.FixtureRequest, suite: RunningSuite) -> Iterator[Driver]:
    """The organization's owner, through one way in."""
    driver = DRIVERS[request.param](suite)
    yield driver
    driver.close()


@contextlib.contextmanager
def calling(owner: Driver, key: Key) -> Iterator[Driver]:
    """Call with a key while the block runs."""
    driver = owner.calling_with(key)
    try:
        yield driver
    finally:
        driver.close()


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.why


def test_quickstart(owner: Driver) -> None:
    application = owner.create_application(unique("ci"))
    grant = owner.grant(application, "IAMReadOnly")
    key = owner.create_key(application)

    with calling(owner, key) as robot:
        assert robot.application_names() == owner.application_names()
        assert refusal(lambda: robot.create_application("not by a robot")) == "denied"
        owner.revoke(grant)
        assert refusal(robot.application_names) == "denied"
        again = owner.grant(application, "IAMManager")
        owner.delete_application(robot.create_application(unique("by a robot")))
        owner.delete_key(key)
        assert refusal(robot.application_names) == "unauthenticated"

    owner.delete_application(application)
    assert owner.holder_is_gone(again)
    owner.revoke(again)


def test_users_come_are_locked_and_go(owner: Driver) -> None:
    name = unique("ada")
    user = owner.create_user(name)
    grant = owner.grant(user, "IAMReadOnly")
    key = owner.create_key(user)

    assert refusal(lambda: owner.create_user(name)) == "conflict"
    with calling(owner, key) as ada:
        assert ada.username(user) == name
        owner.lock_user(user)
        assert refusal(ada.application_names) == "unauthenticated"
        owner.unlock_user(user)
        assert ada.application_names() == owner.application_names()
        owner.rename_user(user, f"{name}-2")
        assert ada.username(user) == f"{name}-2"
        second = owner.create_user(name)  # the name is free again
        assert second.id != user.id
        owner.delete_user(second)
        owner.delete_user(user)
        assert refusal(ada.application_names) == "unauthenticated"

    assert refusal(lambda: owner.username(user)) == "not_found"
    assert owner.holder_is_gone(grant)
    owner.revoke(grant)


def test_a_groups_rights_are_its_members_while_they_are_members(owner: Driver) -> None:
    name = unique("crew")
    group = owner.create_group(name)
    user, application = owner.create_user(unique("eve")), owner.create_application(unique("bot"))
    grant = owner.grant(group, "IAMReadOnly")
    keys = [owner.create_key(bearer) for bearer in (user, application)]

    assert owner.group_name(group) == name
    with calling(owner, keys[0]) as eve, calling(owner, keys[1]) as bot:
        for member, caller in ((user, eve), (application, bot)):
            assert refusal(caller.application_names) == "denied"
            owner.add_member(group, member)
            assert caller.application_names()
        assert owner.members(group) == {user.id, application.id}
        owner.remove_member(group, user)
        assert refusal(eve.application_names) == "denied"
        assert bot.application_names()
        owner.delete_group(group)
        assert refusal(bot.application_names) == "denied"

    assert refusal(lambda: owner.group_name(group)) == "not_found"
    assert owner.holder_is_gone(grant)
    owner.revoke(grant)
    owner.delete_user(user)
    owner.delete_application(application)
