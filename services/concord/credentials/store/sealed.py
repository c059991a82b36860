"""What is asked of the storage of sealed values, when they get another seal."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A sealed value, where it stands and what its seal is bound to."""

    place: str
    keys: tuple[str, ...]
    sealed: bytes = field(repr=False)
    context: bytes


class Sealed(Protocol):
    """All that this service keeps sealed for longer than a day."""

    def sealed_otherwise(self, head: bytes, most: int) -> Sequence[SealedRow]:
        """Return values whose seal does not begin like this, at most so many."""

    def replace_seal(self, row: SealedRow, fresh: bytes) -> None:
        """Give a value another seal, unless it was replaced since it was read."""
