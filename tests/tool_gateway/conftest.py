"""Real services on the run's server; and for child agents a tool gateway without an orchestrator."""

from collections.abc import AsyncIterator

import pytest
from tests.support.agents import SAY_HELLO
from tests.support.children import Parent, child_bundle
from tests.support.nats import Endpoint
from tests.support.running import services, stage
from tests.support.services import TENANT, Stage

from stenograph_projections.invariants import check
from stenograph_services.runtime.agents import AgentEntry, Agents

__all__ = ["alone", "parent", "researcher", "services", "stage"]


@pytest.fixture(scope="module")
async def alone(shared_nats: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A tool gateway and no orchestrator: what is asked of a session stays to be seen."""
    async with Stage(shared_nats.url, tmp_path_factory.mktemp("alone")) as started:
        await started.end(started.running("orchestrator"))
        yield started


@pytest.fixture(scope="module")
async def researcher(alone: Stage) -> AgentEntry:
    """A child agent."""
    entry, _ = await Agents(alone.nc).store(TENANT, child_bundle("researcher", SAY_HELLO))
    return entry


@pytest.fixture
async def parent(alone: Stage) -> AsyncIterator[Parent]:
    """A parent whose turn runs; at the end of the test its log must not break any invariant."""
    parent = await Parent.begun(alone)
    yield parent
    stored = await alone.log.read(TENANT, parent.id)
    assert check([(one.sequence, None, one.data) for one in stored]).ok
