"""One served suite for the module's tests, once in one process and once with each role on its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from scaleway.iam.v1alpha1 import IamV1Alpha1API

from e2e.clients import iam
from processes import RunningSuite, running, serve_apart, serve_whole

DEPLOYMENTS = {"one process": serve_whole, "six processes": serve_apart}


@pytest.fixture(scope="session", params=DEPLOYMENTS)
def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuite]:
    """A really served suite."""
    directory: Path = tmp_path_factory.mktemp("suite") / "data"
    with running(DEPLOYMENTS[request.param], directory) as served:
        yield served


@pytest.fixture
def owner(suite: RunningSuite) -> IamV1Alpha1API:
    """The client of the organization's owner."""
    facts = suite.bootstrap["scaleway"]
    return iam(suite, facts["access_key"], facts["secret_key"])
