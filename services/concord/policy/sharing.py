"""Compiled programs, each kept once for all who hold the same sources, and only while somebody does."""

import asyncio
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Generic, TypeVar, cast

from concord.policy.engine import Program

K = TypeVar("K", bound=Hashable)
H = TypeVar("H", bound=Hashable)

# All kept programs together, in plain statements of less than a kilobyte.
MAX_WEIGHT: Final = 200_000
# How long compiling may keep everything else waiting, about; the steps themselves take a few milliseconds at most.
TURN_SECONDS: Final = 0.005


@dataclass(slots=True)
class _Kept(Generic[H]):
    program: Program
    holders: set[H] = field(default_factory=set)


class SharedPrograms(Generic[K, H]):
    """Programs by their sources. Whoever holds one is told when it has to go for want of room."""

    def __init__(self, dropped: Callable[[H], None], most_weight: int = MAX_WEIGHT) -> None:
        self._dropped = dropped
        self._most = most_weight
        self._kept: dict[K, _Kept[H]] = {}
        self._weight = 0
        self._compiling: dict[K, asyncio.Task[Program]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def weight(self) -> int:
        """What all that is kept takes, in plain statements."""
        return self._weight

    def find(self, key: K) -> Program | None:
        """Return the program of these sources if somebody holds it."""
        kept = self._kept.get(key)
        return None if kept is None else kept.program

    async def compile(self, key: K, steps: Callable[[], Generator[None, None, Program]]) -> Program:
        """Compile in turns with everything else; whoever asks meanwhile waits for the same."""
        task = self._compiling.get(key)
        if task is None:
            begun = steps()
            program = _turn(begun)
            if program is not None:
                return program
            task = asyncio.ensure_future(_in_turns(begun))
            self._compiling[key] = task
            task.add_done_callback(lambda _: self._compiling.pop(key, None))
        # One who gives up waiting does not spoil it for the others.
        return await asyncio.shield(task)

    def hold(self, key: K, program: Program, holder: H) -> Program:
        """Keep a program for a holder; return the one that is kept for these sources."""
        kept = self._kept.pop(key, None)
        if kept is None:
            self._make_room(program.weight)
            kept = _Kept(program)
            self._weight += program.weight
        # The last that were asked for are the last to go.
        self._kept[key] = kept
        kept.holders.add(holder)
        return kept.program

    def release(self, key: K, holder: H) -> None:
        """Forget a holder, and with the last one the program."""
        kept = self._kept.get(key)
        if kept is None:
            return
        kept.holders.discard(holder)
        if not kept.holders:
            self._remove(key)

    def _make_room(self, weight: int) -> None:
        while self._kept and self._weight + weight > self._most:
            oldest = next(iter(self._kept))
            holders = self._remove(oldest)
            for holder in holders:
                self._dropped(holder)

    def _remove(self, key: K) -> set[H]:
        kept = self._kept.pop(key)
        self._weight -= kept.program.weight
        return kept.holders


def _turn(steps: Generator[None, None, Program]) -> Program | None:
    """Do a turn's worth; most programs need no more."""
    until = monotonic() + TURN_SECONDS
    try:
        while monotonic() < until:
            next(steps)
    except StopIteration as done:
        return cast(Program, done.value)
    return None


async def _in_turns(steps: Generator[None, None, Program]) -> Program:
    while True:
        await asyncio.sleep(0)
        program = _turn(steps)
        if program is not None:
            return program
