"""The promises of the token store, on each engine."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest_asyncio

from concord.credentials.model.clients import ClientAuthMethod, SigningAlgorithm, TokenFormat
from concord.credentials.model.organizations import OrganizationRules
from concord.credentials.model.tokens import AuthorizationCode, Consent, RefreshToken, SigningKey, SigningKeyState
from concord.credentials.server import MIGRATIONS
from concord.credentials.sql import METADATA, SqlCredentialStore
from concord.kernel.ids import UserId
from concord.kernel.principal import PrincipalRef
from concord.kernel.secret import SecretHash
from credentials.making import APPLICATION, USER, make_client, make_session
from databases import OpenDatabase
from fakes import ORGANIZATION, START

HASH = SecretHash(b"h" * 32)
HOUR = timedelta(hours=1)
LATER = START + timedelta(minutes=1)


class Stored:
    """A store whose every call is a transaction of its own."""

    def __init__(self, database: Any) -> None:
        self.database = database

    async def __call__(self, fn: Callable[[SqlCredentialStore], Any]) -> Any:
        written = await self.database.write(ORGANIZATION, lambda connection: fn(SqlCredentialStore(connection)))
        return written.value


@pytest_asyncio.fixture
async def stored(database_engines: OpenDatabase) -> Stored:
    return Stored(await database_engines(METADATA, MIGRATIONS))


def a_code(**changes: Any) -> AuthorizationCode:
    client = make_client()
    session = make_session()
    code = AuthorizationCode(
        ORGANIZATION, client.id, UserId(USER.id), session.id, "https://a.example", True, "c", ("openid",), "", "n",
        START, START + HOUR,
    )  # fmt: skip
    return replace(code, **changes)


async def test_of_parallel_uses_of_a_code_one_is_the_first(stored: Stored) -> None:
    code = a_code()
    await stored(lambda store: store.add_code(code, HASH))

    used = await asyncio.gather(*(stored(lambda store: store.use_code(HASH, LATER)) for _ in range(20)))
    await stored(lambda store: store.finish_code(HASH, code.session_id))

    assert used.count(True) == 1
    assert await stored(lambda store: store.find_code(HASH)) == replace(
        code, use_time=LATER, opened_session_id=code.session_id
    )


async def test_a_refresh_token_is_found_with_its_session_and_used_once(stored: Stored) -> None:
    session = make_session(principal=USER)
    token = RefreshToken(ORGANIZATION, session.id, make_client().id, ("a", "b"), "aud", START, START + HOUR)

    def add(store: SqlCredentialStore) -> None:
        store.add_session(session)
        store.add_refresh_token(token, HASH)

    await stored(add)
    used = await asyncio.gather(*(stored(lambda store: store.use_refresh_token(HASH, LATER)) for _ in range(20)))
    found = await stored(lambda store: store.find_refresh_token(HASH))

    assert used.count(True) == 1
    assert found.session == session
    assert found.refresh == replace(token, use_time=LATER)
    await stored(lambda store: store.trim_grants(START + 2 * HOUR))
    assert await stored(lambda store: store.find_refresh_token(HASH)) is None


async def test_a_token_keeps_its_audience_and_its_narrower_scopes(stored: Stored) -> None:
    session = make_session()

    def add(store: SqlCredentialStore) -> None:
        store.add_session(session)
        store.add_token(session, HASH, START, START + HOUR, "https://api.example", ("a",))
        store.add_token(session, SecretHash(b"i" * 32), START, START + HOUR)

    await stored(add)

    found = await stored(lambda store: store.find_token(HASH))
    plain = await stored(lambda store: store.find_token(SecretHash(b"i" * 32)))
    assert (found.audience, found.scopes, found.issue_time) == ("https://api.example", ("a",), START)
    assert (plain.audience, plain.scopes) == ("", None)


async def test_consents_are_put_listed_and_removed(stored: Stored) -> None:
    consent = Consent(ORGANIZATION, UserId(USER.id), make_client().id, ("a",), START, START)
    wider = replace(consent, scopes=("a", "b"), update_time=LATER)

    await stored(lambda store: store.put_consent(consent))
    await stored(lambda store: store.put_consent(wider))

    assert await stored(lambda store: store.list_consents(ORGANIZATION, consent.user_id, 10)) == [wider]
    assert await stored(lambda store: store.remove_consent(ORGANIZATION, consent.user_id, consent.client_id))
    assert not await stored(lambda store: store.remove_consent(ORGANIZATION, consent.user_id, consent.client_id))


async def test_live_sessions_are_found_by_client_parent_and_principal(stored: Stored) -> None:
    client = make_client()
    login = make_session(principal=USER)
    child = make_session(principal=USER, client_id=client.id, parent_session_id=login.id)
    foreign = make_session(principal=APPLICATION, parent_session_id=login.id)
    over = make_session(principal=USER, client_id=client.id, expire_time=START)

    def add(store: SqlCredentialStore) -> None:
        for session in (login, child, foreign, over):
            store.add_session(session)

    await stored(add)

    def ask(store: SqlCredentialStore) -> tuple[Any, ...]:
        return (
            store.live_sessions_of_client(ORGANIZATION, client.id, LATER, 9),
            {each.id for each in store.live_children(ORGANIZATION, login.id, LATER, 9)},
            store.live_foreign_children(ORGANIZATION, USER, LATER, 9),
            store.live_sessions_between(ORGANIZATION, USER, client.id, LATER, 9),
            dict(store.live_principals(ORGANIZATION, LATER)),
        )

    counts: dict[PrincipalRef, int] = {USER: 2, APPLICATION: 1}
    assert await stored(ask) == ([child], {child.id, foreign.id}, [foreign], [child], counts)


async def test_a_client_is_replaced_and_found_by_name_the_oldest_first(stored: Stored) -> None:
    client = make_client(bearer=None, client_id="robot", auth_method=ClientAuthMethod.NONE)
    fresh = replace(
        client,
        version=2,
        name="new",
        scopes=("a",),
        grant_types=("authorization_code",),
        token_format=TokenFormat.JWT,
        signing_algorithm=SigningAlgorithm.ED25519,
        access_token_ttl=timedelta(seconds=90),
        attributes={"a.b": "c"},
    )

    def change(store: SqlCredentialStore) -> None:
        store.put_organization(OrganizationRules(ORGANIZATION))
        store.add_client(client)
        store.replace_client(fresh)

    await stored(change)

    assert await stored(lambda store: store.find_client_by_id(ORGANIZATION, client.id)) == fresh
    found = await stored(lambda store: store.find_clients_named("robot"))
    assert [each.client for each in found] == [fresh]
    assert found[0].holder.organization.value == found[0].holder.principal.value == "active"


async def test_signing_keys_are_kept_by_age_and_found_by_algorithm(stored: Stored) -> None:
    first = SigningKey("k1", SigningAlgorithm.RS256, {"kty": "RSA"}, SigningKeyState.ACTIVE, START, START)
    second = SigningKey("k2", SigningAlgorithm.RS256, {"kty": "RSA"}, SigningKeyState.NEXT, LATER)

    def change(store: SqlCredentialStore) -> None:
        store.add_signing_key(second, b"two")
        store.add_signing_key(first, b"one")

    await stored(change)
    assert await stored(lambda store: store.find_signing_key(SigningAlgorithm.RS256)) == ("k1", b"one")
    retired = replace(first, state=SigningKeyState.RETIRED, retire_time=LATER)
    await stored(lambda store: store.replace_signing_key(retired))

    assert await stored(lambda store: store.signing_keys()) == [retired, second]
    assert await stored(lambda store: store.find_signing_key(SigningAlgorithm.RS256)) is None
    await stored(lambda store: store.remove_signing_key("k1"))
    assert await stored(lambda store: store.signing_keys()) == [second]
