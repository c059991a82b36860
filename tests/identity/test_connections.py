"""Users of one person, connected across organizations, over the contract."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from google.protobuf.empty_pb2 import Empty
from sqlalchemy import select

from concord.common.v1.change_pb2 import ChangeEvent
from concord.identity.connections import hash_token
from concord.identity.sql.tables import connection, connection_offer
from concord.identity.v1.connection_service_pb2 import (
    InitiateConnectionRequest,
    JoinConnectionRequest,
    ListConnectionsRequest,
    RemoveConnectionRequest,
)
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.organization_service_pb2 import CreateOrganizationRequest
from concord.identity.v1.user_pb2 import USER_KIND_MEMBER, USER_KIND_OWNER, User
from concord.identity.v1.user_service_pb2 import CreateUserRequest, DeleteUserRequest
from concord.kernel.database.tables import outbox_event
from concord.kernel.errors import Reason
from concord.kernel.ids import OrganizationId
from concord.kernel.secret import Secret
from identity.serving import Suite, refusal, serving

NOBODY = "99999999-9999-4999-8999-999999999999"


class Side:
    """An organization, its owner who calls, and a user of it."""

    def __init__(self, suite: Suite, born: Organization) -> None:
        self.suite = suite
        self.born = born
        self.user = User()

    @property
    def owner(self) -> Any:
        """The owner's passport of this moment."""
        return self.suite.user(self.born.owner_user_id, OrganizationId(self.born.id))

    async def initiate(self, user_id: str = "", **fields: Any) -> str:
        request = InitiateConnectionRequest(user_id=user_id or self.user.id, **fields)
        token: str = (await self.suite.connections.InitiateConnection(request, **self.owner)).token
        return token

    def join(self, token: str, user_id: str = "", **fields: Any) -> Any:
        request = JoinConnectionRequest(user_id=user_id or self.user.id, token=token, **fields)
        return self.suite.connections.JoinConnection(request, **self.owner)

    def remove(self, peer_user_id: str, user_id: str = "") -> Any:
        request = RemoveConnectionRequest(user_id=user_id or self.user.id, peer_user_id=peer_user_id)
        return self.suite.connections.RemoveConnection(request, **self.owner)

    async def peers(self, user_id: str = "") -> list[Any]:
        request = ListConnectionsRequest(user_id=user_id or self.user.id)
        return list((await self.suite.connections.ListConnections(request, **self.owner)).connections)


async def side(suite: Suite, slug: str) -> Side:
    request = CreateOrganizationRequest(
        organization=Organization(name=slug.title(), slug=slug), owner=User(primary_email=f"owner@{slug}.example")
    )
    made = Side(suite, await suite.organizations.CreateOrganization(request, **suite.signers.system()))
    user = User(kind=USER_KIND_MEMBER, username="sam")
    made.user = await suite.users.CreateUser(CreateUserRequest(user=user), **made.owner)
    return made


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[Suite]:
    async with serving(tmp_path) as served:
        yield served


@pytest_asyncio.fixture
async def acme(suite: Suite) -> Side:
    return await side(suite, "acme")


@pytest_asyncio.fixture
async def bravo(suite: Suite) -> Side:
    return await side(suite, "bravo")


async def told(suite: Suite) -> list[ChangeEvent]:
    def read(connection: Any) -> list[bytes]:
        return list(connection.execute(select(outbox_event.c.payload).order_by(outbox_event.c.revision)).scalars())

    events = [ChangeEvent.FromString(each) for each in await suite.units.database.read(read)]
    return [event for event in events if event.type.startswith("connection.")]


async def test_whoever_joins_is_shown_on_both_sides_and_told_to_both(suite: Suite, acme: Side, bravo: Side) -> None:
    assert await bravo.join(await acme.initiate()) == Empty()

    (seen,) = await acme.peers()
    assert (seen.user_id, seen.peer_user_id, seen.peer_organization_id) == (acme.user.id, bravo.user.id, bravo.born.id)
    assert (seen.peer_username, seen.peer_kind, seen.peer_organization_name) == ("sam", USER_KIND_MEMBER, "Bravo")
    assert not seen.peer_locked
    assert [each.peer_user_id for each in await bravo.peers()] == [acme.user.id]
    events = await told(suite)
    assert [(each.type, each.organization_id) for each in events] == [
        ("connection.created", bravo.born.id),
        ("connection.created", acme.born.id),
    ]
    # The other side is not told from where, and with which credential, the person acted.
    assert [each.author.HasField("principal") for each in events] == [True, False]
    told_there = events[1].author
    assert (told_there.caller_address, told_there.caller_agent, told_there.session_id) == ("", "", "")


async def test_an_end_is_one_on_both_sides(suite: Suite, acme: Side, bravo: Side) -> None:
    await bravo.join(await acme.initiate())

    await acme.remove(bravo.user.id)

    assert (await acme.peers(), await bravo.peers()) == ([], [])
    assert (await refusal(bravo.remove(acme.user.id))).reason is Reason.RESOURCE_NOT_FOUND
    assert [each.type for each in await told(suite)][2:] == ["connection.removed"] * 2


async def test_a_user_that_goes_is_connected_to_nobody(suite: Suite, acme: Side, bravo: Side) -> None:
    await bravo.join(await acme.initiate())
    offered = await acme.initiate()

    await suite.users.DeleteUser(DeleteUserRequest(id=acme.user.id), **acme.owner)

    assert await bravo.peers() == []
    assert (await refusal(bravo.join(offered))).reason is Reason.INVALID_FIELDS


async def test_a_token_is_good_once_for_an_hour_and_until_the_next(acme: Side, bravo: Side) -> None:
    first = await acme.initiate()
    second = await acme.initiate()
    stale = await refusal(bravo.join(first))
    await bravo.join(second)
    used = await refusal(bravo.join(second))
    third = await acme.initiate()
    acme.suite.clock.advance(timedelta(hours=1))

    late = await refusal(bravo.join(third))

    assert {each.reason for each in (stale, used, late)} == {Reason.INVALID_FIELDS}
    assert len({first, second, third}) == 3


async def test_of_many_that_join_with_one_token_one_does(acme: Side, bravo: Side) -> None:
    token = await acme.initiate()
    users = [bravo.user.id, bravo.born.owner_user_id]

    outcomes = await asyncio.gather(*(bravo.join(token, user_id) for user_id in users * 3), return_exceptions=True)

    assert sum(outcome == Empty() for outcome in outcomes) == 1
    assert len(await acme.peers()) == 1


async def test_two_are_connected_once_and_nobody_with_oneself(acme: Side, bravo: Side) -> None:
    await bravo.join(await acme.initiate())

    again = await refusal(bravo.join(await acme.initiate()))
    back = await refusal(acme.join(await bravo.initiate()))
    own = await refusal(acme.join(await acme.initiate()))

    assert {again.reason, back.reason} == {Reason.RESOURCE_ALREADY_EXISTS}
    assert own.reason is Reason.INVALID_FIELDS
    assert len(await acme.peers()) == 1


async def test_a_refused_join_leaves_the_offer(acme: Side, bravo: Side) -> None:
    token = await acme.initiate()

    await refusal(acme.join(token))
    await bravo.join(token, validate_only=True)

    assert await bravo.peers() == []
    assert await bravo.join(token) == Empty()


async def test_an_owner_shows_as_one_and_several_can_be_connected(acme: Side, bravo: Side) -> None:
    await bravo.join(await acme.initiate())
    acme.suite.clock.advance(timedelta(seconds=1))
    await bravo.join(await acme.initiate(), bravo.born.owner_user_id)

    assert [each.peer_kind for each in await acme.peers()] == [USER_KIND_MEMBER, USER_KIND_OWNER]


async def test_users_of_others_are_as_unknown_as_none(acme: Side, bravo: Side) -> None:
    token = await acme.initiate()
    for user_id in (acme.user.id, NOBODY):
        calls = [
            bravo.initiate(user_id),
            bravo.join(token, user_id),
            bravo.remove(acme.user.id, user_id),
            bravo.peers(user_id),
        ]
        assert {(await refusal(call)).reason for call in calls} == {Reason.RESOURCE_NOT_FOUND}
    assert (await refusal(bravo.remove(acme.user.id))).reason is Reason.RESOURCE_NOT_FOUND
    assert await bravo.join(token) == Empty()


async def test_the_token_itself_is_not_kept(suite: Suite, acme: Side) -> None:
    token = await acme.initiate()

    def read(database: Any) -> tuple[list[str], int]:
        hashes = list(database.execute(select(connection_offer.c.token_hash)).scalars())
        return hashes, len(list(database.execute(select(connection))))

    assert await suite.units.database.read(read) == ([hash_token(Secret(token))], 0)
    assert token not in hash_token(Secret(token))
    assert await acme.initiate(validate_only=True) == ""
