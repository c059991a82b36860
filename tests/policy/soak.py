"""Holds the engine against its specification on as many generated decisions as one likes.

    PYTHONPATH=services:tests python -m policy.soak --count 300000 [--seed 1]

Prints what was decided in each language; a disagreement ends it, made small.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from time import perf_counter

from policy import spec
from policy.against import Disagreement, compare, engine_says, program_of, shrunk, specified_by
from policy.worlds import LANGUAGES, USERS, Maker, Question

QUESTIONS = 40
# So many worlds share their conditions.
WORLDS = 30


@dataclass
class Tally:
    """How many decisions there were in each language, and how many of them allowed."""

    decided: Counter[str] = field(default_factory=Counter)
    allowed: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        rows = [f"{'language':<18}{'decisions':>10}{'allowed':>9}"]
        for language, count in sorted(self.decided.items()):
            rows.append(f"{language:<18}{count:>10}{self.allowed[language] / count:>9.1%}")
        return "\n".join(rows)


def soak(seed: int, count: int, tally: Tally, languages: Sequence[str] = LANGUAGES) -> Disagreement | None:
    """Compare so many decisions; return the first disagreement, made small."""
    for main, world, questions in portions(seed, languages):
        programs = {user: program_of(world, user) for user in (*USERS, world.owner)}
        rights = {user: spec.rights(world, user) for user in programs}
        for question in questions:
            said = engine_says(programs[question.principal], question)
            wanted = specified_by(rights[question.principal], world, question)
            if said != wanted:
                found = compare(world, question)
                # Asked again it may be right: then there is nothing to make small, and all the more to look at.
                return Disagreement(world, question, said, wanted) if found is None else shrunk(found)
            tally.decided[main] += 1
            tally.allowed[main] += said.allowed
        if tally.decided.total() >= count:
            return None
    return None


def portions(seed: int, languages: Sequence[str]) -> Iterator[tuple[str, spec.World, list[Question]]]:
    """Yield worlds without end, each with its main language and questions, these in turn."""
    random = Random(seed)
    while True:
        maker = Maker(random)
        for _ in range(WORLDS):
            for main in languages:
                yield main, maker.world(main), [maker.question(main) for _ in range(QUESTIONS)]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Hold the engine against its specification.")
    parser.add_argument("--count", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    tally, began = Tally(), perf_counter()
    found = soak(asked.seed, asked.count, tally)
    took = perf_counter() - began
    print(tally)
    print(f"{tally.decided.total()} decisions in {took:.0f} s, {tally.decided.total() / took:.0f} a second")
    if found is not None:
        print(f"disagreement (seed {asked.seed}):\n{found}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
