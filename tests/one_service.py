"""One service served in process behind the real chain, following feeds of the others that a test writes itself.

async with serving(tmp_path, "groups", build, sources=("identity", "policy")) as served:
    await served.publish("identity", Change(…))
    group = await served.call(stub.CreateGroup, CreateGroupRequest(…))
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import MetaData

from concord.common.v1.change_feed_service_pb2_grpc import add_ChangeFeedServiceServicer_to_server
from concord.kernel.clock import SettableClock
from concord.kernel.database.tables import kernel_tables
from concord.kernel.errors import ConcordError
from concord.kernel.feed.consumer import Consumer
from concord.kernel.feed.producer import Feed
from concord.kernel.feed.servicer import ChangeFeedServicer
from concord.kernel.ids import OrganizationId
from concord.kernel.keyring import Keyring
from concord.kernel.paging import PageTokens
from concord.kernel.principal import Author, Passport, PrincipalKind, PrincipalRef, Question, Reach, Verdict
from concord.kernel.rpc.inprocess import InProcessChannel, InProcessServer
from concord.kernel.rpc.passports import PassportSigner, PassportVerifier, ServiceTokens
from concord.kernel.rpc.status import from_rpc_error
from concord.kernel.rpc.steps import Steps
from concord.kernel.service import Service
from concord.kernel.units import Change, Units
from fakes import CALLER, ORGANIZATION, START, open_sqlite


class Keys:
    """The key that passports are signed with in tests."""

    def __init__(self) -> None:
        self.private = Ed25519PrivateKey.generate()

    async def find(self, kid: str) -> Ed25519PublicKey | None:
        return self.private.public_key()


class RoleKeys:
    """Public keys of the suite's processes."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def find(self, role: str) -> Ed25519PublicKey | None:
        return self._keyring.role_public_key(role)


class Decider:
    """Allows everything the rpc distinguishes, within `reach` where one is set; remembers what it was asked."""

    def __init__(self) -> None:
        self.reach: Reach | None = None
        self.refusals: set[str] = set()
        self.questions: list[Question] = []

    async def authorize(self, question: Question) -> Verdict:
        self.questions.append(question)
        if question.permission in self.refusals:
            return Verdict(allowed=False)
        return Verdict(allowed=True, reach=self.reach or Reach())


class Served:
    """What a test sees of the service and its surroundings. It is the platform of the service, too."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings: Any = None
        self.clock = SettableClock(START)
        self.keyring = Keyring(directory / "keys")
        self.keys = Keys()
        self.decider = Decider()
        verifier = PassportVerifier(self.keys, RoleKeys(self.keyring), self.clock)
        self.server = InProcessServer(Steps(verifier, authorizer=self.decider).chain())
        self.feeds: dict[str, Feed] = {}
        self.sources: dict[str, Units[Any]] = {}
        self.service: Service | None = None
        self._signer = PassportSigner("tests", self.keys.private)

    def channel(self, service: str) -> grpc.aio.Channel:
        return InProcessChannel(self.server)

    async def open_units(
        self, service: str, metadata: MetaData, migrations: Path | None, store: Any, snapshot: Any
    ) -> Units[Any]:
        database = await open_sqlite(self.directory, metadata, migrations, service)
        feed = self.feeds[service] = Feed(service, database, self.clock)
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
        return Consumer(
            name=service,
            source=source,
            units=units,
            apply=apply,
            channel=self.channel(source),
            token=ServiceTokens(service, self.keyring.role_key(service), clock=self.clock),
        )

    async def publish(
        self,
        source: str,
        *changes: Change,
        organization_id: OrganizationId = ORGANIZATION,
        author: Author | None = None,
    ) -> None:
        """Let another service commit changes. `before` and `after` are its messages."""

        def record(unit: Any) -> None:
            for change in changes:
                unit.record(change)

        await self.sources[source].system(organization_id, record, author or Author(principal=CALLER))

    async def settle(self) -> None:
        """Wait until the service has applied all that was published."""
        assert self.service is not None
        await asyncio.gather(*(consumer.catch_up() for consumer in self.service.consumers))

    def passport(self, principal: PrincipalRef = CALLER, organization_id: OrganizationId | None = ORGANIZATION) -> str:
        """Sign a passport."""
        now = self.clock.now()
        return self._signer.sign(
            Passport(principal, organization_id, issue_time=now, expire_time=now + timedelta(minutes=5))
        )

    async def call(self, method: Any, request: Any, *, passport: str = "", metadata: Sequence[Any] = ()) -> Any:
        """Call an rpc; a failure comes as the error that the service raised."""
        shown = ("authorization", f"Bearer {passport or self.passport()}")
        try:
            return await method(request, metadata=[shown, *metadata])
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None

    async def fails(self, method: Any, request: Any, **how: Any) -> ConcordError:
        """Call an rpc that must fail; return why it did."""
        try:
            answer = await self.call(method, request, **how)
        except ConcordError as error:
            return error
        raise AssertionError(f"no failure but {answer}")


@asynccontextmanager
async def serving(
    directory: Path,
    name: str,
    build: Callable[[Any], Awaitable[Service]],
    sources: Sequence[str],
) -> AsyncIterator[Served]:
    """Serve a service; when the block begins it follows its sources."""
    served = Served(directory)
    for source in sources:
        metadata = MetaData()
        kernel_tables(metadata)
        served.sources[source] = await served.open_units(source, metadata, None, lambda _: None, lambda value: value)
    service = served.service = await build(served)
    for add, servicer in service.servicers:
        add(servicer, served.server)
    add_feed: Any = add_ChangeFeedServiceServicer_to_server
    add_feed(ChangeFeedServicer(served.feeds), served.server)
    tasks = [asyncio.create_task(consumer.run()) for consumer in service.consumers]
    try:
        await served.settle()
        yield served
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await served.server.stop()
        for units in (service.units, *served.sources.values()):
            await units.database.close()


def some_principal(number: int, kind: PrincipalKind = PrincipalKind.USER) -> PrincipalRef:
    """Return a principal with a known id."""
    return PrincipalRef(kind, f"00000000-0000-4000-8000-{number:012d}")
