"""Keys: made once, readable by their owner only, usable by several processes, rotated."""

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from concord.kernel.keyring import KeyFault, Keyring, SealBroken


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "keys"


def test_a_key_stays_the_same_and_differs_from_the_others(directory):
    ring = Keyring(directory)
    keys = [ring.hashing_key(), ring.page_key(), ring.key("requests")]

    again = Keyring(directory)

    assert [again.hashing_key(), again.page_key(), again.key("requests")] == keys
    assert len(set(keys)) == 3
    assert all(len(key) == 32 for key in keys)


def test_keys_are_readable_by_their_owner_only(directory):
    Keyring(directory).seal(Keyring(directory).hashing_key(), b"")

    assert directory.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in directory.glob("*.key")] == [0o600, 0o600]


def test_processes_that_start_together_agree_on_every_key(directory):
    rings = [Keyring(directory) for _ in range(16)]

    with ThreadPoolExecutor(16) as threads:
        keys = set(threads.map(lambda ring: ring.hashing_key(), rings))
        sealed = list(threads.map(lambda ring: ring.seal(b"x", b"c"), rings))

    assert len(keys) == 1
    assert {rings[0].open(each, b"c") for each in sealed} == {b"x"}


def test_what_is_sealed_opens_in_its_context_only(directory):
    ring = Keyring(directory)
    sealed = ring.seal(b"plain", b"user 1")

    assert ring.open(sealed, b"user 1") == b"plain"
    assert b"plain" not in sealed
    assert ring.seal(b"plain", b"user 1") != sealed
    with pytest.raises(SealBroken):
        ring.open(sealed, b"user 2")


def test_no_altered_or_shortened_seal_opens(directory):
    ring = Keyring(directory)
    sealed = ring.seal(b"plain", b"context")

    for at in range(len(sealed)):
        with pytest.raises(SealBroken):
            ring.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], b"context")
        with pytest.raises(SealBroken):
            ring.open(sealed[:at], b"context")


def test_after_a_rotation_old_seals_open_and_new_ones_use_the_new_key(directory):
    ring = Keyring(directory)
    old = ring.seal(b"old", b"c")
    other_process = Keyring(directory)
    other_process.seal(b"", b"")

    key_id = ring.rotate_sealing_key()
    new = ring.seal(b"new", b"c")

    assert old[1:5].hex() != key_id
    assert new[1:5].hex() == key_id
    assert [other_process.open(each, b"c") for each in (old, new)] == [b"old", b"new"]


def test_keys_from_the_environment_make_no_file(directory):
    keys = {name: base64.b64encode(bytes([at] * 32)).decode() for at, name in enumerate("abc")}
    ring = Keyring(
        directory,
        {
            "CONCORD_KEY_HASHING": keys["a"],
            "CONCORD_KEYS_SEALING": f"00000002:{keys['b']},00000001:{keys['c']}",
            "CONCORD_KEY_ROLE_GATEWAY": keys["b"],
        },
    )

    assert ring.hashing_key() == bytes(32)
    assert ring.seal(b"x", b"")[1:5].hex() == "00000002"
    assert ring.role_key("gateway").private_bytes_raw() == bytes([1] * 32)
    assert not directory.exists()


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(bytes(31)).decode(), "hunter2-hunter2-hunter2"])
def test_an_unusable_key_is_named_and_not_repeated(directory, text):
    with pytest.raises(KeyFault, match="CONCORD_KEY_HASHING") as caught:
        Keyring(directory, {"CONCORD_KEY_HASHING": text}).hashing_key()

    assert not text or text not in str(caught.value)


def test_a_damaged_file_is_refused_and_never_replaced(directory):
    Keyring(directory).hashing_key()
    (directory / "hashing.key").write_text("damaged")

    with pytest.raises(KeyFault, match=r"hashing\.key"):
        Keyring(directory).hashing_key()
    assert (directory / "hashing.key").read_text() == "damaged"


def test_a_role_is_verified_by_its_own_public_key(directory):
    ring = Keyring(directory)
    signature = ring.role_key("identity").sign(b"text")

    ring.role_public_key("identity").verify(signature, b"text")
    assert ring.role_public_key("gateway") != ring.role_public_key("identity")


def test_a_public_key_alone_is_enough_to_verify(directory, tmp_path):
    signer = Keyring(directory).role_key("credentials")
    public = base64.b64encode(signer.public_key().public_bytes_raw()).decode()
    ring = Keyring(tmp_path / "elsewhere", {"CONCORD_PUBLIC_KEY_ROLE_CREDENTIALS": public})

    ring.role_public_key("credentials").verify(signer.sign(b"text"), b"text")
    assert not (tmp_path / "elsewhere").exists()
