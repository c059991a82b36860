"""Keys of every look, their rotation with an overlap, approval and revocation, showing a secret again."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from concord.common.v1.passport_pb2 import Ceiling
from concord.credentials.v1 import api_key_pb2, api_key_service_pb2, authentication_service_pb2
from concord.identity.v1.security_settings_pb2 import SecuritySettings
from concord.kernel.errors import Reason
from concord.kernel.principal import TargetClass
from concord.kernel.rpc.wire import instant_to_wire
from concord.policy.v1.quota_pb2 import Quota
from credentials.making import APPLICATION, OWNER, USER, World, fresh_id
from fakes import ORGANIZATION, START

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# The looks that clients of five kinds know: what an access id and a secret of each must match.
LOOKS = {
    "prefixed pair": (
        api_key_pb2.KeyFormat(
            access_id_prefix="keyId-", access_id_alphabet=LETTERS, access_id_length=40,
            secret_prefix="secret-", secret_alphabet=LETTERS, secret_length=60,
        ),
        r"keyId-[A-Za-z0-9]{40}", r"secret-[A-Za-z0-9]{60}", True,
    ),
    "short secret": (
        api_key_pb2.KeyFormat(
            access_id_alphabet=LETTERS, access_id_length=32, secret_alphabet=LETTERS, secret_length=16
        ),
        r"[A-Za-z0-9]{32}", r"[A-Za-z0-9]{16}", False,
    ),
    "uuid": (
        api_key_pb2.KeyFormat(access_id_prefix="SCW", access_id_length=17, secret_is_uuid=True),
        r"SCW[A-Z0-9]{17}", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", True,
    ),
    "client": (
        api_key_pb2.KeyFormat(access_id_alphabet=LETTERS, access_id_length=24, secret_length=43),
        r"[A-Za-z0-9]{24}", r"[A-Za-z0-9]{43}", True,
    ),
    "token": (
        api_key_pb2.KeyFormat(access_id_prefix="tok_", secret_alphabet=LETTERS + "-_", secret_length=64),
        r"tok_[A-Z0-9]{20}", r"[A-Za-z0-9_-]{64}", True,
    ),
}  # fmt: skip


def pair(key: Any, secret: str = "") -> Any:
    return authentication_service_pb2.ApiKeyCredential(access_id=key.api_key.access_id, secret=secret or key.secret)


async def rotate(world: World, key: Any, metadata: Any = None, **fields: Any) -> Any:
    request = api_key_service_pb2.RotateApiKeyRequest(id=key.api_key.id, **fields)
    return await world.keys.RotateApiKey(request, metadata=metadata or world.system)


async def set_state(world: World, key: Any, state: int, **fields: Any) -> Any:
    request = api_key_service_pb2.SetApiKeyStateRequest(id=key.api_key.id, state=state, **fields)  # type: ignore[arg-type]
    return await world.keys.SetApiKeyState(request, metadata=world.system)


async def reveal(world: World, metadata: Any = None, **fields: Any) -> Any:
    request = api_key_service_pb2.RevealApiKeyRequest(**fields)
    return await world.keys.RevealApiKey(request, metadata=metadata or world.system)


@pytest.mark.parametrize("look", LOOKS)
async def test_a_key_has_the_look_it_is_asked_for_and_authenticates(world: World, look: str) -> None:
    key_format, access_id, secret, identifies = LOOKS[look]

    key = await world.create_key(USER, key_format=key_format)
    rotated = await rotate(world, key, key_format=key_format)

    for each in (key, rotated):
        assert re.fullmatch(access_id, each.api_key.access_id)
        assert re.fullmatch(secret, each.secret)
        assert each.api_key.secret_identifies is identifies
    assert (await world.authenticate(api_key=pair(rotated))).content.api_key_id == key.api_key.id


@pytest.mark.parametrize(
    ("key_format", "field"),
    [
        ({"secret_length": 15}, "key_format.secret_length"),
        ({"secret_alphabet": "0123456789", "secret_length": 28}, "key_format.secret_length"),
        ({"access_id_length": 12}, "key_format.access_id_length"),
        ({"secret_prefix": "cct_"}, "key_format.secret_prefix"),
        ({"access_id_prefix": "a:b"}, "key_format.access_id_prefix"),
        ({"secret_alphabet": "aab"}, "key_format.secret_alphabet"),
        ({"secret_is_uuid": True, "secret_length": 20}, "key_format.secret_is_uuid"),
    ],
)
async def test_a_look_with_too_little_chance_in_it_is_refused(world: World, key_format: Any, field: str) -> None:
    key = await world.create_key()
    wanted = api_key_pb2.KeyFormat(**key_format)

    errors: list[Any] = [
        await world.refusal(world.create_key(key_format=wanted)),
        await world.refusal(rotate(world, key, key_format=wanted)),
    ]

    assert [each.reason for each in errors] == [Reason.INVALID_FIELDS] * 2
    assert all(field in [violation.field for violation in each.violations] for each in errors)
    await world.authenticate(api_key=pair(key))


async def test_a_rotation_replaces_id_and_secret_at_once(world: World) -> None:
    key = await world.create_key(USER, name="ci")
    session = await world.create_session(key.secret)

    rotated = await rotate(world, key)

    before = key.api_key
    assert (rotated.api_key.id, rotated.api_key.name, rotated.api_key.number) == (before.id, "ci", before.number)
    assert rotated.api_key.access_id != before.access_id
    assert rotated.secret != key.secret
    assert rotated.api_key.rotate_time == instant_to_wire(START)
    assert not rotated.api_key.HasField("former_expire_time")
    for shown in ({"api_key": pair(key)}, {"bearer_token": key.secret}):
        assert (await world.refusal(world.authenticate(**shown))).reason is Reason.CREDENTIAL_REVOKED
    refused = await world.refusal(world.authenticate(access_token=session.access_token.token))
    assert refused.reason is Reason.CREDENTIAL_REVOKED
    assert (await world.authenticate(bearer_token=rotated.secret)).content.api_key_id == before.id
    assert (await world.events())[-1].type == "api_key.rotated"


async def test_the_pair_before_is_good_to_the_last_instant_of_its_overlap(world: World) -> None:
    key = await world.create_key(USER)
    end = START + timedelta(hours=1)

    rotated = await rotate(world, key, overlap=Duration(seconds=3600))

    assert rotated.api_key.former_expire_time == instant_to_wire(end)
    world.clock.set(end - timedelta(seconds=2))
    for shown in ({"api_key": pair(key)}, {"bearer_token": key.secret}):
        assert (await world.authenticate(**shown)).expire_time == instant_to_wire(end)
    mixed = await world.refusal(world.authenticate(api_key=pair(key, rotated.secret)))
    assert mixed.reason is Reason.CREDENTIAL_INVALID
    session = await world.create_session(key.secret)
    assert session.session.expire_time == instant_to_wire(end)
    world.clock.set(end)
    for shown in ({"api_key": pair(key)}, {"bearer_token": key.secret}):
        assert (await world.refusal(world.authenticate(**shown))).reason is Reason.CREDENTIAL_REVOKED
    await world.authenticate(api_key=pair(rotated))


async def test_a_second_rotation_ends_the_overlap_of_the_first(world: World) -> None:
    key = await world.create_key(USER)
    second = await rotate(world, key, overlap=Duration(seconds=3600))

    third = await rotate(world, key, overlap=Duration(seconds=3600))

    assert (await world.refusal(world.authenticate(api_key=pair(key)))).reason is Reason.CREDENTIAL_REVOKED
    await world.authenticate(api_key=pair(second))
    await world.authenticate(api_key=pair(third))


@pytest.mark.parametrize("ending", ["suspend", "delete"])
async def test_the_pair_before_ends_with_its_key(world: World, ending: str) -> None:
    key = await world.create_key(USER)
    rotated = await rotate(world, key, overlap=Duration(seconds=3600))

    if ending == "suspend":
        await set_state(world, key, api_key_pb2.API_KEY_STATE_SUSPENDED)
    else:
        await world.keys.DeleteApiKey(api_key_service_pb2.DeleteApiKeyRequest(id=key.api_key.id), metadata=world.system)

    for each in (key, rotated):
        assert (await world.refusal(world.authenticate(api_key=pair(each)))).reason is Reason.CREDENTIAL_REVOKED


@pytest.mark.parametrize("seconds", [-1, 1, 599, 604801])
async def test_an_overlap_is_bounded(world: World, seconds: int) -> None:
    key = await world.create_key()

    error: Any = await world.refusal(rotate(world, key, overlap=Duration(seconds=seconds)))

    assert error.violations[0].field == "overlap"
    await world.authenticate(api_key=pair(key))


async def test_an_expired_or_unknown_key_is_not_rotated(world: World) -> None:
    key = await world.create_key(expire_time=instant_to_wire(START + timedelta(minutes=1)))
    world.clock.set(START + timedelta(minutes=1))

    expired = await world.refusal(rotate(world, key))
    key.api_key.id = fresh_id()
    unknown = await world.refusal(rotate(world, key))

    assert (expired.reason, unknown.reason) == (Reason.INVALID_STATE, Reason.RESOURCE_NOT_FOUND)


async def test_a_rotation_that_is_only_checked_changes_nothing_and_tells_no_secret(world: World) -> None:
    key = await world.create_key()

    tried = await rotate(world, key, validate_only=True)

    assert not tried.secret
    await world.authenticate(api_key=pair(key))


async def test_fifty_parallel_rotations_leave_one_good_secret(world: World) -> None:
    key = await world.create_key(USER)

    answers = await asyncio.gather(*(rotate(world, key) for _ in range(50)))

    shown = await asyncio.gather(*(world.authenticate(api_key=pair(each)) for each in answers), return_exceptions=True)
    assert sum(not isinstance(each, BaseException) for each in shown) == 1
    assert len({each.api_key.access_id for each in answers}) == 50


async def test_of_fifty_parallel_rotations_with_one_etag_one_wins(world: World) -> None:
    key = await world.create_key(USER)

    answers = await asyncio.gather(*(rotate(world, key, etag="1") for _ in range(50)), return_exceptions=True)

    won = [each for each in answers if not isinstance(each, BaseException)]
    assert len(won) == 1
    await world.authenticate(api_key=pair(won[0]))


async def test_fifty_parallel_creations_at_the_limit_make_exactly_what_there_is_room_for(world: World) -> None:
    await world.hear("quota.set", fresh_id(), Quota(name="api_keys", limit=20), source="policy")

    answers = await asyncio.gather(*(world.create_key() for _ in range(50)), return_exceptions=True)

    assert sum(not isinstance(each, BaseException) for each in answers) == 20
    error = await world.refusal(world.create_key())
    assert error.reason is Reason.QUOTA_EXCEEDED


async def test_a_key_is_approved_revoked_and_approved_again(world: World) -> None:
    key = await world.create_key(USER)
    session = await world.create_session(key.secret)

    revoked = await set_state(world, key, api_key_pb2.API_KEY_STATE_SUSPENDED)
    refused = await world.refusal(world.authenticate(api_key=pair(key)))
    again = await set_state(world, key, api_key_pb2.API_KEY_STATE_SUSPENDED)
    approved = await set_state(world, key, api_key_pb2.API_KEY_STATE_ACTIVE)

    assert revoked.state == api_key_pb2.API_KEY_STATE_SUSPENDED
    assert refused.reason is Reason.CREDENTIAL_REVOKED
    assert again.version == revoked.version
    assert approved.version == revoked.version + 1
    await world.authenticate(api_key=pair(key))
    ended = await world.refusal(world.authenticate(access_token=session.access_token.token))
    assert ended.reason is Reason.CREDENTIAL_REVOKED


@pytest.mark.parametrize("state", [0, 3, 99])
async def test_a_key_is_given_no_state_but_active_and_suspended(world: World, state: int) -> None:
    key = await world.create_key()

    error: Any = await world.refusal(set_state(world, key, state))

    assert error.violations[0].field == "state"


async def test_a_recoverable_secret_is_shown_again_until_its_key_is_deleted(world: World) -> None:
    key = await world.create_key(USER, secret_recoverable=True, key_format=LOOKS["short secret"][0])

    by_id = await reveal(world, id=key.api_key.id)
    by_name = await reveal(world, access_id=key.api_key.access_id)
    tried = await reveal(world, id=key.api_key.id, validate_only=True)
    rotated = await rotate(world, key, key_format=LOOKS["short secret"][0])
    after = await reveal(world, id=key.api_key.id)
    await world.keys.DeleteApiKey(api_key_service_pb2.DeleteApiKeyRequest(id=key.api_key.id), metadata=world.system)
    gone = await world.refusal(reveal(world, id=key.api_key.id))

    assert (by_id.secret, by_name.secret, tried.secret, after.secret) == (key.secret, key.secret, "", rotated.secret)
    assert gone.reason is Reason.RESOURCE_NOT_FOUND
    told = [each for each in await world.events() if each.type == "api_key.revealed"]
    assert len(told) == 3
    assert all(
        secret.encode() not in each.SerializeToString() for each in told for secret in (key.secret, after.secret)
    )


async def test_a_secret_that_is_kept_as_a_hash_is_not_shown(world: World) -> None:
    key = await world.create_key(USER)

    error = await world.refusal(reveal(world, id=key.api_key.id))
    nothing: Any = await world.refusal(reveal(world))

    assert error.reason is Reason.INVALID_STATE
    assert nothing.violations[0].field == "locator"


async def test_a_credential_with_limits_gets_no_secret_that_may_do_more(world: World) -> None:
    limited = await world.create_key(OWNER, ceiling=Ceiling(scopes=["a"]))
    whole = await world.create_key(USER, secret_recoverable=True)
    beyond = await world.create_key(USER, secret_recoverable=True, ceiling=Ceiling(scopes=["a", "b"]))
    within = await world.create_key(USER, secret_recoverable=True, ceiling=Ceiling(scopes=["a"]))
    caller = (("authorization", f"Bearer {limited.secret}"),)

    for key in (whole, beyond):
        assert (await world.refusal(reveal(world, caller, id=key.api_key.id))).reason is Reason.PERMISSION_DENIED
        assert (await world.refusal(rotate(world, key, caller))).reason is Reason.PERMISSION_DENIED
        await world.authenticate(api_key=pair(key))
    assert (await reveal(world, caller, id=within.api_key.id)).secret == within.secret
    await rotate(world, within, caller)


@pytest.mark.parametrize("call", ["rotate", "state", "reveal"])
async def test_the_owners_key_needs_the_right_for_the_owner(world: World, call: str) -> None:
    key = await world.create_key(OWNER, secret_recoverable=True)
    world.decisions.grant(TargetClass.ANY, TargetClass.OWN)
    caller = await world.create_key(APPLICATION)
    metadata = (("authorization", f"Bearer {caller.secret}"),)

    if call == "rotate":
        asked = rotate(world, key, metadata)
    elif call == "reveal":
        asked = reveal(world, metadata, id=key.api_key.id)
    else:
        asked = world.keys.SetApiKeyState(
            api_key_service_pb2.SetApiKeyStateRequest(id=key.api_key.id, state=api_key_pb2.API_KEY_STATE_SUSPENDED),
            metadata=metadata,
        )

    assert (await world.refusal(asked)).reason is Reason.PERMISSION_DENIED
    await world.authenticate(api_key=pair(key))


async def test_the_longest_life_of_keys_binds_new_ones_only(world: World) -> None:
    old = await world.create_key(USER)
    settings = SecuritySettings(id=ORGANIZATION)
    settings.max_api_key_ttl.FromTimedelta(timedelta(days=1))
    await world.hear("security_settings.updated", ORGANIZATION, settings)

    without = await world.refusal(world.create_key(USER))
    late = await world.refusal(world.create_key(USER, expire_time=instant_to_wire(START + timedelta(days=2))))
    good = await world.create_key(USER, expire_time=instant_to_wire(START + timedelta(days=1)))
    rotated = await rotate(world, old)

    assert (without.reason, late.reason) == (Reason.INVALID_FIELDS, Reason.INVALID_FIELDS)
    await world.authenticate(api_key=pair(good))
    assert not rotated.api_key.HasField("expire_time")


async def test_kb36_a_name_that_is_used_again_is_another_key(world: World) -> None:
    first = await world.create_key(USER, name="deploy")
    await world.keys.DeleteApiKey(api_key_service_pb2.DeleteApiKeyRequest(id=first.api_key.id), metadata=world.system)

    second = await world.create_key(USER, name="deploy")

    assert second.api_key.id != first.api_key.id
    assert second.api_key.access_id != first.api_key.access_id
    assert second.api_key.number != first.api_key.number
    assert (await world.refusal(world.authenticate(api_key=pair(first)))).reason is Reason.CREDENTIAL_REVOKED
