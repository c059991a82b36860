"""What an organization demands of credentials and which logins it allows, over the contract and as operations."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from concord.common.v1.change_pb2 import ChangeEvent
from concord.identity import wire
from concord.identity.drafts import ALL_SECURITY_SETTINGS, LoginMethodsDraft, SecuritySettingsDraft
from concord.identity.model import PasswordRules as Rules
from concord.identity.operations.security_settings import (
    apply_settings_draft,
    get_security_settings,
    update_login_methods,
    update_security_settings,
)
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.organization_service_pb2 import (
    CreateOrganizationRequest,
    GetOrganizationRequest,
    GetSecuritySettingsRequest,
    UpdateLoginMethodsRequest,
    UpdateSecuritySettingsRequest,
)
from concord.identity.v1.security_settings_pb2 import PasswordRules, SecuritySettings
from concord.identity.v1.user_pb2 import User
from concord.kernel.database.tables import outbox_event
from concord.kernel.errors import Conflict, Denied, Invalid, Reason
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import Reach, TargetClass
from fakes import ORGANIZATION, OTHER_ORGANIZATION
from identity.making import World, settings
from identity.serving import Suite, refusal, serving

DAY = 86400


class Acme:
    """A served organization and its owner."""

    def __init__(self, suite: Suite, born: Organization) -> None:
        self.suite = suite
        self.born = born
        self.owner = suite.user(born.owner_user_id, OrganizationId(born.id))

    async def settings(self, **fields: Any) -> SecuritySettings:
        return await self.suite.organizations.GetSecuritySettings(GetSecuritySettingsRequest(**fields), **self.owner)

    def update(self, *mask: str, asked: SecuritySettings | None = None, **fields: Any) -> Any:
        request = UpdateSecuritySettingsRequest(
            security_settings=asked or SecuritySettings(), update_mask=FieldMask(paths=mask), **fields
        )
        return self.suite.organizations.UpdateSecuritySettings(request, **self.owner)

    def allow(self, **fields: Any) -> Any:
        return self.suite.organizations.UpdateLoginMethods(UpdateLoginMethodsRequest(**fields), **self.owner)

    async def organization(self) -> Organization:
        return await self.suite.organizations.GetOrganization(GetOrganizationRequest(), **self.owner)

    async def told(self) -> list[ChangeEvent]:
        """What was told to others since the birth."""

        def read(connection: Any) -> list[bytes]:
            return list(connection.execute(select(outbox_event.c.payload).order_by(outbox_event.c.revision)).scalars())

        return [ChangeEvent.FromString(each) for each in await self.suite.units.database.read(read)][3:]


@pytest_asyncio.fixture
async def acme(tmp_path: Path) -> AsyncIterator[Acme]:
    async with serving(tmp_path) as suite:
        request = CreateOrganizationRequest(
            organization=Organization(name="Acme"), owner=User(primary_email="owner@acme.example")
        )
        yield Acme(suite, await suite.organizations.CreateOrganization(request, **suite.signers.system()))


async def test_an_organization_is_born_with_settings(acme: Acme) -> None:
    found = await acme.settings()

    assert found == SecuritySettings(
        id=acme.born.id,
        organization_id=acme.born.id,
        grace_period=Duration(seconds=3 * DAY),
        max_login_attempts=10,
        max_session_ttl=Duration(seconds=30 * DAY),
        max_api_key_ttl=Duration(),
        password_rules=PasswordRules(min_length=8, max_length=512),
        temporary_password_ttl=Duration(seconds=DAY),
        version=1,
        etag="1",
        create_time=acme.born.create_time,
        update_time=acme.born.create_time,
    )
    assert await acme.settings(organization_id=acme.born.id) == found


async def test_every_setting_can_be_changed_and_is_told_to_others(acme: Acme) -> None:
    asked = SecuritySettings(
        id=acme.born.id,
        enforce_password_renewal=True,
        grace_period=Duration(seconds=3600),
        max_login_attempts=5,
        max_session_ttl=Duration(seconds=7200),
        max_api_key_ttl=Duration(seconds=90 * DAY),
        password_rules=PasswordRules(
            min_length=12,
            max_length=64,
            min_lower=1,
            min_upper=2,
            min_digits=3,
            min_symbols=4,
            username_allowed=True,
            previous_allowed=True,
        ),
        temporary_password_ttl=Duration(seconds=600),
        enforce_mfa=True,
    )

    changed = await acme.update(asked=asked)

    kept = SecuritySettings()
    kept.CopyFrom(changed)
    for name in ("organization_id", "version", "etag", "create_time", "update_time"):
        kept.ClearField(name)
    assert kept == asked
    assert (changed.version, changed.etag) == (2, "2")
    assert await acme.settings() == changed
    (event,) = await acme.told()
    told = SecuritySettings()
    assert event.after.Unpack(told)
    assert (event.type, event.resource_type, event.resource_id) == (
        "security_settings.updated",
        "security_settings",
        acme.born.id,
    )
    assert (told, event.security_relevant) == (changed, True)


async def test_only_what_the_mask_names_changes(acme: Acme) -> None:
    asked = SecuritySettings(
        max_login_attempts=3, enforce_mfa=True, password_rules=PasswordRules(min_length=10, min_digits=2)
    )
    await acme.update(asked=asked)

    one = await acme.update("password_rules.min_length", asked=asked)
    again = await acme.update("password_rules.min_digits", "enforce_mfa")
    rules = PasswordRules(min_length=9, max_length=100)
    whole = await acme.update("password_rules", asked=SecuritySettings(password_rules=rules, max_login_attempts=50))

    assert one.version == 2
    assert (again.password_rules.min_digits, again.enforce_mfa) == (0, False)
    assert (again.password_rules.min_length, again.max_login_attempts) == (10, 3)
    assert (whole.password_rules, whole.max_login_attempts) == (rules, 3)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("grace_period", SecuritySettings()),
        ("grace_period", SecuritySettings(grace_period=Duration(seconds=299))),
        ("grace_period", SecuritySettings(grace_period=Duration(seconds=366 * DAY))),
        ("grace_period", SecuritySettings(grace_period=Duration(seconds=-3600))),
        ("grace_period", SecuritySettings(grace_period=Duration(seconds=3600, nanos=500_000_000))),
        ("grace_period", SecuritySettings(grace_period=Duration(seconds=3600, nanos=-2_000_000_000))),
        ("grace_period", SecuritySettings(grace_period=Duration(seconds=2**62))),
        ("max_login_attempts", SecuritySettings()),
        ("max_login_attempts", SecuritySettings(max_login_attempts=-1)),
        ("max_login_attempts", SecuritySettings(max_login_attempts=51)),
        ("max_session_ttl", SecuritySettings()),
        ("max_session_ttl", SecuritySettings(max_session_ttl=Duration(seconds=299))),
        ("max_session_ttl", SecuritySettings(max_session_ttl=Duration(seconds=30 * DAY + 1))),
        ("max_api_key_ttl", SecuritySettings(max_api_key_ttl=Duration(seconds=299))),
        ("max_api_key_ttl", SecuritySettings(max_api_key_ttl=Duration(seconds=3651 * DAY))),
        ("temporary_password_ttl", SecuritySettings()),
        ("temporary_password_ttl", SecuritySettings(temporary_password_ttl=Duration(seconds=31 * DAY))),
        ("password_rules.min_length", SecuritySettings()),
        ("password_rules.min_length", SecuritySettings(password_rules=PasswordRules(min_length=7))),
        ("password_rules.min_length", SecuritySettings(password_rules=PasswordRules(min_length=129))),
        ("password_rules.max_length", SecuritySettings(password_rules=PasswordRules(max_length=63))),
        ("password_rules.max_length", SecuritySettings(password_rules=PasswordRules(max_length=513))),
        ("password_rules.min_lower", SecuritySettings(password_rules=PasswordRules(min_lower=-1))),
        ("password_rules.min_upper", SecuritySettings(password_rules=PasswordRules(min_upper=17))),
        ("password_rules.min_digits", SecuritySettings(password_rules=PasswordRules(min_digits=17))),
        ("password_rules.min_symbols", SecuritySettings(password_rules=PasswordRules(min_symbols=17))),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value).replace("\n", " "),
)
async def test_a_value_out_of_its_range_is_refused_by_name(acme: Acme, path: str, asked: SecuritySettings) -> None:
    before = await acme.settings()

    refused = await refusal(acme.update(path, asked=asked))

    assert isinstance(refused, Invalid)
    assert [each.field for each in refused.violations] == [f"security_settings.{path}"]
    assert (await acme.settings(), await acme.told()) == (before, [])


async def test_the_least_length_does_not_exceed_the_most(acme: Acme) -> None:
    await acme.update(asked=SecuritySettings(password_rules=PasswordRules(max_length=64)))

    asked = SecuritySettings(password_rules=PasswordRules(min_length=65))
    refused = await refusal(acme.update(asked=asked))
    both = await acme.update(asked=SecuritySettings(password_rules=PasswordRules(min_length=65, max_length=65)))

    assert isinstance(refused, Invalid)
    assert [each.field for each in refused.violations] == ["security_settings.password_rules.min_length"]
    assert (both.password_rules.min_length, both.password_rules.max_length) == (65, 65)


@pytest.mark.parametrize(
    "path", ["id", "organization_id", "etag", "version", "password_rules.x", "grace_period.seconds"]
)
async def test_what_is_no_setting_is_not_masked(acme: Acme, path: str) -> None:
    refused = await refusal(acme.update("enforce_mfa", path, asked=SecuritySettings(enforce_mfa=True)))

    assert isinstance(refused, Invalid)
    assert [each.field for each in refused.violations] == ["update_mask"]
    assert not (await acme.settings()).enforce_mfa


async def test_keys_without_end_can_be_allowed_again(acme: Acme) -> None:
    await acme.update(asked=SecuritySettings(max_api_key_ttl=Duration(seconds=DAY)))

    freed = await acme.update("max_api_key_ttl")

    assert freed.max_api_key_ttl.seconds == 0
    assert [each.security_relevant for each in await acme.told()] == [True, False]


async def test_a_stale_etag_stops_the_change(acme: Acme) -> None:
    await acme.update(asked=SecuritySettings(enforce_mfa=True, etag="1"))

    refused = await refusal(acme.update(asked=SecuritySettings(max_login_attempts=3, etag="1")))

    assert refused.reason is Reason.ETAG_MISMATCH
    assert (await acme.settings()).max_login_attempts == 10


async def test_a_change_can_be_rehearsed_and_repeated(acme: Acme) -> None:
    asked = SecuritySettings(max_login_attempts=3)

    rehearsed = await acme.update(asked=asked, validate_only=True)
    before = await acme.settings()
    request_id = str(uuid.uuid4())
    first = await acme.update(asked=asked, request_id=request_id)
    await acme.update(asked=SecuritySettings(max_login_attempts=4))
    again = await acme.update(asked=asked, request_id=request_id)

    assert (rehearsed.max_login_attempts, before.max_login_attempts) == (3, 10)
    assert again == first
    assert (await acme.settings()).max_login_attempts == 4


async def test_of_parallel_changes_none_is_lost(acme: Acme) -> None:
    names = ("min_lower", "min_upper", "min_digits", "min_symbols")

    await asyncio.gather(
        *(acme.update(asked=SecuritySettings(password_rules=PasswordRules(**{name: 1}))) for name in names)
    )

    found = await acme.settings()
    assert [getattr(found.password_rules, name) for name in names] == [1] * 4
    assert found.version == 5


async def test_another_organizations_settings_are_as_unknown_as_none(acme: Acme) -> None:
    for stranger in (OTHER_ORGANIZATION, str(uuid.uuid4())):
        asked = SecuritySettings(id=stranger, enforce_mfa=True)
        for call in (
            acme.settings(organization_id=stranger),
            acme.update(asked=asked),
            acme.allow(organization_id=stranger, login_password_enabled=False),
        ):
            assert (await refusal(call)).reason is Reason.RESOURCE_NOT_FOUND
    assert await acme.told() == []


async def test_each_call_asks_for_its_own_permission(acme: Acme) -> None:
    asked = acme.suite.decisions.asked

    await acme.settings()
    await acme.update(asked=SecuritySettings(enforce_mfa=True))
    await acme.allow(login_oauth_enabled=False)

    assert [each.permission for each in asked[-3:]] == [
        "identity.security_settings.get",
        "identity.security_settings.update",
        "identity.login_methods.update",
    ]


async def test_ways_to_log_in_are_opened_and_closed_one_by_one(acme: Acme) -> None:
    def ways(of: Organization) -> tuple[bool, ...]:
        return (
            of.login_password_enabled,
            of.login_oauth_enabled,
            of.login_magic_code_enabled,
            of.login_federation_enabled,
        )

    closed = await acme.allow(login_password_enabled=False, etag="1")
    masked = await acme.allow(
        login_federation_enabled=True,
        login_oauth_enabled=True,
        update_mask=FieldMask(paths=["login_federation_enabled", "login_magic_code_enabled"]),
    )
    same = await acme.allow(login_federation_enabled=True)

    assert ways(acme.born) == (True, True, True, False)
    assert ways(closed) == (False, True, True, False)
    assert ways(masked) == (False, True, False, True)
    assert same == masked == await acme.organization()
    told = await acme.told()
    assert [(each.type, each.security_relevant) for each in told] == [("organization.updated", True)] * 2
    assert (await refusal(acme.allow(login_password_enabled=True, etag="1"))).reason is Reason.ETAG_MISMATCH
    wrong = await refusal(acme.allow(update_mask=FieldMask(paths=["name"])))
    assert wrong.reason is Reason.INVALID_FIELDS


TIGHTER: list[dict[str, Any]] = [
    {"enforce_password_renewal": True},
    {"enforce_mfa": True},
    {"max_login_attempts": 9},
    {"grace_period": timedelta(days=2)},
    {"max_session_ttl": timedelta(days=29)},
    {"temporary_password_ttl": timedelta(hours=1)},
    {"max_api_key_ttl": timedelta(days=3650)},
    {"password_rules": Rules(min_length=9)},
    {"password_rules": Rules(max_length=511)},
    {"password_rules": Rules(min_symbols=1)},
]


@pytest.mark.parametrize("change", TIGHTER, ids=str)
def test_what_takes_something_away_is_tighter_and_taking_it_back_is_not(change: dict[str, Any]) -> None:
    birth = settings()
    tight = replace(birth, **change)

    assert tight.is_tighter_than(birth)
    assert not birth.is_tighter_than(tight)
    assert not birth.is_tighter_than(birth)


def test_forbidding_what_was_allowed_is_tighter() -> None:
    loose = replace(settings(), password_rules=Rules(username_allowed=True, previous_allowed=True))

    for kept in (Rules(username_allowed=True), Rules(previous_allowed=True)):
        assert replace(loose, password_rules=kept).is_tighter_than(loose)
        assert not loose.is_tighter_than(replace(loose, password_rules=kept))


@given(
    st.builds(
        SecuritySettingsDraft,
        enforce_password_renewal=st.booleans(),
        grace_period=st.timedeltas(),
        max_login_attempts=st.integers(-60, 60),
        max_session_ttl=st.timedeltas(),
        max_api_key_ttl=st.timedeltas(),
        temporary_password_ttl=st.timedeltas(),
        enforce_mfa=st.booleans(),
        password_rules=st.builds(Rules, *([st.integers(-5, 600)] * 6), st.booleans(), st.booleans()),
    ),
    st.frozensets(st.sampled_from(sorted(ALL_SECURITY_SETTINGS))),
)
def test_what_is_accepted_survives_storage_and_leaves_room_for_a_password(
    draft: SecuritySettingsDraft, fields: frozenset[str]
) -> None:
    try:
        laid = apply_settings_draft(settings(), draft, fields)
    except Invalid:
        return

    rules = laid.password_rules
    needed = rules.min_lower + rules.min_upper + rules.min_digits + rules.min_symbols
    assert 8 <= rules.min_length <= rules.max_length <= 512
    assert needed <= rules.max_length
    assert wire.security_settings_from_wire(wire.security_settings_to_wire(laid)) == laid


async def test_settings_come_back_as_they_were_kept(worlds: World) -> None:
    await worlds.found()
    draft = SecuritySettingsDraft(enforce_mfa=True, max_session_ttl=timedelta(hours=1))
    fields = frozenset({"enforce_mfa", "max_session_ttl"})

    changed = await worlds.act(lambda unit: update_security_settings(unit, draft, fields, "1"))
    same = await worlds.act(lambda unit: update_security_settings(unit, draft, fields, "2"))

    found = await worlds.see(lambda store: store.organizations.find_security_settings(ORGANIZATION))
    assert same == changed == found
    assert (found.enforce_mfa, found.max_session_ttl, found.version) == (True, timedelta(hours=1), 2)
    assert worlds.events[3:] == ["security_settings.updated"]
    assert worlds.changes[-1].awaited is False


async def test_settings_of_one_organization_are_not_those_of_another(worlds: World) -> None:
    await worlds.found()
    await worlds.found(OTHER_ORGANIZATION, name="Other", email="owner@other.example")
    draft = SecuritySettingsDraft(enforce_mfa=True)

    await worlds.act(lambda unit: update_security_settings(unit, draft, frozenset({"enforce_mfa"}), ""))

    other = await worlds.see(lambda store: store.organizations.find_security_settings(OTHER_ORGANIZATION))
    assert (other.enforce_mfa, other.version) == (False, 1)


async def test_of_two_changes_with_one_etag_one_wins(worlds: World) -> None:
    await worlds.found()
    draft = SecuritySettingsDraft(enforce_mfa=True, max_login_attempts=2)

    done = await asyncio.gather(
        *(
            worlds.act(lambda unit, name=name: update_security_settings(unit, draft, frozenset({name}), "1"))
            for name in ("enforce_mfa", "max_login_attempts")
        ),
        return_exceptions=True,
    )

    assert sorted(isinstance(each, Conflict) for each in done) == [False, True]


async def test_a_right_bounded_to_projects_neither_reads_nor_changes_settings(world: World) -> None:
    await world.found()
    bounded = Reach(everything=False, project_ids=frozenset({ORGANIZATION}), classes=frozenset({TargetClass.ANY}))
    draft = SecuritySettingsDraft(enforce_mfa=True)

    with pytest.raises(Denied):
        await world.see(lambda store: get_security_settings(store, ORGANIZATION, bounded))
    with pytest.raises(Denied):
        await world.act(
            lambda unit: update_security_settings(unit, draft, frozenset({"enforce_mfa"}), ""), reach=bounded
        )
    with pytest.raises(Denied):
        await world.act(
            lambda unit: update_login_methods(unit, LoginMethodsDraft(), frozenset({"login_oauth_enabled"}), ""),
            reach=bounded,
        )
