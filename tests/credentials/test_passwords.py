"""Passwords over gRPC: their form, their life, temporary ones, and what ends with them."""

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from concord.credentials.background.grace import GraceWatch
from concord.credentials.operations.logins import TEMPORARY_CEILING
from concord.credentials.secrets.common_passwords import is_common
from concord.credentials.secrets.hashing import HashingSettings, PasswordHasher
from concord.credentials.v1 import password_service_pb2, session_service_pb2
from concord.identity.v1.security_settings_pb2 import PasswordRules
from concord.kernel.errors import Reason
from concord.kernel.rpc.wire import instant_to_wire
from concord.kernel.secret import Secret
from credentials.making import OWNER, USER, World, fresh_id
from credentials.people import OTHER_PASSWORD, PASSWORD, Person, background, bearer, settings
from fakes import START


def change(current, fresh=OTHER_PASSWORD, **fields):
    return password_service_pb2.ChangePasswordRequest(
        user_id=USER.id, password=fresh, current_password=current, **fields
    )


async def broken(world, candidate, **fields):
    answer = await world.passwords.CheckPassword(
        password_service_pb2.CheckPasswordRequest(password=candidate, **fields), metadata=world.system
    )
    assert answer.valid is not bool(answer.violations)
    return [each.rule for each in answer.violations]


async def test_a_password_shows_when_it_was_set_and_never_itself(world: World):
    ann = Person(world)
    await ann.set_password()

    found = await world.passwords.GetPassword(
        password_service_pb2.GetPasswordRequest(user_id=USER.id), metadata=world.system
    )

    assert (found.version, found.temporary, found.failed_attempts) == (1, False, 0)
    assert PASSWORD not in str(found)


@pytest.mark.parametrize(
    ("candidate", "rules"),
    [
        ("tiny", ["min_length", "min_upper", "min_digits", "min_symbols"]),
        ("lower-only-words", ["min_upper", "min_digits"]),
        ("UPPER-ONLY-99", ["min_lower"]),
        ("NoSymbols99here", ["min_symbols"]),
        ("much-Longer-than-allowed-99", ["max_length"]),
        ("Good-enough-42", []),
    ],
)
async def test_the_organizations_rules_are_told_one_by_one(world: World, candidate, rules):
    form = PasswordRules(
        min_length=10, max_length=20, min_lower=2, min_upper=1, min_digits=2, min_symbols=1, username_allowed=True
    )
    await world.hear("security_settings.updated", "x", settings(password_rules=form))

    assert await broken(world, candidate) == rules


async def test_rules_are_followed_when_set_and_never_look_at_what_exists(world: World):
    ann = Person(world)
    await ann.set_password("short-41")
    await world.hear("security_settings.updated", "x", settings(password_rules=PasswordRules(min_length=12)))

    error = await world.refusal(ann.set_password("short-42"))
    still = await ann.log_in("short-41")

    assert [(each.field, each.rule) for each in error.violations] == [("password", "min_length")]
    assert "short-42" not in error.message
    assert still.access_token.token


@pytest.mark.parametrize("candidate", ["ann", "Zz9-annabel@ACME.example", "ANNABEL@acme.example", "is-annabel-here"])
async def test_a_password_does_not_hold_the_username(world: World, candidate):
    await world.hear("user.updated", USER.id, _renamed("ann" if candidate == "ann" else "annabel@acme.example"))

    told = await broken(world, candidate, user_id=USER.id)
    stranger = await broken(world, candidate)

    assert "username" in told
    assert "username" not in stranger


def _renamed(username):
    from credentials.making import user_message

    return user_message(USER, username)


@pytest.mark.parametrize("candidate", ["password", "P@ssw0rd1!", "Summer2026!", "qwertyuiop", "aaaaaaaaaa", "12345678"])
def test_common_passwords_are_known_in_their_usual_disguises(candidate):
    assert is_common(candidate)


@pytest.mark.parametrize("candidate", [PASSWORD, OTHER_PASSWORD, "correct-zebra-battery", "xkcd936-Randall"])
def test_uncommon_passwords_are_left_alone(candidate):
    assert not is_common(candidate)


async def test_the_present_and_the_previous_password_cannot_be_chosen_again(world: World):
    ann = Person(world)
    await ann.set_password("first-Garden-1")
    await ann.set_password("second-Garden-2")

    reused = [await world.refusal(ann.set_password(each)) for each in ("first-Garden-1", "second-Garden-2")]
    await ann.set_password("third-Garden-3")
    await ann.set_password("first-Garden-1")

    assert [error.violations[0].rule for error in reused] == ["previous", "previous"]


async def test_checking_a_candidate_never_tells_what_the_password_is(world: World):
    ann = Person(world)
    await ann.set_password(PASSWORD)

    assert await broken(world, PASSWORD, user_id=USER.id) == []
    rehearsed = await ann.set_password(PASSWORD, validate_only=True)
    assert rehearsed.version == 2


async def test_changing_needs_the_present_password_and_ends_all_sessions(world: World):
    ann = Person(world)
    await ann.set_password()
    session = await ann.log_in()

    wrong = await world.refusal(world.passwords.ChangePassword(change("not-it-at-all"), metadata=bearer(session)))
    changed = await world.passwords.ChangePassword(change(PASSWORD), metadata=bearer(session))
    ended = await world.refusal(world.authenticate(access_token=session.access_token.token))
    old = await world.refusal(ann.log_in(PASSWORD))
    fresh = await ann.log_in(OTHER_PASSWORD)

    assert wrong.reason is Reason.CREDENTIAL_INVALID
    assert changed.version == 2
    assert ended.reason is Reason.CREDENTIAL_REVOKED
    assert old.reason is Reason.CREDENTIAL_INVALID
    assert fresh.access_token.token


async def test_deleting_a_password_ends_sessions_and_what_was_mailed(world: World):
    ann = Person(world)
    await ann.set_password()
    session = await ann.log_in()
    token = await ann.start_recovery()

    await world.passwords.DeletePassword(
        password_service_pb2.DeletePasswordRequest(user_id=USER.id), metadata=world.system
    )

    ended = await world.refusal(world.authenticate(access_token=session.access_token.token))
    gone = await world.refusal(
        world.passwords.GetPassword(password_service_pb2.GetPasswordRequest(user_id=USER.id), metadata=world.system)
    )
    assert ended.reason is Reason.CREDENTIAL_REVOKED
    assert gone.reason is Reason.RESOURCE_NOT_FOUND
    assert (await world.refusal(ann.log_in())).reason is Reason.CREDENTIAL_INVALID
    assert (await world.refusal(ann.complete_recovery(token))).reason is Reason.CREDENTIAL_INVALID
    assert [each.type for each in await world.events()].count("password.deleted") == 1


async def test_a_drawn_password_is_temporary_shown_once_and_of_the_right_form(world: World):
    form = PasswordRules(min_length=12, min_digits=3, min_symbols=2, min_upper=2, min_lower=2)
    await world.hear("security_settings.updated", "x", settings(password_rules=form))
    request = password_service_pb2.GeneratePasswordRequest(user_id=USER.id, request_id=fresh_id())

    rehearsed = await world.passwords.GeneratePassword(
        password_service_pb2.GeneratePasswordRequest(user_id=USER.id, validate_only=True), metadata=world.system
    )
    drawn = await world.passwords.GeneratePassword(request, metadata=world.system)
    repeated = await world.passwords.GeneratePassword(request, metadata=world.system)

    assert rehearsed.temporary_password == ""
    assert drawn.password.temporary
    assert drawn.password.expire_time == instant_to_wire(START + timedelta(days=1))
    assert await broken(world, drawn.temporary_password) == []
    assert repeated == drawn
    assert (await Person(world).log_in(drawn.temporary_password)).access_token.token


async def test_a_session_with_a_temporary_password_can_only_get_rid_of_it(world: World):
    ann = Person(world)
    await ann.set_password(temporary=True)

    session = await ann.log_in()
    passport = await world.authenticate(access_token=session.access_token.token)
    await world.passwords.ChangePassword(change(PASSWORD), metadata=bearer(session))
    free = await ann.log_in(OTHER_PASSWORD)

    assert tuple(session.session.ceiling.scopes) == tuple(passport.content.ceiling.scopes) == TEMPORARY_CEILING
    assert not free.session.HasField("ceiling")


async def test_kb30_a_temporary_password_is_refused_from_the_very_instant_of_its_end(world: World):
    ann = Person(world)
    await ann.set_password(temporary=True)

    world.clock.set(START + timedelta(days=1) - timedelta(microseconds=1))
    last = await ann.log_in()
    world.clock.set(START + timedelta(days=1))
    error = await world.refusal(ann.log_in())
    wrong = await world.refusal(ann.log_in("not-it-at-all"))

    assert last.session.expire_time == instant_to_wire(START + timedelta(days=1))
    assert error.reason is Reason.CREDENTIAL_EXPIRED
    assert wrong.reason is Reason.CREDENTIAL_INVALID


async def test_a_hash_made_with_weaker_parameters_is_renewed_by_a_login(world: World):
    ann = Person(world)
    await ann.set_password()
    hasher = PasswordHasher(HashingSettings(memory_kib=2048, iterations=1, threads=1))
    door = next(servicer for _, servicer in world.service.servicers if hasattr(servicer, "_logins"))._logins._door
    before = await _encoded(world)
    door._hasher, weak = hasher, door._hasher

    await ann.log_in()
    stored = await _encoded(world)
    await ann.log_in()
    again = await _encoded(world)

    assert "m=1024" in before
    assert "m=2048" in stored
    assert again == stored
    assert await weak.verify(Secret(PASSWORD), stored)
    hasher.close()


async def _encoded(world):
    from concord.kernel.ids import UserId
    from fakes import ORGANIZATION

    return await world.units.read(lambda store: store.find_encoded(ORGANIZATION, UserId(USER.id)))


async def test_enforced_renewal_gives_time_from_the_first_login_and_locks_when_it_is_over(world: World):
    await world.hear("security_settings.updated", "x", settings(enforce_password_renewal=True))
    ann = Person(world)
    await ann.set_password()
    world.clock.advance(timedelta(days=30))

    session = await ann.log_in(ttl=Duration(seconds=10 * 86400))
    world.clock.advance(timedelta(days=3) - timedelta(microseconds=1))
    in_time = await ann.log_in()
    world.clock.advance(timedelta(microseconds=1))
    late = await world.refusal(ann.log_in())
    await background(world, GraceWatch).sweep()
    ended = await world.refusal(world.authenticate(access_token=session.access_token.token))
    found = await world.passwords.GetPassword(
        password_service_pb2.GetPasswordRequest(user_id=USER.id), metadata=world.system
    )
    await ann.unlock()
    again = await ann.log_in()

    assert in_time.access_token.token
    assert late.reason is Reason.CREDENTIAL_LOCKED
    assert ended.reason is Reason.CREDENTIAL_REVOKED
    assert found.HasField("lock_time")
    await world.passwords.ChangePassword(change(PASSWORD), metadata=bearer(again))
    world.clock.advance(timedelta(days=300))
    assert (await ann.log_in(OTHER_PASSWORD)).access_token.token
    assert [each.type for each in await world.events()].count("password.locked") == 1


async def test_a_repeated_change_is_answered_again_and_costs_no_attempt(world: World):
    ann = Person(world)
    await ann.set_password()
    session = await ann.log_in()
    rehearsal = change(PASSWORD, validate_only=True)

    rehearsed = await world.passwords.ChangePassword(rehearsal, metadata=bearer(session))
    failures = await ann.failures()
    still = await ann.log_in()

    assert rehearsed.version == 2
    assert failures == 0
    assert still.access_token.token


async def test_an_unknown_users_password_cannot_be_touched(world: World):
    for method, request in [
        ("GetPassword", password_service_pb2.GetPasswordRequest(user_id=fresh_id())),
        ("SetPassword", password_service_pb2.SetPasswordRequest(user_id=fresh_id(), password=PASSWORD)),
        ("DeletePassword", password_service_pb2.DeletePasswordRequest(user_id=fresh_id())),
        ("UnlockPassword", password_service_pb2.UnlockPasswordRequest(user_id=fresh_id())),
        (
            "ChangePassword",
            password_service_pb2.ChangePasswordRequest(
                user_id=fresh_id(), password=PASSWORD, current_password="irrelevant"
            ),
        ),
    ]:
        error = await world.refusal(getattr(world.passwords, method)(request, metadata=world.system))
        if method in ("GetPassword", "ChangePassword"):
            assert error.reason is Reason.RESOURCE_NOT_FOUND, method
        else:
            assert error.reason in (Reason.RESOURCE_NOT_FOUND, Reason.UNAVAILABLE), method


async def test_statuses_tell_of_factors_and_failures(world: World):
    from concord.credentials.v1 import credential_status_pb2, status_service_pb2
    from credentials.making import principal_message

    ann, root = Person(world), Person(world, OWNER, "root")
    await ann.set_password()
    await root.set_password()
    await ann.set_up_mfa()
    await root.create_device()
    await world.refusal(ann.log_in("not-it-at-all"))

    answer = await world.statuses.ListCredentialStatuses(
        status_service_pb2.ListCredentialStatusesRequest(
            principals=[principal_message(USER), principal_message(OWNER)]
        ),
        metadata=world.system,
    )

    first, second = answer.statuses
    assert (first.mfa_enabled, first.mfa_state) == (True, credential_status_pb2.MFA_STATE_ACTIVE)
    assert first.failed_attempts == 1
    assert (second.mfa_enabled, second.mfa_state) == (False, credential_status_pb2.MFA_STATE_UNCONFIRMED)


async def test_kb29_nobody_without_a_credential_reaches_what_is_not_public(world: World):
    ann = Person(world)
    await ann.set_password()
    calls = [
        world.passwords.ChangePassword(change(PASSWORD)),
        world.passwords.SetPassword(password_service_pb2.SetPasswordRequest(user_id=USER.id, password=OTHER_PASSWORD)),
        world.passwords.DeletePassword(password_service_pb2.DeletePasswordRequest(user_id=USER.id)),
        world.passwords.UnlockPassword(password_service_pb2.UnlockPasswordRequest(user_id=USER.id)),
        world.sessions.ListSessions(session_service_pb2.ListSessionsRequest()),
    ]

    refusals = [await world.refusal(call) for call in calls]

    assert {each.reason for each in refusals} == {Reason.CREDENTIAL_MISSING}
    assert (await ann.log_in()).access_token.token
