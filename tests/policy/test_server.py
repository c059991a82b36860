"""The service as a process builds it, fed over real change feeds."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData

from concord.common.v1.change_pb2 import ChangeEvent
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.user_pb2 import USER_KIND_OWNER, User
from concord.kernel.clock import SettableClock, SystemClock
from concord.kernel.database.tables import kernel_tables
from concord.kernel.feed.consumer import Consumer
from concord.kernel.keyring import Keyring
from concord.kernel.principal import Author, Passport, Question
from concord.kernel.units import Change, Units
from concord.policy.server import build
from fakes import ORGANIZATION, FeedChannel, open_units

from .conftest import OWNER


class Platform:
    """One process with a service and the feed of another."""

    def __init__(self, directory: Path, clock: SettableClock, channel: FeedChannel) -> None:
        self.clock = clock
        self.keyring = Keyring(directory / "keys")
        self.settings: Any = None
        self._directory = directory
        self._channel = channel
        self.opened: Any = None

    def channel(self, service: str) -> Any:
        return self._channel

    async def open_units(
        self, service: str, metadata: MetaData, migrations: Path, store: Any, snapshot: Any
    ) -> Units[Any]:
        self.opened = open_units(
            self._directory, metadata, store, snapshot, service=service, clock=self.clock, migrations=migrations
        )
        units: Units[Any] = await self.opened.__aenter__()
        return units

    def consumer(
        self, service: str, source: str, units: Units[Any], apply: Callable[[Any, ChangeEvent], None]
    ) -> Consumer:
        return Consumer(name=service, source=source, units=units, apply=apply, channel=self._channel)


async def test_a_built_service_follows_identity_and_decides(tmp_path: Path) -> None:
    clock = SettableClock(SystemClock().now())
    tables = MetaData()
    kernel_tables(tables)
    owner = User(id=OWNER.id, kind=USER_KIND_OWNER, username="owner")
    organization = Organization(id=ORGANIZATION, owner_user_id=OWNER.id)
    async with open_units(
        tmp_path, tables, lambda connection: None, lambda thing: thing, service="identity", clock=clock
    ) as identity:
        platform = Platform(tmp_path, clock, FeedChannel(identity.feed))
        service = await build(platform)
        follower = next(each for each in service.consumers if each.source == "identity")
        running = asyncio.ensure_future(follower.run())

        def birth(unit: Any) -> None:
            unit.record(Change("organization.created", "organization", organization.id, after=organization))
            unit.record(Change("user.created", "user", owner.id, after=owner))

        await identity.system(ORGANIZATION, birth, Author())
        passport = Passport(OWNER, ORGANIZATION, clock.now(), clock.now().replace(year=clock.now().year + 1))
        verdict = await service.authorizer.authorize(Question(passport, "x/Y", "identity.users.list"))

        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await platform.opened.__aexit__(None, None, None)

    assert verdict.allowed
    assert [each.source for each in service.consumers] == ["identity", "groups", "credentials"]
    assert len(service.servicers) == 8
