"""Generated requests against a really served suite hold it to the document that it publishes itself."""

import time
from collections import Counter
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
EXAMPLES = 8
SECONDS = 90
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def spared(case: Case, known: Any) -> bool:
    """Whether the request would take the caller's own credential away."""
    named = set((case.path_parameters or {}).values())
    return case.method.upper() != "GET" and not named.isdisjoint(known.spared)


def walk(operation: Any, known: Any, answers: Counter[int]) -> None:
    """Send generated requests for one operation: such as it describes, and such as it does not."""

    def send(case: Case) -> None:
        if operation.path.endswith("/remove-member"):
            known.fill_group()
        case.path_parameters = known.fill(case.path_parameters)
        case.query = known.fill(case.query)
        case.body = known.fill(case.body)
        if spared(case, known):
            return
        response = case.call_and_validate(headers=known.headers, checks=CHECKS)
        answers[response.status_code] += 1
        if response.status_code == 204:
            known.deleted(operation.path)
        if response.status_code == 200 and operation.label.split()[0] == "POST" and "/{" not in operation.path:
            made = response.json()
            if "id" in made or "access_key" in made:
                known.forget(operation.path.removeprefix("/iam/v1alpha1"), made)

    settings = hypothesis.settings(
        max_examples=EXAMPLES,
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
            modes=list(HypothesisTestMode),
            settings=settings,
            seed=SEED,
        ),
    )
    test()


def test_no_answer_leaves_the_document(suite: RunningSuite, known: Any) -> None:
    print(f"seed {SEED}")
    started = time.monotonic()
    api = schemathesis.openapi.from_url(f"{suite.http}/openapi/scaleway.json", config=SchemathesisConfig())
    findings: dict[str, str] = {}
    seen: dict[str, Counter[int]] = {}
    for result in api.get_all_operations():
        operation = result.ok()
        answers = seen[operation.label] = Counter()
        try:
            walk(operation, known, answers)
        except (FailureGroup, AssertionError, ExceptionGroup) as error:
            findings[operation.label] = str(error)
    seconds = time.monotonic() - started
    for label, answers in seen.items():
        print(label, dict(sorted(answers.items())))
    print(f"{sum(map(Counter.total, seen.values()))} requests in {seconds:.0f} s")
    assert not findings, "\n\n".join(f"{label}: {text}" for label, text in findings.items())
    assert [label for label, answers in seen.items() if not any(status < 300 for status in answers)] == []
    assert seconds < SECONDS
