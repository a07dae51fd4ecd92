"""The log of a session over HTTP: paged, followed, folded at any event, and listed as entries."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.support.agents import CALL_THEN_SAY, SAY_HELLO
from tests.support.services import TENANT, Stage, Talk

from stenograph_events import new_session_id
from stenograph_projections import session as fold
from stenograph_services.gateway import app as gateway
from stenograph_services.gateway.app import Gateway
from stenograph_services.runtime.service import Running


@pytest.fixture
async def talk(stage: Stage) -> Talk:
    """A session in which a tool was called and a text was said."""
    talk = await stage.session(CALL_THEN_SAY)
    sent = await talk.send("What plan am I on?")
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(sent)
    return talk


def at(talk: Talk, path: str) -> str:
    return f"/api/agent-sessions/{talk.id}/{path}"


def numbers(page: httpx.Response) -> list[int]:
    return [json.loads(line)["n"] for line in page.text.splitlines()]


# ---- pages


async def test_the_log_reads_as_it_is_stored_one_event_a_line(http: httpx.AsyncClient, stage: Stage, talk: Talk):
    page = await http.get(at(talk, "events"))

    stored = await stage.log.read(TENANT, talk.id)
    assert page.headers["content-type"] == "application/x-ndjson"
    assert page.content == b"".join(event.data + b"\n" for event in stored)
    assert "Link" not in page.headers


async def test_a_page_names_the_next_one_until_the_log_ends(http: httpx.AsyncClient, talk: Talk):
    read: list[int] = []
    url: str | None = str(http.base_url) + at(talk, "events?limit=3")
    while url is not None:
        page = await http.get(url)
        assert len(numbers(page)) <= 3
        read += numbers(page)
        url = str(page.url.join(page.links["next"]["url"])) if "next" in page.links else None

    assert read == [event.n for event in await talk.events()]


async def test_a_page_begins_after_the_event_that_is_named(http: httpx.AsyncClient, talk: Talk):
    last = len(await talk.events())

    assert numbers(await http.get(at(talk, f"events?after={last - 2}"))) == [last - 1, last]
    assert numbers(await http.get(at(talk, f"events?after={last}"))) == []
    assert numbers(await http.get(at(talk, f"events?after={last + 100}"))) == []


@pytest.mark.parametrize(
    "query", ["events?after=-1", "events?after=x", "events?limit=0", "events?limit=10001", "state?at=0", "state?at=x"]
)
async def test_a_number_that_is_none_is_refused(http: httpx.AsyncClient, talk: Talk, query: str):
    refused = await http.get(at(talk, query))

    assert (refused.status_code, refused.json()["code"]) == (400, "VALIDATION_ERROR")
    assert query.partition("?")[2].partition("=")[0] in refused.json()["error"]


@pytest.mark.parametrize("path", ["events", "events/stream", "state", "logs"])
async def test_a_session_that_is_not_there_has_no_log(http: httpx.AsyncClient, path: str):
    for session in (new_session_id(), "no-session", "*"):
        refused = await http.get(f"/api/agent-sessions/{session}/{path}")
        assert (refused.status_code, refused.json()["code"]) == (404, "NOT_FOUND")


# ---- followed


class Followed:
    """A stream of a log as a browser reads it."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.ids: list[int] = []
        self.events: list[dict[str, Any]] = []
        self.heartbeats = 0
        self._lines = response.aiter_lines()

    async def until(self, type: str) -> None:
        """Read on to the next event of a type."""
        async for line in self._lines:
            if line.startswith("id: "):
                self.ids.append(int(line[4:]))
            elif line.startswith("data: "):
                self.events.append(json.loads(line[6:]))
                if self.events[-1]["type"] == type:
                    return
            elif line == ": heartbeat":
                self.heartbeats += 1
        raise AssertionError(f"no {type} in {self.events}")

    async def end(self) -> None:
        """Read on to the end of the stream."""
        async for _ in self._lines:
            pass

    async def beats(self) -> None:
        """Read on to the next heartbeat."""
        async for line in self._lines:
            if line == ": heartbeat":
                return
        raise AssertionError("the stream ended without a heartbeat")


@asynccontextmanager
async def followed(http: httpx.AsyncClient, talk: Talk, query: str = "", **headers: str) -> AsyncIterator[Followed]:
    async with http.stream("GET", at(talk, "events/stream" + query), headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Followed(response)


async def test_a_follower_is_told_what_was_and_what_comes(http: httpx.AsyncClient, talk: Talk):
    async with followed(http, talk) as stream:
        await stream.until("turn.finished")
        sent = await talk.send("And now?")
        await talk.answer(await talk.request(2), {"plan": "free"})
        await stream.until("turn.finished")

    await talk.end_of(sent)
    events = await talk.events()
    assert stream.ids == [event["n"] for event in stream.events] == [event.n for event in events]


async def test_a_follower_who_comes_back_goes_on_exactly_after_the_last_event_that_it_saw(
    http: httpx.AsyncClient, talk: Talk
):
    last = len(await talk.events())
    for seen in range(1, last):
        headers = {"Last-Event-ID": str(seen)}
        async with followed(http, talk, "?after=0", **headers) as stream:
            await stream.until("turn.finished")
        assert stream.ids == list(range(seen + 1, last + 1))


async def test_a_silent_log_is_told_by_heartbeats(http: httpx.AsyncClient, talk: Talk):
    async with followed(http, talk, f"?after={len(await talk.events())}") as stream:
        await stream.beats()
        await stream.beats()

    assert stream.events == []


@pytest.mark.parametrize("id", ["x", "-1", "1.5", "12x", "٣", "9" * 30])
async def test_an_id_that_no_event_has_is_refused(http: httpx.AsyncClient, talk: Talk, id: str):
    refused = await http.get(at(talk, "events/stream"), headers=[(b"Last-Event-ID", id.encode())])

    assert refused.status_code == 400
    assert "Last-Event-ID is the number of an event" in refused.json()["error"]


async def test_streams_end_when_the_gateway_stops(services: Stage, stage: Stage):
    talk = await stage.session(SAY_HELLO)
    running = Running(gateway.build, services.settings)
    await running.start()
    assert isinstance(running.service, Gateway)
    url = f"http://127.0.0.1:{running.service.port}"

    async with httpx.AsyncClient(base_url=url, timeout=30) as http, followed(http, talk) as stream:
        await stream.until("session.created")
        await running.stop()
        await stream.end()

    assert stream.ids == [1]


# ---- folded


async def test_the_state_at_each_event_is_the_fold_up_to_it(http: httpx.AsyncClient, talk: Talk):
    state = None
    for event in await talk.events():
        state = fold.apply(state, event)
        answered = (await http.get(at(talk, f"state?at={event.n}"))).json()

        assert (answered["n"], answered["turns"]) == (event.n, state.turns)
        assert answered["variables"] == {name: json.loads(bytes(value)) for name, value in state.variables.items()}
        assert ("turn" in answered) == (state.turn is not None)
        if state.turn:
            assert [call["call"] for call in answered["turn"]["calls"]] == [one.call for one in state.turn.calls]

    assert (await http.get(at(talk, "state"))).json() == answered
    assert answered["status"] == "idle"


async def test_a_state_after_the_end_of_the_log_is_not_found(http: httpx.AsyncClient, talk: Talk):
    last = len(await talk.events())

    refused = await http.get(at(talk, f"state?at={last + 1}"))

    assert refused.status_code == 404
    assert f"its log ends at event {last}" in refused.json()["error"]


# ---- listed


async def test_the_entries_tell_trigger_call_result_and_model_requests_in_order(http: httpx.AsyncClient, talk: Talk):
    logs = (await http.get(at(talk, "logs"))).json()

    types = [entry["type"] for entry in logs["entries"]]
    told = ["trigger", "model-request", "tool-call", "tool-result", "model-request", "finish"]
    assert [type for type in types if type in told] == told
    assert logs["sessionId"] == talk.id
    assert logs["total"] == len(await talk.events())
    assert all({"id", "timestamp", "type"} <= set(entry) for entry in logs["entries"])
    result = next(entry for entry in logs["entries"] if entry["type"] == "tool-result")
    assert result["value"] == {"plan": "pro"}


async def test_model_requests_can_be_left_out(http: httpx.AsyncClient, talk: Talk):
    whole = (await http.get(at(talk, "logs"))).json()["entries"]
    without = (await http.get(at(talk, "logs?excludeModelRequests=true"))).json()["entries"]

    assert without == [entry for entry in whole if entry["type"] != "model-request"]
    assert len(without) < len(whole)


# ---- cleared


async def test_a_cleared_session_lists_no_entries_and_its_log_begins_with_the_clear(
    http: httpx.AsyncClient, stage: Stage, talk: Talk
):
    before = len(await talk.events())
    await http.delete(at(talk, "").rstrip("/"))

    logs = (await http.get(at(talk, "logs"))).json()
    stored = await stage.log.read(TENANT, talk.id)

    assert set(logs) == {"sessionId", "agentId", "createdAt", "status"}
    assert logs["status"] == "expired"
    assert (await http.get(at(talk, "events"))).content == stored[-1].data + b"\n"
    assert numbers(await http.get(at(talk, "events?after=2&limit=1"))) == [before + 1]
    async with followed(http, talk, "?after=0", **{"Last-Event-ID": "2"}) as stream:
        await stream.until("session.cleared")
    assert stream.ids == [before + 1]
    assert (await http.get(at(talk, "state"))).json()["standing"] == "cleared"
    refused = await http.get(at(talk, f"state?at={before}"))
    assert refused.status_code == 404
    assert f"what is shown begins at {before + 1}" in refused.json()["error"]


async def test_nothing_that_was_cleared_is_shown_after_the_session_goes_on(http: httpx.AsyncClient, talk: Talk):
    """What was said before used to be in its log endpoints, and its turns could be observed and continued."""
    before = await talk.events()
    turn = next(event.turn for event in before if event.turn)
    await http.delete(at(talk, "").rstrip("/"))
    await http.post(at(talk, "restore"), json={"messages": []})

    observed = await http.get(at(talk, "observe"))
    named = await http.get(at(talk, f"observe?executionId={turn}"))
    from_there = await http.get(at(talk, "observe"), headers={"Last-Event-ID": str(before[-1].n)})
    continued = await http.post(at(talk, "trigger"), json={"executionId": turn, "toolResults": []})
    logs = (await http.get(at(talk, "logs"))).json()

    assert (observed.status_code, observed.json()["error"]) == (404, "no turn has begun yet")
    assert (named.status_code, continued.status_code) == (404, 404)
    assert from_there.status_code == 400
    assert [entry["name"] for entry in logs["entries"]] == ["session.cleared", "session.restored"]
    assert logs["total"] == 2
    assert "truncated" not in logs
    assert numbers(await http.get(at(talk, "events?limit=1"))) == [before[-1].n + 1]
    for path in ("events", "logs", "state", ""):
        text = (await http.get(at(talk, path).rstrip("/"))).text
        assert "What plan" not in text
        assert "pro" not in text
