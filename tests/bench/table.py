"""What a measurement is, how it is printed and where it is written."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "build" / "bench.json"


@dataclass(frozen=True)
class Figure:
    """One figure of ours beside the bare thing of the same kind. `ratio` is ours to the reference's."""

    name: str
    value: float
    unit: str
    reference: float | None = None
    ratio: float | None = None
    wanted: str = ""


def compared(name: str, unit: str, rounds: Sequence[tuple[float, float]], wanted: str) -> Figure:
    """Make a figure from interleaved rounds of (ours, bare): medians, and the median of the rounds' ratios."""
    ours = statistics.median(round_[0] for round_ in rounds)
    bare = statistics.median(round_[1] for round_ in rounds)
    ratio = statistics.median(a / b for a, b in rounds)
    return Figure(name, round(ours, 1), unit, round(bare, 1), round(ratio, 3), wanted)


def publish(figures: Sequence[Figure]) -> None:
    """Print the table and write `build/bench.json`."""
    print(f"\n{'name':<28}{'value':>12} {'unit':<10}{'bare':>12}{'ratio':>8}  wanted")
    for each in figures:
        bare = "" if each.reference is None else f"{each.reference:,.1f}"
        ratio = "" if each.ratio is None else f"{each.ratio:.3f}"
        print(f"{each.name:<28}{each.value:>12,.2f} {each.unit:<10}{bare:>12}{ratio:>8}  {each.wanted}")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(
        json.dumps([{k: v for k, v in asdict(f).items() if k != "wanted"} for f in figures], indent=2) + "\n"
    )
