"""Rotating the deployment's keys under a service that goes on serving."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from concord.credentials.background.resealing import AT_ONCE, Resealer
from concord.credentials.background.resealing import KEPT_AFTER as SEALS_KEPT
from concord.credentials.secrets.passports import KEPT_AFTER, PUBLISHED_FIRST, PassportOffice
from concord.credentials.v1 import api_key_service_pb2, authentication_service_pb2
from concord.kernel.clock import SettableClock
from concord.kernel.keyring import KeyFault, Keyring, SealBroken
from concord.policy.v1.quota_pb2 import Quota
from credentials.making import USER, World, fresh_id

NOW = datetime.now(UTC)


def made_at(ring: Keyring, directory: Path, kind: str, instant: datetime) -> None:
    """Let the newest key of a kind have been made at an instant."""
    path = sorted(directory.glob(f"{kind}-*-*.key"))[-1]
    os.utime(path, (instant.timestamp(), instant.timestamp()))


async def shown(world: World, key: Any) -> str:
    request = api_key_service_pb2.RevealApiKeyRequest(id=key.api_key.id)
    answer = await world.keys.RevealApiKey(request, metadata=world.system)
    secret: str = answer.secret
    return secret


async def seals(world: World) -> set[bytes]:
    """The heads of all seals of keys' secrets."""
    from sqlalchemy import select

    from concord.credentials.sql.tables import api_key

    rows = await world.units.database.read(
        lambda connection: connection.execute(select(api_key.c.sealed_secret)).scalars().all()
    )
    return {bytes(each[:5]) for each in rows if each is not None}


@pytest.fixture
def directory(world: World) -> Path:
    found: Path = world.keyring._directory
    return found


async def test_after_a_rotation_everything_is_sealed_anew_and_the_old_key_goes(world: World, directory: Path) -> None:
    await world.hear("quota.set", fresh_id(), Quota(name="api_keys", unlimited=True), source="policy")
    keys = [await world.create_key(USER, secret_recoverable=True) for _ in range(AT_ONCE + 5)]
    clock = SettableClock(NOW)
    resealer = Resealer(world.units, world.keyring, clock)
    (old,) = world.keyring.sealing_keys()

    # Another process rotates, as the command does.
    fresh = Keyring(directory).rotate_sealing_key()
    renewed = await resealer.finish()

    assert renewed >= len(keys)
    assert await seals(world) == {b"\x01" + bytes.fromhex(fresh)}
    assert await shown(world, keys[0]) == keys[0].secret
    resealer.retire()
    assert [each.id for each in world.keyring.sealing_keys()] == [old.id, fresh]
    made_at(world.keyring, directory, "sealing", NOW - SEALS_KEPT)
    resealer.retire()
    assert [each.id for each in world.keyring.sealing_keys()] == [fresh]
    assert await shown(world, keys[-1]) == keys[-1].secret
    assert await resealer.finish() == 0


async def test_renewing_goes_on_where_it_was_cut_off(world: World, directory: Path) -> None:
    await world.hear("quota.set", fresh_id(), Quota(name="api_keys", unlimited=True), source="policy")
    for _ in range(AT_ONCE + 5):
        await world.create_key(USER, secret_recoverable=True)
    Keyring(directory).rotate_sealing_key()

    first = await Resealer(world.units, world.keyring, world.clock).step()
    half = await seals(world)
    # A new process knows nothing of the one before.
    rest = await Resealer(world.units, Keyring(directory), world.clock).finish()

    assert (first, rest >= 5) == (AT_ONCE, True)
    assert len(half) == 2
    assert len(await seals(world)) == 1


async def test_a_secret_that_changes_while_seals_are_renewed_is_not_set_back(world: World, directory: Path) -> None:
    key = await world.create_key(USER, secret_recoverable=True)
    ring = Keyring(directory)
    ring.rotate_sealing_key()
    stale = await world.units.read(lambda store: store.sealed_otherwise(ring.newest_seal(), 10))
    rotated = await world.keys.RotateApiKey(
        api_key_service_pb2.RotateApiKeyRequest(id=key.api_key.id), metadata=world.system
    )

    for row in stale:
        fresh = ring.seal(ring.open(row.sealed, row.context), row.context)
        await world.units.database.write(
            "", lambda connection, row=row, fresh=fresh: world.units._store(connection).replace_seal(row, fresh)
        )

    assert await shown(world, key) == rotated.secret


async def test_hashed_secrets_and_live_passports_survive_a_rotation(world: World, directory: Path) -> None:
    key = await world.create_key(USER)
    credential = authentication_service_pb2.ApiKeyCredential(access_id=key.api_key.access_id, secret=key.secret)
    before = await world.authenticate(api_key=credential)

    ring = Keyring(directory)
    ring.rotate_sealing_key()
    ring.rotate_passport_key()
    after = await world.authenticate(api_key=credential)

    for each in (before, after):
        await world.keys.GetApiKey(
            api_key_service_pb2.GetApiKeyRequest(id=key.api_key.id),
            metadata=(("authorization", f"Bearer {each.passport}"),),
        )


def test_a_passport_key_is_published_before_it_signs_and_goes_after_its_last_passport(tmp_path: Path) -> None:
    def published(office: PassportOffice) -> list[str]:
        return [each.kid for each in office.keys()]  # noqa: SIM118 - no mapping, but what is published

    directory = tmp_path / "keys"
    ring, clock = Keyring(directory), SettableClock(NOW)
    office = PassportOffice(ring, clock)
    first = office.kid

    Keyring(directory).rotate_passport_key()
    made_at(ring, directory, "passports", NOW)
    early = published(office)
    assert (early[0], len(early), office.kid) == (first, 2, first)

    clock.set(NOW + PUBLISHED_FIRST)
    second = office.kid
    assert second == early[1]
    assert published(office) == [second, first]

    clock.set(NOW + KEPT_AFTER - timedelta(seconds=1))
    office.retire()
    assert len(office.keys()) == 2
    clock.set(NOW + KEPT_AFTER)
    office.retire()
    assert published(office) == [second]
    assert published(PassportOffice(Keyring(directory), clock)) == [second]


def test_the_newest_key_is_never_retired(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / "keys")
    sealed = ring.seal(b"x", b"c")
    (only,) = ring.sealing_keys()

    ring.retire("sealing", only.id)
    ring.retire("sealing", "00000000")

    assert ring.open(sealed, b"c") == b"x"


def test_what_a_retired_key_sealed_does_not_open(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / "keys")
    sealed = ring.seal(b"x", b"c")
    (old,) = ring.sealing_keys()
    ring.rotate_sealing_key()

    ring.retire("sealing", old.id)
    third = ring.rotate_sealing_key()

    with pytest.raises(SealBroken):
        ring.open(sealed, b"c")
    assert ring.sealing_keys()[-1].id == third


def test_keys_from_the_environment_are_rotated_there(tmp_path: Path) -> None:
    text = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    ring = Keyring(
        tmp_path / "keys",
        {"CONCORD_KEY_ROLE_PASSPORTS": text, "CONCORD_KEYS_SEALING": f"00000002:{text},00000001:{text}"},
    )

    with pytest.raises(KeyFault, match="CONCORD_KEY_ROLE_PASSPORTS"):
        ring.rotate_passport_key()
    assert [each.id for each in ring.passport_keys()] == ["environment"]
    assert [each.id for each in ring.sealing_keys()] == ["00000001", "00000002"]


def test_a_list_of_keys_tells_nothing_of_the_keys(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    ring = Keyring(directory)
    ring.hashing_key()
    ring.rotate_sealing_key()
    newest = ring.rotate_sealing_key()
    PassportOffice(ring, SettableClock(NOW))
    ring.rotate_passport_key()

    listed = ring.listed()

    kinds = sorted(each.kind for each in listed)
    assert kinds == ["hashing", "passports", "role-passports", "sealing", "sealing"]
    assert [each.id for each in listed if each.kind == "sealing" and each.newest] == [newest]
    texts = [path.read_text().strip() for path in directory.glob("*.key")]
    assert not any(text in repr(listed) + repr(ring.sealing_keys()) for text in texts)
