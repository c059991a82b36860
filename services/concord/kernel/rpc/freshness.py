"""Fifth step: a caller that shows a revision token reads nothing older than that."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from concord.kernel.feed.revision import REVISION, parse_revisions
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.chain import Context, Proceed
from concord.kernel.rpc.options import MethodRules

# Waits until a service has applied these revisions of the others, for so many seconds at most; raises Unavailable.
Waiter = Callable[[Mapping[str, int], float | None], Awaitable[None]]


class Freshness:
    """Waits, before anything is decided or read, until this process knows what the caller knows.

    Decisions depend on replicas too, so the wait stands before authorization.
    """

    def __init__(self, waiters: Mapping[str, Waiter] | None = None) -> None:
        # Looked up at each call: services are mounted one after the other.
        self._waiters = {} if waiters is None else waiters

    def bind(self, rules: MethodRules, proceed: Proceed) -> Proceed:
        if rules.is_public:
            return proceed
        # `concord.identity.v1.UserService` belongs to `identity`.
        service = rules.service.split(".")[-3] if rules.service.count(".") >= 3 else ""
        waiters = self._waiters

        async def fresh(call: Call, request: Any, context: Context) -> Any:
            token = call.headers.get(REVISION)
            if token:
                call.freshness = parse_revisions(token)
                waiter = waiters.get(service)
                if waiter is not None:
                    await waiter(call.freshness, call.time_remaining())
            return await proceed(call, request, context)

        return fresh
