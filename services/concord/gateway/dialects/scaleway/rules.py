"""Rules: what a policy grants, where, and when."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import msgspec

from concord.common.v1 import boundary_pb2
from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import (
    Count,
    Paged,
    Uuid,
    canonical,
    canonicals,
    listed,
)
from concord.gateway.shapes import UUID_RULE, list_rule, text_rule
from concord.kernel.errors import Invalid, Violation
from concord.policy.v1 import policy_service_pb2, statement_pb2

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

ScopeType = Literal["unknown_scope_type", "projects", "organization", "account_root_user"]
SCOPE_TYPES: dict[int, ScopeType] = {
    boundary_pb2.BOUNDARY_KIND_PROJECTS: "projects",
    boundary_pb2.BOUNDARY_KIND_ORGANIZATION: "organization",
    boundary_pb2.BOUNDARY_KIND_OWNER_ACCOUNT: "account_root_user",
}
Unset = msgspec.UnsetType
_SET_NAME = text_rule(at_most=256, at_least=1, pattern=r"[^\x00]*")
SetNames = Annotated[list[Annotated[str, _SET_NAME.meta()]], list_rule(at_least=1, at_most=200, item=_SET_NAME).meta()]
# An empty list of projects is no scope: it would grant nothing for ever.
Projects = Annotated[list[Uuid], list_rule(at_least=1, at_most=1000, item=UUID_RULE).meta()]
Condition = Annotated[str, text_rule(at_most=2048, pattern=r"[^\x00]*").meta()]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is answered. Of the scopes only the one there is."""

    id: str
    permission_set_names: list[str] | None
    permission_sets_scope_type: ScopeType
    condition: str
    project_ids: list[str] | Unset = msgspec.UNSET
    organization_id: str | Unset = msgspec.UNSET
    account_root_user_id: str | Unset = msgspec.UNSET


class RuleSpecs(msgspec.Struct, frozen=True, kw_only=True):
    """A rule to make."""

    permission_set_names: SetNames
    condition: Condition | None = None
    project_ids: Projects | None = None
    organization_id: Uuid | None = None


Specs = Annotated[list[RuleSpecs], list_rule(at_most=100).meta()]


class ListRulesResponse(msgspec.Struct, frozen=True):
    """One page of rules."""

    rules: list[Rule]
    total_count: Count


class SetRulesResponse(msgspec.Struct, frozen=True):
    """All rules, without a total."""

    rules: list[Rule]


class ListRulesQuery(Paged, frozen=True, kw_only=True):
    """Whose rules to list."""

    policy_id: Uuid


class SetRulesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """All rules of a policy."""

    policy_id: Uuid
    rules: Specs


def to_rule(source: statement_pb2.Statement) -> Rule:
    """Translate an answer."""
    boundary = source.boundary
    kind = boundary.kind
    owner = kind == boundary_pb2.BOUNDARY_KIND_OWNER_ACCOUNT
    return Rule(
        id=source.id,
        permission_set_names=list(source.role_names),
        permission_sets_scope_type=SCOPE_TYPES.get(source.role_boundary_kind, "unknown_scope_type"),
        condition=source.condition,
        project_ids=list(boundary.project_ids) if kind == boundary_pb2.BOUNDARY_KIND_PROJECTS else msgspec.UNSET,
        organization_id=(
            boundary.organization_id if kind == boundary_pb2.BOUNDARY_KIND_ORGANIZATION else msgspec.UNSET
        ),
        account_root_user_id=boundary.owner_user_id if owner else msgspec.UNSET,
    )


def from_specs(specs: Sequence[RuleSpecs]) -> list[statement_pb2.Statement]:
    """Translate rules to make; everything wrong with any of them is told at once."""
    violations: list[Violation] = []
    statements = []
    for index, spec in enumerate(specs):
        violations.extend(_wrong(index, spec))
        statements.append(
            statement_pb2.Statement(
                effect=statement_pb2.EFFECT_ALLOW,
                role_names=spec.permission_set_names,
                boundary=_boundary(spec),
                condition=spec.condition or "",
            )
        )
    if violations:
        raise Invalid(*violations)
    return statements


def _boundary(spec: RuleSpecs) -> boundary_pb2.Boundary:
    if spec.organization_id is not None:
        return boundary_pb2.Boundary(
            kind=boundary_pb2.BOUNDARY_KIND_ORGANIZATION, organization_id=canonical(spec.organization_id)
        )
    return boundary_pb2.Boundary(
        kind=boundary_pb2.BOUNDARY_KIND_PROJECTS, project_ids=canonicals(spec.project_ids or ())
    )


def _wrong(index: int, spec: RuleSpecs) -> Iterable[Violation]:
    place = f"rules.{index}"
    if spec.organization_id is None and spec.project_ids is None:
        for name in ("project_ids", "organization_id"):
            yield Violation(f"{place}.{name}", "one of project_ids, organization_id must be set", rule="required")
    if spec.organization_id is not None and spec.project_ids is not None:
        for name in ("project_ids", "organization_id"):
            yield Violation(f"{place}.{name}", "only one of project_ids, organization_id may be set", rule="one_of")


async def list_rules(call: Call) -> ListRulesResponse:
    """GET /rules."""

    async def fetch(skip: int, size: int) -> ListRulesResponse:
        request = policy_service_pb2.ListStatementsRequest(
            policy_id=canonical(call.query.policy_id), page_size=size, skip=skip, with_total_size=True
        )
        answer = await call.ask(call.core.policies.ListStatements, request)
        return ListRulesResponse([to_rule(entry) for entry in answer.statements], answer.total_size)

    return await listed(call.query, fetch, lambda a: a.total_count, lambda n: ListRulesResponse([], n))


async def set_rules(call: Call) -> SetRulesResponse:
    """PUT /rules. Every rule gets a new id."""
    request = policy_service_pb2.SetStatementsRequest(
        policy_id=canonical(call.body.policy_id), statements=from_specs(call.body.rules)
    )
    answer = await call.ask(call.core.policies.SetStatements, request)
    return SetRulesResponse([to_rule(entry) for entry in answer.statements])
