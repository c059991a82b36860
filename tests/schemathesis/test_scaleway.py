"""Generated requests against a really served suite hold it to the document that it publishes itself."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import schemathesis
from processes import RunningSuite
from schemathesis import Case

pytestmark = [pytest.mark.schemathesis, pytest.mark.timeout(120)]

SEED = 20261121
# The owner gets furthest into the answers; the others are mostly refused, and need fewer requests to show it.
EXAMPLES = {"owner": 8, "reader": 6, "newcomer": 4, "nobody": 4}
SECONDS = {"owner": 70, "reader": 20, "newcomer": 13, "nobody": 12}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


# What these want is a login, or something that is shown only once.
NEED_A_SECRET = {
    "GET /iam/v1alpha1/jwts/{jti}",
    "DELETE /iam/v1alpha1/jwts/{jti}",
    "POST /iam/v1alpha1/users/{user_id}/validate-mfa-otp",
    "POST /iam/v1alpha1/users/{user_id}/join-connection",
    "POST /iam/v1alpha1/users/{user_id}/remove-connection",
}

# A question asked by POST.
QUESTION = "/check-permissions"


@dataclass(frozen=True)
class Caller:
    """In whose name requests are sent."""

    name: str
    headers: dict[str, str]


def spared(case: Case, known: Any) -> bool:
    """Whether the request would take the caller's own credential away."""
    named = set((case.path_parameters or {}).values())
    return case.method.upper() != "GET" and not named.isdisjoint(known.spared)


def fields_of_body(operation: Any) -> frozenset[str]:
    """Return the fields that the document describes for a request's body."""
    document = operation.schema.raw_schema
    body = document["paths"][operation.path][operation.method.lower()].get("requestBody")
    if body is None:
        return frozenset()
    schema = body["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return frozenset(schema["properties"])


def asks_for_a_change(case: Case) -> bool:
    """Whether the request would change anything: one that describes nothing to change is a reading."""
    if case.method.upper() == "GET" or case.path.endswith(QUESTION):
        return False
    fields = fields_of_body(case.operation)
    if not fields:
        return True
    body = case.body if isinstance(case.body, dict) else {}
    return any(value not in (None, []) for field, value in body.items() if field in fields)


def walk(operation: Any, known: Any, caller: Caller, answers: Counter[int]) -> None:
    """Send generated requests for one operation: such as it describes, and such as it does not."""

    def send(case: Case) -> None:
        if operation.path.endswith("/remove-member"):
            known.fill_group()
        if operation.path.endswith("/organizations/{organization_id}/saml"):
            known.turn_saml(on=operation.label.startswith("GET"))
        case.path_parameters = known.fill(case.path_parameters)
        case.query = known.fill(case.query)
        case.body = known.fill(case.body)
        if spared(case, known):
            return
        response = case.call_and_validate(headers=caller.headers, checks=CHECKS)
        answers[response.status_code] += 1
        refused = response.status_code >= 400
        assert refused or caller.name == "owner" or not asks_for_a_change(case), f"{case.method} {case.body!r}"
        if response.status_code == 204:
            known.deleted(operation.path)
        if response.status_code == 200 and operation.label.split()[0] == "POST" and "/{" not in operation.path:
            made = response.json()
            if "id" in made or "access_key" in made:
                known.forget(operation.path.removeprefix("/iam/v1alpha1"), made)

    settings = hypothesis.settings(
        max_examples=EXAMPLES[caller.name],
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    test = create_test(
        operation=operation,
        test_func=send,
        config=HypothesisTestConfig(
            project=operation.schema.config,
            modes=list(HypothesisTestMode) if caller.name == "owner" else [HypothesisTestMode.FUZZING],
            settings=settings,
            seed=SEED,
        ),
    )
    test()


def walk_all(suite: RunningSuite, known: Any, caller: str) -> dict[str, Counter[int]]:
    """Walk the whole document in one caller's name; return how often each operation answered with which status."""
    started = time.monotonic()
    as_caller = Caller(caller, known.headers(caller))
    api = schemathesis.openapi.from_url(f"{suite.http}/openapi/scaleway.json", config=SchemathesisConfig())
    findings: dict[str, str] = {}
    seen: dict[str, Counter[int]] = {}
    for result in api.get_all_operations():
        operation = result.ok()
        answers = seen[operation.label] = Counter()
        try:
            walk(operation, known, as_caller, answers)
        except (FailureGroup, AssertionError, ExceptionGroup) as error:
            findings[operation.label] = str(error)
    seconds = time.monotonic() - started
    for label, answers in seen.items():
        print(label, dict(sorted(answers.items())))
    print(f"{caller}: {sum(map(Counter.total, seen.values()))} requests in {seconds:.0f} s, seed {SEED}")
    assert not findings, "\n\n".join(f"{label}: {text}" for label, text in findings.items())
    assert len(seen) == 71
    assert seconds < SECONDS[caller]
    return seen


def fulfilled(seen: dict[str, Counter[int]]) -> set[str]:
    """Return the operations that were done at least once."""
    return {label for label, answers in seen.items() if any(status < 300 for status in answers)}


def test_no_answer_to_the_owner_leaves_the_document(suite: RunningSuite, known: Any) -> None:
    seen = walk_all(suite, known, "owner")

    assert set(seen) - fulfilled(seen) <= NEED_A_SECRET


def test_no_answer_to_a_member_who_may_read_leaves_the_document(suite: RunningSuite, known: Any) -> None:
    seen = walk_all(suite, known, "reader")

    assert {label for label in seen if label.startswith("GET ")} - fulfilled(seen) <= NEED_A_SECRET


def test_no_answer_to_a_member_without_rights_leaves_the_document(suite: RunningSuite, known: Any) -> None:
    seen = walk_all(suite, known, "newcomer")

    assert sum(answers[403] for answers in seen.values()) > len(seen) / 2


def test_no_answer_to_a_caller_without_a_token_leaves_the_document(suite: RunningSuite, known: Any) -> None:
    seen = walk_all(suite, known, "nobody")

    assert not fulfilled(seen)
    assert all(answers[401] for answers in seen.values())
