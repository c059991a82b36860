"""Room under a limit."""

import pytest

from concord.kernel.errors import QuotaExceeded
from concord.kernel.quotas import require_room


def never():
    raise AssertionError("counted for nothing")


def test_there_is_room_below_a_limit():
    require_room("users", 2, lambda: 1)


@pytest.mark.parametrize("current", [2, 3])
def test_there_is_no_room_at_a_limit_or_beyond_it(current):
    with pytest.raises(QuotaExceeded) as refused:
        require_room("users", 2, lambda: current)

    assert (refused.value.quota, refused.value.limit, refused.value.current) == ("users", 2, current)


def test_without_a_limit_nothing_is_counted():
    require_room("users", None, never)
