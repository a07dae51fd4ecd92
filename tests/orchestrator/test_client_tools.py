"""Tools that no worker serves: whoever follows the session answers, and nobody waits for one who went away."""

from datetime import timedelta
from typing import Any

from tests.support.agents import CALL_THEN_SAY
from tests.support.deciding import STARTED, agent, the_event
from tests.support.services import TENANT, Stage

from stenograph_events import AnyEvent
from stenograph_events.subjects import event_subject, request_filter
from stenograph_events.testing import START, parent, raw, session_created, turn_started
from stenograph_events.types import (
    ToolCancelled,
    ToolRequested,
    TriggerQueued,
    TurnFinished,
)
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.streams import TOOLS

LOOK = "Look:\n  block: tool-call\n  tool: {}\n  input: {{userId: TEXT}}\n  output: ACCOUNT\n"
OURS = "ask-user:\n  description: Ask\n  parameters: {userId: {type: string}}\n"
SLOW = OURS + "  timeout: 90s\n"


def looking(tool: str, tools: str) -> Any:
    more = "get-account:\n  description: x\nsend-mail:\n  description: y\n"
    return agent(LOOK.format(tool), tools=tools + more)


def test_a_tool_that_no_worker_serves_is_requested_of_the_client():
    requested = the_event(looking("ask-user", OURS), *STARTED)

    assert isinstance(requested, ToolRequested)
    assert requested.client
    assert event_subject(requested).endswith(".client-request.ask-user")
    assert requested.deadline_at == START + timedelta(hours=24)


def test_a_declared_timeout_holds_for_clients_too():
    assert the_event(looking("ask-user", SLOW), *STARTED).deadline_at == START + timedelta(seconds=90)


def test_nobody_follows_a_child_agent_so_its_tools_wait_for_workers():
    begun: list[AnyEvent] = [session_created(parent=parent()), turn_started(input=raw({"TEXT": "Hi"}))]

    assert not the_event(looking("ask-user", OURS), *begun).client


async def unserved(stage: Stage, **more: Any) -> Any:
    """Return a session whose agent's `get-account` no worker serves."""
    await stage.unserve("get-account")
    return await stage.session(CALL_THEN_SAY, **more)


async def test_a_client_s_answer_goes_on_like_a_worker_s(stage: Stage):
    talk = await unserved(stage)

    turn = await talk.send()
    request = await talk.until(ToolRequested, turn)
    queued, _ = await BatchReader(stage.nc).read(TOOLS, request_filter(TENANT, "get-account"), 1, 10)
    await talk.answer(request, {"plan": "pro"})
    end = await talk.end_of(turn)

    assert request.client
    assert queued == []
    assert (end.outcome, (await talk.said(turn))[-1]) == ("completed", 'You have {"plan":"pro"}')


async def test_a_trigger_ends_the_wait_for_a_client_that_went_away(stage: Stage):
    talk = await unserved(stage, when_busy="reject")
    first = await talk.send()
    await talk.until(ToolRequested, first)

    second = await talk.send()
    queued = await talk.until(TriggerQueued, second)
    request = await talk.until(ToolRequested, second)
    await talk.answer(request, {"plan": "pro"})

    assert queued.interrupts
    assert len(await talk.all(ToolCancelled, first)) == 1
    assert [(await talk.until(TurnFinished, turn)).outcome for turn in (first, second)] == ["cancelled", "completed"]
