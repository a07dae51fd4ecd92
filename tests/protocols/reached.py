"""Which blocks of the agents no case reaches."""

from collections.abc import Iterable, Iterator

from tests.protocols.stage import Performance

from stenograph_events.types import SessionCreated, TurnFinished, TurnStarted
from stenograph_services.protocol import Agent
from stenograph_services.protocol.agent import NotRun

Place = tuple[str, str, int]
"""An agent, a trigger, and the position of a block in the handler of that trigger."""


def unreached(performances: Iterable[Performance]) -> set[str]:
    """Return the blocks that no performance reaches, but for those behind one that is not run."""
    agents: dict[str, Agent] = {}
    reached: set[Place] = set()
    for performance in performances:
        agents |= performance.agents
        reached |= set(_reached(performance))
    return {
        f"{agent.slug}: {trigger}: {blocks[at].name}"
        for agent in agents.values()
        for trigger, blocks in agent.handlers.items()
        for at in range(len(blocks))
        if (agent.slug, trigger, at) not in reached and not any(isinstance(it, NotRun) for it in blocks[:at])
    }


def _reached(performance: Performance) -> Iterator[Place]:
    slugs: dict[str, str] = {}
    triggers: dict[str, str] = {}
    for event in (recorded.event for recorded in performance.log):
        if isinstance(event, SessionCreated):
            slugs[event.session] = event.agent
        if event.turn is None:
            continue
        if isinstance(event, TurnStarted):
            triggers[event.turn] = event.trigger
        block = getattr(event, "block", None)
        if block is not None:
            yield slugs[event.session], triggers[event.turn], block
        elif isinstance(event, TurnFinished) and event.reason == "unsupported":
            yield from _ended_at(performance.agents[slugs[event.session]], triggers[event.turn], event.detail or "")


def _ended_at(agent: Agent, trigger: str, detail: str) -> Iterator[Place]:
    for at, block in enumerate(agent.handlers[trigger]):
        if isinstance(block, NotRun) and repr(block.name) in detail:
            yield agent.slug, trigger, at
