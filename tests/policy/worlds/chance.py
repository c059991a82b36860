"""Chance, from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Chance:
    """What leaves things to chance."""

    random: Random

    def chance(self, of: float) -> bool:
        """Tell whether something happens."""
        return self.random.random() < of

    def pick(self, among: Sequence[T]) -> T:
        """Return one of them."""
        return among[int(self.random.random() * len(among))]

    def some(self, among: Sequence[str], most: int) -> list[str]:
        """Return one or more of them, none twice."""
        distinct = list(dict.fromkeys(among))
        return self.random.sample(distinct, self.random.randint(1, most))
