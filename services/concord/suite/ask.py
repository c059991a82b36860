"""Asking the decision point from a terminal."""

from pathlib import Path

import grpc.aio

from concord.common.v1 import boundary_pb2, principal_pb2
from concord.kernel.config import BadSetting
from concord.kernel.rpc.channels import ChannelTls, open_channel
from concord.kernel.rpc.status import from_rpc_error
from concord.kernel.secret import Secret
from concord.policy.v1 import decision_pb2, decision_service_pb2, decision_service_pb2_grpc

KINDS = {
    "user": principal_pb2.PRINCIPAL_KIND_USER,
    "application": principal_pb2.PRINCIPAL_KIND_APPLICATION,
    "device": principal_pb2.PRINCIPAL_KIND_DEVICE,
}
ASK_SECONDS = 10.0


def subject_ref(text: str) -> principal_pb2.PrincipalRef | None:
    """Read `kind:id`; empty is the caller itself."""
    if not text:
        return None
    kind, colon, identifier = text.partition(":")
    if not colon or kind not in KINDS:
        raise BadSetting(f"a subject is written kind:id, with a kind of {', '.join(KINDS)}")
    return principal_pb2.PrincipalRef(kind=KINDS[kind], id=identifier)


async def check(
    address: str, token: Secret, permission: str, subject: str, project: str, authority: Path | None = None
) -> tuple[bool, tuple[str, ...]]:
    """Return whether it is allowed, and the ids of the statements that decided."""
    boundary = None
    if project:
        boundary = boundary_pb2.Boundary(kind=boundary_pb2.BOUNDARY_KIND_PROJECTS, project_ids=[project])
    question = decision_pb2.Check(subject=subject_ref(subject), permission=permission, boundary=boundary)
    async with open_channel(address, ChannelTls(authority) if authority else None) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        try:
            decision = await stub.Check(
                decision_service_pb2.CheckRequest(check=question),
                metadata=(("authorization", f"Bearer {token.reveal()}"),),
                timeout=ASK_SECONDS,
            )
        except grpc.aio.AioRpcError as error:
            raise BadSetting(from_rpc_error(error).message) from None
    return decision.allowed, tuple(decision.statement_ids)
