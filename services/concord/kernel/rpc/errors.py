"""Third step: turns whatever goes wrong further in into a status that tells the caller why, and nothing else."""

import asyncio
from typing import Any, Final

import structlog
from grpc.aio import AbortError, AioRpcError

from concord.kernel.errors import ConcordError, Reason, Unavailable
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.chain import Context, Proceed
from concord.kernel.rpc.options import MethodRules
from concord.kernel.rpc.status import DETAILS_KEY, code_name, code_of, from_rpc_error, internal, to_status

_log: Final = structlog.get_logger("concord.rpc")


class Errors:
    """Answers failures. An abort replaces trailing metadata, so it carries the call's own along."""

    def bind(self, rules: MethodRules, proceed: Proceed) -> Proceed:
        async def guarded(call: Call, request: Any, context: Context) -> Any:
            try:
                answer = await proceed(call, request, context)
            except AbortError:
                # The handler has aborted on its own; what it said stands.
                call.outcome = code_name(context.code())
                raise
            except asyncio.CancelledError as cancelled:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Nobody cancelled this call: something inside it was, and let it through.
                failure = _defect(call, cancelled)
            except Exception as error:
                failure = _failure(call, error)
            else:
                if call.trailing:
                    context.set_trailing_metadata(_trailing(call, context))
                return answer
            return await _abort(call, context, failure)

        return guarded


async def _abort(call: Call, context: Context, failure: ConcordError) -> None:
    status = to_status(failure)
    code = code_of(failure)
    call.outcome = code.name
    trailing = ((DETAILS_KEY, status.SerializeToString()), *_trailing(call, context))
    await context.abort(code, status.message, trailing)


def _trailing(call: Call, context: Context) -> tuple[Any, ...]:
    return (*(context.trailing_metadata() or ()), *call.trailing)


def _failure(call: Call, error: Exception) -> ConcordError:
    if isinstance(error, AioRpcError):
        inner = from_rpc_error(error)
        if inner.reason is Reason.INTERNAL:
            return _defect(call, error)
        if inner.reason is Reason.CANCELLED:
            # It was not our caller who gave up.
            return Unavailable("a service that this call needs stopped answering")
        return inner
    if isinstance(error, ConcordError) and error.reason is not Reason.INTERNAL:
        return error
    return _defect(call, error)


def _defect(call: Call, error: BaseException) -> ConcordError:
    _log.error("call_failed", rpc=call.method.rpc, call_id=call.call_id, exc_info=error)
    return internal(call.call_id)
