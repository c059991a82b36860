"""Signing keys turn as time goes by, and nobody who verifies notices."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.message import Message
from joserfc import jwt
from joserfc.jwk import KeySet

from concord.credentials.background.key_turning import KeyTurner
from concord.credentials.operations.signing_keys import KEPT_AFTER, PUBLISHED_BEFORE, SIGNS_FOR
from concord.credentials.secrets.signing import Signer
from concord.credentials.v1 import oauth_client_pb2, oauth_service_pb2, signing_key_pb2
from concord.kernel.rpc.passports import mint_service_token
from credentials.making import APPLICATION, World
from credentials.oauth_making import JWT, OAuth

RS256 = oauth_client_pb2.SIGNING_ALGORITHM_RS256


class Turning(OAuth):
    """The authorization server, with its clockwork in the test's hands."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._turner = KeyTurner(world.units, world.clock, Signer(world.keyring))

    async def pass_time(self, step: timedelta) -> None:
        self.world.clock.advance(step)
        await self._turner.turn()

    async def keys(self) -> list[Any]:
        found = await self.stub.ListSigningKeys(oauth_service_pb2.ListSigningKeysRequest())
        return [each for each in found.signing_keys if each.algorithm == "RS256"]

    async def key_set(self) -> KeySet:
        return KeySet.import_key_set({"keys": [json.loads(each.public_jwk) for each in await self.keys()]})

    async def rotate(self, **fields: Any) -> Message:
        token = mint_service_token("system", self.world.keyring.role_key("system"), clock=self.world.clock)
        answer: Message = await self.stub.RotateSigningKey(
            oauth_service_pb2.RotateSigningKeyRequest(**fields), metadata=(("authorization", f"Bearer {token}"),)
        )
        return answer


@pytest_asyncio.fixture
async def turning(world: World) -> AsyncIterator[Turning]:
    yield Turning(world)


async def signed(turning: Turning, party: Any) -> str:
    got = await turning.exchange(party, "client_credentials")
    text: str = got.access_token.token
    return text


def kid_of(token: str, keys: KeySet) -> str:
    """Verify a token as a relying party does, and return by which key."""
    found: str = jwt.decode(token, keys, algorithms=["RS256"]).header["kid"]
    return found


async def test_one_key_signs_and_the_next_one_is_known_already(turning: Turning) -> None:
    party = await turning.client(APPLICATION, token_format=JWT)
    keys = await turning.keys()

    assert [each.state for each in keys] == [
        signing_key_pb2.SIGNING_KEY_STATE_ACTIVE,
        signing_key_pb2.SIGNING_KEY_STATE_NEXT,
    ]
    assert kid_of(await signed(turning, party), await turning.key_set()) == keys[0].kid


async def test_a_relying_party_with_a_stale_key_set_never_meets_an_unknown_key(turning: Turning) -> None:
    party = await turning.client(APPLICATION, token_format=JWT)
    stale = await turning.key_set()
    used = set()

    # It asks for the keys once a day; tokens are signed all the time.
    for hour in range(24 * 70):
        await turning.pass_time(timedelta(hours=1))
        if hour % 6 == 0:
            used.add(kid_of(await signed(turning, party), stale))
        if hour % 24 == 23:
            stale = await turning.key_set()

    assert len(used) == 3


async def test_a_retired_key_stays_until_what_it_signed_has_died_and_vanishes_then(turning: Turning) -> None:
    party = await turning.client(APPLICATION, token_format=JWT, access_token_ttl={"seconds": 86400})
    first = (await turning.keys())[0].kid
    await turning.pass_time(SIGNS_FOR - timedelta(minutes=1))
    token = await signed(turning, party)

    await turning.pass_time(timedelta(minutes=1))
    assert kid_of(token, await turning.key_set()) == first
    assert kid_of(await signed(turning, party), await turning.key_set()) != first
    await turning.pass_time(timedelta(hours=24))
    assert first in {each.kid for each in await turning.keys()}
    await turning.pass_time(KEPT_AFTER)

    assert first not in {each.kid for each in await turning.keys()}


async def test_refresh_tokens_survive_rotation(turning: Turning) -> None:
    party = await turning.client(token_format=JWT)
    got = await turning.tokens(party, scope="openid offline_access")
    before = await turning.key_set()

    await turning.pass_time(timedelta(days=29))
    await turning.rotate(algorithm=RS256)
    again = await turning.refresh(party, got.refresh_token.token)

    assert kid_of(again.access_token.token, before) != kid_of(got.access_token.token, before)
    assert kid_of(again.id_token, before) == kid_of(again.access_token.token, before)
    assert await turning.authenticates(again.access_token.token)


async def test_a_key_that_is_not_known_yet_is_not_rotated_in(turning: Turning) -> None:
    await turning.keys()
    await turning.pass_time(PUBLISHED_BEFORE)
    await turning.rotate(algorithm=RS256)

    refusal = await turning.world.refusal(turning.rotate(algorithm=RS256))

    assert refusal.reason.value == "INVALID_STATE"


async def test_a_compromised_key_goes_at_once(turning: Turning) -> None:
    stolen = (await turning.keys())[0].kid

    fresh: Any = await turning.rotate(algorithm=RS256, compromised=True)

    known = {each.kid for each in await turning.keys()}
    assert stolen not in known
    assert fresh.kid in known


async def test_only_the_deployment_rotates_keys(turning: Turning) -> None:
    request = oauth_service_pb2.RotateSigningKeyRequest()

    refusal = await turning.world.refusal(turning.stub.RotateSigningKey(request))

    assert refusal.reason.value == "CREDENTIAL_MISSING"


async def test_private_keys_are_nowhere_in_the_open(turning: Turning, tmp_path: Path) -> None:
    await turning.keys()

    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*.db*") if path.is_file())

    assert b"PRIVATE KEY" not in stored
    assert b'"d":' not in stored


@pytest.mark.parametrize("algorithm", ["RS256", "Ed25519"])
async def test_published_keys_say_what_they_are_for_and_nothing_private(turning: Turning, algorithm: str) -> None:
    found = await turning.stub.ListSigningKeys(oauth_service_pb2.ListSigningKeysRequest())
    published = [json.loads(each.public_jwk) for each in found.signing_keys if each.algorithm == algorithm]

    assert published
    for key in published:
        assert (key["alg"], key["use"]) == (algorithm, "sig")
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)
