"""One walled server for each file of tests."""

from collections.abc import AsyncIterator

import pytest
from tests.security.walls import Wall, walled


@pytest.fixture(scope="module")
async def wall(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wall]:
    async with walled(tmp_path_factory.mktemp("wall")) as wall:
        yield wall
