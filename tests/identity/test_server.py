"""The composition root."""

from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pool import Default

from concord.identity import server
from concord.identity.consume import apply_credentials, apply_policy
from concord.identity.sql import SqlIdentityStore, metadata


class Platform:
    """A hosting process that only notes what the service asks of it."""

    def __init__(self) -> None:
        self.opened: tuple[Any, ...] = ()

    async def open_units(
        self, service: str, tables: Any, migrations: Path, store: Any, snapshot: Any
    ) -> tuple[Any, ...]:
        self.opened = (service, tables, migrations, type(store(None)))
        return self.opened

    def consumer(self, service: str, source: str, units: Any, apply: Any) -> tuple[Any, ...]:
        return service, source, units, apply


async def test_the_service_is_built_from_what_the_platform_gives() -> None:
    platform: Any = Platform()

    service = await server.build(platform)

    assert platform.opened == ("identity", metadata, server.MIGRATIONS, SqlIdentityStore)
    assert service.consumers == (
        ("identity", "credentials", platform.opened, apply_credentials),
        ("identity", "policy", platform.opened, apply_policy),
    )


async def test_every_rpc_of_the_contract_is_served() -> None:
    platform: Any = Platform()

    service = await server.build(platform)

    names = {type(servicer).__name__.removesuffix("Servicer") for _, servicer in service.servicers}
    assert names == {"Organization", "Project", "User", "Application", "Connection"}
    for _, servicer in service.servicers:
        name = f"concord.identity.v1.{type(servicer).__name__.removesuffix('Servicer')}Service"
        for method in Default().FindServiceByName(name).methods:
            assert method.name in vars(type(servicer)), method.full_name
