"""Passwords and statuses over the wire, and what a deleted user leaves."""

import pytest

from concord.credentials.v1 import (
    password_service_pb2,
    status_service_pb2,
)
from concord.kernel.errors import Reason
from concord.kernel.principal import PrincipalKind, PrincipalRef
from credentials.making import APPLICATION, USER, World, fresh_id, principal_message


async def test_setting_a_password_ends_the_users_sessions(world: World):
    key = await world.create_key(USER)
    session = await world.create_session(key.secret)
    request = password_service_pb2.SetPasswordRequest(user_id=USER.id, password="plum-Garage-41")

    first = await world.passwords.SetPassword(request, metadata=world.system)
    request.password = "plum-Garage-42"
    second = await world.passwords.SetPassword(request, metadata=world.system)
    request.password = "plum-Garage-43"
    request.must_not_exist = True
    taken = await world.refusal(world.passwords.SetPassword(request, metadata=world.system))

    error = await world.refusal(world.authenticate(access_token=session.access_token.token))
    assert (first.version, second.version) == (1, 2)
    assert taken.reason is Reason.RESOURCE_ALREADY_EXISTS
    assert error.reason is Reason.CREDENTIAL_REVOKED


@pytest.mark.parametrize(
    ("length", "rule"), [(0, "min_length"), (7, "min_length"), (8, ""), (512, ""), (513, "max_length")]
)
async def test_a_password_has_eight_to_five_hundred_and_twelve_characters(world: World, length, rule):
    answer = await world.passwords.CheckPassword(
        password_service_pb2.CheckPasswordRequest(password=("ßéxw" * 129)[:length]), metadata=world.system
    )

    assert answer.valid is not bool(rule)
    assert [each.rule for each in answer.violations] == ([rule] if rule else [])


async def test_statuses_come_in_the_order_asked_and_leave_out_strangers(world: World):
    await world.create_key(USER)
    await world.create_key(USER)
    await world.passwords.SetPassword(
        password_service_pb2.SetPasswordRequest(user_id=USER.id, password="plum-Garage-41", temporary=True),
        metadata=world.system,
    )
    stranger = PrincipalRef(PrincipalKind.USER, fresh_id())

    asked = [principal_message(each) for each in (APPLICATION, stranger, USER, APPLICATION)]
    answer = await world.statuses.ListCredentialStatuses(
        status_service_pb2.ListCredentialStatusesRequest(principals=asked), metadata=world.system
    )

    assert [each.principal for each in answer.statuses] == [asked[0], asked[2]]
    assert not answer.statuses[0].has_password
    assert answer.statuses[1].has_password
    assert answer.statuses[1].password_temporary
    assert answer.statuses[1].api_key_count == 2


async def test_a_deleted_user_leaves_no_credential_and_each_end_is_told(world: World):
    keys = [await world.create_key(USER) for _ in range(2)]
    client = await world.create_client(USER)
    await world.passwords.SetPassword(
        password_service_pb2.SetPasswordRequest(user_id=USER.id, password="plum-Garage-41"), metadata=world.system
    )

    await world.hear("user.deleted", USER.id)

    told = [(each.type, each.resource_id) for each in await world.events() if each.type.endswith("deleted")]
    assert sorted(told) == sorted(
        [
            *(("api_key.deleted", each.api_key.id) for each in keys),
            ("oauth_client.deleted", client.oauth_client.id),
            ("password.deleted", USER.id),
        ]
    )
