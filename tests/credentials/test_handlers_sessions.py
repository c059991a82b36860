"""Sessions over the wire: how long they last, and how they end."""

import asyncio
from datetime import timedelta

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from concord.common.v1.passport_pb2 import Ceiling
from concord.credentials.background.trimming import Trimmer
from concord.credentials.model.sessions import SESSION_TTL
from concord.credentials.operations.sessions import KEPT
from concord.credentials.v1 import (
    session_pb2,
    session_service_pb2,
)
from concord.kernel.errors import Reason
from concord.kernel.rpc.wire import instant_to_wire
from credentials.making import APPLICATION, USER, World, principal_message
from credentials.people import background
from fakes import START


async def test_old_sessions_are_forgotten_in_the_background(world: World):
    key = await world.create_key()
    session = await world.create_session(key.secret)
    world.clock.advance(KEPT + SESSION_TTL + timedelta(seconds=1))

    task = asyncio.ensure_future(background(world, Trimmer).run())
    get = session_service_pb2.GetSessionRequest(id=session.session.id)
    async with asyncio.timeout(10):
        while True:
            try:
                await world.sessions.GetSession(get, metadata=world.system)
            except grpc.aio.AioRpcError:
                break
    task.cancel()

    error = await world.refusal(world.authenticate(access_token=session.access_token.token))
    assert error.reason is Reason.CREDENTIAL_INVALID


async def test_a_session_lasts_an_hour_or_as_long_as_asked(world: World):
    key = await world.create_key()
    end = START + timedelta(minutes=90)
    short_key = await world.create_key(expire_time=instant_to_wire(end))

    usual = await world.create_session(key.secret)
    longer = await world.create_session(key.secret, ttl=Duration(seconds=7200))
    bound = await world.create_session(short_key.secret, ttl=Duration(seconds=7200))
    too_long = await world.refusal(world.create_session(key.secret, ttl=Duration(seconds=31 * 86400)))

    assert usual.session.expire_time == instant_to_wire(START + SESSION_TTL)
    assert longer.access_token.expire_time == instant_to_wire(START + timedelta(hours=2))
    assert bound.session.expire_time == instant_to_wire(end)
    assert too_long.violations[0].field == "ttl"


async def test_a_session_is_its_principals_and_says_how_it_came(world: World):
    key = await world.create_key(USER, ceiling=Ceiling(scopes=["reader"]))
    session = await world.create_session(key.secret)

    answer = await world.authenticate(bearer_token=session.access_token.token)
    events = [each for each in await world.events() if each.type == "session.created"]

    assert answer.content.session_id == session.session.id
    assert answer.content.api_key_id == key.api_key.id
    assert list(answer.content.methods) == ["session", "api_key"]
    assert list(answer.content.ceiling.scopes) == ["reader"]
    assert events[0].author.principal == principal_message(USER)


async def test_a_revoked_session_has_ended(world: World):
    key = await world.create_key()
    session = await world.create_session(key.secret)

    for _ in range(2):
        await world.sessions.RevokeSession(
            session_service_pb2.RevokeSessionRequest(id=session.session.id), metadata=world.system
        )

    error = await world.refusal(world.authenticate(access_token=session.access_token.token))
    found = await world.sessions.GetSession(
        session_service_pb2.GetSessionRequest(id=session.session.id), metadata=world.system
    )
    assert error.reason is Reason.CREDENTIAL_REVOKED
    assert found.state == session_pb2.SESSION_STATE_ENDED
    assert [each.type for each in await world.events()].count("session.ended") == 1


async def test_revoking_all_sessions_leaves_keys_and_others_alone(world: World):
    mine, other = await world.create_key(USER), await world.create_key(APPLICATION)
    sessions = [await world.create_session(mine.secret) for _ in range(3)]
    spared = await world.create_session(other.secret)

    await world.sessions.RevokeAllSessions(
        session_service_pb2.RevokeAllSessionsRequest(principal=principal_message(USER)), metadata=world.system
    )

    for each in sessions:
        error = await world.refusal(world.authenticate(access_token=each.access_token.token))
        assert error.reason is Reason.CREDENTIAL_REVOKED
    assert (await world.authenticate(access_token=spared.access_token.token)).passport
    live = await world.sessions.ListSessions(
        session_service_pb2.ListSessionsRequest(live_only=True), metadata=world.system
    )
    assert [each.id for each in live.sessions] == [spared.session.id]
    assert (await world.create_session(mine.secret)).access_token.token
