"""Answers about rights, as they go out."""

from collections.abc import Iterable
from typing import Any, Final

from concord.common.v1 import boundary_pb2
from concord.policy import engine
from concord.policy.checks import HeldPermission
from concord.policy.v1 import decision_pb2, decision_service_pb2, statement_pb2

_ALLOW: Final = statement_pb2.EFFECT_ALLOW
_DENY: Final = statement_pb2.EFFECT_DENY


def decision_to_wire(decision: engine.Decision, revision: str) -> decision_pb2.Decision:
    """Return the message for a decision."""
    message = decision_pb2.Decision(revision=revision)
    _fill(message, decision)
    return message


def batch_to_wire(decisions: Iterable[engine.Decision], revision: str) -> decision_service_pb2.BatchCheckResponse:
    """Return the message for the decisions of a batch. Building one costs twice as much as copying it."""
    response = decision_service_pb2.BatchCheckResponse(revision=revision)
    messages = response.decisions
    add, append = messages.add, messages.append
    built: dict[int, decision_pb2.Decision] = {}
    for decision in decisions:
        known = built.get(id(decision))
        if known is None:
            # In its place from the beginning: a message that is handed over is copied.
            built[id(decision)] = message = add()
            _fill(message, decision)
        else:
            append(known)
    return response


def permission_to_wire(held: HeldPermission) -> decision_service_pb2.HeldPermission:
    """Return the message for a permission that a subject has."""
    message = decision_service_pb2.HeldPermission(
        permission=held.permission, pattern=held.pattern, statement_ids=held.decision.statement_ids
    )
    message.reach.SetInParent()
    _fill_reach(message.reach, held.decision.reach)
    return message


def _fill(message: Any, decision: engine.Decision) -> None:
    if decision.allowed:
        message.effect = _ALLOW
        message.allowed = True
        _fill_reach(message.reach, decision.reach)
    else:
        message.effect = _DENY
    if decision.statement_ids:
        message.statement_ids.extend(decision.statement_ids)
    for failed in decision.failed_conditions:
        message.failed_conditions.add(statement_id=failed.statement_id, cause="error" if failed.error else "false")


def _fill_reach(message: Any, reach: engine.Reach) -> None:
    if not reach.everything:
        _add_projects(message.boundaries, reach.project_ids)
    elif reach.except_project_ids:
        # Not `everything` as well: who looks at that alone must not take it for more than it is.
        _add_projects(message.everywhere_except, reach.except_project_ids)
    else:
        message.everything = True


def _add_projects(boundaries: Any, project_ids: Iterable[str]) -> None:
    projects = sorted(project_ids)
    if projects:
        boundaries.add(kind=boundary_pb2.BOUNDARY_KIND_PROJECTS, project_ids=projects)
