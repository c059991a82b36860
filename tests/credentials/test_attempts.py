"""The budget of attempts: one for each user, over everything that examines a proof, taken before it does."""

import asyncio
from datetime import timedelta

import pytest

from concord.credentials.background.grace import GraceWatch
from concord.credentials.model.logins import MfaState
from concord.credentials.operations.attempts import trim
from concord.credentials.secrets.hashing import PasswordHasher
from concord.credentials.v1 import mfa_service_pb2, password_pb2, password_service_pb2
from concord.kernel.errors import Reason
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import Author
from credentials.making import OWNER, USER, World, user_message
from credentials.people import OTHER_PASSWORD, PASSWORD, Person, background, login, settings
from fakes import ORGANIZATION

WRONG = "never-the-Right-1"


@pytest.fixture
def ann(world: World) -> Person:
    return Person(world)


async def test_kb25_two_hundred_parallel_guesses_count_two_hundred(world: World, ann: Person):
    await ann.set_password()

    refusals = await asyncio.gather(*(world.refusal(ann.log_in(WRONG)) for _ in range(200)))

    assert await ann.failures() == 200
    reasons = [each.reason for each in refusals]
    assert reasons.count(Reason.CREDENTIAL_INVALID) == 10
    assert reasons.count(Reason.CREDENTIAL_LOCKED) == 190


async def test_kb25_every_verifier_takes_from_the_one_budget(world: World, ann: Person):
    await world.hear("security_settings.updated", "x", settings(max_login_attempts=50))
    await ann.set_password()
    await ann.set_up_mfa()
    token = await ann.start_recovery()
    await ann.start_login()
    proof = password_pb2.UserProof
    guesses = [
        lambda: ann.log_in(WRONG),
        lambda: ann.log_in(code="000000"),
        lambda: ann.log_in(recovery_code="aaaaaaaaaa"),
        lambda: ann.log_in_by_code("00000000", code=ann.code()),
        lambda: ann.complete_recovery(token[:-2] + ("AA" if token[-2:] != "AA" else "BB")),
        lambda: world.passwords.ChangePassword(
            password_service_pb2.ChangePasswordRequest(
                user_id=USER.id, password=OTHER_PASSWORD, current_password=WRONG
            ),
            metadata=world.system,
        ),
        lambda: world.mfa.DeleteMfaDevice(
            mfa_service_pb2.DeleteMfaDeviceRequest(user_id=USER.id, proof=proof(code="000000")), metadata=world.system
        ),
        lambda: world.mfa.ReplaceRecoveryCodes(
            mfa_service_pb2.ReplaceRecoveryCodesRequest(
                user_id=USER.id, proof=proof(recovery_code="aaaaaaaaaa"), recovery_code_count=1
            ),
            metadata=world.system,
        ),
        lambda: world.mfa.StartMfaRecovery(mfa_service_pb2.StartMfaRecoveryRequest(login=login(), password=WRONG)),
        lambda: world.mfa.CompleteMfaRecovery(
            mfa_service_pb2.CompleteMfaRecoveryRequest(
                login=login(), password=PASSWORD, recovery_code=ann.recovery_codes[0], token="none"
            )
        ),
    ]

    for number, guess in enumerate(guesses, start=1):
        error = await world.refusal(guess())
        assert (number, error.reason) == (number, Reason.CREDENTIAL_INVALID)
        assert await ann.failures() == number


async def test_confirming_a_device_takes_from_the_budget_too(world: World, ann: Person):
    await ann.set_password()
    await ann.create_device()

    errors = [await world.refusal(ann.confirm("000000")) for _ in range(11)]

    assert [each.reason for each in errors] == [Reason.INVALID_FIELDS] * 10 + [Reason.CREDENTIAL_LOCKED]


async def test_a_locked_user_is_refused_with_the_right_password_until_unlocked(world: World, ann: Person):
    await world.hear("security_settings.updated", "x", settings(max_login_attempts=3))
    await ann.set_password()

    for _ in range(3):
        await world.refusal(ann.log_in(WRONG))
    locked = await world.refusal(ann.log_in())
    unlocked = await ann.unlock()

    assert locked.reason is Reason.CREDENTIAL_LOCKED
    assert (unlocked.failed_attempts, unlocked.HasField("lock_time")) == (0, False)
    assert (await ann.log_in()).access_token.token
    told = [each.type for each in await world.events()]
    assert (told.count("password.locked"), told.count("password.unlocked")) == (1, 1)


async def test_the_last_attempt_may_still_be_the_right_one(world: World, ann: Person):
    await world.hear("security_settings.updated", "x", settings(max_login_attempts=3))
    await ann.set_password()

    for _ in range(2):
        await world.refusal(ann.log_in(WRONG))
    session = await ann.log_in()

    assert session.access_token.token
    assert await ann.failures() == 0


async def test_kb25_a_right_password_without_the_code_buys_no_new_guesses(world: World, ann: Person):
    await ann.set_password()
    await ann.set_up_mfa()

    for _ in range(9):
        await world.refusal(ann.log_in(code="000000"))
        missing = await world.refusal(ann.log_in())
        assert missing.reason is Reason.SECOND_FACTOR_REQUIRED
        await world.mfa.StartMfaRecovery(mfa_service_pb2.StartMfaRecoveryRequest(login=login(), password=PASSWORD))
    assert await ann.failures() == 9
    await world.refusal(ann.log_in(code="000000"))

    assert (await world.refusal(ann.log_in(code=ann.code()))).reason is Reason.CREDENTIAL_LOCKED


async def test_kb25_a_new_password_by_mail_buys_no_new_guesses_at_the_second_factor(world: World, ann: Person):
    await ann.set_password()
    await ann.set_up_mfa()
    for _ in range(5):
        await world.refusal(ann.log_in(code="000000"))

    await ann.complete_recovery(await ann.start_recovery())

    assert await ann.failures() == 5
    for _ in range(5):
        await world.refusal(ann.log_in(WRONG))
    token = await ann.start_recovery()
    assert (await world.refusal(ann.complete_recovery(token, "Third-quiet-ferry"))).reason is Reason.CREDENTIAL_LOCKED


async def test_rehearsed_guesses_count(world: World, ann: Person):
    await ann.set_password()
    await ann.set_up_mfa()

    await world.refusal(ann.log_in(WRONG, validate_only=True))
    await world.refusal(ann.log_in(code="000000", validate_only=True))
    rehearsed = await ann.log_in(code=ann.code(), validate_only=True)

    assert not rehearsed.HasField("access_token")
    assert await ann.failures() == 2
    assert (await ann.log_in(code=ann.code())).session.mfa


@pytest.mark.parametrize(
    "spelling", ["Zoë", "Zoe\u0308", "zoë@acme.example", "ZOË@ACME.EXAMPLE", " zoe\u0308@Acme.example\t"]
)
async def test_kb35_no_spelling_of_a_name_escapes_the_budget(world: World, spelling: str):
    await world.hear("user.updated", USER.id, user_message(USER, "Zoë", primary_email="zoë@acme.example"))
    zoe = Person(world, name=spelling)
    await zoe.set_password()

    await world.refusal(zoe.log_in(WRONG))

    assert await zoe.failures() == 1
    assert (await zoe.log_in()).access_token.token


@pytest.mark.parametrize("spelling", ["ZOË", " Zoë", "Zoe", "zoë"])
async def test_kb35_what_is_not_the_name_opens_nothing(world: World, spelling: str):
    await world.hear("user.updated", USER.id, user_message(USER, "Zoë", primary_email=""))
    zoe = Person(world, name=spelling)
    await zoe.set_password()

    assert (await world.refusal(zoe.log_in())).reason is Reason.CREDENTIAL_INVALID


class Counted:
    """Counts what is asked of hashing and storage."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        verify = PasswordHasher.verify
        database = world.units.database

        async def counted(hasher, password, encoded):
            self.calls.append("verify")
            return await verify(hasher, password, encoded)

        monkeypatch.setattr(PasswordHasher, "verify", counted)
        for name in ("read", "write", "look"):
            self._count(database, name, monkeypatch)

    def _count(self, database, name, monkeypatch):
        real = getattr(database, name)

        def counted(*args, **kwargs):
            self.calls.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(database, name, counted)

    def taken(self) -> list[str]:
        calls, self.calls = self.calls, []
        return calls


async def test_kb35_strangers_and_users_cost_the_same_and_are_answered_alike(
    world: World, ann: Person, monkeypatch: pytest.MonkeyPatch
):
    await ann.set_password()
    counted = Counted(world, monkeypatch)
    doors = {
        "wrong password": login(),
        "unknown user": login("nobody"),
        "unknown organization": login("ann", "nowhere"),
        "no password": login("root"),
        "unknown owner": login("nobody@acme.example", ""),
    }
    by_password, by_code, work = {}, {}, {}

    for _ in range(2):
        for name, door in doors.items():
            counted.taken()
            error = await world.refusal(ann.log_in(WRONG, login=door))
            work[name] = counted.taken()
            by_password[name] = (error.reason, error.message)
            error = await world.refusal(ann.log_in_by_code("00000000", login=door))
            work[name] += counted.taken()
            by_code[name] = (error.reason, error.message)

    assert len(set(by_password.values())) == len(set(by_code.values())) == 1
    assert {tuple(each) for each in work.values()} == {("read", "write", "verify", "read", "write")}


async def test_kb35_a_lock_does_not_tell_who_exists(world: World, ann: Person):
    await ann.set_password()

    async def answers(door):
        return [(await world.refusal(ann.log_in(WRONG, login=door))).reason for _ in range(12)]

    known, unknown, nowhere = await answers(login()), await answers(login("nobody")), await answers(login("x", "y"))

    assert known == unknown == nowhere
    assert known[-1] is Reason.CREDENTIAL_LOCKED


async def test_spellings_of_an_unknown_name_share_one_budget(world: World, ann: Person):
    for name in ("nobody", "NOBODY ", " Nobody", "nobody", "nobody"):
        await world.refusal(ann.log_in(WRONG, login=login(name)))
    for _ in range(5):
        await world.refusal(ann.log_in(WRONG, login=login("nobody")))
    locked = await world.refusal(ann.log_in(WRONG, login=login("nobody")))

    assert locked.reason is Reason.CREDENTIAL_LOCKED


@pytest.mark.parametrize("swept", [True, False])
@pytest.mark.parametrize(("first", "pause"), [(9, 1), (9, 2), (10, 2), (10, 31), (11, 400), (9, 0)])
async def test_kb35_no_pause_between_guesses_tells_who_exists(
    world: World, ann: Person, first: int, pause: int, swept: bool
):
    await ann.set_password()

    async def guess(count: int) -> list[tuple[Reason, ...]]:
        doors = (login(), login("nobody"), login("x", "nowhere"))
        return [
            tuple([(await world.refusal(ann.log_in(WRONG, login=door))).reason for _ in range(count)]) for door in doors
        ]

    await guess(first)
    world.clock.advance(timedelta(days=pause))
    if swept:
        await world.units.system(OrganizationId(""), trim, Author())
    answers = await guess(11)

    assert len(set(answers)) == 1
    begins_anew = first < 10 and pause > 0
    assert answers[0][-2] is (Reason.CREDENTIAL_INVALID if begins_anew else Reason.CREDENTIAL_LOCKED)


async def test_a_deleted_user_leaves_nothing_at_the_door(world: World, ann: Person):
    await ann.set_password()
    await ann.set_up_mfa()
    token = await ann.start_recovery()
    await world.refusal(ann.log_in(WRONG))

    await world.hear("user.deleted", USER.id)

    assert (await world.refusal(ann.log_in(code=ann.code()))).reason is Reason.CREDENTIAL_INVALID
    assert (await world.refusal(ann.complete_recovery(token))).reason is Reason.CREDENTIAL_INVALID
    left = await world.units.read(
        lambda store: (
            store.find_person(ORGANIZATION, USER.id),
            store.find_mfa_device(ORGANIZATION, USER.id),
            store.find_attempts(ORGANIZATION, USER.id).failures,
        )
    )
    assert left == (None, None, 0)


async def test_a_sweep_locks_only_who_still_owes_something(world: World):
    await world.hear("security_settings.updated", "x", settings(enforce_mfa=True))
    ann, root = Person(world), Person(world, OWNER, "root")
    for each in (ann, root):
        await each.set_password()
        await each.log_in()
    await ann.set_up_mfa()
    world.clock.advance(timedelta(days=4))

    await background(world, GraceWatch).sweep()

    assert (await ann.log_in(code=ann.code())).session.mfa
    assert (await world.refusal(root.log_in())).reason is Reason.CREDENTIAL_LOCKED
    device = await world.units.read(lambda store: store.find_mfa_device(ORGANIZATION, USER.id))
    assert device.state is MfaState.ACTIVE
