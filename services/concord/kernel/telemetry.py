"""Logs and metrics of a process. Nothing secret passes through here: what looks like a credential is blotted out."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

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


class Metrics:
    """The process's metrics, in a registry of their own, so that two suites in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter(
            "concord_rpc_calls", "Calls answered, by rpc and code.", ("rpc", "code"), registry=self.registry
        )
        self.seconds = Histogram(
            "concord_rpc_seconds",
            "Time from a call's arrival to its answer.",
            ("rpc",),
            buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30),
            registry=self.registry,
        )
        self.in_flight = Gauge("concord_rpc_in_flight", "Calls being served.", registry=self.registry)

    def render(self) -> bytes:
        """Return all metrics in the text format that Prometheus reads."""
        return generate_latest(self.registry)


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
