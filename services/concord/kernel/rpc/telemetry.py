"""Second step: counts and times every call, and writes its span where tracing is on."""

from asyncio import CancelledError
from collections.abc import Callable
from contextlib import AbstractContextManager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import structlog

from concord.kernel.rpc import metadata
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.chain import Context, Proceed
from concord.kernel.rpc.options import MethodRules
from concord.kernel.telemetry import Metrics

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_log: Final = structlog.get_logger("concord.rpc")


class Telemetry:
    """Watches calls from outside the mapping of errors, so that it sees what the caller sees."""

    def __init__(self, metrics: Metrics, tracer: "Tracer | None" = None, slow_seconds: float = 1.0) -> None:
        self._metrics = metrics
        self._tracer = tracer
        self._slow_seconds = slow_seconds

    def bind(self, rules: MethodRules, proceed: Proceed) -> Proceed:
        metrics = self._metrics
        answered = metrics.rpcs.series(rules.rpc).add
        span = _spans(self._tracer, rules)
        # A stream may last for days; that says nothing about how fast it is.
        slow_seconds = float("inf") if rules.response_streaming or rules.request_streaming else self._slow_seconds

        async def measured(call: Call, request: Any, context: Context) -> Any:
            start = perf_counter()
            metrics.in_flight += 1
            try:
                if span is None:
                    return await proceed(call, request, context)
                with span(call):
                    return await proceed(call, request, context)
            except CancelledError:
                call.outcome = "CANCELLED"
                raise
            finally:
                elapsed = perf_counter() - start
                metrics.in_flight -= 1
                answered(call.outcome, elapsed)
                if elapsed > slow_seconds:
                    _log.warning(
                        "slow_call", rpc=rules.rpc, call_id=call.call_id, seconds=round(elapsed, 3), code=call.outcome
                    )

        return measured


def _spans(tracer: "Tracer | None", rules: MethodRules) -> Callable[[Call], AbstractContextManager[Any]] | None:
    if tracer is None:
        return None
    # Costs start-up time, so only where it is used.
    from opentelemetry import propagate
    from opentelemetry.trace import SpanKind

    attributes = {"rpc.system": "grpc", "rpc.service": rules.service, "rpc.method": rules.name}

    def span(call: Call) -> AbstractContextManager[Any]:
        parent = call.headers.get(metadata.TRACE_PARENT, "")
        context = propagate.extract({"traceparent": parent} if parent else {})
        return tracer.start_as_current_span(
            rules.rpc, context=context, kind=SpanKind.SERVER, attributes={**attributes, "concord.call_id": call.call_id}
        )

    return span
