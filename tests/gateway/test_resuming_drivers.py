"""Those who drive a turn and lost their connection: the same request, with the last id, goes on where that was."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.gateway.asking import ASK, asking, result_of
from tests.gateway.doors import gateway_with
from tests.gateway.expiring import expire
from tests.gateway.retold import frames_kept, frames_of, parts_of, resumed_from, seen, texts
from tests.gateway.streaming import Heard, triggered, turn
from tests.support.agents import CALL_THEN_SAY, SAY_HELLO
from tests.support.services import TENANT, Stage, Talk
from tests.support.wait import until

from stenograph_events.subjects import frame_subject
from stenograph_events.types import ToolSucceeded, TurnCancelRequested, TurnStarted
from stenograph_services.gateway.turns import repeats

ASK_THEN_TALK = ASK.replace(
    '"You said {{last_result}}"',
    """Thank you for that, it says all that there was to know.
      chunks: 8
      chunk_delay_ms: 32""",
)
LAST, KEY = "Last-Event-ID", "Idempotency-Key"


@asynccontextmanager
async def continued_from(
    http: httpx.AsyncClient, talk: Talk, execution: str, result: dict[str, Any], last: str | None
) -> AsyncIterator[Heard]:
    body = {"executionId": execution, "toolResults": [result]}
    headers = {} if last is None else {LAST: last}
    async with http.stream("POST", f"/api/agent-sessions/{talk.id}/trigger", json=body, headers=headers) as response:
        yield Heard(response)


async def told_from(
    http: httpx.AsyncClient, talk: Talk, execution: str, result: dict[str, Any], last: str | None
) -> Heard:
    async with continued_from(http, talk, execution, result, last) as heard:
        await heard.end()
    assert heard.done
    return heard


# ---- triggers


async def test_a_trigger_that_comes_again_with_the_last_id_goes_on_there(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, when_busy="reject")
    async with triggered(http, talk.id) as broken:
        await broken.until("tool-input-available")
    async with triggered(http, talk.id, **{LAST: broken.ids[-1]}) as again:
        await talk.answer(await talk.request(), {"plan": "pro"})
        await again.end()

    assert again.execution == broken.execution
    assert "tool-input-start" not in again.types
    assert again.text == 'You have {"plan":"pro"}'


async def test_whatever_gateway_is_asked_the_log_says_which_turn_a_trigger_repeats(
    stage: Stage, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(repeats, "GRACE_SECONDS", 3600)
    talk = await stage.session(CALL_THEN_SAY, when_busy="reject")
    async with triggered(http, talk.id) as broken:
        await broken.until("tool-input-available")

    async with gateway_with(stage) as other, other.client() as elsewhere:
        async with triggered(elsewhere, talk.id, **{LAST: broken.ids[-1]}) as again:
            await again.begun()
        await other.misses_the_client(talk.id, again.execution)
        async with triggered(elsewhere, talk.id) as third:  # it left this gateway a moment ago
            await third.until("tool-input-available")
            await talk.answer(await talk.request(), {"plan": "pro"})
            await third.end()

    assert again.execution == third.execution == broken.execution
    assert third.text == 'You have {"plan":"pro"}'
    assert await talk.all(TurnCancelRequested) == []


async def test_a_trigger_that_says_something_else_is_a_new_turn_whatever_id_comes_with_it(
    http: httpx.AsyncClient, stage: Stage
):
    """It used to be answered with the rest of the turn of that id."""
    talk = await stage.session(SAY_HELLO)
    first = await turn(http, talk.id, "Hello")

    other = await turn(http, talk.id, "Goodbye", **{LAST: first.ids[0]})
    same = await turn(http, talk.id, "Hello", **{LAST: first.ids[0]})

    assert other.execution != first.execution
    assert other.types == first.types
    assert same.execution == first.execution
    assert same.identified[1:] == first.identified[1 + len(resumed_from(first.identified, 2)) - 1 :]
    assert len(await talk.all(TurnStarted)) == 2


async def test_a_trigger_whose_client_has_seen_the_end_is_a_new_turn(http: httpx.AsyncClient, stage: Stage):
    talk = await asking(stage, ASK)
    ended = await turn(http, talk.id)
    superseding = await turn(http, talk.id, **{LAST: ended.ids[-1]})
    await told_from(http, talk, superseding.execution, result_of(superseding.asked[0], "yes"), None)

    assert ended.types[-2:] == superseding.types[-2:] == ["tool-request", "finish"]
    assert superseding.execution != ended.execution
    assert (await talk.end_of(ended.execution)).outcome == "cancelled"


async def test_a_key_with_an_id_resumes_its_turn_and_stands_for_nothing_else(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_HELLO)
    first = await turn(http, talk.id, **{KEY: "k1"})

    rest = await turn(http, talk.id, **{KEY: "k1", LAST: first.ids[-1]})
    fresh = await turn(http, talk.id, **{KEY: "k2", LAST: first.ids[-1]})
    path, body = f"/api/agent-sessions/{talk.id}/trigger", {"triggerName": "user-message", "input": {"TEXT": "Other"}}
    refused = [await http.post(path, json=body, headers={KEY: "k1", **more}) for more in ({}, {LAST: first.ids[0]})]

    assert (rest.execution, rest.types) == (first.execution, ["start"])
    assert fresh.execution != first.execution
    assert fresh.types == first.types
    assert {one.status_code for one in refused} == {400}
    assert "another trigger" in refused[0].json()["error"]


async def test_what_was_cleared_is_not_played_again_to_whoever_has_its_key(http: httpx.AsyncClient, stage: Stage):
    """The same key used to play the turn again that was cleared."""
    talk = await stage.session(SAY_HELLO)
    path, key = f"/api/agent-sessions/{talk.id}", {KEY: "k1"}
    first = await turn(http, talk.id, **key)
    await http.delete(path)
    body = {"triggerName": "user-message", "input": {"TEXT": "Hello"}}

    cleared = await http.post(f"{path}/trigger", json=body, headers=key)
    await http.post(f"{path}/restore", json={"messages": []})
    second = await turn(http, talk.id, **key)
    again = await turn(http, talk.id, **key)
    rest = await turn(http, talk.id, **key, **{LAST: second.ids[-1]})

    assert (cleared.status_code, cleared.json()["code"]) == (404, "NOT_FOUND")
    assert second.execution != first.execution
    assert again.execution == rest.execution == second.execution
    assert rest.types == ["start"]
    assert len(await talk.all(TurnStarted)) == 2


async def test_a_key_that_came_while_the_session_was_expired_counts_after_the_restore(
    http: httpx.AsyncClient, stage: Stage
):
    """It used to stand for the rejection for ever."""
    talk = await stage.session(SAY_HELLO)
    path, body = f"/api/agent-sessions/{talk.id}", {"triggerName": "user-message", "input": {"TEXT": "Hello"}}
    first = await turn(http, talk.id, **{KEY: "k1"})
    await expire(talk)

    known = await turn(http, talk.id, **{KEY: "k1"})
    expired = await http.post(f"{path}/trigger", json=body, headers={KEY: "k2"})
    await http.post(f"{path}/restore", json={"messages": []})
    second, again = await turn(http, talk.id, **{KEY: "k2"}), await turn(http, talk.id, **{KEY: "k2"})

    assert known.execution == first.execution
    assert (expired.status_code, expired.json()["code"]) == (404, "NOT_FOUND")
    assert expired.json()["error"] == "the session expired; restore it, then trigger it again"
    assert (second.execution, second.text) == (again.execution, "Hello!")
    assert len(await talk.all(TurnStarted)) == 2


# ---- turns that go on at another gateway


async def test_a_turn_that_its_driver_follows_at_another_gateway_is_not_cancelled(
    http: httpx.AsyncClient, stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    """The gateway that it left could not know, and cancelled it."""
    monkeypatch.setattr(repeats, "GRACE_SECONDS", 0.3)
    talk = await stage.session(CALL_THEN_SAY)
    async with gateway_with(stage) as other, other.client() as elsewhere, triggered(http, talk.id) as broken:
        await broken.until("tool-input-available")
        async with triggered(elsewhere, talk.id, **{LAST: broken.ids[-1]}) as again:
            await again.begun()
            await left(broken)
            async with triggered(http, talk.id, **{LAST: broken.ids[-1]}) as back:
                await back.begun()
                await left(again)
                await talk.answer(await talk.request(), {"plan": "pro"})
                await back.end()

    assert back.execution == again.execution == broken.execution
    assert await talk.all(TurnCancelRequested) == []


async def test_a_turn_that_its_driver_follows_nowhere_is_cancelled(
    http: httpx.AsyncClient, stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(repeats, "GRACE_SECONDS", 0.3)
    talk = await stage.session(CALL_THEN_SAY)

    async with gateway_with(stage) as other, other.client() as elsewhere:
        async with triggered(http, talk.id) as broken:
            await broken.until("tool-input-available")
        async with triggered(elsewhere, talk.id, **{LAST: broken.ids[-1]}) as again:
            await again.begun()

        assert (await talk.end_of(broken.execution)).outcome == "cancelled"


async def left(heard: Heard) -> None:
    """Break a connection, and return when its gateway has asked the others and knows who follows the turn there."""
    with capture_logs() as logs:
        await heard.response.aclose()
        await until(lambda: "turn.followed_elsewhere" in [line["event"] for line in logs], what="it asks the others")


# ---- continuations


async def test_wherever_a_leg_is_cut_the_rest_of_it_is_what_its_driver_heard(http: httpx.AsyncClient, stage: Stage):
    talk = await asking(stage, ASK_THEN_TALK)
    first = await turn(http, talk.id)
    result = result_of(first.asked[0], "yes")
    second = await told_from(http, talk, first.execution, result, first.ids[-1])

    assert frames_of(first.identified + second.identified) == await frames_kept(stage, talk)
    assert [text for text, _ in parts_of(first.events + second.events)] == await texts(talk)
    for purged in (False, True):
        if purged:
            await stage.nc.jetstream().purge_stream("TOK", subject=frame_subject(TENANT, talk.id))
        for cut in range(1, len(second.events) + 1):
            had = resumed_from(second.identified, cut)
            last = had[-1][0] if had else first.ids[-1]
            rest = await told_from(http, talk, first.execution, result, last)
            joined = had + rest.identified[bool(had) :]
            assert purged or joined == second.identified, f"cut after {cut} events"
            assert seen([event for _, event in joined]) == seen(second.events), f"cut after {cut} events"
    assert len(await talk.all(ToolSucceeded)) == 1


async def test_a_continuation_that_comes_again_with_the_last_id_keeps_its_turn_running(
    http: httpx.AsyncClient, stage: Stage
):
    """The leg used to be told from its beginning, its text as one delta at its end."""
    talk = await asking(stage, ASK_THEN_TALK)
    first = await turn(http, talk.id)
    result = result_of(first.asked[0], "yes")
    async with continued_from(http, talk, first.execution, result, None) as broken:
        await broken.until("text-delta")
    had = resumed_from(broken.identified, len(broken.events))
    again = await told_from(http, talk, first.execution, result, had[-1][0])

    joined = had + again.identified[1:]
    assert frames_of(first.identified + joined) == await frames_kept(stage, talk)
    assert [text for text, _ in parts_of([event for _, event in joined])] == (await texts(talk))[-1:]
    assert (await talk.end_of(first.execution)).outcome == "completed"


async def test_a_continuation_with_an_id_that_its_turn_does_not_have_is_refused_and_stores_nothing(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await asking(stage, ASK)
    first = await turn(http, talk.id)
    result = result_of(first.asked[0], "yes")
    body = {"executionId": first.execution, "toolResults": [result]}
    for last in ("x", "1", "99", "99.1.1.5"):
        refused = await http.post(f"/api/agent-sessions/{talk.id}/trigger", json=body, headers={LAST: last})
        assert (refused.status_code, refused.json()["code"]) == (400, "VALIDATION_ERROR")
    assert await talk.all(ToolSucceeded) == []

    assert (await told_from(http, talk, first.execution, result, None)).text == "You said yes"
