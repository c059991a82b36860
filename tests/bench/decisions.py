"""The decision in process: its time at every size, and beside peers where the `bench` extra is installed.

All of it runs interleaved in one process: each round asks everybody a few hundred questions.
"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

from bench import decision_worlds as worlds
from bench.table import Figure

ROUNDS = 31
QUESTIONS = 200
SIZES = {"1k": 1_100, "11k": 11_000, "110k": 110_000}
Ask = Callable[[], float]


def timed(questions: Sequence[tuple[object, ...]], answer: Callable[..., object]) -> Ask:
    """Return what asks all questions, once to warm up, and gives the microseconds that one then took.

    Whoever had the processor before has left nothing in its caches but his own.
    """

    def ask() -> float:
        for question in questions:
            answer(*question)
        began = time.perf_counter()
        for question in questions:
            answer(*question)
        return (time.perf_counter() - began) / len(questions) * 1e6

    return ask


def _asks() -> dict[str, Ask]:
    asks: dict[str, Ask] = {}
    for name, size in SIZES.items():
        questions, decide_rbac = worlds.rbac(size, QUESTIONS)
        asks[f"rbac_{name}"] = timed(questions, decide_rbac)
        asks[f"one_{name}"] = timed(*worlds.one_program(size, QUESTIONS))
    questions, _ = worlds.rbac(SIZES["110k"], QUESTIONS)
    table = {f"user{number}": number for number in range(SIZES["110k"])}
    asks["dict"] = timed([(user,) for user, _ in questions], table.__getitem__)
    asks["cedar_ours"] = timed(*worlds.hundred(QUESTIONS))
    asks["deny"] = timed(*worlds.deny_override(QUESTIONS))
    asks["conditions"] = timed(*worlds.five_conditions(QUESTIONS))
    for depth in (1, 5, 20):
        asks[f"groups_{depth}"] = timed(*worlds.nested(depth, QUESTIONS))
    asks["mixed"] = timed(*worlds.mixed(QUESTIONS))
    if find_spec("casbin") is not None:
        asks["fastenforcer"] = timed(*worlds.fast_enforcer(SIZES["110k"], QUESTIONS))
        asks["fastenforcer_1k"] = timed(*worlds.fast_enforcer(SIZES["1k"], QUESTIONS))
    if find_spec("cedarpy") is not None:
        asks["cedarpy"] = timed(*worlds.cedar(QUESTIONS))
    return asks


def measure(asks: Mapping[str, Ask]) -> dict[str, list[float]]:
    """Interleave rounds; what is slow is asked less often, so that the whole stays short."""
    gc.collect()
    gc.freeze()
    try:
        rounds: dict[str, list[float]] = {name: [] for name in asks}
        for number in range(-1, ROUNDS):
            for name, ask in asks.items():
                slow = number > 0 and rounds[name][0] > 1000 and number % 5 != 0
                took = 0.0 if slow else ask()
                if number >= 0:
                    # Between its turns a slow one counts as it last did.
                    rounds[name].append(rounds[name][-1] if slow else took)
        return rounds
    finally:
        gc.unfreeze()


def figures() -> list[Figure]:
    """Measure, and say which peers were not there."""
    rounds = measure(_asks())
    missing = [name for name in ("casbin", "cedarpy") if find_spec(name) is None]
    if missing:
        print(f"decisions: without {' and '.join(missing)} (pip install -e '.[bench]')")

    def middle(name: str) -> float:
        return statistics.median(rounds[name])

    def times(name: str, over: str) -> float:
        return statistics.median(a / b for a, b in zip(rounds[name], rounds[over], strict=True))

    def figure(name: str, ours: str, wanted: str = "") -> Figure:
        return Figure(
            name, round(middle(ours), 2), "µs", round(middle("dict"), 3), round(times(ours, "dict"), 1), wanted
        )

    def ratio(name: str, over: str, under: str, wanted: str) -> Figure:
        return Figure(name, round(times(over, under), 2), "×", round(middle(over), 2), None, wanted)

    # The slower of both: rules spread over roles, or all in one subject's program.
    slower = max(("rbac", "one"), key=lambda kind: middle(f"{kind}_110k"))
    grown = max(("rbac", "one"), key=lambda kind: times(f"{kind}_110k", f"{kind}_1k"))
    found = [
        figure("decide_110k_us", f"{slower}_110k", "≤ 25 µs, ≤ 150 lookups"),
        ratio("decide_growth", f"{grown}_110k", f"{grown}_1k", "≤ 1.5"),
        *(figure(f"decide_roles_{name}_us", f"rbac_{name}") for name in SIZES),
        *(figure(f"decide_one_program_{name}_us", f"one_{name}") for name in SIZES),
        figure("decide_deny_override_us", "deny"),
        figure("decide_five_conditions_us", "conditions"),
        *(figure(f"decide_groups_depth_{depth}_us", f"groups_{depth}") for depth in (1, 5, 20)),
        figure("decide_mixed_us", "mixed"),
    ]
    if "fastenforcer" in rounds:
        found.append(ratio("decide_vs_fastenforcer", "fastenforcer", "rbac_110k", "≥ 4"))
        found.append(ratio("decide_vs_fastenforcer_1k", "fastenforcer_1k", "rbac_1k", "≥ 4"))
    if "cedarpy" in rounds:
        found.append(ratio("decide_vs_cedarpy_100", "cedarpy", "cedar_ours", "≥ 1"))
    return found
