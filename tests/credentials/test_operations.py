"""Operations over a real store, without a call around them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from concord.credentials.model.holders import LifeState
from concord.credentials.model.organizations import OrganizationRules
from concord.credentials.operations.api_keys import (
    ApiKeyPatch,
    NewApiKey,
    create_api_key,
    delete_api_key,
    update_api_key,
)
from concord.credentials.operations.authentication import KeyCredential, examine, make_passport
from concord.credentials.operations.clients import NewClient, create_client, delete_client
from concord.credentials.operations.endings import end_principal, suspend_principal
from concord.credentials.operations.passwords import set_password
from concord.credentials.operations.sessions import open_session, revoke_all_sessions
from concord.credentials.secrets.drawing import KeyFormat
from concord.credentials.secrets.vault import Vault
from concord.credentials.sql import METADATA, SqlCredentialStore
from concord.kernel.errors import Denied, Invalid, NotFound, Precondition, Reason, Unauthenticated
from concord.kernel.keyring import Keyring, SealBroken
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import Secret
from credentials.making import APPLICATION, OWNER, USER, fresh_id, make_client, make_key, make_unit
from fakes import ORGANIZATION, START, open_sqlite


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(Keyring(tmp_path / "keys"))


@pytest_asyncio.fixture
async def act(tmp_path: Path):
    """Run a function over a unit of an organization that has an owner, a user and an application."""
    database = await open_sqlite(tmp_path, METADATA)

    async def run(fn: Any, now: Any = START) -> Any:
        written = await database.write(ORGANIZATION, lambda c: fn(make_unit(SqlCredentialStore(c), now)))
        return written.value

    def settle(unit: Any) -> None:
        unit.store.put_organization(OrganizationRules(ORGANIZATION))
        for each in (OWNER, USER, APPLICATION):
            unit.store.put_principal(ORGANIZATION, each, LifeState.ACTIVE)

    await run(settle)
    yield run
    await database.close()


def refusing(unit: Any) -> Any:
    def admit(principal: PrincipalRef) -> None:
        raise Denied("credentials.api_keys.create")

    return replace(unit, admit=admit)


async def test_a_key_notes_who_made_it_from_where(act, vault):
    created = await act(lambda unit: create_api_key(unit, NewApiKey(APPLICATION), vault))

    assert created.key.creation_ip == "192.0.2.7"
    assert created.key.default_project_id == ORGANIZATION
    assert created.secret.reveal() not in repr(created)


async def test_a_recoverable_secret_opens_in_its_own_row_only(act, vault):
    wanted = NewApiKey(APPLICATION, secret_recoverable=True)
    created = await act(lambda unit: create_api_key(unit, wanted, vault))
    sealed = vault.seal(ORGANIZATION, created.key.id, created.secret)

    assert vault.open(ORGANIZATION, created.key.id, sealed) == created.secret
    with pytest.raises(SealBroken):
        vault.open(ORGANIZATION, make_key().id, sealed)


async def test_every_fault_of_a_key_is_named_at_once(act, vault):
    wanted = NewApiKey(APPLICATION, name="x" * 257, description="y" * 1001, expire_time=START, attributes={"z": ""})

    with pytest.raises(Invalid) as refused:
        await act(lambda unit: create_api_key(unit, wanted, vault))

    assert [each.field for each in refused.value.violations] == [
        "api_key.name",
        "api_key.description",
        "api_key.attributes",
        "api_key.expire_time",
    ]


@pytest.mark.parametrize("state", [None, LifeState.DELETED])
async def test_a_dead_or_unknown_bearer_gets_no_credential(act, vault, state):
    bearer = PrincipalRef(PrincipalKind.USER, fresh_id())
    if state is not None:
        await act(lambda unit: unit.store.put_principal(ORGANIZATION, bearer, state))

    for attempt in (
        lambda unit: create_api_key(unit, NewApiKey(bearer), vault),
        lambda unit: create_client(unit, NewClient(bearer=bearer), vault),
        lambda unit: set_password(unit, bearer.id, "x", temporary=False, must_not_exist=False),
        lambda unit: revoke_all_sessions(unit, bearer),
    ):
        with pytest.raises(NotFound):
            await act(attempt)


async def test_whom_the_decision_does_not_admit_nothing_is_done_to(act, vault):
    created = await act(lambda unit: create_api_key(unit, NewApiKey(APPLICATION), vault))
    client = await act(lambda unit: create_client(unit, NewClient(bearer=APPLICATION), vault))
    nobodys = await act(lambda unit: create_client(unit, NewClient(), vault))

    for attempt in (
        lambda unit: create_api_key(refusing(unit), NewApiKey(APPLICATION), vault),
        lambda unit: update_api_key(refusing(unit), created.key.id, ApiKeyPatch(frozenset({"name"}))),
        lambda unit: delete_api_key(refusing(unit), created.key.id),
        lambda unit: delete_client(refusing(unit), client.client.id),
        lambda unit: delete_client(refusing(unit), nobodys.client.id),
        lambda unit: set_password(refusing(unit), USER.id, "x", temporary=False, must_not_exist=False),
        lambda unit: revoke_all_sessions(refusing(unit), USER),
    ):
        with pytest.raises(Denied):
            await act(attempt)


async def test_supplied_things_are_not_changed_by_people(act, vault):
    key, client = make_key(catalogue="some"), make_client(catalogue="some")

    def arrange(unit: Any) -> None:
        unit.store.add_key(key, vault.hash(Secret("s")), None)
        unit.store.add_client(client)

    await act(arrange)

    for attempt in (
        lambda unit: update_api_key(unit, key.id, ApiKeyPatch(frozenset({"name"}), name="n")),
        lambda unit: delete_api_key(unit, key.id),
        lambda unit: delete_client(unit, client.id),
    ):
        with pytest.raises(Precondition) as refused:
            await act(attempt)
        assert refused.value.reason is Reason.RESOURCE_MANAGED


async def test_deleting_twice_is_not_found(act, vault):
    created = await act(lambda unit: create_api_key(unit, NewApiKey(APPLICATION), vault))
    await act(lambda unit: delete_api_key(unit, created.key.id))

    with pytest.raises(NotFound):
        await act(lambda unit: delete_api_key(unit, created.key.id))


async def test_changes_say_what_others_must_wait_for(act, vault):
    def everything(unit: Any) -> Any:
        key = create_api_key(unit, NewApiKey(USER), vault).key
        update_api_key(unit, key.id, ApiKeyPatch(frozenset({"name"}), name="n"))
        delete_api_key(unit, key.id)
        set_password(unit, USER.id, "x", temporary=False, must_not_exist=True)
        return unit.changes

    changes = await act(everything)

    assert [(each.type, each.security_relevant or each.awaited) for each in changes] == [
        ("api_key.created", True),
        ("api_key.updated", True),
        ("api_key.deleted", True),
        ("password.set", True),
        ("session.epoch_raised", True),
    ]


async def test_an_examined_key_is_good_until_its_bearer_is_not(act, vault):
    created = await act(lambda unit: create_api_key(unit, NewApiKey(USER, format=KeyFormat()), vault))
    shown = KeyCredential(created.secret)

    proof = await act(lambda unit: examine(unit.store, vault, shown, START))
    await act(lambda unit: suspend_principal(unit, USER))
    with pytest.raises(Unauthenticated) as suspended:
        await act(lambda unit: examine(unit.store, vault, shown, START))
    await act(lambda unit: end_principal(unit, USER))
    with pytest.raises(Unauthenticated) as deleted:
        await act(lambda unit: examine(unit.store, vault, shown, START))

    assert proof.principal == USER
    assert suspended.value.reason is Reason.PRINCIPAL_SUSPENDED
    assert deleted.value.reason is Reason.PRINCIPAL_DELETED


async def test_a_passport_ends_with_its_credential(act, vault):
    end = START + timedelta(seconds=10)
    created = await act(lambda unit: create_api_key(unit, NewApiKey(USER, expire_time=end), vault))

    proof = await act(lambda unit: examine(unit.store, vault, KeyCredential(created.secret), START))
    passport = make_passport(proof, START, "192.0.2.1", "agent")

    assert passport.expire_time == end
    assert (passport.caller_address, passport.caller_agent) == ("192.0.2.1", "agent")


async def test_a_session_is_written_in_the_name_of_who_proved_itself(act, vault):
    created = await act(lambda unit: create_api_key(unit, NewApiKey(USER), vault))

    def opening(unit: Any) -> Any:
        opened = open_session(unit, KeyCredential(created.secret), None, vault)
        return opened, unit.author, unit.changes

    opened, author, changes = await act(opening)

    assert author.principal == USER
    assert author.api_key_id == created.key.id
    assert [each.type for each in changes] == ["session.created"]
    assert opened.session.expire_time == START + timedelta(hours=1)


async def test_a_temporary_password_ends_when_the_organization_says(act):
    await act(
        lambda unit: unit.store.put_organization(
            OrganizationRules(ORGANIZATION, temporary_password_ttl=timedelta(days=1))
        )
    )

    temporary = await act(lambda unit: set_password(unit, USER.id, "x", temporary=True, must_not_exist=False))
    lasting = await act(lambda unit: set_password(unit, USER.id, "x", temporary=False, must_not_exist=False))

    assert temporary.expire_time == START + timedelta(days=1)
    assert lasting.expire_time is None


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (NewClient(client_id="a:b"), "oauth_client.client_id"),
        (NewClient(client_id="a b"), "oauth_client.client_id"),
        (NewClient(client_id="x" * 129), "oauth_client.client_id"),
        (NewClient(redirect_uris=("https://a b",)), "oauth_client.redirect_uris"),
        (NewClient(scopes=("",)), "oauth_client.scopes"),
        (NewClient(tls_subject="CN=a"), "oauth_client.tls_subject"),
    ],
)
async def test_a_malformed_client_is_refused_by_its_field(act, vault, wanted, field):
    with pytest.raises(Invalid) as refused:
        await act(lambda unit: create_client(unit, wanted, vault))

    assert [each.field for each in refused.value.violations] == [field]
