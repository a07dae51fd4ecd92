"""W2: a session that the process does not hold in memory, until it can decide and its next question can be asked.

snapshot (if any) and the tail of the log  →  the folded session  →  decide  →  Ask  →  the provider's messages
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from statistics import median

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from bench.history import history, store
from bench.system import SCRIPTED, prepared, settings_for
from stenograph_events import DEFAULT_TENANT, SessionId, new_session_id
from stenograph_events.subjects import session_filter
from stenograph_services.orchestrator.asking import request_for
from stenograph_services.orchestrator.decide import decide
from stenograph_services.orchestrator.decisions import Ask, Env
from stenograph_services.orchestrator.models.conversation import to_messages
from stenograph_services.projector.rebuilding import rebuild
from stenograph_services.runtime.agents import AgentEntry, Agents
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.nats_server import NatsServer
from stenograph_services.runtime.service import calm_collector
from stenograph_services.runtime.sessions import Sessions
from stenograph_services.runtime.streams import log_stream


class Restored(msgspec.Struct, frozen=True):
    """Medians in seconds for a session of `events` events and `size` bytes; `read` is bare NATS, which only reads."""

    events: int
    size: int
    read: float
    from_zero: float
    with_snapshot: float


async def run_restores(server: NatsServer, *, events: int, times: int) -> Restored:
    """Return how long it takes to restore a session of `events` events; each way is measured `times` times."""
    async with prepared(server) as nc:
        settings, agents = settings_for(server), Agents(nc)
        agent = await agents.current(DEFAULT_TENANT, SCRIPTED)
        session = new_session_id()
        size = await _store(nc, session, agent, events)

        async def restore_it() -> None:
            await restore(nc, settings, agents, session)

        read, from_zero = [], []
        await restore_it()  # compiles the agent and imports what is imported late
        calm_collector()  # as every service does at its start
        for _ in range(times):
            read.append(await _seconds(lambda: _read(nc, settings, session, events)))
            from_zero.append(await _seconds(restore_it))
        await rebuild(nc, settings, sessions=[session])  # writes the snapshot as the projector does
        with_snapshot = [await _seconds(restore_it) for _ in range(times)]
    return Restored(events, size, median(read), median(from_zero), median(with_snapshot))


async def restore(nc: Client, settings: Settings, agents: Agents, session: SessionId) -> None:
    """Do what an orchestrator does with a session it has never seen, up to the messages that go to the provider."""
    loaded = await Sessions(nc, settings).get(DEFAULT_TENANT, session)
    state = loaded.state
    agent = await agents.version(DEFAULT_TENANT, state.agent, state.agent_version)
    question = decide(state, agent, Env(now=datetime.now(UTC)))
    assert isinstance(question, Ask), "the log ends where a model is to be asked"
    to_messages(request_for(state, loaded.threads.view(question.thread), agent, question))


async def _store(nc: Client, session: SessionId, agent: AgentEntry, events: int) -> int:
    """Store a log of so many events and return its size; nothing of it stays in memory."""
    log = list(history(session, agent.slug, agent.version, events))
    await store(nc, log)
    return sum(len(data) for _, data in log)


async def _read(nc: Client, settings: Settings, session: SessionId, events: int) -> None:
    """Read the log with nats-py in its fastest way, and do nothing with it."""
    read: list[Msg] = []
    all_read = asyncio.Event()

    async def receive(message: Msg) -> None:
        read.append(message)
        if len(read) == events:
            all_read.set()

    subscription = await nc.jetstream().subscribe(
        session_filter(DEFAULT_TENANT, session),
        stream=log_stream(settings, session),
        ordered_consumer=True,
        cb=receive,
        config=ConsumerConfig(ack_policy=AckPolicy.NONE),
        pending_msgs_limit=0,
        pending_bytes_limit=0,
    )
    await all_read.wait()
    await subscription.unsubscribe()


async def _seconds(work: Callable[[], Awaitable[None]]) -> float:
    before = time.perf_counter()
    await work()
    return time.perf_counter() - before
