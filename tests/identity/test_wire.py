"""Every resource survives the wire."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from concord.identity import wire
from concord.identity.drafts import ALL_PASSWORD_RULES, ALL_USER_FIELDS
from concord.identity.model import (
    Application,
    ApplicationState,
    Organization,
    OrganizationState,
    PasswordRules,
    Project,
    SecuritySettings,
    User,
    UserKind,
    UserState,
)
from concord.identity.v1 import security_settings_pb2, user_pb2
from concord.kernel.errors import Invalid

TEXTS = st.text(max_size=20)
UUIDS = st.uuids().map(str)
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))
DURATIONS = st.integers(0, 10**9).map(lambda seconds: timedelta(seconds=seconds))
COUNTS = st.integers(0, 2**31 - 1)
ATTRIBUTES = st.dictionaries(TEXTS, TEXTS, max_size=3)
LISTS = st.lists(TEXTS, max_size=3).map(tuple)
ENTITY: dict[str, Any] = {
    "organization_id": UUIDS,
    "create_time": INSTANTS,
    "update_time": INSTANTS,
    "version": st.integers(1, 2**62),
    "catalogue": TEXTS,
    "editable": st.booleans(),
    "deletable": st.booleans(),
    "attributes": ATTRIBUTES,
}
USERS = st.builds(
    User,
    id=UUIDS,
    kind=st.sampled_from(UserKind),
    username=TEXTS,
    nickname=TEXTS,
    given_name=TEXTS,
    family_name=TEXTS,
    phone_number=TEXTS,
    locale=TEXTS,
    description=TEXTS,
    tags=LISTS,
    primary_email=TEXTS,
    interactive_login=st.booleans(),
    division_ids=LISTS,
    state=st.sampled_from(UserState),
    suspension_reason=TEXTS,
    last_login_time=st.none() | INSTANTS,
    mfa_enabled=st.booleans(),
    password_locked=st.booleans(),
    **ENTITY,
).map(lambda user: replace(user, password_locked=user.password_locked and user.state is not UserState.SUSPENDED))
APPLICATIONS = st.builds(
    Application,
    id=UUIDS,
    name=TEXTS,
    description=TEXTS,
    tags=LISTS,
    state=st.sampled_from(ApplicationState),
    api_key_count=COUNTS,
    **ENTITY,
)
PROJECTS = st.builds(Project, id=UUIDS, name=TEXTS, description=TEXTS, group_id=TEXTS, **ENTITY)
ORGANIZATIONS = st.builds(
    Organization,
    id=UUIDS,
    number=COUNTS,
    slug=TEXTS,
    name=TEXTS,
    owner_user_id=UUIDS,
    owner_email=TEXTS,
    create_time=INSTANTS,
    update_time=INSTANTS,
    alias=TEXTS,
    description=TEXTS,
    default_language=TEXTS,
    languages=LISTS,
    login_password_enabled=st.booleans(),
    login_oauth_enabled=st.booleans(),
    login_magic_code_enabled=st.booleans(),
    login_federation_enabled=st.booleans(),
    catalogues=LISTS,
    state=st.sampled_from(OrganizationState),
    attributes=ATTRIBUTES,
    version=COUNTS,
)
PLAIN = (
    "username",
    "nickname",
    "given_name",
    "family_name",
    "phone_number",
    "locale",
    "description",
    "primary_email",
    "suspension_reason",
)
SETTINGS = st.builds(
    SecuritySettings,
    organization_id=UUIDS,
    create_time=INSTANTS,
    update_time=INSTANTS,
    enforce_password_renewal=st.booleans(),
    grace_period=DURATIONS,
    max_login_attempts=COUNTS,
    max_session_ttl=DURATIONS,
    max_api_key_ttl=DURATIONS,
    password_rules=st.builds(PasswordRules, *([COUNTS] * 6), st.booleans(), st.booleans()),
    temporary_password_ttl=DURATIONS,
    enforce_mfa=st.booleans(),
    version=COUNTS,
)


def again(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())


@given(USERS)
def test_users_survive(value: User) -> None:
    assert wire.user_from_wire(again(wire.user_to_wire(value))) == value


@given(APPLICATIONS)
def test_applications_survive(value: Application) -> None:
    assert wire.application_from_wire(again(wire.application_to_wire(value))) == value


@given(PROJECTS)
def test_projects_survive(value: Project) -> None:
    assert wire.project_from_wire(again(wire.project_to_wire(value))) == value


@given(ORGANIZATIONS)
def test_organizations_survive(value: Organization) -> None:
    assert wire.organization_from_wire(again(wire.organization_to_wire(value))) == value


@given(SETTINGS)
def test_security_settings_survive(value: SecuritySettings) -> None:
    assert wire.security_settings_from_wire(again(wire.security_settings_to_wire(value))) == value


@given(st.one_of(USERS, APPLICATIONS, PROJECTS, ORGANIZATIONS, SETTINGS))
def test_every_value_can_be_told_to_others(value: Any) -> None:
    message = wire.snapshot(value)

    assert message.DESCRIPTOR.name == type(value).__name__
    assert message.DESCRIPTOR.full_name.startswith("concord.identity.v1.")


def test_what_is_no_resource_is_not_told() -> None:
    with pytest.raises(TypeError):
        wire.snapshot("text")


def test_every_field_of_a_message_is_set_from_the_value() -> None:
    # A field that the contract gains must be carried, or this test must say why not.
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    value = User(
        id="i",  # type: ignore[arg-type]
        organization_id="o",  # type: ignore[arg-type]
        kind=UserKind.MEMBER,
        state=UserState.SUSPENDED,
        last_login_time=moment,
        create_time=moment,
        update_time=moment,
        tags=("t",),
        division_ids=("d",),
        attributes={"a.b": "c"},
        mfa_enabled=True,
        catalogue="c",
        **dict.fromkeys(PLAIN, "text"),
    )

    message = wire.user_to_wire(value)

    assert {each.name for each, _ in message.ListFields()} == set(user_pb2.User.DESCRIPTOR.fields_by_name)


def test_without_a_mask_the_fields_that_are_set_change() -> None:
    message = user_pb2.User(id="x", etag="1", given_name="Ann", interactive_login=False)

    assert wire.chosen_fields(message, FieldMask(), ALL_USER_FIELDS) == {"given_name", "interactive_login"}


def test_a_mask_names_exactly_what_changes() -> None:
    message = user_pb2.User(given_name="Ann")

    assert wire.chosen_fields(message, FieldMask(paths=["nickname"]), ALL_USER_FIELDS) == {"nickname"}
    for path in ("kind", "id", "etag", "state", "attributes.x", "*", ""):
        with pytest.raises(Invalid):
            wire.chosen_fields(message, FieldMask(paths=["nickname", path]), ALL_USER_FIELDS)


def test_every_setting_is_set_from_the_value() -> None:
    moment, hour = datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)
    value = SecuritySettings(
        organization_id="o",  # type: ignore[arg-type]
        create_time=moment,
        update_time=moment,
        enforce_password_renewal=True,
        max_api_key_ttl=hour,
        password_rules=PasswordRules(8, 512, 1, 1, 1, 1, True, True),
        enforce_mfa=True,
    )

    message = wire.security_settings_to_wire(value)

    for each in (message, message.password_rules):
        assert {field.name for field, _ in each.ListFields()} == set(each.DESCRIPTOR.fields_by_name)


def test_rules_for_passwords_are_chosen_one_by_one_or_together() -> None:
    message = security_settings_pb2.SecuritySettings(
        id="x", enforce_mfa=True, password_rules=security_settings_pb2.PasswordRules(min_length=9)
    )

    assert wire.chosen_settings(message, FieldMask()) == {"enforce_mfa", "password_rules.min_length"}
    assert wire.chosen_settings(message, FieldMask(paths=["password_rules.max_length"])) == {
        "password_rules.max_length"
    }
    assert wire.chosen_settings(message, FieldMask(paths=["password_rules"])) == ALL_PASSWORD_RULES
