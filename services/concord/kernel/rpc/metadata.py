"""The metadata that is part of the contract: its names, and what our own processes put there."""

from typing import Final

from concord.kernel.feed.revision import REVISION
from concord.kernel.rpc.call import Call

AUTHORIZATION: Final = "authorization"
OPERATION: Final = "concord-operation"
CALLER_ADDRESS: Final = "concord-caller-address"
CALLER_AGENT: Final = "concord-caller-agent"
SERVICE: Final = "concord-service"
CALL_ID: Final = "concord-call-id"
USER_AGENT: Final = "user-agent"
TRACE_PARENT: Final = "traceparent"

READ: Final = frozenset(
    {AUTHORIZATION, OPERATION, REVISION, CALLER_ADDRESS, CALLER_AGENT, SERVICE, CALL_ID, USER_AGENT, TRACE_PARENT}
)

MAXIMUM_AGENT: Final = 255

Pairs = tuple[tuple[str, str], ...]


def as_service(token: str, call_id: str = "") -> Pairs:
    """Return the metadata of a call that one of the suite's processes makes for itself."""
    pairs = ((AUTHORIZATION, f"Bearer {token}"),)
    return (*pairs, (CALL_ID, call_id)) if call_id else pairs


def on_behalf(call: Call, service_token: str) -> Pairs:
    """Return the metadata of a call made with the caller's own identity while serving this call."""
    pairs = [(SERVICE, service_token), (CALL_ID, call.call_id)]
    if call.credential:
        pairs.append((AUTHORIZATION, f"Bearer {call.credential}"))
    if call.operation:
        pairs.append((OPERATION, call.operation))
    return tuple(pairs)
