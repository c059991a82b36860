"""Things for credentials tests: values with sensible defaults, a unit over a store, and the service on a real chain."""

import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import MetaData

from concord.common.v1.change_pb2 import ChangeEvent
from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_APPLICATION, PRINCIPAL_KIND_USER
from concord.common.v1.principal_pb2 import PrincipalRef as PrincipalMessage
from concord.common.v1.trust_service_pb2_grpc import add_TrustServiceServicer_to_server
from concord.credentials import server
from concord.credentials.consume import apply_identity, apply_policy
from concord.credentials.model.api_keys import ApiKey
from concord.credentials.model.clients import OAuthClient
from concord.credentials.model.sessions import Session
from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    api_key_service_pb2_grpc,
    authentication_service_pb2,
    authentication_service_pb2_grpc,
    federation_service_pb2_grpc,
    mfa_service_pb2_grpc,
    oauth_client_pb2,
    oauth_client_service_pb2,
    oauth_client_service_pb2_grpc,
    password_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
    ssh_key_service_pb2_grpc,
    status_service_pb2_grpc,
    trust_policy_service_pb2_grpc,
)
from concord.identity.v1.application_pb2 import APPLICATION_STATE_ACTIVE, Application
from concord.identity.v1.organization_pb2 import ORGANIZATION_STATE_ACTIVE, Organization
from concord.identity.v1.user_pb2 import USER_KIND_MEMBER, USER_KIND_OWNER, USER_STATE_ACTIVE, User
from concord.kernel import ids
from concord.kernel.clock import SettableClock
from concord.kernel.config import Address, Settings
from concord.kernel.errors import ConcordError
from concord.kernel.feed.consumer import Consumer
from concord.kernel.feed.producer import Feed
from concord.kernel.ids import ApiKeyId, OAuthClientId, OrganizationId, SessionId, UserId
from concord.kernel.keyring import Keyring
from concord.kernel.paging import PageTokens
from concord.kernel.principal import Author, PrincipalKind, PrincipalRef, Question, Reach, TargetClass, Verdict
from concord.kernel.rpc.inprocess import InProcessChannel, InProcessServer
from concord.kernel.rpc.passports import FetchedPassportKeys, PassportVerifier, ServiceTokens
from concord.kernel.rpc.status import from_rpc_error
from concord.kernel.rpc.steps import Steps
from concord.kernel.units import Unit, Units
from concord.policy.handlers.trust import TrustHandlers
from concord.suite.siblings import CredentialsAuthenticator, KeyringServiceKeys
from fakes import ORGANIZATION, START, FeedChannel, open_sqlite

USER = PrincipalRef(PrincipalKind.USER, "44444444-4444-4444-8444-444444444444")
APPLICATION = PrincipalRef(PrincipalKind.APPLICATION, "55555555-5555-4555-8555-555555555555")
OWNER = PrincipalRef(PrincipalKind.USER, "66666666-6666-4666-8666-666666666666")
PROJECT = "77777777-7777-4777-8777-777777777777"
# What a password costs is not what these tests are about.
CHEAP_HASHES = {"CONCORD_PASSWORD_MEMORY_KIB": "1024", "CONCORD_PASSWORD_ITERATIONS": "1"}
EVERY_CLASS = frozenset({TargetClass.ANY, TargetClass.OWN, TargetClass.OWNER})

_numbers = itertools.count(1)


def make_key(**changes: Any) -> ApiKey:
    """A key of an application."""
    number = next(_numbers)
    key = ApiKey(
        id=ids.new(ApiKeyId),
        organization_id=ORGANIZATION,
        number=number,
        version=1,
        bearer=APPLICATION,
        access_id=f"KEY{number:09d}",
        secret_recoverable=False,
        secret_identifies=True,
        default_project_id=ORGANIZATION,
        create_time=START + timedelta(seconds=number),
        update_time=START + timedelta(seconds=number),
    )
    return replace(key, **changes)


def make_session(**changes: Any) -> Session:
    """A session of an application, an hour long."""
    session = Session(
        id=ids.new(SessionId),
        organization_id=ORGANIZATION,
        version=1,
        principal=APPLICATION,
        create_time=START,
        update_time=START,
        expire_time=START + timedelta(hours=1),
    )
    return replace(session, **changes)


def make_client(**changes: Any) -> OAuthClient:
    """A client of an application."""
    client = OAuthClient(
        id=ids.new(OAuthClientId),
        organization_id=ORGANIZATION,
        version=1,
        client_id=f"client-{next(_numbers)}",
        create_time=START,
        update_time=START,
        bearer=APPLICATION,
    )
    return replace(client, **changes)


def make_unit(store: Any, now: datetime = START, organization_id: OrganizationId = ORGANIZATION) -> Unit[Any]:
    """A unit over a store, outside of any call."""
    author = Author(principal=OWNER, caller_address="192.0.2.7", caller_agent="tests")
    return Unit(store, organization_id, now, author, Reach())


def organization_message(**changes: Any) -> Organization:
    """The organization as identity tells of it."""
    told = {
        "id": ORGANIZATION,
        "owner_user_id": OWNER.id,
        "slug": "acme",
        "alias": "ac",
        "number": 4711,
        "login_password_enabled": True,
        "login_magic_code_enabled": True,
        "state": ORGANIZATION_STATE_ACTIVE,
    }
    return Organization(**{**told, **changes})


def user_message(user: PrincipalRef, username: str, **changes: Any) -> User:
    """A user as identity tells of one."""
    told = {
        "id": user.id,
        "organization_id": ORGANIZATION,
        "kind": USER_KIND_MEMBER,
        "username": username,
        "primary_email": f"{username}@acme.example",
        "state": USER_STATE_ACTIVE,
    }
    return User(**{**told, **changes})


def principal_message(principal: PrincipalRef) -> PrincipalMessage:
    """The message that names a user or an application."""
    kind = PRINCIPAL_KIND_USER if principal.kind is PrincipalKind.USER else PRINCIPAL_KIND_APPLICATION
    return PrincipalMessage(kind=kind, id=principal.id)


def pair(key: Any, secret: str = "") -> authentication_service_pb2.ApiKeyCredential:
    """What shows a key by its id and its secret, or with another secret."""
    return authentication_service_pb2.ApiKeyCredential(access_id=key.api_key.access_id, secret=secret or key.secret)


def key_update(key: Any, *paths: str, **fields: Any) -> api_key_service_pb2.UpdateApiKeyRequest:
    """What changes some fields of a key."""
    return api_key_service_pb2.UpdateApiKeyRequest(
        api_key=api_key_pb2.ApiKey(id=key.api_key.id, **fields), update_mask=FieldMask(paths=paths)
    )


def shown(secret: str) -> tuple[tuple[str, str], ...]:
    """Metadata of a call that shows a secret or a token."""
    return (("authorization", f"Bearer {secret}"),)


class DecisionPoint:
    """Allows what it is told to allow; remembers what it was asked."""

    def __init__(self) -> None:
        self.reach = Reach(classes=EVERY_CLASS, owner_user_id=UserId(OWNER.id))
        self.asked: list[Question] = []

    def grant(self, *classes: TargetClass) -> None:
        self.reach = replace(self.reach, classes=frozenset(classes))

    async def authorize(self, question: Question) -> Verdict:
        self.asked.append(question)
        return Verdict(True, self.reach)


class NoPassportKeys:
    """The other services are shown service tokens only."""

    async def find(self, kid: str) -> None:
        return None


class Platform:
    """What the service is built on in tests."""

    def __init__(self, directory: Path, clock: SettableClock, upstream: FeedChannel) -> None:
        self.settings = Settings(
            data_dir=directory, http=Address("::1", 0), grpc=Address("::1", 0), environment=CHEAP_HASHES
        )
        self.clock = clock
        self.keyring = Keyring(directory / "keys")
        self._upstream = upstream
        verifier = PassportVerifier(NoPassportKeys(), KeyringServiceKeys(self.keyring), clock)
        self.others = InProcessServer(Steps(verifier, authorizer=None).chain())
        add_TrustServiceServicer_to_server(TrustHandlers(), self.others)

    async def open_units(self, service: str, metadata: Any, migrations: Any, store: Any, snapshot: Any) -> Units[Any]:
        # As the process that hosts it does: no other writes to these rows.
        database = await open_sqlite(self.settings.data_dir, metadata, migrations, service, alone=True)
        feed = Feed(service, database, self.clock, barrier_seconds=1.0)
        await feed.start()
        return Units(
            service=service,
            database=database,
            store=store,
            snapshot=snapshot,
            clock=self.clock,
            feed=feed,
            seal=self.keyring,
            page_tokens=PageTokens(self.keyring.page_key()),
        )

    def consumer(self, service: str, source: str, units: Units[Any], apply: Any) -> Consumer:
        return Consumer(name=service, source=source, units=units, apply=apply, channel=self._upstream)

    def channel(self, service: str) -> Any:
        # The other services' rpcs are answered by what a test adds to this server.
        return InProcessChannel(self.others)

    def service_token(self) -> Any:
        return ServiceTokens("credentials", self.keyring.role_key("credentials"), self.clock)


class World:
    """The service in one process on the real chain, with an organization, its owner, a user and an application."""

    def __init__(self, platform: Platform, service: Any) -> None:
        self.clock = platform.clock
        self.keyring = platform.keyring
        self.service = service
        self.directory = platform.settings.data_dir
        self.others = platform.others
        self.read_mail: set[Path] = set()
        self.units = service.units
        self.decisions = DecisionPoint()
        self.grpc = InProcessServer(self._chain(platform))
        for add, servicer in service.servicers:
            add(servicer, self.grpc)
        self.channel = InProcessChannel(self.grpc)
        self._authenticator = CredentialsAuthenticator(self.channel, self.token("identity"))
        self._steps.authentication.authenticator = self._authenticator
        self.keys: Any = api_key_service_pb2_grpc.ApiKeyServiceStub(self.channel)
        self.sessions: Any = session_service_pb2_grpc.SessionServiceStub(self.channel)
        self.passwords: Any = password_service_pb2_grpc.PasswordServiceStub(self.channel)
        self.mfa: Any = mfa_service_pb2_grpc.MfaServiceStub(self.channel)
        self.clients: Any = oauth_client_service_pb2_grpc.OAuthClientServiceStub(self.channel)
        self.statuses: Any = status_service_pb2_grpc.StatusServiceStub(self.channel)
        self.ssh_keys: Any = ssh_key_service_pb2_grpc.SshKeyServiceStub(self.channel)
        self.trust: Any = trust_policy_service_pb2_grpc.TrustPolicyServiceStub(self.channel)
        self.federations: Any = federation_service_pb2_grpc.FederationServiceStub(self.channel)
        self.authentication: Any = authentication_service_pb2_grpc.AuthenticationServiceStub(self.channel)
        self._revisions = itertools.count(1)

    def _chain(self, platform: Platform) -> Any:
        keys = FetchedPassportKeys(lambda: self._authenticator.passport_keys(), platform.clock)
        verifier = PassportVerifier(keys, KeyringServiceKeys(platform.keyring), platform.clock)
        self._steps = Steps(verifier, authorizer=self.decisions)
        return self._steps.chain()

    def token(self, role: str, organization_id: OrganizationId | None = None) -> ServiceTokens:
        return ServiceTokens(role, self.keyring.role_key(role), self.clock, organization_id)

    @property
    def system(self) -> tuple[tuple[str, str], ...]:
        """Metadata of a call by the deployment's administrator."""
        return (("authorization", f"Bearer {self.token('system', ORGANIZATION)()}"),)

    async def hear(self, type: str, resource_id: str, message: Any = None, *, source: str = "identity") -> None:
        """Let another service say that something happened."""
        event = ChangeEvent(
            revision=next(self._revisions),
            organization_id=ORGANIZATION,
            type=type,
            resource_type=type.partition(".")[0],
            resource_id=resource_id,
        )
        if message is not None:
            event.after.Pack(message)
        apply = apply_identity if source == "identity" else apply_policy
        await self.units.apply(source, [event], apply)

    async def settle(self) -> None:
        """Let the organization and its people be born."""
        await self.hear("organization.created", ORGANIZATION, organization_message())
        await self.hear("user.created", OWNER.id, user_message(OWNER, "root", kind=USER_KIND_OWNER))
        await self.hear("user.created", USER.id, user_message(USER, "ann"))
        application = Application(id=APPLICATION.id, name="app", state=APPLICATION_STATE_ACTIVE)
        await self.hear("application.created", APPLICATION.id, application)

    async def create_key(self, bearer: PrincipalRef = APPLICATION, metadata: Any = None, **fields: Any) -> Any:
        """Make a key; fields of the request go by their name, all others to the key."""
        request = {name: fields.pop(name) for name in ("key_format", "request_id", "validate_only") if name in fields}
        return await self.keys.CreateApiKey(
            api_key_service_pb2.CreateApiKeyRequest(
                api_key=api_key_pb2.ApiKey(bearer=principal_message(bearer), **fields), **request
            ),
            metadata=metadata or self.system,
        )

    async def create_session(self, secret: str, **fields: Any) -> Any:
        return await self.sessions.CreateSession(
            session_service_pb2.CreateSessionRequest(
                api_key=authentication_service_pb2.ApiKeyCredential(secret=secret), **fields
            )
        )

    async def create_client(self, bearer: PrincipalRef = APPLICATION, **fields: Any) -> Any:
        return await self.clients.CreateOAuthClient(
            oauth_client_service_pb2.CreateOAuthClientRequest(
                oauth_client=oauth_client_pb2.OAuthClient(bearer=principal_message(bearer), **fields)
            ),
            metadata=self.system,
        )

    async def authenticate(self, **credential: Any) -> Any:
        return await self.authentication.Authenticate(authentication_service_pb2.AuthenticateRequest(**credential))

    async def refusal(self, awaitable: Any) -> ConcordError:
        """Return the error that a call fails with."""
        try:
            answer = await awaitable
        except grpc.aio.AioRpcError as error:
            return from_rpc_error(error)
        raise AssertionError(f"not refused: {answer}")

    async def events(self) -> list[ChangeEvent]:
        """All events that were published."""
        from sqlalchemy import select

        from concord.kernel.database.tables import outbox_event

        statement = select(outbox_event.c.payload).order_by(outbox_event.c.revision)
        rows = await self.units.database.read(lambda connection: connection.execute(statement).scalars().all())
        return [ChangeEvent.FromString(payload) for payload in rows]


@asynccontextmanager
async def open_world(directory: Path) -> AsyncIterator[World]:
    """Build the service and let its organization be born."""
    clock = SettableClock(START)
    upstream_database = await open_sqlite(directory, MetaData(), service="upstream")
    feeds = [Feed(source, upstream_database, clock) for source in ("identity", "policy")]
    for feed in feeds:
        await feed.start()
    platform = Platform(directory, clock, FeedChannel(*feeds))
    service = await server.build(platform)
    world = World(platform, service)
    await world.settle()
    try:
        yield world
    finally:
        await world.grpc.stop()
        await service.units.database.close()
        await upstream_database.close()


def fresh_id() -> str:
    """A UUID that names nothing."""
    return str(uuid.uuid4())
