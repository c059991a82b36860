"""Logins over gRPC: who is meant, what a session says of its proof, and what keeps people out."""

import asyncio
import itertools
from datetime import timedelta

import pytest

from concord.credentials.v1 import mfa_pb2, mfa_service_pb2, session_service_pb2
from concord.identity.v1.organization_pb2 import ORGANIZATION_STATE_SUSPENDED
from concord.identity.v1.user_pb2 import USER_KIND_CUSTOMER, USER_STATE_SUSPENDED
from concord.kernel.errors import Reason
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.rpc.wire import instant_to_wire
from credentials.making import OWNER, USER, World, fresh_id, organization_message, user_message
from credentials.people import OTHER_PASSWORD, PASSWORD, Person, login, settings
from fakes import ORGANIZATION, START

CUSTOMER = PrincipalRef(PrincipalKind.USER, "88888888-8888-4888-8888-888888888888")


@pytest.mark.parametrize("organization", [ORGANIZATION, "acme", "ac", "4711", "ACME", ORGANIZATION.upper()])
@pytest.mark.parametrize("name", ["ann", "ann@acme.example", "ANN@Acme.Example"])
async def test_an_organization_and_a_user_are_meant_by_any_of_their_names(world: World, organization, name):
    ann = Person(world)
    await ann.set_password()

    session = await ann.log_in(login=login(name, organization))

    assert session.session.principal.id == USER.id


async def test_an_owner_needs_no_organization_and_others_do(world: World):
    ann, root = Person(world), Person(world, OWNER, "root")
    await ann.set_password()
    await root.set_password()

    session = await root.log_in(login=login("ROOT@acme.example", ""))
    refused = await world.refusal(ann.log_in(login=login("ann@acme.example", "")))

    assert session.session.principal.id == OWNER.id
    assert refused.reason is Reason.CREDENTIAL_INVALID


async def test_staff_is_meant_before_a_customer_of_the_same_address(world: World):
    customer = user_message(CUSTOMER, "c-ann", kind=USER_KIND_CUSTOMER, primary_email="ann@acme.example")
    await world.hear("user.created", CUSTOMER.id, customer)
    ann, buyer = Person(world), Person(world, CUSTOMER, "c-ann")
    await ann.set_password()
    await buyer.set_password(OTHER_PASSWORD)

    staff = await ann.log_in(login=login("ann@acme.example"))
    by_name = await buyer.log_in()
    by_address = await world.refusal(buyer.log_in(login=login("ann@acme.example")))

    assert (staff.session.principal.id, by_name.session.principal.id) == (USER.id, CUSTOMER.id)
    assert by_address.reason is Reason.CREDENTIAL_INVALID


async def test_a_renamed_user_answers_to_the_new_name_only(world: World):
    ann = Person(world)
    await ann.set_password()
    await world.hear("user.updated", USER.id, user_message(USER, "annabel"))

    assert (await ann.log_in(login=login("annabel"))).access_token.token
    assert (await world.refusal(ann.log_in(login=login("ann")))).reason is Reason.CREDENTIAL_INVALID


async def test_session_and_passport_tell_how_the_user_proved_to_be_one(world: World):
    ann = Person(world)
    await ann.set_password()
    by_password = await ann.log_in()
    by_mail = await ann.log_in_by_code(await ann.start_login())
    await ann.set_up_mfa()
    with_code = await ann.log_in(code=ann.code())
    with_recovery = await ann.log_in(recovery_code=ann.recovery_codes[0].upper())
    by_mail_with_code = await ann.log_in_by_code(await ann.start_login(), code=ann.code(1))

    told = [
        (list(each.session.methods), each.session.mfa)
        for each in (by_password, by_mail, with_code, with_recovery, by_mail_with_code)
    ]
    passport = await world.authenticate(access_token=with_code.access_token.token)
    assert told == [
        (["password"], False),
        (["mailed_code"], False),
        (["password", "totp"], True),
        (["password", "recovery_code"], True),
        (["mailed_code", "totp"], True),
    ]
    assert (list(passport.content.methods), passport.content.mfa) == (["session", "password", "totp"], True)


async def test_why_a_login_is_refused_is_told_only_after_the_right_password(world: World):
    ann = Person(world)
    await ann.set_password()
    reasons = {}
    hindrances = {
        "suspended": ("user.updated", USER.id, user_message(USER, "ann", state=USER_STATE_SUSPENDED)),
        "resumed": ("user.updated", USER.id, user_message(USER, "ann")),
        "no logins": ("user.updated", USER.id, user_message(USER, "ann", interactive_login=False)),
        "logins": ("user.updated", USER.id, user_message(USER, "ann", interactive_login=True)),
        "no passwords": ("organization.updated", ORGANIZATION, organization_message(login_password_enabled=False)),
        "closed": (
            "organization.updated",
            ORGANIZATION,
            organization_message(state=ORGANIZATION_STATE_SUSPENDED),
        ),
    }

    for name, (event, id, message) in hindrances.items():
        await world.hear(event, id, message)
        wrong = await world.refusal(ann.log_in("never-the-Right-1"))
        assert wrong.reason is Reason.CREDENTIAL_INVALID
        try:
            await ann.log_in()
        except Exception as error:
            from concord.kernel.rpc.status import from_rpc_error

            reasons[name] = from_rpc_error(error).reason  # type: ignore[arg-type]

    assert reasons == {
        "suspended": Reason.PRINCIPAL_SUSPENDED,
        "no logins": Reason.LOGIN_DISABLED,
        "no passwords": Reason.LOGIN_DISABLED,
        "closed": Reason.PRINCIPAL_SUSPENDED,
    }


async def test_kb30_a_mailed_code_opens_one_session_within_ten_minutes(world: World):
    ann = Person(world)
    code = await ann.start_login()
    world.clock.set(START + timedelta(minutes=10) - timedelta(microseconds=1))
    first = await ann.log_in_by_code(code)
    again = await world.refusal(ann.log_in_by_code(code))
    late = await ann.start_login()
    world.clock.advance(timedelta(minutes=10))
    over = await world.refusal(ann.log_in_by_code(late))
    world.clock.set(START)
    stepped = await ann.log_in_by_code(late)

    assert first.access_token.token
    assert again.reason is over.reason is Reason.CREDENTIAL_INVALID
    # A clock that was set back makes nothing good again that was used.
    assert stepped.access_token.token
    assert (await world.refusal(ann.log_in_by_code(late))).reason is Reason.CREDENTIAL_INVALID


async def test_kb30_a_second_code_makes_the_first_void(world: World):
    ann = Person(world)

    first, second = await ann.start_login(), await ann.start_login()

    assert (await world.refusal(ann.log_in_by_code(first))).reason is Reason.CREDENTIAL_INVALID
    assert (await ann.log_in_by_code(second)).access_token.token


async def test_fifty_parallel_uses_of_one_mailed_code_open_one_session(world: World):
    await world.hear("security_settings.updated", "x", settings(max_login_attempts=50))
    ann = Person(world)
    code = await ann.start_login()

    results = await asyncio.gather(*(ann.log_in_by_code(code) for _ in range(50)), return_exceptions=True)

    assert sum(not isinstance(each, BaseException) for each in results) == 1


async def test_no_code_is_mailed_to_strangers_or_where_codes_open_nothing(world: World):
    ann = Person(world)

    stranger = await ann.start_login(login=login("nobody"))
    await world.hear("organization.updated", ORGANIZATION, organization_message(login_magic_code_enabled=False))
    switched_off = await ann.start_login()
    unknown = await world.refusal(
        world.sessions.StartLogin(session_service_pb2.StartLoginRequest(login=login(), method=7))
    )

    assert stranger == switched_off == ""
    assert unknown.reason is Reason.INVALID_FIELDS


async def test_at_most_ten_mails_an_hour_go_to_one_user(world: World):
    ann = Person(world)

    codes = [await ann.start_login() for _ in range(12)]
    world.clock.advance(timedelta(hours=1))
    later = await ann.start_login()

    assert [bool(each) for each in codes] == [True] * 10 + [False] * 2
    assert later


async def test_a_repeated_login_is_answered_again_and_costs_nothing(world: World):
    ann = Person(world)
    await ann.set_password()
    await ann.set_up_mfa()
    fields = {"code": ann.code(), "request_id": fresh_id()}

    first, again = await ann.log_in(**fields), await ann.log_in(**fields)
    changed = await world.refusal(ann.log_in("never-the-Right-1", **fields))

    assert first == again
    assert changed.reason is Reason.CREDENTIAL_INVALID
    assert await ann.failures() == 1


async def test_a_login_that_asks_for_too_much_time_uses_nothing_up(world: World):
    from google.protobuf.duration_pb2 import Duration

    ann = Person(world)
    await ann.set_password()
    await ann.set_up_mfa()

    error = await world.refusal(ann.log_in(code=ann.code(), ttl=Duration(seconds=10**9)))

    assert [each.field for each in error.violations] == ["ttl"]
    assert await ann.failures() == 0
    assert (await ann.log_in(code=ann.code())).session.mfa


FLOWS = ("password", "mailed_code")
SHOWN = ("nothing", "wrong", "code", "recovery_code")
ENROLLED = ("none", "unconfirmed", "active")
GRACE = ("not demanded", "in time", "over")


def oracle(enrolled: str, shown: str, grace: str) -> tuple[object, bool]:
    """What a login must come to: the reason of its refusal, and whether it has the second factor."""
    if enrolled == "active":
        refusals = {"nothing": Reason.SECOND_FACTOR_REQUIRED, "wrong": Reason.CREDENTIAL_INVALID}
        return refusals.get(shown), shown not in refusals
    return (Reason.CREDENTIAL_LOCKED if grace == "over" else None), False


@pytest.mark.parametrize("grace", GRACE)
@pytest.mark.parametrize("enrolled", ENROLLED)
async def test_kb26_no_flow_passes_without_the_factor_that_is_due(world: World, enrolled, grace):
    ann = Person(world)
    await ann.set_password()
    if grace != "not demanded":
        await world.hear("security_settings.updated", "x", settings(enforce_mfa=True, max_login_attempts=50))
    await ann.log_in()
    if enrolled == "unconfirmed":
        await ann.create_device()
    if enrolled == "active":
        await ann.set_up_mfa()
    world.clock.advance(timedelta(days=4 if grace == "over" else 1))

    for flow, shown in itertools.product(FLOWS, SHOWN):
        world.clock.advance(timedelta(minutes=2))
        fields = {"wrong": {"code": "000000"}, "code": {"code": ann.code() if ann.seed else "123456"}}.get(shown, {})
        if shown == "recovery_code":
            fields = {"recovery_code": ann.recovery_codes.pop() if ann.recovery_codes else "aaaaaaaaaa"}
        mailed = await ann.start_login() if flow == "mailed_code" else ""
        try:
            session = await (ann.log_in_by_code(mailed, **fields) if mailed else ann.log_in(**fields))
            came = (None, session.session.mfa)
        except Exception as error:
            from concord.kernel.rpc.status import from_rpc_error

            came = (from_rpc_error(error).reason, False)  # type: ignore[arg-type]
        assert (flow, shown, *came) == (flow, shown, *oracle(enrolled, shown, grace))


async def test_a_grace_period_begins_at_the_first_login_and_is_listed(world: World):
    await world.hear("security_settings.updated", "x", settings(enforce_mfa=True, enforce_password_renewal=True))
    ann = Person(world)
    await ann.set_password()

    async def listed():
        answer = await world.mfa.ListGracePeriods(
            mfa_service_pb2.ListGracePeriodsRequest(user_id=USER.id), metadata=world.system
        )
        return [(each.type, each.expire_time) for each in answer.grace_periods]

    before = await listed()
    await ann.log_in()
    begun = await listed()
    await ann.set_up_mfa()
    after = await listed()

    end = instant_to_wire(START + timedelta(days=3))
    assert [each[0] for each in before] == [mfa_pb2.GRACE_PERIOD_TYPE_UPDATE_PASSWORD]
    assert before[0][1].seconds == 0
    assert begun == [
        (mfa_pb2.GRACE_PERIOD_TYPE_SET_MFA, end),
        (mfa_pb2.GRACE_PERIOD_TYPE_UPDATE_PASSWORD, end),
    ]
    assert after == [(mfa_pb2.GRACE_PERIOD_TYPE_UPDATE_PASSWORD, end)]


async def test_a_password_changed_while_it_is_examined_opens_nothing(world: World, monkeypatch: pytest.MonkeyPatch):
    from concord.credentials.secrets.hashing import PasswordHasher

    ann = Person(world)
    await ann.set_password()
    verify = PasswordHasher.verify

    async def overtaken(hasher, password, encoded):
        matches = await verify(hasher, password, encoded)
        monkeypatch.setattr(PasswordHasher, "verify", verify)
        await ann.set_password(OTHER_PASSWORD)
        return matches

    monkeypatch.setattr(PasswordHasher, "verify", overtaken)

    assert (await world.refusal(ann.log_in(PASSWORD))).reason is Reason.CREDENTIAL_INVALID
