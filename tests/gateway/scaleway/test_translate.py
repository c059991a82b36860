"""Records to the core and back, for each resource."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from concord.common.v1 import boundary_pb2
from concord.common.v1.principal_pb2 import (
    PRINCIPAL_KIND_APPLICATION,
    PRINCIPAL_KIND_DEVICE,
    PRINCIPAL_KIND_USER,
    PrincipalRef,
)
from concord.credentials.v1 import mfa_pb2
from concord.gateway.dialects.scaleway import (
    api_keys,
    applications,
    check_permissions,
    fields,
    groups,
    jwts,
    logins,
    logs,
    organizations,
    permission_sets,
    policies,
    quota,
    rules,
    saml,
    security_settings,
    ssh_keys,
    users,
)
from concord.identity.v1 import security_settings_pb2, user_pb2
from concord.kernel.errors import Invalid
from concord.policy.v1 import subject_pb2
from gateway.scaleway import making

UUIDS = st.uuids(version=4).map(str)
NAMES = st.from_regex(r"[a-zA-Z0-9()._\- ]{1,64}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=200)
TAGS = st.lists(
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=70),
    max_size=10,
    unique=True,
)


def shown(record: msgspec.Struct) -> Any:
    return msgspec.json.decode(msgspec.json.encode(record))


def test_an_application_is_shown_member_by_member() -> None:
    record = shown(applications.to_application(making.application()))

    assert list(record.items()) == [
        ("id", making.ID),
        ("name", "one"),
        ("description", ""),
        ("created_at", making.CREATED_TEXT),
        ("updated_at", making.UPDATED_TEXT),
        ("organization_id", making.ORGANIZATION),
        ("editable", True),
        ("deletable", True),
        ("managed", False),
        ("nb_api_keys", 3),
        ("tags", ["a"]),
    ]


def test_a_member_is_shown_member_by_member() -> None:
    record = shown(users.to_user(making.user(given_name="Sam", tags=["x"], mfa_enabled=True)))

    assert list(record.items()) == [
        ("id", making.ID),
        ("email", "sam@example.com"),
        ("username", "sam"),
        ("first_name", "Sam"),
        ("last_name", ""),
        ("phone_number", ""),
        ("locale", "en_US"),
        ("created_at", making.CREATED_TEXT),
        ("updated_at", making.UPDATED_TEXT),
        ("organization_id", making.ORGANIZATION),
        ("deletable", True),
        ("last_login_at", None),
        ("type", "member"),
        ("two_factor_enabled", True),
        ("status", "activated"),
        ("mfa", True),
        ("account_root_user_id", ""),
        ("tags", ["x"]),
        ("locked", False),
    ]


def test_an_ssh_key_is_shown_member_by_member() -> None:
    record = shown(ssh_keys.to_ssh_key(making.ssh_key(disabled=True)))

    assert list(record.items()) == [
        ("id", making.ID),
        ("name", "me@host"),
        ("public_key", "ssh-ed25519 AAAA"),
        ("fingerprint", "256 MD5:00 (ssh-ed25519)"),
        ("created_at", making.CREATED_TEXT),
        ("updated_at", making.UPDATED_TEXT),
        ("organization_id", making.ORGANIZATION),
        ("project_id", making.ORGANIZATION),
        ("disabled", True),
    ]


@pytest.mark.parametrize(
    ("name", "public_key", "sent"),
    [
        ("mine", "ssh-ed25519 AAAA", "mine"),
        ("mine", "ssh-ed25519 AAAA me@host", "mine"),
        ("", "ssh-ed25519 AAAA me at host", ""),
        ("", "ssh-ed25519 AAAA", "key-"),
        ("", "ssh-ed25519 AAAA  \n", "key-"),
    ],
)
def test_only_a_key_without_name_and_comment_gets_an_invented_name(name: str, public_key: str, sent: str) -> None:
    body = ssh_keys.CreateSSHKeyRequest(name=name, public_key=public_key, project_id=making.ID.upper())

    asked = ssh_keys.from_create(body).ssh_key

    assert asked.name.startswith(sent)
    assert bool(asked.name) is bool(sent)
    assert (asked.public_key, asked.project_id) == (public_key, making.ID)


def test_a_jwt_is_shown_member_by_member() -> None:
    other = PrincipalRef(kind=PRINCIPAL_KIND_APPLICATION, id=making.APPLICATION)

    record = shown(jwts.to_jwt(making.session(issuer=other)))

    assert list(record.items()) == [
        ("jti", making.ID),
        ("issuer_id", making.APPLICATION),
        ("audience_id", making.USER),
        ("created_at", making.CREATED_TEXT),
        ("updated_at", making.UPDATED_TEXT),
        ("expires_at", making.UPDATED_TEXT),
        ("ip", "192.0.2.7"),
        ("user_agent", "test/1"),
    ]


@pytest.mark.parametrize("expired", [None, True, False])
def test_a_list_of_jwts_never_asks_for_deleted_ones(expired: bool | None) -> None:
    asked = jwts.from_list(jwts.ListJWTsQuery(audience_id=making.USER, expired=expired), 0, 20)

    assert (asked.HasField("ended"), asked.ended) == (True, False)
    assert (asked.HasField("expired"), asked.expired) == (expired is not None, expired is True)
    assert {ref.kind for ref in asked.principals} == {PRINCIPAL_KIND_USER, PRINCIPAL_KIND_APPLICATION}


def test_saml_settings_are_shown_member_by_member() -> None:
    record = shown(saml.to_saml(making.federation(entity_id="idp"), "https://c.example"))

    assert list(record.items()) == [
        ("id", making.ID),
        ("status", "missing_certificate"),
        (
            "service_provider",
            {
                "entity_id": f"https://c.example/saml/{making.ID}",
                "assertion_consumer_service_url": f"https://c.example/saml/{making.ID}/login",
            },
        ),
        ("entity_id", "idp"),
        ("single_sign_on_url", ""),
    ]


def test_a_certificate_is_shown_member_by_member() -> None:
    record = shown(saml.to_certificate(making.certificate(origin=1, type=2)))

    assert list(record.items()) == [
        ("id", making.ID),
        ("type", "encryption"),
        ("origin", "scaleway"),
        ("content", "PEM\n"),
        ("expires_at", "2026-01-02T03:04:06Z"),
    ]


@given(st.integers(0, 10**11), st.integers(0, 999_999_999))
def test_durations_come_back_as_they_went(seconds: int, nanos: int) -> None:
    duration = Duration(seconds=seconds, nanos=nanos)

    assert security_settings.from_seconds(security_settings.to_seconds(duration)) == duration


def test_a_duration_has_no_more_digits_than_it_needs() -> None:
    written = [security_settings.to_seconds(Duration(seconds=2, nanos=nanos)) for nanos in (0, 500_000_000, 1)]

    assert written == ["2s", "2.5s", "2.000000001s"]


def test_only_settings_that_are_named_change() -> None:
    body = security_settings.UpdateOrganizationSecuritySettingsRequest(
        enforce_password_renewal=False, max_api_key_expiration_duration="0s"
    )

    asked = security_settings.from_update(making.ORGANIZATION, body)

    assert list(asked.update_mask.paths) == ["enforce_password_renewal", "max_api_key_ttl"]
    assert asked.security_settings == security_settings_pb2.SecuritySettings(
        id=making.ORGANIZATION, max_api_key_ttl=Duration()
    )


def test_login_methods_are_translated_by_name() -> None:
    body = organizations.UpdateOrganizationLoginMethodsRequest(login_oauth2_enabled=False, login_saml_enabled=True)

    asked = organizations.from_login_methods(making.ORGANIZATION, body)

    assert list(asked.update_mask.paths) == ["login_oauth_enabled", "login_federation_enabled"]
    assert (asked.login_oauth_enabled, asked.login_federation_enabled) == (False, True)


def test_a_grace_period_that_waits_has_no_end() -> None:
    waiting = mfa_pb2.GracePeriod(type=mfa_pb2.GRACE_PERIOD_TYPE_SET_MFA)
    begun = mfa_pb2.GracePeriod(type=mfa_pb2.GRACE_PERIOD_TYPE_UPDATE_PASSWORD, expire_time=making.UPDATED)

    assert [shown(logins.to_grace_period(each)) for each in (waiting, begun)] == [
        {"type": "set_mfa", "created_at": None, "expires_at": None},
        {"type": "update_password", "created_at": None, "expires_at": making.UPDATED_TEXT},
    ]


def test_the_owner_names_itself_as_root_and_cannot_be_deleted() -> None:
    record = users.to_user(making.user(kind=user_pb2.USER_KIND_OWNER))

    assert (record.type, record.account_root_user_id, record.deletable) == ("owner", making.ID, False)


def test_a_guest_shows_as_a_member_and_an_invited_one_as_pending() -> None:
    invited = making.user(kind=user_pb2.USER_KIND_GUEST, state=user_pb2.USER_STATE_INVITED)

    record = users.to_user(invited)

    assert (record.type, record.status) == ("member", "invitation_pending")


def test_a_group_is_shown_with_its_users_and_applications_in_the_order_given() -> None:
    members = [
        making.member(PRINCIPAL_KIND_USER, "u2"),
        making.member(PRINCIPAL_KIND_APPLICATION, "a1"),
        making.member(PRINCIPAL_KIND_DEVICE, "d1"),
        making.member(PRINCIPAL_KIND_USER, "u1"),
    ]

    record = shown(groups.to_group(making.group(), members))

    assert list(record) == [
        "id", "created_at", "updated_at", "organization_id", "name", "description",
        "user_ids", "application_ids", "tags", "editable", "deletable", "managed",
    ]  # fmt: skip
    assert (record["user_ids"], record["application_ids"]) == (["u2", "u1"], ["a1"])


def test_a_key_shows_only_the_bearer_it_has_and_its_secret_only_at_creation() -> None:
    record = shown(api_keys.to_api_key(making.api_key()))
    created = shown(api_keys.to_api_key(making.api_key(), "the-secret"))

    assert list(record) == [
        "access_key", "secret_key", "user_id", "description", "created_at", "updated_at", "expires_at",
        "default_project_id", "editable", "deletable", "managed", "creation_ip",
    ]  # fmt: skip
    assert (record["secret_key"], record["expires_at"]) == (None, None)
    assert created["secret_key"] == "the-secret"


@pytest.mark.parametrize(
    ("subject", "arm"),
    [
        (subject_pb2.PolicySubject(principal=PrincipalRef(kind=PRINCIPAL_KIND_USER, id="x")), {"user_id": "x"}),
        (
            subject_pb2.PolicySubject(principal=PrincipalRef(kind=PRINCIPAL_KIND_APPLICATION, id="x")),
            {"application_id": "x"},
        ),
        (subject_pb2.PolicySubject(group_id="x"), {"group_id": "x"}),
        (subject_pb2.PolicySubject(none=Empty()), {"no_principal": True}),
        (None, {"no_principal": True}),
        (subject_pb2.PolicySubject(everyone=Empty()), {}),
    ],
)
def test_a_policy_shows_only_the_principal_it_has(subject: Any, arm: dict[str, Any]) -> None:
    record = shown(policies.to_policy(making.policy(subject=subject)))

    arms = {"user_id", "group_id", "application_id", "no_principal"}
    assert {name: value for name, value in record.items() if name in arms} == arm
    assert (record["nb_rules"], record["nb_scopes"], record["nb_permission_sets"]) == (2, 1, 4)


def test_a_rule_shows_only_the_scope_it_has() -> None:
    organization = boundary_pb2.Boundary(kind=boundary_pb2.BOUNDARY_KIND_ORGANIZATION, organization_id="o")
    owner = boundary_pb2.Boundary(kind=boundary_pb2.BOUNDARY_KIND_OWNER_ACCOUNT, owner_user_id="u")

    assert shown(rules.to_rule(making.statement())) == {
        "id": making.ID,
        "permission_set_names": ["InstancesReadOnly"],
        "permission_sets_scope_type": "projects",
        "condition": "",
        "project_ids": [making.ORGANIZATION],
    }
    assert shown(rules.to_rule(making.statement(boundary=organization)))["organization_id"] == "o"
    assert shown(rules.to_rule(making.statement(boundary=owner)))["account_root_user_id"] == "u"


def test_a_permission_set_is_shown() -> None:
    assert shown(permission_sets.to_permission_set(making.role())) == {
        "id": making.ID,
        "name": "IAMManager",
        "scope_type": "organization",
        "description": "all of it",
        "categories": ["iam"],
    }


def test_a_quotum_shows_one_value_and_one_place() -> None:
    unlimited = making.quota(unlimited=True)
    del unlimited.limits[:]

    assert shown(quota.to_quotum(making.quota())) == {
        "name": "iam_groups",
        "limit": 50,
        "pretty_name": "Groups",
        "unit": "group",
        "description": "",
        "locality_type": "global",
        "limits": [{"global": True, "limit": 50}],
    }
    assert "limit" not in shown(quota.to_quotum(unlimited))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("created", "application", making.APPLICATION, making.USER)),
        ({"action": "suspended", "resource_type": "user"}, ("updated", "user", making.APPLICATION, making.USER)),
        (
            {"resource_type": "api_key", "resource_name": "SCW00000000000000000"},
            ("created", "api_key", "SCW00000000000000000", making.USER),
        ),
        (
            {"actor": PrincipalRef(id="system")},
            ("created", "application", making.APPLICATION, "00000000-0000-0000-0000-000000000000"),
        ),
    ],
)
def test_a_log_names_things_as_clients_know_them(changes: dict[str, Any], expected: tuple[str, ...]) -> None:
    record = logs.to_log(making.event(**changes))

    assert (record.action, record.resource_type, record.resource_id, record.bearer_id) == expected


def test_the_organization_is_shown() -> None:
    assert shown(organizations.to_organization(making.organization())) == {
        "id": making.ORGANIZATION,
        "name": "demo",
        "alias": "",
        "login_password_enabled": True,
        "login_magic_code_enabled": False,
        "login_oauth2_enabled": False,
        "login_saml_enabled": False,
    }


@given(NAMES, TEXTS, TAGS)
def test_what_an_application_is_made_of_comes_back(name: str, description: str, tags: list[str]) -> None:
    body = applications.CreateApplicationRequest(name=name, description=description, tags=tags)

    record = applications.to_application(applications.from_create(body).application)

    assert (record.name, record.description, record.tags) == (name, description, tags)


@given(NAMES, TEXTS, TAGS, UUIDS)
def test_what_a_group_is_made_of_comes_back(name: str, description: str, tags: list[str], organization: str) -> None:
    body = groups.CreateGroupRequest(
        organization_id=organization.upper(), name=name, description=description, tags=tags
    )

    request = groups.from_create(body)
    record = groups.to_group(request.group, ())

    assert (record.name, record.description, record.tags) == (name, description, tags)
    assert request.organization_id == organization


@given(
    st.sampled_from(["user_id", "application_id"]),
    UUIDS,
    TEXTS,
    st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)),
)
def test_what_a_key_is_made_of_comes_back(arm: str, bearer: str, description: str, expiry: datetime) -> None:
    body = api_keys.CreateAPIKeyRequest(**{arm: bearer}, description=description, expires_at=expiry.isoformat())

    record = api_keys.to_api_key(api_keys.from_create(body).api_key)

    assert getattr(record, arm) == bearer
    assert record.description == description
    assert record.expires_at is not None
    assert datetime.fromisoformat(record.expires_at) == expiry


@given(st.sampled_from(["user_id", "group_id", "application_id"]), UUIDS, NAMES, TAGS)
def test_what_a_policy_is_made_of_comes_back(arm: str, principal: str, name: str, tags: list[str]) -> None:
    body = policies.CreatePolicyRequest(name=name, tags=tags, **{arm: principal})

    request = policies.from_create(body)
    record = policies.to_policy(request.policy)

    assert (record.name, record.tags, getattr(record, arm)) == (name, tags, principal)
    assert request.policy.language == "role_rules"


@given(st.lists(NAMES, min_size=1, max_size=5), TEXTS, st.lists(UUIDS, min_size=1, max_size=5, unique=True))
def test_what_a_rule_is_made_of_comes_back(names: list[str], condition: str, projects: list[str]) -> None:
    (statement,) = rules.from_specs(
        [rules.RuleSpecs(permission_set_names=names, condition=condition, project_ids=projects)]
    )

    record = rules.to_rule(statement)

    assert (record.permission_set_names, record.condition, record.project_ids) == (names, condition, projects)


@given(TEXTS, TEXTS, TAGS)
def test_what_a_member_is_made_of_comes_back(first: str, last: str, tags: list[str]) -> None:
    member = users.Member(email="sam@example.com", username="sam", first_name=first, last_name=last)

    request = users.from_create(users.CreateUserRequest(organization_id=making.ORGANIZATION, tags=tags, member=member))
    record = users.to_user(request.user)

    assert (record.first_name, record.last_name, record.tags, record.locale) == (first, last, tags, "en_US")
    assert request.user.kind == user_pb2.USER_KIND_MEMBER


def test_a_bare_address_makes_a_guest_who_is_called_by_it() -> None:
    request = users.from_create(users.CreateUserRequest(organization_id=making.ORGANIZATION, email="eve@example.com"))

    assert request.user.kind == user_pb2.USER_KIND_GUEST
    assert request.user.username == request.user.primary_email == "eve@example.com"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "a@b", "member": users.Member(email="a@b")},
    ],
)
def test_a_user_is_either_a_guest_or_a_member_with_an_address(body: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        users.from_create(users.CreateUserRequest(organization_id=making.ORGANIZATION, **body))


def test_a_change_names_only_what_is_there_and_an_empty_text_clears() -> None:
    request = users.from_update(making.ID, users.UpdateUserRequest(first_name="", tags=[], locale=""))

    assert list(request.update_mask.paths) == ["tags", "given_name", "locale"]
    assert (request.user.given_name, list(request.user.tags), request.user.locale) == ("", [], "en_US")


def test_a_change_of_a_group_leaves_translations_alone() -> None:
    request = groups.from_update(making.ID, groups.UpdateGroupRequest(name="new", description=""))

    assert list(request.update_mask.paths) == ["name.text", "description.text"]


def test_a_new_principal_replaces_the_old_one() -> None:
    request = policies.from_update(making.ID, policies.UpdatePolicyRequest(no_principal=True))

    assert list(request.update_mask.paths) == ["subject"]
    assert request.policy.subject.WhichOneof("holder") == "none"


def test_two_principals_are_refused_by_name() -> None:
    with pytest.raises(Invalid) as caught:
        policies.to_subject(policies.CreatePolicyRequest(name="x", user_id=making.USER, no_principal=True))

    assert {violation.field for violation in caught.value.violations} == {"user_id", "no_principal"}


@pytest.mark.parametrize(
    "spec",
    [
        rules.RuleSpecs(permission_set_names=["X"]),
        rules.RuleSpecs(permission_set_names=["X"], project_ids=[making.ID], organization_id=making.ID),
    ],
)
def test_a_rule_has_sets_and_exactly_one_scope(spec: rules.RuleSpecs) -> None:
    with pytest.raises(Invalid) as caught:
        rules.from_specs([rules.RuleSpecs(permission_set_names=["X"], organization_id=making.ID), spec])

    assert all(violation.field.startswith("rules.1.") for violation in caught.value.violations)


@pytest.mark.parametrize("kind", ["app", "grp", "pol"])
def test_an_invented_name_is_one_that_could_have_been_given(kind: str) -> None:
    assert re.fullmatch(rf"{kind}-[a-z]+-[a-z]+-\d{{4}}", fields.invented_name(kind))


@pytest.mark.parametrize("make", [applications.from_create, groups.from_create, policies.from_create])
def test_an_empty_name_is_replaced(make: Any) -> None:
    kinds: dict[Any, Any] = {
        applications.from_create: applications.CreateApplicationRequest(name=""),
        groups.from_create: groups.CreateGroupRequest(organization_id=making.ORGANIZATION, name=""),
        policies.from_create: policies.CreatePolicyRequest(name=""),
    }

    assert re.search(r"-\d{4}", str(make(kinds[make])))


@pytest.mark.parametrize(
    ("nanos", "expected"),
    [(0, "1970-01-01T00:00:01Z"), (500_000_000, "1970-01-01T00:00:01.500Z"), (1_000, "1970-01-01T00:00:01.000001Z")],
)
def test_an_echoed_instant_has_as_many_digits_as_it_needs(nanos: int, expected: str) -> None:
    assert fields.echoed_instant(Timestamp(seconds=1, nanos=nanos)) == expected


@pytest.mark.parametrize(
    ("service", "name", "action"),
    [
        ("", "x", "read"),
        ("instances", None, "read"),
        ("a.b", "x", "read"),
        ("instances", "*", "read"),
        ("x\x00", "x", "y"),
    ],
)
def test_a_question_that_no_permission_answers_is_not_asked(service: str, name: str | None, action: str) -> None:
    question = check_permissions.Permission(service=service, name=name, action=action, organization_id=making.ID)

    assert check_permissions.from_permission(question) is None


def test_a_question_is_asked_where_it_is_about() -> None:
    check = check_permissions.from_permission(
        check_permissions.Permission(service="Instances", name="server", action="read", project_id=making.ID)
    )

    assert check is not None
    assert check.permission == "instances.server.read"
    assert list(check.boundary.project_ids) == [making.ID]


def test_an_unknown_kind_of_bearer_is_no_filter() -> None:
    query = api_keys.ListAPIKeysQuery(bearer_id=making.USER, bearer_type="unknown_bearer_type")

    request = api_keys.from_list(query, 0, 20)

    assert {ref.kind for ref in request.bearers} == {PRINCIPAL_KIND_USER, PRINCIPAL_KIND_APPLICATION}
    assert request.bearer_kind == 0


def test_a_filter_that_is_not_given_stays_open() -> None:
    request = api_keys.from_list(api_keys.ListAPIKeysQuery(), 0, 20)

    assert not request.HasField("expired")
    assert not request.HasField("editable")
    assert list(request.bearers) == []


def test_logs_of_other_resources_are_never_asked_for() -> None:
    request = logs.from_list(logs.ListLogsQuery(action="updated"), 0, 20)

    assert "session" not in request.resource_types
    assert set(request.actions).isdisjoint({"created", "deleted"})
