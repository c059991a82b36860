"""A really served suite for the exchanges."""

from collections.abc import Iterator

import pytest

from processes import RunningSuite, running, serve_whole


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuite]:
    """The whole suite in one process, on a directory of its own."""
    with running(serve_whole, tmp_path_factory.mktemp("exchanges") / "data") as served:
        yield served
