"""Agents over HTTP: checked, created, changed, archived, as the command line of the application SDK does it."""

import asyncio
import itertools
import json
from typing import Any

import httpx
import pytest
from tests.gateway.streaming import turn
from tests.support.services import TENANT, Stage
from tests.support.small_agent import BUNDLE, PROTOCOL

from stenograph_services.protocol import read_folder
from stenograph_services.runtime.agents import Agents

_numbers = itertools.count(1)

REFERENCE = {"name": "refunds", "description": 'What may be "refunded": until when', "content": "# Refunds\n\n30 days."}


def definition(slug: str, **changes: Any) -> dict[str, Any]:
    """Return the small agent as a client sends it."""
    settings = {"slug": slug, "name": "Small", "format": "interactive"}
    prompts = [{"name": name, "content": content} for name, content in BUNDLE.prompts.items()]
    return {"settings": settings, "protocol": PROTOCOL, "prompts": prompts, **changes}


@pytest.fixture
def slug() -> str:
    return f"http-{next(_numbers)}"


@pytest.fixture
async def created(http: httpx.AsyncClient, slug: str) -> str:
    """The id of the small agent under `slug`."""
    answer = await http.post("/api/agents", json=definition(slug))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["agentId"])


async def refused(response: httpx.Response) -> tuple[int, str, str]:
    """Return status, code and sentence of a flat error body."""
    body = response.json()
    assert set(body) == {"error", "code"}, body
    return response.status_code, body["code"], body["error"]


# ---- create, read


async def test_an_agent_is_created_once_and_reads_as_it_was_sent(http: httpx.AsyncClient, slug: str):
    sent = definition(slug)
    sent["settings"]["description"] = "Answers questions"
    sent["prompts"].append({"name": "tickets/summary", "content": "In one line:\r\n{{TEXT}}"})

    made = await http.post("/api/agents", json=sent)
    again = await http.post("/api/agents", json=sent)

    assert made.status_code == 201
    assert made.json() == {"agentId": made.json()["agentId"], "message": f"agent '{slug}' is created"}
    assert (await refused(again))[:2] == (409, "CONFLICT")
    assert slug in (await refused(again))[2]
    found = (await http.get(f"/api/agents/{slug}?by=slug")).json()
    assert found == (await http.get(f"/api/agents/{made.json()['agentId']}")).json()
    assert set(found) == {"id", "settings", "protocol", "prompts", "references"}
    assert found["settings"] == sent["settings"]
    assert found["protocol"] == PROTOCOL
    prompts = {prompt["name"]: prompt["content"] for prompt in found["prompts"]}
    assert prompts == BUNDLE.prompts | {"tickets/summary": "In one line:\n{{TEXT}}"}


async def test_a_missing_description_is_null_in_the_list_and_absent_in_the_settings(
    http: httpx.AsyncClient, slug: str, created: str
):
    listed = next(one for one in (await http.get("/api/agents")).json()["agents"] if one["id"] == created)
    found = (await http.get(f"/api/agents/{created}")).json()

    assert set(listed) == {
        "slug", "id", "name", "description", "format", "createdAt", "updatedAt", "projectId"
    }  # fmt: skip
    assert (listed["description"], listed["projectId"]) == (None, TENANT)
    assert found["settings"] == {"slug": slug, "name": "Small", "format": "interactive"}


async def test_an_agent_that_others_run_says_so_in_the_list(http: httpx.AsyncClient, slug: str):
    settings = {"slug": slug, "name": "Child", "format": "worker"}
    protocol = "variables:\n  OUT: {type: string}\nsteps:\n  Begin:\n    block: start-thread\n    thread: t\n"
    protocol += "    model: openai/gpt-5\n    system: system\n  Ask:\n    block: next-message\n    thread: t\n"
    sent = definition(slug, settings=settings, protocol=protocol, prompts=[{"name": "system", "content": "Help."}])

    assert (await http.post("/api/agents", json=sent)).status_code == 201

    listed = next(one for one in (await http.get("/api/agents")).json()["agents"] if one["slug"] == slug)
    assert listed["format"] == "worker"


async def test_by_slug_an_id_does_not_exist(http: httpx.AsyncClient, created: str):
    assert (await refused(await http.get(f"/api/agents/{created}?by=slug")))[:2] == (404, "NOT_FOUND")
    assert (await refused(await http.get("/api/agents/nobody?by=slug")))[:2] == (404, "NOT_FOUND")
    assert (await refused(await http.get(f"/api/agents/{created}?by=name")))[:2] == (400, "VALIDATION_ERROR")


async def test_of_many_who_create_the_same_slug_one_wins(http: httpx.AsyncClient, slug: str):
    sent = [
        definition(slug, prompts=[*definition(slug)["prompts"], {"name": f"p{n}", "content": ""}]) for n in range(8)
    ]

    answers = await asyncio.gather(*(http.post("/api/agents", json=one) for one in sent))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 201)
    prompts = (await http.get(f"/api/agents/{slug}?by=slug")).json()["prompts"]
    assert {"name": f"p{winner}", "content": ""} in prompts


# ---- validate


async def test_a_sound_agent_is_valid_with_its_warnings(http: httpx.AsyncClient, slug: str):
    answer = await http.post("/api/agents/validate", json=definition(slug, references=[REFERENCE]))

    verdict = answer.json()
    assert (answer.status_code, verdict["valid"], verdict["errors"]) == (200, True, [])
    assert {(one["code"], one["severity"]) for one in verdict["warnings"]} == {
        ("deprecated", "warning"), ("unused", "warning")
    }  # fmt: skip
    unused = next(one for one in verdict["warnings"] if one["code"] == "unused")
    assert unused["path"] == "references/refunds.md"
    assert (await http.get(f"/api/agents/{slug}?by=slug")).status_code == 404


async def test_every_mistake_of_an_agent_is_told_with_its_place(http: httpx.AsyncClient, slug: str):
    protocol = PROTOCOL.replace("tool: get-account", "tool: get-acount").replace("prompt: said", "prompt: sad")
    sent = definition(slug, protocol=protocol, references=[{"name": "x", "description": " ", "content": "text"}])
    sent["settings"]["format"] = "chat"

    validated = await http.post("/api/agents/validate", json=sent)
    created = await http.post("/api/agents", json=sent)

    assert (validated.status_code, validated.json()["valid"]) == (200, False)
    errors = validated.json()["errors"]
    paths = [error["path"] for error in errors]
    assert paths[0].startswith("protocol.yaml:")
    assert paths[0].endswith("handlers.user-message.Add.prompt")
    assert paths[1].endswith("handlers.user-message.Look.tool")
    assert paths[2].startswith("references/x.md")
    assert paths[3] == "settings.json:4 format"
    assert "did you mean 'get-account'?" in errors[1]["message"]
    assert (errors[1]["severity"], errors[1]["file"], errors[1]["code"]) == ("error", "protocol.yaml", "unknown-name")
    status, code, text = await refused(created)
    assert (status, code) == (400, "VALIDATION_ERROR")
    assert all(f"{error['path']}: {error['message']}" in text for error in errors)
    assert (await http.get(f"/api/agents/{slug}?by=slug")).status_code == 404


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({}, "the body settings"),
        (definition("x", protocol=7), "the body protocol"),
        (definition("x", prompts={"system": "Help."}), "the body prompts"),
        (definition("x", prompts=[{"name": "system"}]), "the body prompts.0.content"),
        (definition("x", references=[{"name": "r", "content": ""}]), "the body references.0.description"),
        (definition("x", prompts=[{"name": "a", "content": ""}] * 2), "prompts/a.md"),
        (definition("x", prompts=[{"name": "../../etc/passwd", "content": ""}]), "prompts/../../etc/passwd.md"),
        (definition("x", settings={}), "settings.json:1 slug"),
        (definition("x", settings={"slug": 7}), "settings.json:2 slug"),
        (definition("x", settings={"slug": "a.b", "name": "X", "format": "interactive"}), "settings.json:2 slug"),
        (definition("x", protocol="a: [" * 500), "protocol.yaml:1"),
    ],
)
async def test_what_is_no_agent_is_told_like_a_mistake_in_one(http: httpx.AsyncClient, sent: Any, path: str):
    validated = await http.post("/api/agents/validate", json=sent)

    assert (validated.status_code, validated.json()["valid"]) == (200, False)
    assert path in [error["path"] for error in validated.json()["errors"]]
    assert (await refused(await http.post("/api/agents", json=sent)))[:2] == (400, "VALIDATION_ERROR")


async def test_settings_without_end_are_refused(http: httpx.AsyncClient):
    deep = '{"settings":' + '{"a":' * 800 + "1" + "}" * 800 + ',"protocol":""}'

    for path in ("/api/agents/validate", "/api/agents"):
        answer = await http.post(path, content=deep)
        assert answer.status_code in (200, 400), answer.text
        assert "internal" not in answer.text


# ---- change


async def test_a_change_keeps_what_it_does_not_send(http: httpx.AsyncClient, slug: str):
    sent = definition(slug, references=[REFERENCE])
    sent["settings"]["description"] = "Answers questions"
    made = (await http.post("/api/agents", json=sent)).json()["agentId"]
    prompts = [*sent["prompts"], {"name": "more", "content": "More."}]

    changed = await http.patch(f"/api/agents/{slug}?by=slug", json={"protocol": PROTOCOL + "\n", "prompts": prompts})

    assert changed.status_code == 200
    assert changed.json() == {"agentId": made, "message": f"agent '{slug}' is updated"}
    found = (await http.get(f"/api/agents/{made}")).json()
    assert (found["settings"], found["references"]) == (sent["settings"], [REFERENCE])
    assert found["protocol"] == PROTOCOL + "\n"
    assert {"name": "more", "content": "More."} in found["prompts"]


async def test_settings_change_one_by_one_and_the_slug_never(http: httpx.AsyncClient, slug: str, created: str):
    path = f"/api/agents/{created}"

    renamed = await http.patch(path, json={"settings": {"name": "Renamed", "description": "New"}})
    undescribed = await http.patch(path, json={"settings": {"description": None}})
    moved = await http.patch(path, json={"settings": {"slug": "another"}})

    assert renamed.json()["agentId"] == undescribed.json()["agentId"] == created
    assert (await refused(moved))[:2] == (400, "VALIDATION_ERROR")
    assert f"'{slug}'" in (await refused(moved))[2]
    found = (await http.get(path)).json()
    assert found["settings"] == {"slug": slug, "name": "Renamed", "format": "interactive"}
    listed = next(one for one in (await http.get("/api/agents")).json()["agents"] if one["id"] == created)
    assert (listed["name"], listed["description"]) == ("Renamed", None)


async def test_references_are_added_and_taken_away(http: httpx.AsyncClient, created: str):
    path = f"/api/agents/{created}"

    await http.patch(path, json={"references": [REFERENCE]})
    with_them = (await http.get(path)).json()["references"]
    again = await http.patch(path, json={"references": with_them})
    await http.patch(path, json={"references": []})
    without = (await http.get(path)).json()["references"]

    assert (with_them, without) == ([REFERENCE], [])
    assert again.json()["message"].endswith("is unchanged")


async def test_a_change_that_breaks_the_agent_changes_nothing(http: httpx.AsyncClient, created: str):
    before = (await http.get(f"/api/agents/{created}")).json()

    answer = await http.patch(f"/api/agents/{created}", json={"prompts": []})

    status, code, text = await refused(answer)
    assert (status, code) == (400, "VALIDATION_ERROR")
    assert "'system'" in text
    assert "'said'" in text
    assert (await http.get(f"/api/agents/{created}")).json() == before


async def test_what_is_not_there_cannot_be_changed(http: httpx.AsyncClient):
    for path in ("/api/agents/nobody?by=slug", "/api/agents/nobody"):
        assert (await refused(await http.patch(path, json={"prompts": []})))[:2] == (404, "NOT_FOUND")
        assert (await refused(await http.delete(path)))[:2] == (404, "NOT_FOUND")


async def test_scripts_of_a_folder_outlive_a_change_over_http(http: httpx.AsyncClient, services: Stage):
    talk = await services.session()  # its agent was stored with a script
    state = (await http.get(f"/api/agent-sessions/{talk.id}")).json()
    agent = (await http.get(f"/api/agents/{state['agentId']}")).json()

    sent = {"protocol": agent["protocol"] + "\n", "prompts": agent["prompts"]}
    validated = await http.post("/api/agents/validate", json={"settings": agent["settings"], **sent})
    changed = await http.patch(f"/api/agents/{agent['id']}", json=sent)

    assert validated.json()["errors"] == []
    assert changed.json()["message"].endswith("is updated")
    bundle = await _current(services, agent["settings"]["slug"])
    assert list(bundle.scripts) == ["play"]


async def test_two_changes_at_once_both_count(http: httpx.AsyncClient, created: str):
    path = f"/api/agents/{created}"
    changes: list[dict[str, Any]] = [
        {"settings": {"name": "Renamed"}},
        {"references": [REFERENCE]},
        {"protocol": PROTOCOL + "\n"},
    ]

    answers = await asyncio.gather(*(http.patch(path, json=change) for change in changes))

    assert [answer.status_code for answer in answers] == [200] * 3
    found = (await http.get(path)).json()
    assert found["settings"]["name"] == "Renamed"
    assert (found["references"], found["protocol"]) == ([REFERENCE], PROTOCOL + "\n")


async def test_an_agent_sent_over_http_is_the_version_that_its_folder_is(
    http: httpx.AsyncClient, services: Stage, slug: str, tmp_path: Any
):
    sent = definition(slug)
    (tmp_path / "settings.json").write_text(json.dumps(sent["settings"], indent=2) + "\n")
    (tmp_path / "protocol.yaml").write_text(PROTOCOL)
    (tmp_path / "prompts").mkdir()
    for prompt in sent["prompts"]:
        (tmp_path / "prompts" / f"{prompt['name']}.md").write_text(prompt["content"])

    await http.post("/api/agents", json=sent)

    assert (await Agents(services.nc).current(TENANT, slug)).version == read_folder(tmp_path).version


# ---- archive


async def test_an_archived_agent_is_gone_and_its_slug_is_free(http: httpx.AsyncClient, slug: str, created: str):
    path = f"/api/agents/{slug}?by=slug"

    archived, again = await http.delete(path), await http.delete(path)

    assert archived.json() == {"agentId": created, "message": f"agent '{slug}' is archived"}
    assert (again.status_code, again.json()["agentId"]) == (200, created)
    for gone in (path, f"/api/agents/{created}"):
        assert (await refused(await http.get(gone)))[0] == 404
        assert (await refused(await http.patch(gone, json={})))[0] == 404
    assert created not in [agent["id"] for agent in (await http.get("/api/agents")).json()["agents"]]
    session = await http.post("/api/agent-sessions", json={"agentId": created, "input": {"COMPANY": "Acme"}})
    assert (await refused(session))[:2] == (404, "NOT_FOUND")
    new = await http.post("/api/agents", json=definition(slug))
    assert new.status_code == 201
    assert new.json()["agentId"] != created


async def test_a_session_of_an_archived_agent_goes_on(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session()
    before = (await http.get(f"/api/agent-sessions/{talk.id}")).json()["agentId"]

    assert (await http.delete(f"/api/agents/{before}")).status_code == 200

    heard = await turn(http, talk.id, "Hi")
    assert (heard.types[-1], heard.text) == ("finish", "Hello!")
    assert (await http.get(f"/api/agent-sessions/{talk.id}")).json()["agentId"] == before


async def test_a_session_shows_the_agent_that_it_was_made_of_when_another_one_has_its_slug(
    http: httpx.AsyncClient, stage: Stage, slug: str, created: str
):
    """It used to show the new agent's id."""
    made = await http.post("/api/agent-sessions", json={"agentId": slug, "input": {"COMPANY": "Acme"}})
    path = f"/api/agent-sessions/{made.json()['sessionId']}"

    await http.delete(f"/api/agents/{created}")
    new = (await http.post("/api/agents", json=definition(slug))).json()["agentId"]

    assert new != created
    assert [(await http.get(path + more)).json()["agentId"] for more in ("", "?format=ui")] == [created, created]
    assert (await http.delete(path)).status_code == 200
    assert (await http.get(path)).json()["agentId"] == created


async def _current(services: Stage, slug: str) -> Any:
    agents = Agents(services.nc)
    return await agents.bundle(TENANT, slug, (await agents.current(TENANT, slug)).version)
