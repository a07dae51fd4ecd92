"""The list of sessions over HTTP, from the index that a real projector keeps."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.agents import CALL_THEN_SAY, SAY_HELLO, bundle
from tests.support.nats import Endpoint
from tests.support.services import TENANT, Stage, Talk
from tests.support.wait import until

from stenograph_services.gateway import app as gateway
from stenograph_services.gateway.app import Gateway
from stenograph_services.projector import app as projector
from stenograph_services.runtime.agents import AgentEntry, Agents
from stenograph_services.runtime.service import Running

PATH = "/api/agent-sessions"


@pytest.fixture(scope="module")
async def services(shared_nats: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("services")
    async with Stage(shared_nats.url, directory, port=0, snapshot_idle_seconds=0.1) as stage:
        await stage.start(projector.build)
        yield stage


@pytest.fixture(scope="module")
async def plain(services: Stage) -> AgentEntry:
    entry, _ = await Agents(services.nc).store(TENANT, bundle("plain", SAY_HELLO))
    return entry


@pytest.fixture(scope="module")
async def calling(services: Stage) -> AgentEntry:
    entry, _ = await Agents(services.nc).store(TENANT, bundle("calling", CALL_THEN_SAY))
    return entry


@pytest.fixture(scope="module")
async def talks(services: Stage, base_url: str, plain: AgentEntry, calling: AgentEntry) -> list[Talk]:
    """Four sessions, the oldest first: three that are idle, and one whose tool is not answered."""
    made = []
    async with httpx.AsyncClient(base_url=base_url) as http:
        for text in ("Where is my order?", "What plan am I on?", "100 % sure?"):
            talk = await services.session_of("plain", plain.version)
            await talk.end_of(await talk.send(text))
            await _indexed(http, talk, "idle")
            made.append(talk)
        talk = await services.session_of("calling", calling.version)
        await talk.send("Look my plan up")
        await talk.request()
        await _indexed(http, talk, "waiting")
    return [*made, talk]


async def _indexed(http: httpx.AsyncClient, talk: Talk, status: str) -> None:
    async def found() -> bool:
        listed = (await http.get(PATH, params={"text": talk.id})).json()["sessions"]
        return [one["status"] for one in listed] == [status] and listed[0]["events"] == len(await talk.events())

    await until(found, what=f"the index shows {talk.id} as {status}")


async def listed(http: httpx.AsyncClient, **query: Any) -> list[str]:
    """Return the ids of the sessions that a search finds, in order."""
    answer = await http.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return [one["sessionId"] for one in answer.json()["sessions"]]


async def test_the_last_touched_session_comes_first(http: httpx.AsyncClient, talks: list[Talk]):
    assert await listed(http) == [talk.id for talk in reversed(talks)]


async def test_a_listed_session_says_what_it_is_about(http: httpx.AsyncClient, talks: list[Talk]):
    [found] = (await http.get(PATH, params={"text": talks[0].id})).json()["sessions"]

    assert (found["agent"], found["status"], found["turns"]) == ("plain", "idle", 1)
    assert (found["title"], found["outcome"]) == ("Where is my order?", "completed")
    assert datetime.fromisoformat(found["updatedAt"]) >= datetime.fromisoformat(found["createdAt"])
    assert None not in found.values()


async def test_sessions_are_found_by_agent_and_by_status(
    http: httpx.AsyncClient, talks: list[Talk], calling: AgentEntry
):
    idle = [talk.id for talk in reversed(talks[:3])]

    assert await listed(http, agent="plain") == idle == await listed(http, status="idle")
    assert await listed(http, agent="calling") == [talks[3].id] == await listed(http, status="waiting")
    assert await listed(http, agent=calling.id) == [talks[3].id]
    assert await listed(http, agent="nobody") == []
    assert await listed(http, agent="plain", status="waiting") == []


@pytest.mark.parametrize(("text", "which"), [("PLAN", [3, 1]), ("100 %", [2]), ("_", []), ("plan am", [1])])
async def test_text_is_looked_for_in_titles_as_it_is_written(
    http: httpx.AsyncClient, talks: list[Talk], text: str, which: list[int]
):
    assert await listed(http, text=text) == [talks[i].id for i in which]


async def test_sessions_are_found_by_when_they_were_touched(http: httpx.AsyncClient, talks: list[Talk]):
    events = await talks[1].events()
    then = events[-1].at
    before, after = (then - timedelta(microseconds=1)).isoformat(), (then + timedelta(microseconds=1)).isoformat()

    assert await listed(http, updatedAfter=before, updatedBefore=after) == [talks[1].id]
    assert await listed(http, updatedAfter=then.isoformat()) == [talks[3].id, talks[2].id]
    assert await listed(http, updatedBefore=then.isoformat()) == [talks[0].id]


async def test_pages_hold_every_session_once(http: httpx.AsyncClient, talks: list[Talk]):
    found: list[str] = []
    query: dict[str, Any] = {"limit": 1}
    while True:
        page = (await http.get(PATH, params=query)).json()
        found += [one["sessionId"] for one in page["sessions"]]
        if "cursor" not in page:
            break
        query["cursor"] = page["cursor"]

    assert found == [talk.id for talk in reversed(talks)]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"status": "asleep"}, "status"),
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "9" * 99}, "cursor"),
        ({"updatedAfter": "yesterday"}, "updatedAfter"),
        ({"updatedAfter": "0001-01-01T00:00:00+14:00"}, "updatedAfter"),
        ({"children": "perhaps"}, "children"),
        ({"text": "a\x00b"}, "text"),
        ({"text": "x" * 300}, "text"),
    ],
)
async def test_what_is_wrong_with_a_search_is_said(http: httpx.AsyncClient, query: dict[str, Any], named: str):
    refused = await http.get(PATH, params=query)

    assert (refused.status_code, refused.json()["code"]) == (400, "VALIDATION_ERROR")
    assert named in refused.json()["error"]


async def test_an_index_that_cannot_be_reached_is_said_and_everything_else_works(services: Stage, tmp_path: Path):
    (tmp_path / "index.db").mkdir()  # SQLite cannot open a folder
    running = Running(gateway.build, services.settings.model_copy(update={"data_dir": tmp_path}))
    await running.start()
    assert isinstance(running.service, Gateway)

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.service.port}") as http:
        refused = await http.get(PATH)
        agents = await http.get("/api/agents")
    await running.stop()

    assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
    assert "index.db" not in refused.text
    assert agents.status_code == 200


async def test_a_parameter_that_does_not_exist_is_refused_rather_than_passed_over(http: httpx.AsyncClient):
    near = await http.get("/api/agent-sessions", params={"agentId": "support-chat"})
    far = await http.get("/api/agent-sessions", params={"xyz": "1"})

    assert near.json()["error"] == "query: there is no parameter 'agentId'; did you mean 'agent'?"
    assert far.json()["error"].startswith("query: there is no parameter 'xyz'; there are agent, status, text, ")
    assert (near.status_code, far.status_code) == (400, 400)
