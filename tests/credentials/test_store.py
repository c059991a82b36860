"""The store's promises, on every engine."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from concord.credentials.model.api_keys import ApiKeyState
from concord.credentials.model.holders import LifeState, Sight
from concord.credentials.model.organizations import OrganizationRules
from concord.credentials.model.passwords import Password
from concord.credentials.server import MIGRATIONS
from concord.credentials.sql import METADATA, SqlCredentialStore
from concord.credentials.store import CredentialStore
from concord.credentials.store.api_keys import ApiKeyFilter
from concord.credentials.store.clients import ClientFilter
from concord.credentials.store.sessions import SessionFilter
from concord.kernel.errors import AlreadyExists
from concord.kernel.ids import UserId
from concord.kernel.paging import PageRequest
from concord.kernel.principal import PrincipalKind
from concord.kernel.secret import SecretHash
from credentials.making import APPLICATION, OWNER, PROJECT, USER, make_client, make_key, make_session
from databases import schema_differences
from fakes import ORGANIZATION, OTHER_ORGANIZATION, START

Run = Callable[[Callable[[CredentialStore], Any]], Any]
BY_NUMBER = PageRequest(order=(("number", False),))
BY_TIME = PageRequest(order=(("create_time", False),))
LATER = START + timedelta(minutes=1)


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


def settle(store: CredentialStore) -> None:
    store.put_organization(OrganizationRules(ORGANIZATION))
    for each in (OWNER, USER, APPLICATION):
        store.put_principal(ORGANIZATION, each, LifeState.ACTIVE)


async def test_the_history_makes_the_tables_of_the_metadata(database_engines):
    assert await schema_differences(database_engines, METADATA, MIGRATIONS) == []


async def test_a_key_is_read_as_it_was_stored(run: Run):
    key = make_key(
        bearer=USER,
        name="n",
        description="d",
        ceiling=("a", "b"),
        expire_time=LATER,
        creation_ip="192.0.2.1",
        attributes={"x.y": "z"},
        default_project_id=PROJECT,
    )

    await run(lambda store: store.add_key(key, secret_hash("a"), b"sealed"))

    assert await run(lambda store: store.find_key(ORGANIZATION, key.id)) == key
    assert await run(lambda store: store.find_key_named(ORGANIZATION, key.access_id)) == key
    assert await run(lambda store: store.find_key(OTHER_ORGANIZATION, key.id)) is None
    assert await run(lambda store: store.find_key_named(OTHER_ORGANIZATION, key.access_id)) is None


async def test_the_directory_finds_keys_with_their_holders_state(run: Run):
    key, short = make_key(), make_key(secret_identifies=False)

    def arrange(store: CredentialStore) -> None:
        settle(store)
        store.add_key(key, secret_hash("a"), None)
        store.add_key(short, secret_hash("b"), None)
        store.put_principal(ORGANIZATION, APPLICATION, LifeState.SUSPENDED)

    await run(arrange)

    found = await run(lambda store: store.find_key_by_access_id(key.access_id))
    assert found.key == key
    assert found.secret_hash == secret_hash("a")
    assert (found.holder.principal, found.holder.organization) == (LifeState.SUSPENDED, LifeState.ACTIVE)
    assert await run(lambda store: store.find_key_by_secret(secret_hash("a"))) == found
    assert await run(lambda store: store.find_key_by_secret(secret_hash("b"))) is None
    assert await run(lambda store: store.find_key_by_access_id(key.access_id.lower())) is None


async def test_a_holder_that_nobody_knows_is_dead(run: Run):
    key = make_key()
    await run(lambda store: store.add_key(key, secret_hash("a"), None))

    found = await run(lambda store: store.find_key_by_access_id(key.access_id))

    assert (found.holder.principal, found.holder.organization) == (LifeState.DELETED, LifeState.DELETED)


async def test_an_access_id_is_given_out_once_in_the_deployment(run: Run):
    key = make_key()
    await run(lambda store: store.add_key(key, secret_hash("a"), None))
    await run(lambda store: store.replace_key(replace(key, state=ApiKeyState.DELETED)))
    again = make_key(access_id=key.access_id, organization_id=OTHER_ORGANIZATION)

    with pytest.raises(AlreadyExists):
        await run(lambda store: store.add_key(again, secret_hash("b"), None))


async def test_a_deleted_key_is_found_by_the_directory_only(run: Run):
    key = make_key()

    def act(store: CredentialStore) -> None:
        store.add_key(key, secret_hash("a"), b"sealed")
        store.replace_key(replace(key, state=ApiKeyState.DELETED))

    await run(act)

    found = await run(lambda store: store.find_key_by_access_id(key.access_id))
    assert found.key.state is ApiKeyState.DELETED
    assert await run(lambda store: store.find_key(ORGANIZATION, key.id)) is None
    assert await run(lambda store: store.find_key_named(ORGANIZATION, key.access_id)) is None
    assert await run(lambda store: store.keys_of(ORGANIZATION, key.bearer)) == []
    assert await run(lambda store: store.count_keys(ORGANIZATION)) == 0
    listed = await run(lambda store: store.list_keys(ORGANIZATION, ApiKeyFilter(START), BY_NUMBER))
    assert list(listed.items) == []


async def test_supplied_keys_do_not_count(run: Run):
    def act(store: CredentialStore) -> int:
        store.add_key(make_key(), secret_hash("a"), None)
        store.add_key(make_key(catalogue="some"), secret_hash("b"), None)
        return store.count_keys(ORGANIZATION)

    assert await run(act) == 1


async def test_numbers_start_at_one_for_each_name_and_organization(run: Run):
    def act(store: CredentialStore) -> list[int]:
        return [
            store.next_number(ORGANIZATION, "a"),
            store.next_number(ORGANIZATION, "a"),
            store.next_number(ORGANIZATION, "b"),
            store.next_number(OTHER_ORGANIZATION, "a"),
        ]

    assert await run(act) == [1, 2, 1, 1]
    assert await run(lambda store: store.next_number(ORGANIZATION, "a")) == 3


@pytest.mark.parametrize(
    ("sight", "seen"),
    [
        (Sight(others=True), {USER, APPLICATION, OWNER}),
        (Sight(others=False), set()),
        (Sight(others=False, included=frozenset({USER})), {USER}),
        (Sight(others=True, excluded=frozenset({OWNER})), {USER, APPLICATION}),
        (Sight(others=True, included=frozenset({OWNER}), excluded=frozenset({OWNER})), {USER, APPLICATION, OWNER}),
    ],
)
async def test_lists_show_what_is_in_sight(run: Run, sight, seen):
    def act(store: CredentialStore) -> Any:
        for at, each in enumerate((USER, APPLICATION, OWNER)):
            store.add_key(make_key(bearer=each), secret_hash(str(at)), None)
            store.add_session(make_session(principal=each))
            store.add_client(make_client(bearer=each))
        return (
            store.list_keys(ORGANIZATION, ApiKeyFilter(START, sight=sight), BY_NUMBER),
            store.list_sessions(ORGANIZATION, SessionFilter(START, sight=sight), BY_TIME),
            store.list_clients(ORGANIZATION, ClientFilter(sight=sight), BY_TIME),
        )

    keys, sessions, clients = await run(act)

    assert {each.bearer for each in keys.items} == seen
    assert {each.principal for each in sessions.items} == seen
    assert {each.bearer for each in clients.items} == seen
    assert all(sight.admits(each) == (each in seen) for each in (USER, APPLICATION, OWNER))


async def test_key_filters_combine(run: Run):
    plain = make_key(description="Plain")
    dying = make_key(bearer=USER, expire_time=LATER, name="Dying_1")
    supplied = make_key(catalogue="some", state=ApiKeyState.SUSPENDED)

    def arrange(store: CredentialStore) -> None:
        for at, each in enumerate((plain, dying, supplied)):
            store.add_key(each, secret_hash(str(at)), None)

    await run(arrange)

    async def listed(**wanted: Any) -> list[Any]:
        wanted = {"now": LATER, **wanted}
        page = await run(lambda store: store.list_keys(ORGANIZATION, ApiKeyFilter(**wanted), BY_NUMBER))
        return [each.id for each in page.items]

    assert await listed() == [plain.id, dying.id, supplied.id]
    assert await listed(expired=True) == [dying.id]
    assert await listed(expired=False) == [plain.id, supplied.id]
    assert await listed(expired=False, now=START) == [plain.id, dying.id, supplied.id]
    assert await listed(editable=True) == [plain.id, dying.id]
    assert await listed(editable=False) == [supplied.id]
    assert await listed(state=ApiKeyState.SUSPENDED) == [supplied.id]
    assert await listed(bearer_kind=PrincipalKind.USER) == [dying.id]
    assert await listed(bearers=frozenset({USER}), expired=False) == []
    assert await listed(access_ids=frozenset({plain.access_id, dying.access_id})) == [plain.id, dying.id]
    assert await listed(text="PLAIN") == [plain.id]
    assert await listed(text="g_1") == [dying.id]
    assert await listed(text="%") == []
    assert await listed(description="plain") == [plain.id]
    assert await listed(ids=frozenset({supplied.id})) == [supplied.id]


async def test_missing_instants_sort_as_the_latest_and_pages_join(run: Run):
    keys = [make_key(expire_time=at) for at in (None, LATER, START, None)]

    def arrange(store: CredentialStore) -> None:
        for at, each in enumerate(keys):
            store.add_key(each, secret_hash(str(at)), None)

    await run(arrange)
    order = (("expire_time", False),)
    pages = []
    after = None
    while True:
        request = PageRequest(size=1, after=after, order=order, with_total=True)
        page = await run(lambda store, request=request: store.list_keys(ORGANIZATION, ApiKeyFilter(START), request))
        pages.append(page)
        after = page.after
        if after is None:
            break

    assert [each.items[0].expire_time for each in pages] == [START, LATER, None, None]
    assert len({each.items[0].id for each in pages}) == 4
    assert {each.total_size for each in pages} == {4}


async def test_use_moves_forward_only(run: Run):
    key = make_key()

    def act(store: CredentialStore) -> Any:
        store.add_key(key, secret_hash("a"), None)
        store.note_key_use({(ORGANIZATION, key.id): LATER})
        store.note_key_use({(ORGANIZATION, key.id): START, (OTHER_ORGANIZATION, key.id): LATER})
        return store.find_key(ORGANIZATION, key.id)

    assert await run(act) == replace(key, last_used_time=LATER)


async def test_a_token_leads_to_its_session(run: Run):
    session = make_session(
        methods=("api_key",), scopes=("s",), ceiling=("c",), issuer=OWNER, ip="192.0.2.1", user_agent="u", mfa=True
    )

    def arrange(store: CredentialStore) -> None:
        settle(store)
        store.add_session(session)
        store.add_token(session, secret_hash("t"), START, LATER)

    await run(arrange)

    found = await run(lambda store: store.find_token(secret_hash("t")))
    assert found.session == session
    assert found.expire_time == LATER
    assert found.holder.principal is LifeState.ACTIVE
    assert await run(lambda store: store.find_token(secret_hash("u"))) is None
    assert await run(lambda store: store.find_session(ORGANIZATION, session.id)) == session
    assert await run(lambda store: store.find_session(OTHER_ORGANIZATION, session.id)) is None


async def test_sessions_end_once(run: Run):
    key = make_key()
    mine = make_session(principal=USER)
    of_key = make_session(api_key_id=key.id)
    other = make_session(principal=OWNER)

    def act(store: CredentialStore) -> Any:
        for each in (mine, of_key, other):
            store.add_session(each)
        counts = (
            store.end_sessions_of(ORGANIZATION, USER, START),
            store.end_sessions_of(ORGANIZATION, USER, LATER),
            store.end_sessions_of_key(ORGANIZATION, key.id, START),
            store.end_sessions_of(OTHER_ORGANIZATION, OWNER, START),
        )
        store.end_session(ORGANIZATION, mine.id, LATER)
        return counts, [store.find_session(ORGANIZATION, each.id) for each in (mine, of_key, other)]

    counts, found = await run(act)

    assert counts == (1, 0, 1, 0)
    assert [each.end_time for each in found] == [START, START, None]
    assert [each.version for each in found] == [2, 2, 1]


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({}, {"live", "expired", "ended", "both"}),
        ({"live_only": True}, {"live"}),
        ({"expired": True}, {"expired", "both"}),
        ({"expired": False}, {"live", "ended"}),
        ({"ended": True}, {"ended", "both"}),
        ({"ended": False}, {"live", "expired"}),
        ({"ended": False, "expired": True}, {"expired"}),
    ],
)
async def test_sessions_are_told_apart_by_how_they_are_over(run: Run, filters: dict[str, bool], kept: set[str]):
    made = {
        "live": make_session(expire_time=LATER),
        "expired": make_session(expire_time=START),
        "ended": make_session(expire_time=LATER, end_time=START),
        "both": make_session(expire_time=START, end_time=START),
    }

    def act(store: CredentialStore) -> Any:
        for each in made.values():
            store.add_session(each)
        return store.list_sessions(ORGANIZATION, SessionFilter(START, **filters), BY_TIME)

    found = {each.id for each in (await run(act)).items}

    assert {name for name, each in made.items() if each.id in found} == kept


async def test_sessions_do_not_outlast_a_shortened_key(run: Run):
    key = make_key()
    long, short = make_session(api_key_id=key.id), make_session(api_key_id=key.id, expire_time=START)

    def act(store: CredentialStore) -> Any:
        for each in (long, short):
            store.add_session(each)
        store.shorten_sessions_of_key(ORGANIZATION, key.id, LATER, START)
        return [store.find_session(ORGANIZATION, each.id).expire_time for each in (long, short)]

    assert await run(act) == [LATER, START]


async def test_sessions_over_long_ago_are_trimmed(run: Run):
    old, young = make_session(expire_time=START), make_session(expire_time=LATER)

    def act(store: CredentialStore) -> Any:
        for at, each in enumerate((old, young)):
            store.add_session(each)
            store.add_token(each, secret_hash(str(at)), START, each.expire_time)
        return store.trim_sessions(LATER), [store.find_session(ORGANIZATION, each.id) for each in (old, young)]

    assert await run(act) == (1, [None, young])


async def test_a_new_password_replaces_the_old_one(run: Run):
    user = UserId(USER.id)
    first = Password(user, ORGANIZATION, 1, START, START, temporary=True, expire_time=LATER)
    second = Password(user, ORGANIZATION, 2, START, LATER)

    def act(store: CredentialStore) -> Any:
        store.put_password(first, "one")
        store.put_password(second, "two")
        return store.find_password(ORGANIZATION, user), store.find_encoded(ORGANIZATION, user)

    assert await run(act) == (second, "two")
    assert await run(lambda store: store.find_password(OTHER_ORGANIZATION, user)) is None
    assert await run(lambda store: store.remove_password(ORGANIZATION, user))
    assert not await run(lambda store: store.remove_password(ORGANIZATION, user))
    assert await run(lambda store: store.find_encoded(ORGANIZATION, user)) is None


async def test_statuses_cover_the_living(run: Run):
    def act(store: CredentialStore) -> Any:
        settle(store)
        store.put_principal(ORGANIZATION, OWNER, LifeState.DELETED)
        store.add_key(make_key(bearer=USER), secret_hash("a"), None)
        store.put_password(Password(UserId(USER.id), ORGANIZATION, 1, START, START), "x")
        return store.statuses(ORGANIZATION, [USER, APPLICATION, OWNER])

    found = await run(act)

    assert set(found) == {USER, APPLICATION}
    assert (found[USER].has_password, found[USER].api_key_count) == (True, 1)
    assert (found[APPLICATION].has_password, found[APPLICATION].api_key_count) == (False, 0)


async def test_a_clients_name_is_taken_while_it_lives_and_in_its_organization_only(run: Run):
    client = make_client(client_id="robot", scopes=("a",), redirect_uris=("https://a.example/b",))

    def arrange(store: CredentialStore) -> None:
        settle(store)
        store.add_client(client)
        store.add_client_secret(client, 1, "first", secret_hash("s"), START)
        store.add_client(make_client(client_id="robot", organization_id=OTHER_ORGANIZATION))

    await run(arrange)
    with pytest.raises(AlreadyExists):
        await run(lambda store: store.add_client(make_client(client_id="robot")))

    found = await run(lambda store: store.find_client_named(ORGANIZATION, "robot"))
    assert replace(found, secrets=()) == client
    assert [(each.number, each.name) for each in found.secrets] == [(1, "first")]
    assert await run(lambda store: store.find_client_by_id(OTHER_ORGANIZATION, client.id)) is None

    await run(lambda store: store.end_client(client, LATER))
    await run(lambda store: store.add_client(make_client(client_id="robot")))
    ended = await run(lambda store: store.find_client("robot", secret_hash("s")))
    assert ended.client.end_time == LATER
    assert await run(lambda store: store.find_client_by_id(ORGANIZATION, client.id)) is None


async def test_a_client_is_found_by_its_own_name_and_secret(run: Run):
    client = make_client(client_id="Robot")

    def arrange(store: CredentialStore) -> None:
        settle(store)
        store.add_client(client)
        store.add_client_secret(client, 7, "", secret_hash("s"), START)
        store.note_secret_use({(ORGANIZATION, 7): LATER})
        store.note_secret_use({(ORGANIZATION, 7): START})

    await run(arrange)

    found = await run(lambda store: store.find_client("Robot", secret_hash("s")))
    assert (found.client.id, found.secret_number) == (client.id, 7)
    assert found.holder.principal is LifeState.ACTIVE
    assert await run(lambda store: store.find_client("robot", secret_hash("s"))) is None
    assert await run(lambda store: store.find_client("Robot", secret_hash("t"))) is None
    listed = await run(lambda store: store.find_client_by_id(ORGANIZATION, client.id))
    assert listed.secrets[0].last_used_time == LATER


async def test_a_user_leaves_the_clients_it_looked_after_but_not_those_that_are_its_own(run: Run):
    borne = make_client(owner_user_id=UserId(USER.id))
    orphan = make_client(bearer=None, owner_user_id=UserId(USER.id))
    own = make_client(bearer=USER)

    def act(store: CredentialStore) -> Any:
        store.add_client(borne)
        store.add_client(orphan)
        store.add_client(own)
        store.release_clients(ORGANIZATION, UserId(USER.id))
        belonging = {each.id for each in store.clients_of(ORGANIZATION, USER)}
        return store.find_client_by_id(ORGANIZATION, borne.id).owner_user_id, belonging

    assert await run(act) == (None, {orphan.id, own.id})


async def test_the_dead_stay_dead(run: Run):
    def act(store: CredentialStore) -> Any:
        store.put_principal(ORGANIZATION, USER, LifeState.ACTIVE)
        store.put_principal(ORGANIZATION, USER, LifeState.DELETED)
        store.put_principal(ORGANIZATION, USER, LifeState.ACTIVE)
        return store.find_principal(ORGANIZATION, USER), store.find_principal(OTHER_ORGANIZATION, USER)

    assert await run(act) == (LifeState.DELETED, None)


async def test_projects_and_limits_are_kept_for_each_organization(run: Run):
    def act(store: CredentialStore) -> Any:
        store.put_project(ORGANIZATION, PROJECT)
        store.put_project(ORGANIZATION, PROJECT)
        known = store.has_project(ORGANIZATION, PROJECT), store.has_project(OTHER_ORGANIZATION, PROJECT)
        store.remove_project(ORGANIZATION, PROJECT)
        store.remove_project(ORGANIZATION, PROJECT)
        store.put_limit(ORGANIZATION, "api_keys", 3)
        store.put_limit(ORGANIZATION, "api_keys", None)
        limits = store.find_limit(ORGANIZATION, "api_keys", 7), store.find_limit(OTHER_ORGANIZATION, "api_keys", 7)
        return known, store.has_project(ORGANIZATION, PROJECT), limits

    assert await run(act) == ((True, False), False, (None, 7))


async def test_an_organizations_rules_are_read_as_stored(run: Run):
    rules = OrganizationRules(
        ORGANIZATION,
        LifeState.SUSPENDED,
        max_session_ttl=timedelta(hours=2),
        max_api_key_ttl=timedelta(days=9),
        temporary_password_ttl=timedelta(minutes=3),
    )

    await run(lambda store: store.put_organization(rules))

    assert await run(lambda store: store.find_organization(ORGANIZATION)) == rules
    assert await run(lambda store: store.find_organization(OTHER_ORGANIZATION)) is None


async def test_a_deleted_organization_keeps_tombstones_only(run: Run):
    key, client, session = make_key(), make_client(), make_session()

    def act(store: CredentialStore) -> Any:
        settle(store)
        store.add_key(key, secret_hash("a"), b"sealed")
        store.add_client(client)
        store.add_client_secret(client, 1, "", secret_hash("c"), START)
        store.add_session(session)
        store.add_token(session, secret_hash("t"), START, LATER)
        store.put_password(Password(UserId(USER.id), ORGANIZATION, 1, START, START), "x")
        store.end_organization(ORGANIZATION, LATER)
        return (
            store.find_organization(ORGANIZATION).state,
            store.find_key_by_access_id(key.access_id).key.state,
            store.find_client(client.client_id, secret_hash("c")).client.end_time,
            store.find_token(secret_hash("t")),
            store.find_password(ORGANIZATION, UserId(USER.id)),
        )

    assert await run(act) == (LifeState.DELETED, ApiKeyState.DELETED, LATER, None, None)
