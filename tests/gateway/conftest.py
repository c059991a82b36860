"""The shim over a core that answers what a test tells it."""

import pytest

from gateway.cores import Shim


@pytest.fixture
def shim() -> Shim:
    """The shim with a fresh fake core."""
    return Shim()
