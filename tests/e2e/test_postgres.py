"""The suite on PostgreSQL, in one process: the quickstart, a cascade, and a second start on the same data."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from databases import postgres_url
from journeys.driver import DRIVERS, Driver, Key, Refused
from processes import RunningSuite, running, serve_whole

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    """A database of its own on the session's server."""
    server = postgres_url()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE suite")
    parts = urlsplit(server)
    yield urlunsplit(parts._replace(path="/suite"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE suite WITH (FORCE)")


@contextlib.contextmanager
def calling(owner: Driver, key: Key) -> Iterator[Driver]:
    driver = owner.calling_with(key)
    try:
        yield driver
    finally:
        driver.close()


def why(driver: Driver) -> str:
    with pytest.raises(Refused) as caught:
        driver.application_names()
    return caught.value.why


def walk(suite: RunningSuite, way_in: str) -> tuple[Key, str]:
    """Go through the quickstart and a deletion's consequences; return a dead key and a policy without a holder."""
    owner = DRIVERS[way_in](suite)
    with contextlib.closing(owner):
        application, group = owner.create_application(f"ci by {way_in}"), owner.create_group(f"crew by {way_in}")
        grant, key = owner.grant(application, "IAMReadOnly"), owner.create_key(application)
        owner.add_member(group, application)
        with calling(owner, key) as robot:
            assert f"ci by {way_in}" in robot.application_names()
            with pytest.raises(Refused) as caught:
                robot.create_application("no")
            assert caught.value.why == "denied"
            owner.delete_application(application)
            assert why(robot) == "unauthenticated"
        assert owner.holder_is_gone(grant)
        assert owner.members(group) == set()
    return key, grant


def test_the_quickstart_and_a_cascade_on_postgresql(tmp_path: Path, database_url: str) -> None:
    environment = {"CONCORD_DATABASE_URL": database_url}
    with running(serve_whole, tmp_path / "data", environment=environment) as suite:
        left = [(way_in, *walk(suite, way_in)) for way_in in DRIVERS]
        assert list((tmp_path / "data").glob("*.db")) == []
    with psycopg.connect(database_url) as connection:
        schemas = {row[0] for row in connection.execute("SELECT nspname FROM pg_namespace")}
    assert {"identity", "credentials", "groups", "policy", "audit"} <= schemas

    with running(serve_whole, tmp_path / "data", environment=environment) as again:
        assert again.bootstrap["organization"] == suite.bootstrap["organization"]
        for way_in, key, grant in left:
            owner = DRIVERS[way_in](again)
            with contextlib.closing(owner), calling(owner, key) as robot:
                assert why(robot) == "unauthenticated"
                assert owner.holder_is_gone(grant)
