"""Fixtures of the credentials tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from credentials.making import World, open_world
from databases import database_engines

__all__ = ["database_engines"]


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The service on a real chain."""
    async with open_world(tmp_path) as opened:
        yield opened
