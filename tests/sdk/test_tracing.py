"""A trace that begins where a trigger is sent goes on in the handler of a tool, through the real services."""

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from tests.sdk.test_worker import running
from tests.support.agents import CALL_THEN_SAY
from tests.support.running import stage
from tests.support.services import TENANT, Stage, Talk

from stenograph_events.subjects import trigger_subject
from stenograph_events.testing import raw
from stenograph_events.types import ToolRequested, TriggerQueued, TurnStarted
from stenograph_events.wire import Trigger
from stenograph_sdk import Worker, tracing
from stenograph_sdk.http import HttpClient
from stenograph_services.runtime.jetstream import publish

__all__ = ["stage"]

CAME_WITH = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TOOL = "get-account"
_exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(_exporter))
customer = provider.get_tracer("customer")

IN_A_PROCESS = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(provider)

from stenograph_sdk import tool
from stenograph_sdk.testing import run_tool_sync, tool_request

@tool("look")
def look() -> None: ...

run_tool_sync(look, tool_request("look", traceparent="{traceparent}"))
"""


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """The spans of a provider of our own: the one of a process would see those of every other test, too."""
    ours = SimpleNamespace(get_tracer=provider.get_tracer, StatusCode=trace.StatusCode)
    monkeypatch.setattr(tracing, "_api", lambda: tracing._Api(ours, TraceContextTextMapPropagator()))
    _exporter.clear()
    yield _exporter
    _exporter.clear()


@pytest.fixture
async def worker(stage: Stage, spans: InMemorySpanExporter) -> AsyncIterator[Worker]:
    worker = Worker(stage.settings.nats_url, name="w-1")

    @worker.tool(TOOL, retry="safe")
    def look_up(userId: str) -> dict[str, str]:
        assert threading.current_thread() is not threading.main_thread()
        with customer.start_as_current_span("query"):
            return {"plan": "pro"}

    async with running(worker):
        yield worker


def handlers(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == f"tool {TOOL}"]


def trace_of(span: ReadableSpan | None) -> int:
    assert span is not None
    assert span.context is not None
    trace: int = span.context.trace_id
    return trace


async def answered(talk: Talk, turn: str) -> ToolRequested:
    assert (await talk.end_of(turn)).outcome == "completed"
    return await talk.request(turn=turn)


async def test_a_handler_runs_in_a_span_under_the_one_that_sent_the_trigger(
    stage: Stage, worker: Worker, spans: InMemorySpanExporter
):
    talk = await stage.session(CALL_THEN_SAY)
    with customer.start_as_current_span("a visit") as visit:
        turn = await talk.send()

    request = await answered(talk, turn)

    (handler,) = handlers(spans)
    (query,) = (span for span in spans.get_finished_spans() if span.name == "query")
    assert trace_of(handler) == trace_of(query) == visit.get_span_context().trace_id
    assert handler.parent is not None
    assert handler.parent.span_id == visit.get_span_context().span_id
    assert query.parent is not None
    assert handler.context is not None
    assert query.parent.span_id == handler.context.span_id
    assert dict(handler.attributes or {}) == {
        "stenograph.tenant": "default",
        "stenograph.session": talk.id,
        "stenograph.turn": turn,
        "stenograph.call": request.call,
        "stenograph.attempt": 1,
        "stenograph.tool": TOOL,
        "stenograph.worker": "w-1",
        "stenograph.outcome": "succeeded",
    }


async def test_the_trace_of_a_trigger_over_http_is_continued(
    stage: Stage, url: str, worker: Worker, spans: InMemorySpanExporter
):
    """By a header of any client, and by that of ours."""
    talk, other = await stage.session(CALL_THEN_SAY), await stage.session(CALL_THEN_SAY)
    body = {"triggerName": "user-message", "input": {"TEXT": "Hi"}}
    async with httpx.AsyncClient(base_url=url) as http:
        await http.post(f"/api/agent-sessions/{talk.id}/trigger", json=body, headers={"traceparent": CAME_WITH})
    async with HttpClient.connect(url) as client:
        with customer.start_as_current_span("a visit") as visit:
            await client.session(other.id).ask("user-message", {"TEXT": "Hi"})

    assert (await talk.request()).traceparent == CAME_WITH
    assert [trace_of(span) for span in handlers(spans)] == [
        int(CAME_WITH.split("-")[1], 16),
        visit.get_span_context().trace_id,
    ]


async def test_what_is_malformed_is_dropped_and_the_trigger_accepted(
    stage: Stage, worker: Worker, spans: InMemorySpanExporter
):
    talk = await stage.session(CALL_THEN_SAY)
    body = msgspec.json.encode(Trigger(raw({"TEXT": "Hi"}), "r-1"))
    subject = trigger_subject(TENANT, talk.id, "user-message")
    await publish(stage.nc, subject, body, {"Nats-Msg-Id": "r-1", "traceparent": CAME_WITH.upper()})

    request = await talk.request()

    assert (await talk.end_of(request.turn or "")).outcome == "completed"
    assert request.traceparent is None
    (handler,) = handlers(spans)
    assert handler.parent is None


async def test_a_trigger_that_waits_keeps_its_trace(stage: Stage, worker: Worker):
    talk = await stage.session(CALL_THEN_SAY, when_busy="enqueue")
    first, *_ = [item async for item in talk.sdk.trigger("user-message", {"TEXT": "1"}, traceparent=CAME_WITH)]
    running = await talk.send()
    items = talk.sdk.trigger("user-message", {"TEXT": "2"}, traceparent=CAME_WITH)
    seen: list[Any] = [item async for item in items]

    assert isinstance(first, TurnStarted)
    assert first.traceparent == CAME_WITH
    await talk.end_of(running)
    of_turn = [one for one in seen if isinstance(one, TriggerQueued | TurnStarted | ToolRequested)]
    assert {one.traceparent for one in of_turn} == {CAME_WITH}
    assert isinstance(of_turn[-1], ToolRequested)


async def test_a_span_of_a_call_that_failed_says_so_and_not_why(stage: Stage, spans: InMemorySpanExporter):
    worker = Worker(stage.settings.nats_url, name="w-1")

    @worker.tool(TOOL, retry="safe")
    async def look_up(userId: str) -> None:
        raise KeyError("the secret of u1")

    talk = await stage.session(CALL_THEN_SAY)
    async with running(worker):
        await talk.end_of(await talk.send())

    (handler,) = handlers(spans)
    assert handler.status.status_code is trace.StatusCode.ERROR
    assert "secret" not in handler.to_json()


async def test_without_opentelemetry_nothing_is_traced_and_all_works(
    stage: Stage, worker: Worker, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tracing, "_api", lambda: None)
    talk = await stage.session(CALL_THEN_SAY)

    request = await answered(talk, await talk.send())

    assert request.traceparent is None
    assert handlers(spans) == []


def test_the_provider_of_the_process_is_the_one_that_is_used():
    said = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS.replace("{traceparent}", CAME_WITH)], capture_output=True, check=True
    ).stdout

    span = msgspec.json.decode(said)
    assert span["name"] == "tool look"
    assert span["parent_id"] == f"0x{CAME_WITH.split('-')[2]}"
