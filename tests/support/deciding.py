"""Given a log, what `decide` says: for tests of what comes next.

question = asked(agent(HANDLER), *STARTED, user_message("Hi"))
finished = the_event(agent(HANDLER), *STARTED, …)
"""

from typing import Any

import msgspec
from tests.support.agents import bundle
from tests.support.logs import rebuild

from stenograph_events import AnyEvent
from stenograph_events.testing import START, log, raw, session_created, turn_started
from stenograph_projections.threads import Threads
from stenograph_projections.transcript import entry_of
from stenograph_services.orchestrator.decide import decide
from stenograph_services.orchestrator.decisions import Append, Ask, Decision, Env
from stenograph_services.protocol import Agent, load_bundle

ENV = Env(now=START, tools={"get-account": "safe", "send-mail": "never"})
STARTED: list[AnyEvent] = [session_created(), turn_started(input=raw({"TEXT": "Hi"}))]


def agent(handler: str, **more: Any) -> Agent:
    """Return an agent whose one trigger `user-message` is answered by `handler`; see `bundle`."""
    return load_bundle(bundle("x", handler=handler, **more))


def decided(agent: Agent, *events: AnyEvent, **env: Any) -> Decision:
    """Return what comes after `events`; `env` changes the world."""
    sealed = [event for event, _ in log(*events)]
    threads = Threads([entry for event in sealed if (entry := entry_of(event))])
    world = msgspec.structs.replace(ENV, **{"view": threads.view, "whole": threads.whole} | env)
    return decide(rebuild(sealed), agent, world)


def the_event(agent: Agent, *events: AnyEvent, **env: Any) -> Any:
    """Return the one event that follows."""
    decision = decided(agent, *events, **env)
    assert isinstance(decision, Append), decision
    (event,) = decision.events
    return event


def asked(agent: Agent, *events: AnyEvent, **env: Any) -> Ask:
    """Return the question to a model that follows."""
    decision = decided(agent, *events, **env)
    assert isinstance(decision, Ask), decision
    return decision
