"""Child agents whose call is cancelled or late. No orchestrator runs, so what is asked of a child stays to be seen."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from nats.js.errors import NotFoundError
from tests.support.children import (
    Parent,
    asked_of,
    by_another_process,
    cancelled,
    child_of,
    ends,
    settled,
    started,
    turn_of,
)
from tests.support.services import TENANT, Stage, Talk

from stenograph_events.subjects import claim_subject, fired_subject, trigger_subject
from stenograph_events.testing import raw, tool_cancelled, tool_timed_out
from stenograph_events.types import ToolAnswerRejected, ToolTimedOut
from stenograph_services.runtime.agents import AgentEntry, Agents
from stenograph_services.runtime.jetstream import api, publish
from stenograph_services.tool_gateway import app as tool_gateway
from stenograph_services.tool_gateway import child_decide

TOPIC = {"TOPIC": "tides"}


async def test_a_cancelled_call_cancels_the_turn_of_its_child(alone: Stage, parent: Parent, researcher: AgentEntry):
    request = await parent.asks("researcher", researcher.version, TOPIC)
    trigger = await started(alone, request)

    await parent.happens(tool_cancelled(request.call, session=parent.id, child=child_of(request)))
    cancel = await cancelled(alone, request)

    assert cancel.body == {"turn": turn_of(request)}
    assert await asked_of(alone, child_of(request)) == [trigger, cancel]
    with pytest.raises(NotFoundError):
        await alone.nc.jetstream().get_last_msg("RES", claim_subject(TENANT, request.tool, parent.id, request.call, 1))


async def test_a_call_that_was_cancelled_while_no_tool_gateway_ran_starts_nothing(
    alone: Stage, parent: Parent, researcher: AgentEntry
):
    await alone.end(alone.running("tool-gateway"))
    request = await parent.asks("researcher", researcher.version, TOPIC)
    await parent.happens(tool_cancelled(request.call, session=parent.id, child=child_of(request)))

    await alone.start(tool_gateway.build)
    cancel = await cancelled(alone, request)
    await settled(alone, parent.id, "tool-gateway-children")

    assert await asked_of(alone, child_of(request)) == [cancel]
    assert await Talk(alone, child_of(request)).types() == ["session.created"]


async def test_a_start_whose_call_is_closed_meanwhile_cancels_what_it_started(
    alone: Stage, parent: Parent, researcher: AgentEntry
):
    """The cancel comes between the first look at the call and the session: it finds none to cancel."""
    await alone.end(alone.running("tool-gateway"))
    request = await parent.asks("researcher", researcher.version, TOPIC)
    assert request.child is not None
    closing = by_another_process(alone)
    closed = tool_cancelled(request.call, session=parent.id, child=child_of(request))

    class ClosedMeanwhile(Agents):
        async def version(self, tenant: str, slug: str, version: str) -> Any:
            await parent.happens(closed)
            await closing.stop(child_decide.call_of(request), child_of(request))
            return await super().version(tenant, slug, version)

    waits = await by_another_process(alone, ClosedMeanwhile(alone.nc)).start(request, request.child)

    assert not waits
    trigger, cancel = await asked_of(alone, child_of(request))
    assert trigger.subject == trigger_subject(TENANT, child_of(request), "run")
    assert cancel.body == {"turn": turn_of(request)}
    await alone.start(tool_gateway.build)


async def test_a_child_that_is_not_done_in_time_is_cancelled_and_its_call_times_out(
    alone: Stage, parent: Parent, researcher: AgentEntry
):
    request = await parent.asks("researcher", researcher.version, TOPIC, seconds=1)
    timed_out = await parent.talk.until(ToolTimedOut)
    cancel = await cancelled(alone, request)

    assert timed_out.call == request.call
    assert cancel.body == {"turn": turn_of(request)}
    assert request.retry == "never"
    with pytest.raises(NotFoundError):
        await alone.nc.jetstream().get_last_msg("RES", claim_subject(TENANT, request.tool, parent.id, request.call, 1))


async def test_a_deadline_that_fires_again_after_a_death_still_cancels_the_child(
    alone: Stage, parent: Parent, researcher: AgentEntry
):
    request = await parent.asks("researcher", researcher.version, TOPIC)
    await started(alone, request)
    await parent.happens(tool_timed_out(request.call, session=parent.id))

    body = msgspec.json.encode({"child": child_of(request)})
    await publish(alone.nc, fired_subject(TENANT, parent.id, request.call, 1), body)
    cancel = await cancelled(alone, request)

    assert cancel.body == {"turn": turn_of(request)}
    assert (await parent.talk.types()).count("tool.timed_out") == 1


async def test_a_request_past_its_deadline_starts_nothing(alone: Stage, parent: Parent, researcher: AgentEntry):
    request = await parent.asks("researcher", researcher.version, TOPIC, seconds=-5)
    await parent.talk.until(ToolTimedOut)
    cancel = await cancelled(alone, request)

    assert await asked_of(alone, child_of(request)) == [cancel]


async def test_what_a_child_says_after_its_deadline_is_only_noted(alone: Stage, parent: Parent, researcher: AgentEntry):
    request = await parent.asks("researcher", researcher.version, TOPIC, seconds=1)
    await parent.talk.until(ToolTimedOut)

    await ends(alone, request, output=raw("high"))
    noted = await parent.talk.until(ToolAnswerRejected)

    assert (noted.call, noted.reason, noted.worker) == (request.call, "late", child_of(request))


async def test_a_child_that_cannot_be_started_for_now_has_its_deadline_all_the_same(
    alone: Stage, parent: Parent, researcher: AgentEntry
):
    """A request that failed to start again and again, as while TRIG is full, would never have been given one."""
    trig = (await api(alone.nc, "STREAM.INFO.TRIG"))["config"]
    stored = (await api(alone.nc, "STREAM.INFO.TRIG"))["state"]["bytes"]
    await api(alone.nc, "STREAM.UPDATE.TRIG", {**trig, "max_bytes": max(stored, 1)})
    try:
        request = await parent.asks("researcher", researcher.version, TOPIC, seconds=1)
        timed_out = await parent.talk.until(ToolTimedOut)
    finally:
        await api(alone.nc, "STREAM.UPDATE.TRIG", trig)

    assert timed_out.at - request.deadline_at < timedelta(seconds=5)
    await cancelled(alone, request)
