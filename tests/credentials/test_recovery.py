"""Getting back in by mail: tokens that are used once, and no path to a new password without one."""

import asyncio
import itertools
import logging
from datetime import timedelta

import pytest

from concord.credentials.v1 import mfa_service_pb2, password_service_pb2
from concord.identity.v1.user_pb2 import USER_STATE_SUSPENDED
from concord.kernel.errors import ConcordError, Reason
from credentials.making import OWNER, USER, World, user_message
from credentials.people import OTHER_PASSWORD, PASSWORD, Person, login, new_mail, secret_in, settings
from fakes import START


@pytest.fixture
def ann(world: World) -> Person:
    return Person(world)


async def test_a_mailed_token_sets_a_new_password_and_ends_the_sessions(world: World, ann: Person):
    await ann.set_password()
    session = await ann.log_in()

    await ann.complete_recovery(await ann.start_recovery())

    ended = await world.refusal(world.authenticate(access_token=session.access_token.token))
    assert ended.reason is Reason.CREDENTIAL_REVOKED
    assert (await world.refusal(ann.log_in(PASSWORD))).reason is Reason.CREDENTIAL_INVALID
    assert (await ann.log_in(OTHER_PASSWORD)).access_token.token
    told = [each for each in await world.events() if each.type == "password.set"]
    assert told[-1].author.principal.id == USER.id


async def test_kb30_a_token_is_good_once_and_for_an_hour(world: World, ann: Person):
    await ann.set_password()

    token = await ann.start_recovery()
    world.clock.set(START + timedelta(hours=1) - timedelta(microseconds=1))
    await ann.complete_recovery(token)
    used = await world.refusal(ann.complete_recovery(token, "Third-quiet-ferry"))
    late = await ann.start_recovery()
    world.clock.advance(timedelta(hours=1))
    at_the_end = await world.refusal(ann.complete_recovery(late, "Third-quiet-ferry"))
    world.clock.advance(timedelta(milliseconds=1))
    after = await world.refusal(ann.complete_recovery(late, "Third-quiet-ferry"))

    assert {each.reason for each in (used, at_the_end, after)} == {Reason.CREDENTIAL_INVALID}


async def test_kb30_a_second_token_makes_the_first_void(world: World, ann: Person):
    await ann.set_password()

    first, second = await ann.start_recovery(), await ann.start_recovery()

    assert (await world.refusal(ann.complete_recovery(first))).reason is Reason.CREDENTIAL_INVALID
    await ann.complete_recovery(second)


async def test_kb30_fifty_parallel_uses_of_one_token_set_one_password(world: World, ann: Person):
    await world.hear("security_settings.updated", "x", settings(max_login_attempts=50))
    await ann.set_password()
    token = await ann.start_recovery()

    results = await asyncio.gather(
        *(ann.complete_recovery(token, f"Ferry-number-{number}-x") for number in range(50)), return_exceptions=True
    )

    assert sum(not isinstance(each, BaseException) for each in results) == 1


async def test_a_password_that_breaks_a_rule_leaves_the_token_good(world: World, ann: Person):
    await ann.set_password()
    token = await ann.start_recovery()

    short = await world.refusal(ann.complete_recovery(token, "tiny"))
    same = await world.refusal(ann.complete_recovery(token, PASSWORD))
    failures = await ann.failures()
    await ann.complete_recovery(token)

    assert [each.rule for each in short.violations] == ["min_length"]
    assert [each.rule for each in same.violations] == ["previous"]
    # Finding the present password is a guess; breaking a rule is none.
    assert failures == 1


async def test_an_old_token_dies_with_the_password_it_was_about(world: World, ann: Person):
    await ann.set_password()
    token = await ann.start_recovery()

    await ann.set_password(OTHER_PASSWORD)

    assert (await world.refusal(ann.complete_recovery(token, "Third-quiet-ferry"))).reason is Reason.CREDENTIAL_INVALID


async def test_whoever_has_read_the_mail_is_unlocked_unless_a_factor_protects_the_user(world: World, ann: Person):
    await world.hear("security_settings.updated", "x", settings(max_login_attempts=2))
    await ann.set_password()
    for _ in range(3):
        await world.refusal(ann.log_in("never-the-Right-1"))
    token = await ann.start_recovery()

    await ann.complete_recovery(token)

    assert (await ann.log_in(OTHER_PASSWORD)).access_token.token
    assert [each.type for each in await world.events()].count("password.unlocked") == 1


async def test_the_factor_stays_and_is_asked_for_after_a_recovery(world: World, ann: Person):
    await ann.set_password()
    await ann.set_up_mfa()

    await ann.complete_recovery(await ann.start_recovery())

    missing = await world.refusal(ann.log_in(OTHER_PASSWORD))
    assert missing.reason is Reason.SECOND_FACTOR_REQUIRED
    assert (await ann.log_in(OTHER_PASSWORD, code=ann.code())).session.mfa


async def test_nothing_is_mailed_where_nothing_can_be_recovered(world: World, ann: Person):
    without_password = await ann.start_recovery()
    await ann.set_password()
    stranger = await ann.start_recovery(login=login("nobody"))
    elsewhere = await ann.start_recovery(login=login("ann", "nowhere"))
    await world.hear("user.updated", USER.id, user_message(USER, "ann", state=USER_STATE_SUSPENDED))
    suspended = await ann.start_recovery()
    await world.hear("user.updated", USER.id, user_message(USER, "ann", primary_email=""))
    without_address = await ann.start_recovery()

    assert {without_password, stranger, elsewhere, suspended, without_address} == {""}


async def test_kb20_no_walk_reaches_a_new_password_without_the_mail_for_it(world: World, ann: Person):
    """Every sequence of up to three steps that needs no mailed password token leaves the password as it is."""
    await world.hear("security_settings.updated", "x", settings(max_login_attempts=50))
    await ann.set_password()
    await ann.set_up_mfa()
    code = await ann.start_login()
    await world.mfa.StartMfaRecovery(mfa_service_pb2.StartMfaRecoveryRequest(login=login(), password=PASSWORD))
    mfa_token = secret_in(await new_mail(world))
    root = Person(world, OWNER, "root")
    await root.set_password()
    others_token = await root.start_recovery()
    mine = await ann.start_recovery()
    id, _, secret = mine.partition(".")
    others_id, _, others_secret = others_token.partition(".")
    shown = {
        "nothing": "",
        "login code": code,
        "login code as token": f"{id}.{code}",
        "token for the factor": mfa_token,
        "its secret under the right id": f"{id}.{mfa_token.partition('.')[2]}",
        "another's secret": f"{id}.{others_secret}",
        "another's id": f"{others_id}.{secret}",
        "id alone": id,
        "secret alone": secret,
    }
    before = await _version(world)

    async def try_token(token):
        with pytest.raises(ConcordError) as refused:
            raise await world.refusal(ann.complete_recovery(token))
        assert refused.value.reason in (Reason.CREDENTIAL_INVALID, Reason.INVALID_FIELDS, Reason.CREDENTIAL_LOCKED)

    steps = [*shown, "start anew", "unlock"]
    for walk in itertools.permutations(steps, 2):
        for step in walk:
            if step == "start anew":
                # A new mail was sent, and not read.
                await world.passwords.StartPasswordRecovery(
                    password_service_pb2.StartPasswordRecoveryRequest(login=login())
                )
            elif step == "unlock":
                await ann.unlock()
            else:
                await try_token(shown[step])

    assert await _version(world) == before
    assert (await ann.log_in(code=ann.code())).session.mfa


async def _version(world):
    found = await world.passwords.GetPassword(
        password_service_pb2.GetPasswordRequest(user_id=USER.id), metadata=world.system
    )
    return found.version


async def test_kb28_what_is_mailed_is_in_no_answer_event_log_or_database(
    world: World, ann: Person, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    await ann.set_password()
    answers = [
        await world.passwords.StartPasswordRecovery(password_service_pb2.StartPasswordRecoveryRequest(login=login()))
    ]
    token = secret_in(await new_mail(world))
    code = await ann.start_login()
    await ann.complete_recovery(token)

    events = b"".join([each.SerializeToString() for each in await world.events()])
    files = b"".join(
        path.read_bytes() for path in world.directory.rglob("*") if path.is_file() and path.parent.name != "mail"
    )
    for secret in (token, token.partition(".")[2], code):
        assert all(secret not in str(each) for each in answers)
        assert secret.encode() not in events
        assert secret.encode() not in files
        assert secret not in caplog.text


async def test_kb28_mail_is_kept_where_only_we_read_it(world: World, ann: Person):
    await ann.set_password()
    await ann.start_recovery()

    directory = world.directory / "mail"

    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


async def test_asking_for_a_mail_does_the_same_whoever_is_meant(world: World, ann: Person, monkeypatch):
    await ann.set_password()
    calls: list[str] = []
    database = world.units.database
    for name in ("read", "write", "look"):
        real = getattr(database, name)
        monkeypatch.setattr(
            database, name, lambda *args, _real=real, _name=name, **kw: (calls.append(_name), _real(*args, **kw))[1]
        )

    answers = [
        await world.passwords.StartPasswordRecovery(password_service_pb2.StartPasswordRecoveryRequest(login=each))
        for each in (login(), login("nobody"), login("ann", "nowhere"))
    ]

    assert calls == []
    assert len({each.SerializeToString() for each in answers}) == 1
