"""Password hashing: what it tells, what it costs others, what it refuses."""

import asyncio

import pytest

from concord.credentials.secrets.hashing import HashingSettings, PasswordHasher
from concord.kernel.config import BadSetting
from concord.kernel.errors import RateLimited
from concord.kernel.secret import Secret

CHEAP = HashingSettings(memory_kib=1024, iterations=1)


@pytest.fixture
def hasher():
    made = PasswordHasher(CHEAP)
    yield made
    made.close()


async def test_a_hash_verifies_its_password_only(hasher: PasswordHasher):
    encoded = await hasher.hash(Secret("swordfish"))

    assert encoded.startswith("$argon2id$")
    assert "swordfish" not in encoded
    assert await hasher.verify(Secret("swordfish"), encoded)
    assert not await hasher.verify(Secret("Swordfish"), encoded)
    assert not await hasher.verify(Secret("swordfish"), "no hash at all")
    assert await hasher.hash(Secret("swordfish")) != encoded


async def test_work_beyond_the_queue_is_refused_and_room_comes_back():
    hasher = PasswordHasher(HashingSettings(memory_kib=1024, iterations=1, threads=1, waiting=1))
    try:
        outcomes = await asyncio.gather(*(hasher.hash(Secret("a")) for _ in range(20)), return_exceptions=True)

        assert any(isinstance(each, RateLimited) for each in outcomes)
        assert any(isinstance(each, str) for each in outcomes)
        assert await hasher.hash(Secret("a"))
    finally:
        hasher.close()


def test_settings_come_from_variables():
    settings = HashingSettings.read({"CONCORD_PASSWORD_MEMORY_KIB": "2048", "CONCORD_PASSWORD_THREADS": "3"})

    assert settings == HashingSettings(memory_kib=2048, threads=3)


@pytest.mark.parametrize("value", ["0", "-1", "many", "999999999999"])
def test_a_useless_setting_stops_the_start_by_its_name(value):
    with pytest.raises(BadSetting, match="CONCORD_PASSWORD_THREADS"):
        HashingSettings.read({"CONCORD_PASSWORD_THREADS": value})
