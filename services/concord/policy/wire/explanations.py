"""Explanations of decisions, as they go out."""

from typing import Final

from concord.common.v1 import boundary_pb2
from concord.policy.engine import SeenValue
from concord.policy.explaining import (
    Explained,
    Limit,
    Repair,
    SetSeen,
    SourceSeen,
    StatementSeen,
)
from concord.policy.v1 import explanation_pb2, statement_pb2
from concord.policy.wire.decisions import decision_to_wire
from concord.policy.wire.statements import boundary_to_wire, subject_to_wire

_MAX_SCOPES: Final = 100


def explanation_to_wire(explained: Explained, revision: str) -> explanation_pb2.Explanation:
    """Return the message for an explained decision."""
    message = explanation_pb2.Explanation(
        decision=decision_to_wire(explained.decision, revision),
        reason=f"EXPLANATION_REASON_{explained.why.name}",
        sets=map(_set_to_wire, explained.tree.sets),
        limits=map(_limit_to_wire, explained.limits),
        statement_count=explained.tree.statement_count,
        truncated=explained.tree.truncated,
        repairs=map(_repair_to_wire, explained.repairs),
        complete=explained.complete,
        withheld=explained.withheld,
    )
    if explained.place:
        message.place.kind = boundary_pb2.BOUNDARY_KIND_PROJECTS
        message.place.project_ids.append(explained.place)
    return message


def _set_to_wire(each: SetSeen) -> explanation_pb2.ExplainedSet:
    return explanation_pb2.ExplainedSet(
        holder=None if each.holder is None else subject_to_wire(each.holder),
        holder_name=each.holder_name,
        language=each.language,
        combine=f"COMBINING_RULE_{each.combine.name}",
        allows=each.allows,
        source_count=each.source_count,
        sources=map(_source_to_wire, each.sources),
    )


def _source_to_wire(source: SourceSeen) -> explanation_pb2.ExplainedSource:
    return explanation_pb2.ExplainedSource(
        kind=f"SOURCE_KIND_{source.kind.name}",
        id=source.id,
        name=source.name,
        role_id=source.role_id,
        boundary=None if source.boundary is None else boundary_to_wire(source.boundary),
        allows=source.allows,
        denies=source.denies,
        statement_count=source.statement_count,
        statements=map(_statement_to_wire, source.statements),
    )


def _statement_to_wire(statement: StatementSeen) -> explanation_pb2.ExplainedStatement:
    cause = ""
    if statement.failed:
        cause = "error" if statement.error else "false"
    return explanation_pb2.ExplainedStatement(
        id=statement.id,
        effect=statement_pb2.EFFECT_DENY if statement.deny else statement_pb2.EFFECT_ALLOW,
        step=f"MATCH_STEP_{statement.step.name}",
        decided=statement.decided,
        condition=statement.condition,
        cause=cause,
        error=statement.error,
        seen=map(_seen_to_wire, statement.seen),
    )


def _seen_to_wire(seen: SeenValue) -> explanation_pb2.SeenValue:
    return explanation_pb2.SeenValue(name=seen.name, known=seen.known, value=seen.value, concealed=seen.concealed)


def _limit_to_wire(limit: Limit) -> explanation_pb2.ExplainedLimit:
    return explanation_pb2.ExplainedLimit(
        of_credential=limit.of_credential, scopes=limit.scopes[:_MAX_SCOPES], allows=limit.allows
    )


def _repair_to_wire(repair: Repair) -> explanation_pb2.Repair:
    return explanation_pb2.Repair(
        kind=f"REPAIR_KIND_{repair.kind.name}",
        name=repair.name,
        subject=None if repair.subject is None else subject_to_wire(repair.subject),
        role_id=repair.role_id,
        boundary=None if repair.boundary is None else boundary_to_wire(repair.boundary),
        group_id=repair.group_id,
        policy_id=repair.policy_id,
        statement_id=repair.statement_id,
        grant_id=repair.grant_id,
    )
