"""First step: reads the call's metadata and deadline, and gives the call its id."""

from asyncio import get_running_loop
from random import getrandbits
from typing import Any, Final

from concord.kernel.rpc import metadata
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.chain import Context, Proceed
from concord.kernel.rpc.options import MethodRules

_FOREVER: Final = 10 * 365 * 86_400.0


class RequestId:
    """Names the call. A caller's own id is taken over only later, once it has proved to be one of our processes."""

    def bind(self, rules: MethodRules, proceed: Proceed) -> Proceed:
        async def identified(call: Call, request: Any, context: Context) -> Any:
            # Not a secret: it correlates, nothing more.
            call.call_id = f"{getrandbits(128):032x}"
            read_metadata(call, context.invocation_metadata() or ())
            remaining: float | None = context.time_remaining()
            # gRPC says "no deadline" with an enormous number of seconds.
            if remaining is not None and remaining < _FOREVER:
                call.deadline = get_running_loop().time() + remaining
            return await proceed(call, request, context)

        return identified


def read_metadata(call: Call, pairs: Any) -> None:
    """Keep what the chain reads; note what came more than once, for the refusal is a later step's."""
    headers = call.headers
    wanted = metadata.READ
    for key, value in pairs:
        if key in wanted:
            if key in headers:
                call.repeated |= {key}
            else:
                headers[key] = value
