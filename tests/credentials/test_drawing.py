"""Looks of keys: what is drawn, and what is refused."""

import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as some

from concord.credentials.secrets.drawing import TOKEN_PREFIX, KeyFormat, draw_key, draw_token
from concord.kernel.errors import Invalid

ALNUM = string.ascii_letters + string.digits


def test_a_default_key_is_found_by_its_secret():
    drawn = draw_key(KeyFormat())

    assert len(drawn.access_id) == 20
    assert len(drawn.secret.reveal()) == 43
    assert drawn.identifies


def test_a_uuid_secret_identifies():
    drawn = draw_key(KeyFormat(access_id_prefix="SCW", access_id_length=17, secret_is_uuid=True))

    assert drawn.access_id.startswith("SCW")
    assert str(uuid.UUID(drawn.secret.reveal())) == drawn.secret.reveal()
    assert drawn.identifies


@pytest.mark.parametrize(("length", "identifies"), [(16, False), (20, False), (21, True)])
def test_only_a_secret_of_122_bits_identifies(length, identifies):
    assert draw_key(KeyFormat(secret_alphabet=ALNUM, secret_length=length)).identifies is identifies


@pytest.mark.parametrize(
    ("look", "field"),
    [
        (KeyFormat(secret_alphabet=ALNUM, secret_length=15), "key_format.secret_length"),
        (KeyFormat(secret_alphabet="0123456789", secret_length=28), "key_format.secret_length"),
        (KeyFormat(access_id_length=12), "key_format.access_id_length"),
        (KeyFormat(secret_length=257), "key_format.secret_length"),
        (KeyFormat(access_id_length=-1), "key_format.access_id_length"),
        (KeyFormat(secret_alphabet="aabbccddeeff"), "key_format.secret_alphabet"),
        (KeyFormat(secret_alphabet="abcdefghi"), "key_format.secret_alphabet"),
        (KeyFormat(access_id_alphabet="0123456789:"), "key_format.access_id_alphabet"),
        (KeyFormat(access_id_prefix="a:b"), "key_format.access_id_prefix"),
        (KeyFormat(secret_prefix="x" * 17), "key_format.secret_prefix"),
        (KeyFormat(secret_prefix=TOKEN_PREFIX), "key_format.secret_prefix"),
        (KeyFormat(secret_is_uuid=True, secret_length=40), "key_format.secret_is_uuid"),
    ],
)
def test_a_bad_look_is_refused_by_its_field(look, field):
    with pytest.raises(Invalid) as refused:
        draw_key(look)

    assert field in [each.field for each in refused.value.violations]


@given(some.integers(16, 256), some.sampled_from([ALNUM, ALNUM + "-_", string.hexdigits[:16] + "+/"]))
def test_what_is_drawn_has_the_look_that_was_asked_for(length, alphabet):
    drawn = draw_key(KeyFormat(secret_prefix="p-", secret_alphabet=alphabet, secret_length=max(length, 24)))
    secret = drawn.secret.reveal()

    assert secret.startswith("p-")
    assert len(secret) == max(length, 24) + 2
    assert set(secret[2:]) <= set(alphabet)
    assert not secret.startswith(TOKEN_PREFIX)


def test_tokens_are_told_by_their_look_and_never_repeat():
    drawn = {draw_token().reveal() for _ in range(100)}

    assert len(drawn) == 100
    assert all(each.startswith(TOKEN_PREFIX) and len(each) >= 43 for each in drawn)
