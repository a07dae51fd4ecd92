"""One walled server for each file of tests, and the commands that make what is let through."""

from collections.abc import AsyncIterator

import pytest
from tests.cli.conftest import Stenograph, quiet
from tests.security.walls import Wall, walled

__all__ = ["quiet"]


@pytest.fixture(scope="module")
async def wall(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wall]:
    async with walled(tmp_path_factory.mktemp("wall")) as wall:
        yield wall


@pytest.fixture
def stenograph(quiet: None) -> Stenograph:
    """The commands; what they are about, each call says by its environment."""
    return Stenograph({})
