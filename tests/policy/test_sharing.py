"""Programs are kept once for all who hold the same sources, and no longer than that."""

import asyncio
from collections.abc import Generator

import pytest

from concord.policy.engine import Combine, Policy, PolicySet, Program, Statement, compile_program, compile_steps
from concord.policy.sharing import SharedPrograms


def _sources(size: int) -> PolicySet:
    statements = (Statement(f"s{number}", permissions=(f"x.y{number}.z",)) for number in range(size))
    return PolicySet(Combine.ANY_OF, (Policy("p", tuple(statements)),))


def test_the_last_who_lets_go_drops_the_program() -> None:
    shared = SharedPrograms[str, str](lambda holder: None)
    program = compile_program(_sources(3))

    assert shared.hold("a", program, "first") is program
    assert shared.hold("a", compile_program(_sources(3)), "second") is program
    assert shared.weight == 3
    shared.release("a", "first")
    assert shared.find("a") is program
    shared.release("a", "second")
    assert shared.find("a") is None
    assert shared.weight == 0


def test_letting_go_of_what_one_does_not_hold_takes_it_from_nobody() -> None:
    shared = SharedPrograms[str, str](lambda holder: None)
    shared.hold("a", compile_program(_sources(1)), "first")

    shared.release("a", "stranger")
    shared.release("b", "first")

    assert shared.find("a") is not None


def test_room_is_bounded_by_weight_and_the_longest_unused_goes_first() -> None:
    dropped: list[str] = []
    shared = SharedPrograms[str, str](dropped.append, most_weight=10)
    for name in ("a", "b", "c"):
        shared.hold(name, compile_program(_sources(3)), f"holder of {name}")
    shared.hold("a", compile_program(_sources(3)), "another")

    shared.hold("d", compile_program(_sources(4)), "holder of d")

    assert dropped == ["holder of b"]
    assert [shared.find(name) is not None for name in "abcd"] == [True, False, True, True]
    assert shared.weight == 10


def test_what_a_program_takes_counts_its_lists_and_conditions() -> None:
    plain = compile_program(_sources(1))
    listed = Statement("s", permissions=tuple(f"x.y{number}.z" for number in range(400)))
    conditioned = Statement("s", permissions=("x.y.z",), condition="true" + " " * 1600)

    weights = [compile_program(PolicySet(Combine.ANY_OF, (Policy("p", (s,)),))).weight for s in (listed, conditioned)]

    assert plain.weight == 1
    assert all(weight > 100 for weight in weights)


async def test_a_great_source_is_compiled_in_turns_with_everything_else() -> None:
    shared = SharedPrograms[str, str](lambda holder: None)
    compiling = asyncio.ensure_future(shared.compile("a", lambda: compile_steps(_sources(20_000))))
    turns = 0

    while not compiling.done():
        await asyncio.sleep(0)
        turns += 1

    assert len((await compiling).statements) == 20_000
    assert turns > 10


async def test_kb05_whoever_gives_up_waiting_spoils_nothing_for_the_others() -> None:
    shared = SharedPrograms[str, str](lambda holder: None)
    begun: list[int] = []

    def steps() -> Generator[None, None, Program]:
        begun.append(1)
        return compile_steps(_sources(20_000))

    first = asyncio.ensure_future(shared.compile("a", steps))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(shared.compile("a", steps))
    await asyncio.sleep(0)
    first.cancel()

    program = await second

    assert len(program.statements) == 20_000
    assert begun == [1]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_sources_that_cannot_be_compiled_fail_for_who_asks_and_are_tried_anew() -> None:
    shared = SharedPrograms[str, str](lambda holder: None)

    def broken() -> Generator[None, None, Program]:
        yield
        raise LookupError("broken")

    with pytest.raises(LookupError):
        await shared.compile("a", broken)

    assert len((await shared.compile("a", lambda: compile_steps(_sources(2)))).statements) == 2
