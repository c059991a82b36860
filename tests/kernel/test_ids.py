"""Ids: canonical, in the order of their making, and the same again where they are derived."""

import time
import uuid

from concord.kernel import ids
from concord.kernel.ids import GroupId, UserId


def test_a_new_id_is_a_canonical_uuid_of_version_7() -> None:
    new = ids.new(UserId)

    assert ids.is_canonical(new)
    assert uuid.UUID(new).version == 7
    assert uuid.UUID(new).variant == uuid.RFC_4122


def test_ids_sort_by_the_millisecond_of_their_making_and_never_repeat() -> None:
    first = ids.new(UserId)
    time.sleep(0.002)
    later = [ids.new(UserId) for _ in range(1000)]

    assert all(first < each for each in later)
    assert len(set(later)) == 1000


def test_a_derived_id_belongs_to_its_names_alone() -> None:
    derived = ids.derive(GroupId, "a", "bc")

    assert ids.is_canonical(derived)
    assert uuid.UUID(derived).version == 5
    assert derived == ids.derive(GroupId, "a", "bc")
    assert derived != ids.derive(GroupId, "ab", "c")
