"""Repairs: each that is offered allows when it is made, and none that would is missing."""

import pytest

from concord.policy.reading import supplied_roles
from fakes import ORGANIZATION
from policy.conftest import OWNER, World

from .brute import allowed_after, apply, every_repair, name_of
from .small_worlds import question, small_world, told


@pytest.mark.parametrize("seed", range(24))
async def test_no_single_change_is_missing_and_each_that_is_offered_allows(world: World, seed: int) -> None:
    small = await small_world(world, seed)
    for _ in range(3):
        check = question(small)
        passport = world.passport(OWNER)
        explained = await world.explaining.explain(ORGANIZATION, passport, check)
        (decision,) = await world.checks.decide(ORGANIZATION, passport, [check])

        assert explained.decision == decision
        if decision.allowed:
            assert explained.repairs == ()
            continue
        assert explained.complete
        left_out = set(supplied_roles()) - (some := set(small.random.sample(sorted(supplied_roles()), 4)))
        looked_at = [each for each in explained.repairs if each.role_id not in left_out]
        assert {name_of(each) for each in looked_at} == await every_repair(small, check, sorted(some)), told(check)
        assert sorted(each.order for each in explained.repairs) == [each.order for each in explained.repairs]
        for repair in explained.repairs:
            assert await allowed_after(small, check, apply(small, repair)), (repair, told(check))
