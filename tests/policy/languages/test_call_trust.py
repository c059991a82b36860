"""Trust documents: what they read, what they refuse and where, and whom they trust."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concord.kernel.errors import Invalid, Reason
from concord.policy.engine import Context, Request, Subject
from concord.policy.languages.call_trust import (
    MAX_TRUSTED,
    TrustedUser,
    TrustStatement,
    parse_trust,
    trusts_service,
    trusts_user,
)

ALICE = TrustedUser(12345678, "alice")
SRN = "srn:soracom:OP0012345678::User:alice"


def _document(*rows: Any) -> str:
    return json.dumps({"statements": list(rows)})


def _trusting(*names: str, **more: Any) -> str:
    return _document({"effect": "allow", "principal": {"soracom": list(names)}, **more})


def _refusal(document: str) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        parse_trust(document)
    assert caught.value.reason is Reason.INVALID_DOCUMENT
    return [(violation.field, violation.rule) for violation in caught.value.violations]


def test_a_document_is_read_into_whom_it_trusts() -> None:
    document = _document(
        {
            "effect": "allow",
            "principal": {"soracom": [SRN, "srn:soracom:OP0000000009:g:User:a:b"], "service": ["Flux"]},
            "condition": "samUserName == 'alice'",
        },
        {"effect": "allow", "principal": {"soracom": ["srn:soracom:OP0000000009::Operator:OP0000000009"]}},
    )

    assert parse_trust(document) == (
        TrustStatement((ALICE, TrustedUser(9, "a:b")), ("Flux",), '(subject.name == "alice")'),
        TrustStatement((TrustedUser(9),)),
    )


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ("", [("document", "json")]),
        ('{"statements": [], "statements": []}', [("document", "json")]),
        (_document("x"), [("statements[0]", "format")]),
        (_document({}), [("statements[0].effect", "required"), ("statements[0].principal", "required")]),
        (_trusting(SRN, effect="deny"), [("statements[0].effect", "constraint")]),
        (_trusting(SRN, action="*"), [("statements[0].action", "unknown")]),
        (_trusting(SRN, condition="("), [("statements[0].condition", "condition")]),
        (_trusting(SRN, condition=7), [("statements[0].condition", "format")]),
        (_trusting(), [("statements[0].principal", "required")]),
        (_document({"effect": "allow", "principal": "*"}), [("statements[0].principal", "format")]),
        (_document({"effect": "allow", "principal": {}}), [("statements[0].principal", "required")]),
        (
            _document({"effect": "allow", "principal": {"soracom": SRN}}),
            [("statements[0].principal.soracom", "format")],
        ),
        (
            _document({"effect": "allow", "principal": {"aws": ["x"], "soracom": [SRN]}}),
            [("statements[0].principal.aws", "unknown")],
        ),
        (
            _document({"effect": "allow", "principal": {"service": ["flux"]}}),
            [("statements[0].principal.service[0]", "unknown")],
        ),
        (_trusting(*[SRN] * (MAX_TRUSTED + 1)), [("statements[0].principal.soracom", "length")]),
    ],
)
def test_a_document_is_refused_with_the_place(document: str, refusal: list[tuple[str, str]]) -> None:
    assert _refusal(document) == refusal


@pytest.mark.parametrize(
    "name",
    [
        *("", "*", "alice", "srn:soracom:OP0012345678::User:", "srn:soracom:OP0012345678::User:*"),
        *("srn:soracom:*::User:alice", "srn:soracom:OP0012345678::User:al*", "srn:soracom:OP0012345678:User:alice"),
        *("srn:soracom:OP12345678::User:alice", "srn:soracom:0012345678::User:alice", "srn:aws:OP0012345678::User:a"),
        *("srn:soracom:OP0012345678::Role:admin", "srn:soracom:OP0012345678::Operator:OP0000000001"),
        *("srn:soracom:OP0012345678::Operator:*", "srn:soracom:::User:alice", "SRN:soracom:OP0012345678::User:alice"),
        *("srn:soracom:OP001234567８::User:alice", SRN + "\u200b", SRN + "\n", SRN + "a" * 256),
        *("srn:soracom:OP0012345678: :User:alice", "srn:soracom:OP0012345678::user:alice"),
    ],
)
def test_a_principal_is_named_in_full_or_refused(name: str) -> None:
    assert _refusal(_trusting(SRN, name)) == [("statements[0].principal.soracom[1]", "pattern")]


def test_conditions_are_about_the_caller_at_the_moment_of_the_switch() -> None:
    statements = parse_trust(
        _trusting(SRN, condition="currentDate == date(2026, 11, 22) and ipAddress('10.0.0.0/24')"), "Asia/Tokyo"
    )
    evening = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)

    def at(ip: str, time: datetime | None = evening) -> Request:
        return Request("", subject=Subject(name="alice"), context=Context(ip=ip, time=time))

    assert trusts_user(statements, ALICE, at("10.0.0.9"))
    assert not trusts_user(statements, ALICE, at("10.0.1.9"))
    assert not trusts_user(statements, ALICE, at("10.0.0.9", datetime(2026, 11, 21, 14, 59, tzinfo=UTC)))
    assert not trusts_user(statements, ALICE, at("10.0.0.9", None))
    assert not trusts_user(statements, TrustedUser(12345678, "bob"), at("10.0.0.9"))


def test_an_instant_that_the_calendar_of_the_zone_does_not_hold_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        parse_trust(_trusting(SRN, condition="currentDateTime > datetime(0001, 1, 1, 0, 0)"), "Asia/Tokyo")

    assert [violation.field for violation in caught.value.violations] == ["statements[0].condition"]


def test_a_condition_that_cannot_be_answered_trusts_nobody() -> None:
    statements = parse_trust(_trusting(SRN, condition="not samUserName == 1"))

    assert not trusts_user(statements, ALICE, Request("", subject=Subject(name="alice")))


def test_one_statement_that_trusts_is_enough() -> None:
    rows = [{"effect": "allow", "principal": {"soracom": [SRN]}, "condition": text} for text in ("false", "true")]

    assert trusts_user(parse_trust(_document(*rows)), ALICE, Request(""))


def test_services_are_trusted_apart_from_users() -> None:
    statements = parse_trust(_document({"effect": "allow", "principal": {"service": ["Flux"]}}))

    assert trusts_service(statements, "Flux", Request(""))
    assert not trusts_service(statements, "flux", Request(""))
    assert not trusts_user(statements, TrustedUser(0, "Flux"), Request(""))


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")), st.text().map(_trusting))
)
def test_no_text_does_worse_than_being_refused(document: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_trust(document)

    assert all(violation.field.isprintable() for violation in caught.value.violations)
