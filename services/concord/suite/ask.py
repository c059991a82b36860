"""Asking the decision point from a terminal."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc.aio

from concord.common.v1 import boundary_pb2, principal_pb2
from concord.kernel.config import BadSetting
from concord.kernel.rpc.channels import ChannelTls, open_channel
from concord.kernel.rpc.status import from_rpc_error
from concord.kernel.secret import Secret
from concord.policy.v1 import (
    decision_pb2,
    decision_service_pb2,
    decision_service_pb2_grpc,
    explanation_pb2,
    statement_pb2,
)

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
    request = decision_service_pb2.CheckRequest(check=_question(permission, subject, project))
    decision = await _ask(address, token, lambda stub: stub.Check, request, authority)
    return decision.allowed, tuple(decision.statement_ids)


async def explain(
    address: str, token: Secret, permission: str, subject: str, project: str, authority: Path | None = None
) -> tuple[bool, tuple[str, ...]]:
    """Return whether it is allowed, and lines that tell why, and what would help."""
    request = decision_service_pb2.ExplainRequest(check=_question(permission, subject, project))
    answer = await _ask(address, token, lambda stub: stub.Explain, request, authority)
    return answer.decision.allowed, tuple(lines_of(answer))


def lines_of(answer: explanation_pb2.Explanation) -> Iterator[str]:
    """Tell an explanation in lines: what allows, denies or nearly does, and the changes that would help."""
    yield f"reason: {_word(explanation_pb2.ExplanationReason.Name(answer.reason), 'EXPLANATION_REASON_')}"
    for held in answer.sets:
        whose = _holder(held)
        rule = _word(explanation_pb2.CombiningRule.Name(held.combine), "COMBINING_RULE_")
        yield f"{whose}{f', {held.language}' if held.language else ''} ({rule}): {_says(held.allows)}"
        for source in held.sources:
            kind = _word(explanation_pb2.SourceKind.Name(source.kind), "SOURCE_KIND_")
            said = "denies" if source.denies else _says(source.allows)
            yield f"  {kind} {_printable(source.name or source.id)}: {said}"
            yield from _statements(source)
    for limit in answer.limits:
        yield f"limit of the {'credential' if limit.of_credential else 'question'}: {_says(limit.allows)}"
    if answer.truncated:
        yield "not all is shown"
    for repair in answer.repairs:
        yield f"would help: {_change(repair)}"
    if not answer.decision.allowed and not answer.complete:
        yield "there may be other changes that would help"


def _statements(source: explanation_pb2.ExplainedSource) -> Iterator[str]:
    for each in source.statements:
        if each.step == explanation_pb2.MATCH_STEP_ACTION:
            continue
        step = _word(explanation_pb2.MatchStep.Name(each.step), "MATCH_STEP_")
        effect = "deny" if each.effect == statement_pb2.EFFECT_DENY else "allow"
        saw = ", ".join(f"{seen.name}={_value(seen)}" for seen in each.seen)
        yield f"    {effect} {each.id}: {step}{f' ({each.cause}) [{_printable(saw)}]' if each.cause else ''}"


def _value(seen: explanation_pb2.SeenValue) -> str:
    if not seen.known:
        return "unknown"
    return "(concealed)" if seen.concealed else seen.value


def _holder(held: explanation_pb2.ExplainedSet) -> str:
    match held.holder.WhichOneof("holder"):
        case "principal":
            return f"principal {_printable(held.holder_name) or held.holder.principal.id}"
        case "group_id":
            return f"group {_printable(held.holder_name) or held.holder.group_id}"
        case "everyone":
            return "everyone"
    return "the platform"


def _change(repair: explanation_pb2.Repair) -> str:
    kind = _word(explanation_pb2.RepairKind.Name(repair.kind), "REPAIR_KIND_")
    named = {
        "": repair.name,
        "role": repair.role_id,
        "group": repair.group_id or repair.subject.group_id,
        "policy": repair.policy_id,
        "statement": repair.statement_id,
        "grant": repair.grant_id,
        "within": _word(boundary_pb2.BoundaryKind.Name(repair.boundary.kind), "BOUNDARY_KIND_")
        if repair.HasField("boundary")
        else "",
        "projects": ",".join(repair.boundary.project_ids),
    }
    return " ".join([kind, *(f"{key} {_printable(text)}".strip() for key, text in named.items() if text)])


def _says(allows: bool) -> str:
    return "allows" if allows else "does not allow"


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ")


def _printable(text: str) -> str:
    # Names are whatever people wrote; a terminal must not act on them.
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _question(permission: str, subject: str, project: str) -> decision_pb2.Check:
    boundary = None
    if project:
        boundary = boundary_pb2.Boundary(kind=boundary_pb2.BOUNDARY_KIND_PROJECTS, project_ids=[project])
    return decision_pb2.Check(subject=subject_ref(subject), permission=permission, boundary=boundary)


async def _ask(address: str, token: Secret, method: Callable[[Any], Any], request: Any, authority: Path | None) -> Any:
    async with open_channel(address, ChannelTls(authority) if authority else None) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        try:
            return await method(stub)(
                request, metadata=(("authorization", f"Bearer {token.reveal()}"),), timeout=ASK_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            raise BadSetting(from_rpc_error(error).message) from None
