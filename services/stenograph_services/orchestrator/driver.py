"""The driver: takes one session as far as it goes on the strength of one delivery.

    while the delivery's event is what woke the session:  decide → append, or ask and append

Whoever appends is fenced, so a driver that is late, paused or doubled can waste work but never harm the log.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from nats.aio.client import Client

from stenograph_events import AnyEvent
from stenograph_events.subjects import hint_subject
from stenograph_projections.session import Session
from stenograph_services.orchestrator.answers import Fact
from stenograph_services.orchestrator.asking import Means, ask
from stenograph_services.orchestrator.attachments import Attachments
from stenograph_services.orchestrator.boxing import NoToolKey, boxed
from stenograph_services.orchestrator.children import version_of
from stenograph_services.orchestrator.decide import decide, give_up, without_agent
from stenograph_services.orchestrator.decisions import Append, Ask, ChildVersion, Decision, Env, Idle, Wait
from stenograph_services.orchestrator.deliveries import Delivery, Superseded
from stenograph_services.orchestrator.models.choose import Models
from stenograph_services.orchestrator.models.prices import price, window
from stenograph_services.orchestrator.signing import signed, signer_of
from stenograph_services.orchestrator.trials import Trials
from stenograph_services.protocol import Agent
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.blobs import Blobs
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import SequenceConflict, UnknownAgent
from stenograph_services.runtime.registry import ToolRegistry
from stenograph_services.runtime.sessions import Loaded, Sessions

log = structlog.get_logger()

NO_CHILDREN: Mapping[str, ChildVersion] = {}


class Driver:
    """Drives sessions. One for each process; knows which models it is listening to, so that a cancel can stop them."""

    def __init__(
        self, nc: Client, settings: Settings, sessions: Sessions, agents: Agents, registry: ToolRegistry
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._agents = agents
        self._registry = registry
        self._trials = Trials(registry)
        seals = sessions.log.seals
        self._means = Means(nc, Models(settings), Attachments(nc, settings, seals), Blobs(nc), seals)
        self._signer = signer_of(settings)
        self._listening: dict[tuple[str, str], asyncio.Event] = {}

    def env(self, loaded: Loaded, delivery: Delivery, children: Mapping[str, ChildVersion] = NO_CHILDREN) -> Env:
        """Return the world as it is now, for one decision on the session."""
        now = datetime.now(UTC)
        return Env(
            now=now,
            delivery=delivery.count,
            tools=self._registry.retries(loaded.tenant),
            keyed=self._registry.keyed(loaded.tenant),
            held_back=self._trials.held_back(loaded.tenant, loaded.id, now),
            queue_max=self._settings.queue_max,
            model_attempts=self._settings.model_attempts,
            crash_limit=self._settings.crash_limit,
            children=children,
            child_depth_max=self._settings.child_depth_max,
            result_max_bytes=self._settings.result_max_bytes,
            tool_timeout_seconds=self._settings.tool_timeout_seconds,
            view=loaded.threads.view,
            whole=loaded.threads.whole,
            price=price,
            window=window,
        )

    async def drive(
        self, loaded: Loaded, agent: Agent | None, delivery: Delivery, event: str, *, nudged: bool = False
    ) -> None:
        """Drive while `event`, which `delivery` brought, is what woke the session. `agent` None: not stored.

        `nudged`: the delivery is of a nudge, not of the event itself. Raises `Superseded` if a later delivery of
        the event has made progress: two that drive would count the same attempts, and write the same frame ids.
        """
        children = await self._children(loaded.tenant, agent) if agent is not None and agent.children else NO_CHILDREN
        while loaded.state.woken_by == event:
            state, head = loaded.state, loaded.head
            if not nudged and delivery.count <= state.deliveries_before:
                raise Superseded
            match _decision(state, agent, self.env(loaded, delivery, children)):
                case Append(events):
                    self._trials.note(loaded.tenant, loaded.id, events, datetime.now(UTC))
                    try:
                        full = await boxed(events, self._sessions.log.seals, self._registry.seal_to)
                        await self._sessions.append(loaded, signed(full, self._signer), head)
                    except (SequenceConflict, NoToolKey):
                        continue  # what came first is folded in, or the registry has it: decide again
                case Ask() as question:
                    assert agent is not None, "only an agent asks a model"
                    await self._ask(loaded, agent, question)
                case Wait() | Idle():
                    return

    async def _children(self, tenant: str, agent: Agent) -> Mapping[str, ChildVersion]:
        """Return the child agents of `agent` that are stored, as they are now."""
        found: dict[str, ChildVersion] = {}
        for slug in agent.children:
            with suppress(UnknownAgent):
                entry = await self._agents.current(tenant, slug)
                if version := version_of(await self._agents.version(tenant, slug, entry.version)):
                    found[slug] = version
        return found

    def stop_listening(self, subject: str, turn: str) -> None:
        """Stop the model of `turn`, if that runs in the session of a hint's `subject`: it is being cancelled.

        A cancel may come when its turn is over, and must not stop the one after it. The log holds the truth.
        """
        if listening := self._listening.get((subject, turn)):
            listening.set()

    async def _ask(self, loaded: Loaded, agent: Agent, question: Ask) -> None:
        hinted = hint_subject(loaded.tenant, loaded.id), question.turn
        stop = self._listening[hinted] = asyncio.Event()
        try:
            attempts = self._settings.model_attempts
            fact = await ask(self._means, loaded, agent, question, stop, attempts=attempts)
        finally:
            self._listening.pop(hinted, None)
        if stop.is_set():
            await self._sessions.at_head(loaded)  # a reading that lags would not know of the cancel yet
        await self.append_wanted(loaded, fact, question)

    async def append_wanted(self, loaded: Loaded, fact: Fact | None, question: Ask) -> None:
        """Append a model's answer as long as the session still stands where it was asked, else drop it."""
        while fact is not None and still_wants(loaded.state, question, fact):
            try:
                await self._sessions.append(loaded, [fact], loaded.head)
                return
            except SequenceConflict:
                continue
        log.warning("answer.dropped", turn=question.turn, step=question.step)


def _decision(session: Session, agent: Agent | None, env: Env) -> Decision:
    if session.turn is not None and env.delivery - session.deliveries_before > env.crash_limit:
        return give_up(session, env)
    return decide(session, agent, env) if agent is not None else without_agent(session, env)


def still_wants(session: Session, question: Ask, fact: AnyEvent) -> bool:
    """Return whether the session stands where `question` was asked; a cancelling turn takes only what it cut off."""
    turn = session.turn
    if turn is None or turn.id != question.turn:
        return False
    cut_off = getattr(fact, "finish_reason", None) == "cancelled"
    if turn.cancelling != cut_off:
        return False
    begun = turn.block == question.block and not turn.block_over
    return (turn.step if begun else 0) == question.step and not (turn.block_over and turn.block >= question.block)
