"""Logs and metrics of a process. Nothing secret passes through here: what looks like a credential is blotted out."""

import logging
import re
import sys
from bisect import bisect_left
from collections.abc import Iterator, MutableMapping
from typing import Any, Final, TextIO

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BLOT: Final = "…"

_SECRET_KEYS: Final = re.compile(
    r"password|secret|token|authorization|credential|cookie|passport|private|otp|seed", re.I
)
# Signed tokens, authorization headers and our own key format, wherever they turn up in a text.
_SECRET_TEXTS: Final = re.compile(
    r"eyJ[\w-]{4,}\.[\w-]*\.?[\w-]*|(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}|(?i:secret-)[\w-]{8,}|://[^/\s:@]*:[^@/\s]+@"
)
_PLAIN: Final = frozenset({"event", "level", "timestamp", "logger", "reason", "rpc", "call_id", "code"})


def blot(text: str) -> str:
    """Return the text without anything that looks like a credential."""
    return _SECRET_TEXTS.sub(BLOT, text)


def hide_secrets(logger: object, method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blot out secrets in a log entry: by the key's name, by the look of the text, at any depth."""
    for key, value in entry.items():
        entry[key] = BLOT if key not in _PLAIN and _SECRET_KEYS.search(key) else _hidden(value)
    return entry


def configure_logging(style: str = "json", level: str = "info", stream: TextIO | None = None) -> None:
    """Set up the process's log: one JSON object a line, or `console` for people."""
    number = logging.getLevelNamesMapping()[level.upper()]
    last: Any = (
        structlog.dev.ConsoleRenderer(colors=False) if style == "console" else structlog.processors.JSONRenderer()
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        # After the traceback has become text, so that the texts of exceptions are covered too.
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(processor=last, foreign_pre_chain=shared)
    handler.setFormatter(formatter)
    # Libraries log through the standard module; they get the same shape and the same blotting.
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


_BOUNDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30)


class Series:
    """What was answered under one set of labels: how often with which outcome, and how fast."""

    __slots__ = ("buckets", "outcomes", "seconds")

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.buckets = [0] * (len(_BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, outcome: str, seconds: float) -> None:
        """Count one answer."""
        outcomes = self.outcomes
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        self.buckets[bisect_left(_BOUNDS, seconds)] += 1
        self.seconds += seconds


class Timings(Collector):
    """A counter by outcome and a histogram of seconds that always move together.

    Plain numbers, moved by the process's one loop only: five counters of the library, each with its
    lock, cost more than everything else the chain does for a call.
    """

    def __init__(self, name: str, counted: tuple[str, str], help_text: str, labels: tuple[str, ...], outcome: str):
        self._name = name
        self._counted = counted
        self._help = help_text
        self._labels = labels
        self._outcome = outcome
        self._series: dict[tuple[str, ...], Series] = {}

    def series(self, *labels: str) -> Series:
        """Return the series of these labels."""
        return self._series.setdefault(labels, Series())

    def collect(self) -> Iterator[Metric]:
        """Give the numbers to the registry."""
        name, help_text = self._counted
        counts = CounterMetricFamily(name, help_text, labels=(*self._labels, self._outcome))
        seconds = HistogramMetricFamily(self._name, self._help, labels=self._labels)
        for labels, series in tuple(self._series.items()):
            for outcome, count in tuple(series.outcomes.items()):
                counts.add_metric((*labels, outcome), count)
            seconds.add_metric(labels, _cumulated(series.buckets), series.seconds)
        yield counts
        yield seconds


def _cumulated(buckets: list[int]) -> list[tuple[str, float]]:
    total, rows = 0, []
    for bound, count in zip((*_BOUNDS, float("inf")), buckets, strict=True):
        total += count
        rows.append(("+Inf" if bound == float("inf") else str(float(bound)), float(total)))
    return rows


class Metrics(Collector):
    """The process's metrics, in a registry of their own, so that two suites in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rpcs = Timings(
            "concord_rpc_seconds",
            ("concord_rpc_calls", "Calls answered, by rpc and code."),
            "Time from a call's arrival to its answer.",
            ("rpc",),
            "code",
        )
        self.in_flight = 0
        self.registry.register(self.rpcs)
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Give the numbers to the registry."""
        yield GaugeMetricFamily("concord_rpc_in_flight", "Calls being served.", value=self.in_flight)


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return blot(value)
    if isinstance(value, dict):
        return {
            key: BLOT if isinstance(key, str) and _SECRET_KEYS.search(key) else _hidden(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_hidden(item) for item in value]
    return value
