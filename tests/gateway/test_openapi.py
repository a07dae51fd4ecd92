"""The documents of the interfaces: what is checked in is what the code says, and what they say is true."""

import asyncio
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import httpx
import jsonschema_rs
import pytest
from fastapi import FastAPI
from faststream.nats import NatsBroker
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from nats.aio.client import Client
from openapi_spec_validator import validate

from stenograph_events import EVENT_TYPES, class_of, decode, type_of
from stenograph_events.subjects import ApiVerb, ControlVerb
from stenograph_events.types import EventClass
from stenograph_services.gateway.app import Gateway
from stenograph_services.gateway.documents.asyncapi import ALSO, ASKED, CONTROLS, asyncapi_document, subject_table
from stenograph_services.gateway.documents.openapi import openapi_document
from stenograph_services.gateway.documents.openapi_operations import OPERATIONS
from stenograph_services.runtime.config import Settings
from stenograph_services.tool_gateway.app import build as build_tool_gateway

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "events" / "samples"


@pytest.fixture(scope="module")
async def app() -> FastAPI:
    return Gateway(NatsBroker(), Settings.model_construct()).app(Client())


@pytest.fixture(scope="module")
async def openapi(app: FastAPI) -> dict[str, Any]:
    return openapi_document(app)


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    return asyncapi_document()


@pytest.mark.parametrize("document", ["openapi", "asyncapi"])
def test_the_document_that_is_checked_in_is_what_the_code_says(document: str):
    command = [sys.executable, f"docs/generate_{document}.py", "--check"]

    check = subprocess.run(command, cwd=ROOT, capture_output=True)

    assert check.returncode == 0, check.stderr.decode()


@pytest.mark.parametrize("document", ["openapi", "asyncapi"])
async def test_the_gateway_serves_the_document_to_everybody(http: httpx.AsyncClient, document: str):
    served = await http.get(f"/{document}.json", headers={"Authorization": "Bearer wrong"})

    assert served.json() == json.loads((ROOT / "docs" / f"{document}.json").read_text())


class _Page(HTMLParser):
    """What a page is made of: its elements, what they refer to, its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.references: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.references |= {str(value) for name, value in attrs if name in ("href", "src")}

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_a_browser_that_opens_the_gateway_reads_the_interface_and_asks_nobody_else(http: httpx.AsyncClient):
    """There was no page: the address that `stenograph dev` prints answered 404."""
    opened = await http.get("/", follow_redirects=True, headers={"Host": "<b>evil"})
    page = _Page(opened.text)

    assert opened.url.path == "/docs"
    assert opened.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in opened.headers["content-security-policy"]
    assert page.references == {"/openapi.json", "/asyncapi.json"}
    assert not {"script", "link", "img", "b"} & page.elements
    for (method, path), operation in OPERATIONS.items():
        assert f"{method.upper()}{path}{operation.summary.replace('`', '')}" in page.text


async def test_a_command_of_the_page_does_what_it_says(http: httpx.AsyncClient):
    page = _Page((await http.get("/docs")).text)
    [command] = re.findall(r"curl \S+/api/agents/validate .*?\}'", page.text, re.DOTALL)

    ran = await asyncio.to_thread(subprocess.run, ["sh", "-c", command], capture_output=True)

    assert json.loads(ran.stdout)["valid"] is True


# ---- OpenAPI


def test_the_document_is_valid_openapi(openapi: dict[str, Any]):
    assert openapi["openapi"].startswith("3.1")
    validate(openapi)


async def test_the_document_has_every_route_and_no_other(openapi: dict[str, Any], app: FastAPI):
    documented = {(method, path) for path, methods in openapi["paths"].items() for method in methods}

    assert documented == set(OPERATIONS)
    assert len({found["operationId"] for methods in openapi["paths"].values() for found in methods.values()}) == len(
        documented
    )


def test_every_route_has_an_example_of_what_it_takes_and_answers_and_each_fits_its_schema(openapi: dict[str, Any]):
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            for content in _contents(operation):
                examples = [one["value"] for one in content.get("examples", {}).values()]
                examples += [content["example"]] if "example" in content else []
                assert examples or path in ("/openapi.json", "/asyncapi.json"), f"{method} {path} has no example"
                for example in examples:
                    _validate(content["schema"], openapi, example)


def test_every_error_is_documented_with_its_flat_body(openapi: dict[str, Any]):
    for status, response in openapi["components"]["responses"].items():
        schema = response["content"]["application/json"]["schema"]
        _validate(schema, openapi, {"error": "no session '2f01…'", "code": "NOT_FOUND"})
        assert ("Retry-After" in response.get("headers", {})) == (status in ("429", "503"))


def test_an_optional_field_of_an_answer_is_never_null(openapi: dict[str, Any]):
    item = openapi["components"]["schemas"]["ListedSession"]["properties"]["title"]

    assert item["type"] == "string"
    assert "anyOf" not in item


def _contents(operation: dict[str, Any]) -> list[dict[str, Any]]:
    success = [response for status, response in operation["responses"].items() if status.startswith("2")]
    taken = [operation["requestBody"]] if "requestBody" in operation else []
    return [content for one in [*success, *taken] for content in one["content"].values()]


def _validate(schema: dict[str, Any], document: dict[str, Any], value: Any) -> None:
    jsonschema_rs.validate({**schema, "components": document["components"]}, value)


# ---- AsyncAPI


def test_the_document_has_the_structure_of_asyncapi_3(asyncapi: dict[str, Any]):
    ApplicationSchema.model_validate(asyncapi)

    assert asyncapi["asyncapi"] == "3.0.0"
    for reference in _references(asyncapi):
        found: Any = asyncapi
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [one for value in part.values() for one in _references(value)]
    return [one for value in part for one in _references(value)] if isinstance(part, list) else []


def test_every_subject_and_every_verb_has_a_channel(asyncapi: dict[str, Any]):
    addresses = {channel["address"] for channel in asyncapi["channels"].values() if channel["address"]}

    heads = {subject.partition(".<")[0] for subject, _ in subject_table()}
    assert heads == {head for head in heads if any(address.startswith(f"{head}.") for address in addresses)}
    assert set(CONTROLS) == set(get_args(ControlVerb))
    assert set(ASKED) == set(get_args(ApiVerb))


def test_every_event_is_in_the_channels_of_the_classes_that_it_is_stored_under(asyncapi: dict[str, Any]):
    stored = {(type_of(event), class_of(event)) for event, _ in _events()}
    documented = {
        (tag, event_class)
        for event_class in get_args(EventClass)
        for tag in asyncapi["channels"][f"ev.{event_class}"]["messages"]
    }

    assert stored <= documented
    assert {tag for tag, _ in documented} == set(EVENT_TYPES)
    assert documented == {
        (tag, one) for tag, kind in EVENT_TYPES.items() for one in (kind.event_class, *ALSO.get(tag, ()))
    }


def test_every_stored_sample_fits_the_schema_of_its_message(asyncapi: dict[str, Any]):
    messages = asyncapi["components"]["messages"]
    for event, data in _events():
        _validate(messages[type_of(event)]["payload"], asyncapi, json.loads(data))
    for file in (SAMPLES / "frames").glob("*.json"):
        frame = json.loads(file.read_bytes())
        _validate(messages[f"frame.{frame['frame']}"]["payload"], asyncapi, frame)


def test_what_faststream_knows_of_is_in_the_document(asyncapi: dict[str, Any]):
    broker = NatsBroker()
    Gateway(broker, Settings.model_construct())
    build_tool_gateway(broker, Settings.model_construct())

    known = [spec for one in broker.subscribers for spec in one.schema().values()]
    assert known
    for spec in known:
        [name] = [
            name
            for name, channel in asyncapi["channels"].items()
            if (channel["address"] or "").replace("{tenant}", "*").replace("{tool}", "*") == spec.address
        ]
        assert spec.bindings is not None
        assert spec.bindings.nats is not None
        taken = next(one for one in asyncapi["operations"].values() if one["channel"]["$ref"] == f"#/channels/{name}")
        assert taken["bindings"]["nats"]["queue"] == spec.bindings.nats.queue


def _events() -> list[tuple[Any, bytes]]:
    return [(decode(file.read_bytes()), file.read_bytes()) for file in sorted(SAMPLES.glob("*.json"))]
