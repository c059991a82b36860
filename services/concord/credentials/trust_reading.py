"""Asks the policy service, which knows the languages, what trust documents say and which conditions hold."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc.aio

from concord.common.v1 import trust_service_pb2
from concord.common.v1.trust_service_pb2_grpc import TrustServiceStub
from concord.credentials.model.trust import Circumstances, NamedTrust, TrustedName
from concord.kernel.errors import ConcordError, Invalid, Reason, Unauthenticated, Unavailable
from concord.kernel.rpc import metadata
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.status import from_rpc_error
from concord.kernel.rpc.wire import instant_to_wire

_SECONDS: Final = 5.0


class PolicyTrustReader:
    """Reads trust documents over the policy service's stub, as the process that it runs in."""

    def __init__(self, channel: grpc.aio.Channel, token: Callable[[], str]) -> None:
        self._stub: Any = TrustServiceStub(channel)
        self._token = token

    async def read(self, language: str, document: str) -> tuple[NamedTrust, ...]:
        """Return what a document says, or raise Invalid that names places in it."""
        request = trust_service_pb2.CheckTrustDocumentRequest(language=language, document=document)
        answer = await self._ask(self._stub.CheckTrustDocument, request)
        return tuple(
            NamedTrust(
                names=tuple(TrustedName(name.organization_number, name.username) for name in each.names),
                services=tuple(each.services),
                condition=each.condition,
            )
            for each in answer.statements
        )

    async def holding(self, conditions: Sequence[str], at: Circumstances, caller_name: str) -> frozenset[str]:
        """Return those conditions that hold in these circumstances. An answer that does not fit lets none hold."""
        told = [each for each in dict.fromkeys(conditions) if each]
        if not told:
            return frozenset()
        request = trust_service_pb2.CheckTrustConditionsRequest(
            conditions=told,
            caller_address=at.address,
            caller_agent=at.agent,
            caller_name=caller_name,
            mfa=at.mfa,
            time=instant_to_wire(at.now),
        )
        answer = await self._ask(self._stub.CheckTrustConditions, request)
        if len(answer.holds) != len(told):
            return frozenset()
        return frozenset(each for each, holds in zip(told, answer.holds, strict=True) if holds is True)

    async def _ask(self, rpc: Any, request: Any) -> Any:
        pairs = metadata.as_service(self._token(), Call.current().call_id)
        try:
            return await rpc(request, metadata=pairs, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _told(from_rpc_error(error)) from None


def _told(failure: ConcordError) -> ConcordError:
    """Return what the caller is told: the service's refusal of the document, or that it is not there."""
    if isinstance(failure, Invalid):
        return failure
    if isinstance(failure, Unauthenticated) or failure.reason is Reason.DEADLINE_EXCEEDED:
        return Unavailable("the service that reads trust documents does not answer")
    return failure
