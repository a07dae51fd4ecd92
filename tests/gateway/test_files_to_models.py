"""An uploaded image on its way to the model: its link, or its bytes where no provider could fetch it."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
from tests.gateway.doors import gateway_with
from tests.gateway.streaming import Heard
from tests.gateway.uploading import ALL, IMAGE, PNG, gate, http, links, put
from tests.support.agents import bundle
from tests.support.model_answers import Answer
from tests.support.openai_server import ModelServer
from tests.support.services import TENANT, Stage, Talk

from stenograph_events.types import MessageAdded
from stenograph_events.values import FilePart
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import MIB
from stenograph_services.runtime.file_links import File, FileLinks
from stenograph_services.runtime.keys import KeyStore

__all__ = ["gate", "http"]


@pytest.fixture
async def provider(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ModelServer]:
    async with ModelServer(lambda _: Answer(text="A cat.")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        yield server


LOOK = """\
Add:
  block: add-message
  role: user
  prompt: said
  input: [TEXT]
  files: [FILES]
Ask:
  block: next-message
  output: ANSWER
"""


async def looking(stage: Stage, slug: str) -> Talk:
    """Return a session of an agent that takes files and asks the provider."""
    agent = bundle(slug, handler=LOOK)
    protocol = agent.protocol.replace("scripted/play", "openai/gpt-5").replace(
        "      TEXT: {type: string}\n", "      TEXT: {type: string}\n      FILES: {type: 'file[]', optional: true}\n"
    )
    stored, _ = await Agents(stage.nc).store(TENANT, msgspec.structs.replace(agent, protocol=protocol))
    return await stage.session_of(stored.slug, stored.version)


async def shown(http: httpx.AsyncClient, talk: Talk, *files: dict[str, Any]) -> Heard:
    body = {"triggerName": "user-message", "input": {"TEXT": "What is this?", "FILES": files}}
    async with http.stream("POST", f"/api/agent-sessions/{talk.id}/trigger", json=body) as response:
        heard = Heard(response)
        await heard.end()
    assert heard.text == "A cat.", heard.events
    return heard


def reference(link: dict[str, str]) -> dict[str, Any]:
    return {"id": link["id"], "mediaType": "image/png", "url": link["downloadUrl"], "filename": "cat.png"}


def images(provider: ModelServer) -> list[str]:
    """Return the images of the last request to the provider."""
    content = [part for one in provider.requests[-1]["messages"] if one["role"] == "user" for part in one["content"]]
    return [part["image_url"]["url"] for part in content if part["type"] == "image_url"]


def texts(provider: ModelServer) -> str:
    return msgspec.json.encode(provider.requests[-1]["messages"]).decode()


async def test_an_uploaded_image_reaches_the_model_and_the_log_holds_its_link_alone(
    http: httpx.AsyncClient, stage: Stage, provider: ModelServer
):
    talk = await looking(stage, "looking-1")
    [link] = await links(http, talk.id, IMAGE)
    await put(link["uploadUrl"], PNG)

    await shown(http, talk, reference(link))

    assert images(provider) == [f"data:image/png;base64,{base64.b64encode(PNG).decode()}"]
    [said] = [one for one in await talk.all(MessageAdded) if one.role == "user"]
    [part] = [part for part in said.parts if isinstance(part, FilePart)]
    assert (part.id, part.url) == (link["id"], link["downloadUrl"])


async def test_a_provider_gets_the_link_itself_where_it_can_fetch_it(
    services: Stage, stage: Stage, provider: ModelServer
):
    talk = await looking(stage, "looking-2")
    address = "https://agents.example"
    async with gateway_with(services, api_key=ALL, public_url=address) as public, public.client(ALL) as http:
        [link] = await links(http, talk.id, IMAGE)
        await put(public.url + link["uploadUrl"].removeprefix(address), PNG)
        await shown(http, talk, reference(link))

    assert images(provider) == [link["downloadUrl"]]


async def test_the_model_of_its_session_alone_still_sees_an_image_whose_link_is_over(
    services: Stage, http: httpx.AsyncClient, stage: Stage, provider: ModelServer
):
    talk, another = await looking(stage, "looking-3"), await looking(stage, "looking-6")
    [link] = await links(http, talk.id, IMAGE)
    await put(link["uploadUrl"], PNG)
    signing = FileLinks(await KeyStore(services.nc).secret(), TENANT)
    file = File(talk.id, link["id"], "cat.png", len(PNG), "image/png")
    over = signing.url("https://agents.example", "GET", file, datetime(2026, 1, 1, tzinfo=UTC))

    await shown(http, talk, {**reference(link), "url": over})
    assert images(provider) == [f"data:image/png;base64,{base64.b64encode(PNG).decode()}"]

    await shown(http, another, {**reference(link), "url": over})
    assert images(provider) == [over]


async def test_the_model_is_told_of_a_file_that_cannot_come_along(
    http: httpx.AsyncClient, stage: Stage, provider: ModelServer
):
    talk = await looking(stage, "looking-4")
    missing, large, seen = await links(http, talk.id, IMAGE, {**IMAGE, "size": 21 * MIB}, IMAGE)
    await put(large["uploadUrl"], bytes(21 * MIB))
    await put(seen["uploadUrl"], PNG)

    await shown(http, talk, reference(missing), reference(large), reference(seen))

    assert len(images(provider)) == 1
    assert "you cannot see it: it is not stored any more." in texts(provider)
    assert "you cannot see it: it is too large to be sent along." in texts(provider)


async def test_an_address_that_only_looks_like_ours_is_passed_on_and_never_read(
    http: httpx.AsyncClient, stage: Stage, provider: ModelServer
):
    talk = await looking(stage, "looking-5")
    [link] = await links(http, talk.id, IMAGE)
    await put(link["uploadUrl"], PNG)
    forged = link["downloadUrl"].replace("signature=", "signature=x")

    await shown(http, talk, {**reference(link), "url": forged})

    assert images(provider) == [forged]
