"""Every value survives its message."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from concord.credentials import wire
from concord.credentials.model.api_keys import ApiKey, ApiKeyState
from concord.credentials.model.clients import ClientAuthMethod, ClientSecret, OAuthClient
from concord.credentials.model.passwords import Password
from concord.credentials.model.sessions import Session, SessionAt
from concord.credentials.wire.api_keys import api_key_from_wire, api_key_to_wire
from concord.credentials.wire.clients import client_from_wire, client_to_wire
from concord.credentials.wire.passwords import password_from_wire, password_to_wire
from concord.credentials.wire.sessions import session_from_wire, session_to_wire
from concord.kernel.principal import PrincipalKind, PrincipalRef
from fakes import START

texts = some.text(max_size=20)
ids = some.uuids().map(str)
instants = some.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
maybe_instants = some.none() | instants
tuples = some.lists(some.text(min_size=1, max_size=8), max_size=3).map(tuple)
numbers = some.integers(0, 2**31 - 1)
attributes = some.dictionaries(texts, texts, max_size=3)
principals = some.builds(
    PrincipalRef, some.sampled_from([PrincipalKind.USER, PrincipalKind.APPLICATION, PrincipalKind.DEVICE]), ids
)

keys = some.builds(
    ApiKey,
    id=ids,
    organization_id=ids,
    number=numbers,
    version=numbers,
    bearer=principals,
    access_id=texts,
    secret_recoverable=some.booleans(),
    secret_identifies=some.booleans(),
    default_project_id=ids,
    create_time=instants,
    update_time=instants,
    name=texts,
    description=texts,
    state=some.sampled_from(ApiKeyState),
    ceiling=tuples,
    expire_time=maybe_instants,
    last_used_time=maybe_instants,
    creation_ip=texts,
    catalogue=texts,
    attributes=attributes,
)
sessions = some.builds(
    Session,
    id=ids,
    organization_id=ids,
    version=numbers,
    principal=principals,
    create_time=instants,
    update_time=instants,
    expire_time=instants,
    end_time=maybe_instants,
    assumed_by=some.none() | principals,
    issuer=some.none() | principals,
    audience=texts,
    client_id=texts,
    api_key_id=some.none() | ids,
    methods=tuples,
    mfa=some.booleans(),
    scopes=tuples,
    ceiling=tuples,
    rights_snapshot_id=texts,
    parent_session_id=some.none() | ids,
    ip=texts,
    user_agent=texts,
    attributes=attributes,
)
passwords = some.builds(
    Password,
    user_id=ids,
    organization_id=ids,
    version=numbers,
    create_time=instants,
    update_time=instants,
    temporary=some.booleans(),
    expire_time=maybe_instants,
    failed_attempts=numbers,
    last_attempt_time=maybe_instants,
    lock_time=maybe_instants,
)
clients = some.builds(
    OAuthClient,
    id=ids,
    organization_id=ids,
    version=numbers,
    client_id=texts,
    create_time=instants,
    update_time=instants,
    end_time=some.none(),
    name=texts,
    bearer=some.none() | principals,
    owner_user_id=some.none() | ids,
    grant_types=tuples,
    auth_method=some.sampled_from(ClientAuthMethod),
    redirect_uris=tuples,
    response_types=tuples,
    scopes=tuples,
    audiences=tuples,
    tls_subject=texts,
    secrets=some.lists(
        some.builds(
            ClientSecret,
            number=numbers,
            client_id=ids,
            name=texts,
            create_time=instants,
            last_used_time=maybe_instants,
        ),
        max_size=2,
    ).map(tuple),
    catalogue=texts,
    attributes=attributes,
)


@given(keys)
def test_a_key_survives_its_message(key: ApiKey):
    assert api_key_from_wire(api_key_to_wire(key)) == key


@given(sessions)
def test_a_session_survives_its_message(session: Session):
    assert session_from_wire(session_to_wire(SessionAt(session, START))) == session


@given(passwords)
def test_a_password_survives_its_message(password: Password):
    assert password_from_wire(password_to_wire(password)) == password


@given(clients)
def test_a_client_survives_its_message(client: OAuthClient):
    assert client_from_wire(client_to_wire(client)) == client


@given(sessions, some.timedeltas(timedelta(0), timedelta(days=1)))
def test_a_session_is_live_until_the_instant_it_expires(session: Session, step: timedelta):
    state = session.state(session.expire_time)

    assert state == ("ended" if session.end_time is not None else "expired")


def test_a_value_without_a_message_is_no_snapshot():
    with pytest.raises(TypeError):
        wire.snapshot(object())
