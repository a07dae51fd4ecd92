"""Child agents as the tool gateway serves them: no orchestrator runs, so what is asked of a child stays to be seen."""

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec import Raw
from tests.support.agents import bundle
from tests.support.children import (
    Asked,
    Parent,
    asked_of,
    by_another_process,
    child_of,
    ends,
    happens,
    parent_of,
    settled,
    started,
    turn_of,
)
from tests.support.services import TENANT, Stage, Talk
from tests.support.wait import until

from stenograph_events.subjects import answer_subject, trigger_subject
from stenograph_events.testing import raw, turn_finished
from stenograph_events.types import SessionCreated, ToolFailed, ToolSucceeded
from stenograph_events.wire import ToolAnswer, message_id
from stenograph_services.runtime.agents import AgentEntry, Agents
from stenograph_services.runtime.blobs import Blobs
from stenograph_services.runtime.jetstream import api
from stenograph_services.runtime.streams import log_stream
from stenograph_services.tool_gateway import child_decide

TOPIC = {"TOPIC": "tides"}


# ---- the start


async def test_a_request_makes_the_session_of_the_child_and_starts_its_turn(
    alone: Stage, parent: Parent, researcher: AgentEntry
):
    request = await parent.asks("researcher", researcher.version, TOPIC)
    trigger = await started(alone, request)

    child = child_of(request)
    (created,) = await Talk(alone, child).events()
    assert isinstance(created, SessionCreated)
    assert (created.agent, created.agent_version) == ("researcher", researcher.version)
    assert msgspec.json.decode(created.input) == {"TOPIC": "tides", "STYLE": "plain"}
    assert created.parent == parent_of(request)
    assert (created.parent.depth, created.parent.tools) == (1, {"find": "search"})
    name = f"{request.call}-1"
    assert trigger == Asked(trigger_subject(TENANT, child, "run"), {"request": name}, message_id(TENANT, child, name))


async def test_a_child_goes_on_in_the_trace_of_its_parent(alone: Stage, parent: Parent, researcher: AgentEntry):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    request = msgspec.structs.replace(parent.request("researcher", researcher.version, TOPIC), traceparent=trace)
    await parent.happens(request)

    assert (await started(alone, request)).traceparent == trace


async def test_a_request_that_comes_again_starts_nothing_twice(alone: Stage, parent: Parent, researcher: AgentEntry):
    request = await parent.asks("researcher", researcher.version, TOPIC)
    trigger = await started(alone, request)
    assert request.child is not None

    for _ in range(2):
        assert await by_another_process(alone).start(request, request.child)

    assert await asked_of(alone, child_of(request)) == [trigger]
    assert len(await Talk(alone, child_of(request)).events()) == 1


async def test_a_start_that_died_after_the_session_was_made_is_finished_by_the_next_one(
    alone: Stage, parent: Parent, researcher: AgentEntry
):
    request = parent.request("researcher", researcher.version, TOPIC)
    assert request.child is not None
    made = child_decide.created(request, request.child, raw(TOPIC), datetime.now(UTC))
    await happens(alone, child_of(request), made)

    await parent.happens(request)
    trigger = await started(alone, request)

    assert trigger.subject == trigger_subject(TENANT, child_of(request), "run")
    assert [event.id for event in await Talk(alone, child_of(request)).events()] == [made.id]


async def test_all_requests_delivered_once_more_change_nothing(alone: Stage, parent: Parent, researcher: AgentEntry):
    request = await parent.asks("researcher", researcher.version, TOPIC)
    trigger = await started(alone, request)
    stream = log_stream(alone.settings, parent.id)
    await settled(alone, parent.id, "tool-gateway-children")

    await api(alone.nc, f"CONSUMER.DELETE.{stream}.tool-gateway-children")

    async def delivered_again() -> bool:
        try:
            return not await alone.unsettled(stream, "tool-gateway-children")
        except Exception:  # the consumer is not back yet
            return False

    await until(delivered_again, what="the consumer is back and has delivered everything")
    assert await asked_of(alone, child_of(request)) == [trigger]
    assert len(await Talk(alone, child_of(request)).events()) == 1


async def test_the_input_of_a_child_is_checked_before_there_is_a_session(
    alone: Stage, parent: Parent, researcher: AgentEntry
):
    request = await parent.asks("researcher", researcher.version, {"TOPIC": 5, "WHY": "?"})
    failed = await parent.talk.until(ToolFailed)

    assert failed.error == (
        "the child agent 'researcher' was not started: /TOPIC: 5 is not of type \"string\"; unknown name 'WHY'"
    )
    assert await Talk(alone, child_of(request)).events() == []
    assert await asked_of(alone, child_of(request)) == []


async def test_an_input_that_is_too_large_fails_the_call(alone: Stage, parent: Parent, researcher: AgentEntry):
    await parent.asks("researcher", researcher.version, {"TOPIC": "x" * 300_000})
    failed = await parent.talk.until(ToolFailed)

    assert failed.error.endswith("at most 262144 are taken")


async def test_a_version_that_is_not_stored_fails_the_call(alone: Stage, parent: Parent):
    await parent.asks("researcher", "0" * 12, TOPIC)
    failed = await parent.talk.until(ToolFailed)

    assert failed.error == "the child agent 'researcher' was not started: no agent 'researcher' in version 000000000000"


async def test_an_agent_that_talks_to_people_does_not_run_as_a_child(alone: Stage, parent: Parent):
    entry, _ = await Agents(alone.nc).store(TENANT, bundle("talker"))

    await parent.asks("talker", entry.version, {})
    failed = await parent.talk.until(ToolFailed)

    assert failed.error.endswith("its format is not worker, so it cannot run as a child")


async def test_a_request_whose_call_id_fits_no_subject_is_parked(alone: Stage, researcher: AgentEntry):
    odd = await Parent.begun(alone)
    request = odd.request("researcher", researcher.version, TOPIC)

    await odd.happens(msgspec.structs.replace(request, call="a.b"))

    subject = f"ev.{odd.id[:2]}.{TENANT}.{odd.id}.child-request.researcher"
    assert (await alone.parked(subject, "tool-gateway")).startswith("call 'a.b' must match")


# ---- the end


async def test_the_output_of_a_child_is_the_result_of_its_call(alone: Stage, parent: Parent, researcher: AgentEntry):
    request = await parent.asks("researcher", researcher.version, TOPIC)

    await ends(alone, request, output=raw({"height": 3}))
    succeeded = await parent.talk.until(ToolSucceeded)

    assert (succeeded.call, succeeded.worker) == (request.call, child_of(request))
    assert succeeded.result == raw({"height": 3})


async def test_a_child_without_an_output_answers_null(alone: Stage, parent: Parent, researcher: AgentEntry):
    await ends(alone, await parent.asks("researcher", researcher.version, TOPIC))

    assert (await parent.talk.until(ToolSucceeded)).result == Raw(b"null")


async def test_a_large_output_goes_through_blob(alone: Stage, parent: Parent, researcher: AgentEntry):
    output = raw("x" * 600_000)

    await ends(alone, await parent.asks("researcher", researcher.version, TOPIC), output=output)
    succeeded = await parent.talk.until(ToolSucceeded)

    assert succeeded.result_ref is not None
    assert await Blobs(alone.nc).get(TENANT, [succeeded.result_ref]) == [bytes(output)]


@pytest.mark.parametrize(
    ("outcome", "more", "error"),
    [
        ("failed", {"reason": "model-failed", "detail": "overloaded: 503"}, "failed: model-failed: overloaded: 503"),
        ("failed", {"reason": "crash-loop"}, "failed: crash-loop"),
        ("cancelled", {}, "was cancelled"),
    ],
)
async def test_a_child_that_did_not_complete_fails_the_call(
    alone: Stage, parent: Parent, researcher: AgentEntry, outcome: str, more: dict[str, str], error: str
):
    await ends(alone, await parent.asks("researcher", researcher.version, TOPIC), outcome, **more)

    assert (await parent.talk.until(ToolFailed)).error == f"the child agent 'researcher' {error}"


async def test_an_end_that_comes_again_answers_once(alone: Stage, parent: Parent, researcher: AgentEntry):
    request = await parent.asks("researcher", researcher.version, TOPIC)
    await ends(alone, request, output=raw("high"))
    await parent.talk.until(ToolSucceeded)
    before = await parent.talk.types()

    end = turn_finished(turn_of(request), session=child_of(request), output=raw("low"), parent=parent_of(request))
    await by_another_process(alone).ended(end, parent_of(request))
    await settled(alone, parent.id, "tool-gateway-child-ends")

    stored = await alone.nc.jetstream().get_last_msg(
        "RES", answer_subject(TENANT, request.tool, parent.id, request.call, 1)
    )
    assert msgspec.json.decode(stored.data or b"", type=ToolAnswer).result == raw("high")
    assert await parent.talk.types() == before
