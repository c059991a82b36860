"""What the store promises for logins, on every engine."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from concord.credentials.model.logins import (
    GracePeriod,
    GraceType,
    LoginRules,
    MfaDevice,
    MfaDeviceId,
    MfaState,
    OneTimeToken,
    Person,
    Purpose,
)
from concord.credentials.model.passwords import Password, PasswordForm
from concord.credentials.server import MIGRATIONS
from concord.credentials.sql import METADATA, SqlCredentialStore
from concord.credentials.store import CredentialStore
from concord.kernel.ids import UserId
from concord.kernel.secret import SecretHash
from credentials.making import OWNER, USER, fresh_id
from fakes import ORGANIZATION, OTHER_ORGANIZATION, START

Run = Callable[[Callable[[CredentialStore], Any]], Any]
ANN = UserId(USER.id)
ROOT = UserId(OWNER.id)
LATER = START + timedelta(minutes=1)
LONG_AGO = START - timedelta(days=400)


def secret_hash(text: str) -> SecretHash:
    return SecretHash(text.encode().ljust(32, b"."))


@pytest_asyncio.fixture
async def run(database_engines) -> Run:
    """Run a function over the store of one committed unit."""
    database = await database_engines(METADATA, MIGRATIONS)

    async def in_unit(fn: Callable[[CredentialStore], Any]) -> Any:
        written = await database.write(ORGANIZATION, lambda connection: fn(SqlCredentialStore(connection)))
        return written.value

    return in_unit


async def test_an_organization_is_found_by_all_its_names(run: Run):
    rules = LoginRules(
        ORGANIZATION,
        "acme",
        "ac",
        4711,
        password_enabled=False,
        enforce_mfa=True,
        grace_period=timedelta(hours=1),
        max_attempts=3,
        form=PasswordForm(min_length=12, previous_allowed=True),
    )
    await run(lambda store: store.put_login_rules(LoginRules(OTHER_ORGANIZATION, "4711", "", 1)))
    await run(lambda store: store.put_login_rules(rules))

    names = (ORGANIZATION, "acme", "ac", "4711", "1", "", "nothing", fresh_id(), "9" * 40)
    found = [await run(lambda store, name=name: store.find_login_organization(name)) for name in names]

    assert found[:5] == [ORGANIZATION] * 4 + [OTHER_ORGANIZATION]
    # An organization without an alias does not answer to the empty one.
    assert found[5:] == [None] * 4
    assert await run(lambda store: store.find_login_rules(ORGANIZATION)) == rules


async def test_people_are_found_by_name_before_address_and_staff_before_customers(run: Run):
    ann = Person(ORGANIZATION, ANN, "ann", "A@x.example", interactive=False)
    root = Person(ORGANIZATION, ROOT, "root", "r@x.example", is_owner=True)
    buyer = Person(ORGANIZATION, UserId(fresh_id()), "buyer", "a@x.example", is_customer=True)

    def settle(store: CredentialStore) -> None:
        for each in (buyer, ann, root):
            store.put_person(each, each.email.lower())

    await run(settle)

    def look(store: CredentialStore) -> list[Person | None]:
        return [
            store.find_person(ORGANIZATION, ANN),
            store.find_person_named(ORGANIZATION, "ann", ""),
            store.find_person_named(ORGANIZATION, "?", "a@x.example"),
            store.find_person_named(ORGANIZATION, "buyer", "a@x.example"),
            store.find_owner("r@x.example"),
            store.find_owner("a@x.example"),
            store.find_owner(""),
            store.find_person_named(OTHER_ORGANIZATION, "ann", "a@x.example"),
        ]

    assert await run(look) == [ann, ann, ann, buyer, root, None, None, None]
    await run(lambda store: store.remove_person(ORGANIZATION, ANN))
    assert (await run(look))[:3] == [None, None, buyer]


async def test_attempts_are_counted_given_back_locked_and_cleared(run: Run):
    first = await run(lambda store: store.take_attempt(ORGANIZATION, ANN, START, LONG_AGO))
    second = await run(lambda store: store.take_attempt(ORGANIZATION, ANN, LATER, LONG_AGO))
    await run(lambda store: store.lock_holder(ORGANIZATION, ANN, LATER))
    locked = await run(lambda store: store.take_attempt(ORGANIZATION, ANN, LATER, LATER))
    await run(lambda store: store.give_back_attempt(ORGANIZATION, ANN, 2))
    still = await run(lambda store: store.find_attempts(ORGANIZATION, ANN))
    await run(lambda store: store.give_back_attempt(ORGANIZATION, ANN, 2))
    lifted = await run(lambda store: store.find_attempts(ORGANIZATION, ANN))
    await run(lambda store: store.clear_attempts(ORGANIZATION, ANN))
    clear = await run(lambda store: store.find_attempts(ORGANIZATION, ANN))
    await run(lambda store: store.give_back_attempt(ORGANIZATION, ANN, 2))

    assert (first.failures, second.failures, second.last_attempt_time) == (1, 2, LATER)
    assert (locked.failures, locked.lock_time) == (3, LATER)
    assert (still.failures, still.lock_time) == (2, LATER)
    assert (lifted.failures, lifted.lock_time) == (1, None)
    assert (clear.failures, clear.last_attempt_time, clear.lock_time) == (0, LATER, None)
    assert (await run(lambda store: store.find_attempts(ORGANIZATION, ANN))).failures == 0
    assert (await run(lambda store: store.find_attempts(OTHER_ORGANIZATION, ANN))).last_attempt_time is None


async def test_a_password_shows_the_users_attempts(run: Run):
    await run(lambda store: store.put_password(Password(ANN, ORGANIZATION, 1, START, START), "one"))
    await run(lambda store: store.take_attempt(ORGANIZATION, ANN, LATER, LONG_AGO))
    await run(lambda store: store.lock_holder(ORGANIZATION, ANN, LATER))

    found = await run(lambda store: store.find_password(ORGANIZATION, ANN))

    assert (found.failed_attempts, found.last_attempt_time, found.lock_time) == (1, LATER, LATER)


async def test_a_hash_is_renewed_only_where_it_is_the_one_that_was_read(run: Run):
    await run(lambda store: store.put_password(Password(ANN, ORGANIZATION, 1, START, START), "one"))
    await run(lambda store: store.put_password(Password(ANN, ORGANIZATION, 2, START, START), "two"))
    await run(lambda store: store.rehash_password(ORGANIZATION, ANN, "one", "stale"))
    await run(lambda store: store.rehash_password(ORGANIZATION, ANN, "two", "fresh"))

    assert await run(lambda store: store.find_encoded(ORGANIZATION, ANN)) == "fresh"
    assert await run(lambda store: store.find_previous(ORGANIZATION, ANN)) == "one"


async def test_strangers_are_forgotten_and_users_are_not(run: Run):
    stranger, locked = "a" * 64, "b" * 64
    for holder in (stranger, locked, ANN):
        await run(lambda store, holder=holder: store.take_attempt(ORGANIZATION, holder, START, LONG_AGO))
    await run(lambda store: store.lock_holder(ORGANIZATION, locked, START))

    assert await run(lambda store: store.trim_strangers(START, 10)) == 1
    assert await run(lambda store: store.trim_strangers(LATER, 1)) == 0
    assert (await run(lambda store: store.find_attempts(ORGANIZATION, locked))).lock_time == START
    assert (await run(lambda store: store.find_attempts(ORGANIZATION, ANN))).failures == 1


async def test_of_too_many_strangers_the_oldest_go_and_locked_ones_last(run: Run):
    locked, older, newer = "a" * 64, "b" * 64, "c" * 64
    for holder, at in ((locked, LONG_AGO), (older, START), (newer, LATER), (ANN, LONG_AGO)):
        await run(lambda store, holder=holder, at=at: store.take_attempt(ORGANIZATION, holder, at, LONG_AGO))
    await run(lambda store: store.lock_holder(ORGANIZATION, locked, LONG_AGO))

    left = []
    for most in (2, 1, 0):
        await run(lambda store, most=most: store.trim_strangers(LONG_AGO, most))
        rows = [
            (await run(lambda store, holder=holder: store.find_attempts(ORGANIZATION, holder))).failures
            for holder in (locked, older, newer, ANN)
        ]
        left.append(rows)

    assert left == [[1, 0, 1, 1], [1, 0, 0, 1], [0, 0, 0, 1]]


async def test_failures_begin_anew_after_a_pause_unless_they_have_locked(run: Run):
    for _ in range(2):
        await run(lambda store: store.take_attempt(ORGANIZATION, ANN, START, LONG_AGO))

    anew = await run(lambda store: store.take_attempt(ORGANIZATION, ANN, LATER, START))
    await run(lambda store: store.lock_holder(ORGANIZATION, ANN, LATER))
    locked = await run(lambda store: store.take_attempt(ORGANIZATION, ANN, LATER, LATER))

    assert (anew.failures, locked.failures) == (1, 2)


async def test_grace_periods_come_by_their_end(run: Run):
    waiting = GracePeriod(ORGANIZATION, ANN, GraceType.UPDATE_PASSWORD)
    running = GracePeriod(ORGANIZATION, ANN, GraceType.SET_MFA, LATER)
    for each in (waiting, running):
        await run(lambda store, each=each: store.put_grace_period(each))

    assert await run(lambda store: store.grace_periods(ORGANIZATION, ANN)) == [running, waiting]
    assert await run(lambda store: store.overdue(START, 9)) == []
    assert await run(lambda store: store.overdue(LATER, 9)) == [running]
    await run(lambda store: store.remove_grace_period(ORGANIZATION, ANN, GraceType.SET_MFA))
    assert await run(lambda store: store.grace_periods(ORGANIZATION, ANN)) == [waiting]


async def test_a_step_and_a_recovery_code_are_claimed_once(run: Run):
    device = MfaDevice(MfaDeviceId(fresh_id()), ORGANIZATION, ANN, MfaState.UNCONFIRMED, 1, START, START)
    active = replace(device, state=MfaState.ACTIVE, version=2, update_time=LATER, recovery_code_count=2)
    await run(lambda store: store.put_mfa_device(device, b"sealed"))
    await run(lambda store: store.replace_mfa_device(active))
    await run(lambda store: store.put_recovery_codes(ORGANIZATION, ANN, [secret_hash("1"), secret_hash("2")]))

    claims = [await run(lambda store, step=step: store.claim_step(ORGANIZATION, ANN, step)) for step in (7, 7, 6, 8)]

    assert await run(lambda store: store.find_mfa_device(ORGANIZATION, ANN)) == active
    assert await run(lambda store: store.find_mfa_seed(ORGANIZATION, ANN)) == b"sealed"
    assert claims == [True, False, False, True]
    uses = [
        await run(lambda store, code=code: store.use_recovery_code(ORGANIZATION, ANN, secret_hash(code)))
        for code in ("1", "1", "3")
    ]
    assert uses == [True, False, False]
    assert await run(lambda store: store.remove_mfa_device(ORGANIZATION, ANN))
    assert not await run(lambda store: store.remove_mfa_device(ORGANIZATION, ANN))
    assert not await run(lambda store: store.use_recovery_code(ORGANIZATION, ANN, secret_hash("2")))


@pytest.mark.parametrize("purpose", Purpose)
async def test_a_mailed_secret_is_used_once_by_its_user_for_its_purpose(run: Run, purpose: Purpose):
    token = OneTimeToken(fresh_id(), ORGANIZATION, ANN, purpose, LATER, 2, START)
    other = next(each for each in Purpose if each is not purpose)
    await run(lambda store: store.put_one_time_token(token, secret_hash("s")))

    def use(user: UserId = ANN, what: Purpose = purpose, text: str = "s", now: Any = START) -> Any:
        return run(lambda store: store.use_one_time_token(ORGANIZATION, user, what, secret_hash(text), now))

    assert await run(lambda store: store.find_one_time_token(ORGANIZATION, ANN, purpose)) == token
    assert await run(lambda store: store.find_token_by_id(token.id)) == token
    assert await run(lambda store: store.find_one_time_hash(ORGANIZATION, ANN, purpose, START)) == secret_hash("s")
    assert await run(lambda store: store.find_one_time_hash(ORGANIZATION, ANN, purpose, LATER)) is None
    refused = [await use(user=ROOT), await use(what=other), await use(text="t"), await use(now=LATER)]
    assert refused == [False] * 4
    assert [await use(), await use()] == [True, False]


async def test_mailed_secrets_are_replaced_voided_and_forgotten(run: Run):
    first = OneTimeToken(fresh_id(), ORGANIZATION, ANN, Purpose.LOGIN, LATER, 1, START)
    second = replace(first, id=fresh_id(), sent=2)
    await run(lambda store: store.put_one_time_token(first, secret_hash("1")))
    await run(lambda store: store.put_one_time_token(second, secret_hash("2")))

    assert await run(lambda store: store.find_token_by_id(first.id)) is None
    await run(lambda store: store.void_one_time_tokens(ORGANIZATION, ANN))
    assert await run(lambda store: store.find_one_time_hash(ORGANIZATION, ANN, Purpose.LOGIN, START)) is None
    assert await run(lambda store: store.find_one_time_token(ORGANIZATION, ANN, Purpose.LOGIN)) == second
    assert await run(lambda store: store.trim_one_time_tokens(LATER)) == 0
    assert await run(lambda store: store.trim_one_time_tokens(LATER + timedelta(seconds=1))) == 1


async def test_what_ends_with_an_organization_leaves_no_secret(run: Run):
    device = MfaDevice(MfaDeviceId(fresh_id()), ORGANIZATION, ANN, MfaState.ACTIVE, 1, START, START)
    await run(lambda store: store.put_mfa_device(device, b"sealed"))
    await run(lambda store: store.put_person(Person(ORGANIZATION, ANN, "ann"), ""))

    await run(lambda store: store.end_organization(ORGANIZATION, LATER))

    assert await run(lambda store: store.find_mfa_device(ORGANIZATION, ANN)) is None
    assert await run(lambda store: store.find_person(ORGANIZATION, ANN)) is None
