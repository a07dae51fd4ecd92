"""A broken tool on real services: the first turns wait for it, the others do not, and it comes back by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.agents import CALL_THEN_SAY, TOOLS, bundle
from tests.support.nats import Endpoint
from tests.support.processes import Process, Processes
from tests.support.services import TENANT, Stage, Talk
from tests.support.wait import until

from stenograph_events.subjects import register_subject
from stenograph_events.types import ToolFailed, ToolRefused, ToolRequested, ToolTimedOut
from stenograph_events.wire import Registration
from stenograph_sdk import ToolBroken, ToolContext, ToolError, Worker
from stenograph_services.orchestrator import app as orchestrator
from stenograph_services.orchestrator.trials import SOON, Trials
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.breaker import Breaker
from stenograph_services.runtime.registry import ToolEntry, ToolRegistry
from stenograph_services.tool_gateway import app as tool_gateway

TOOL = "get-account"
LONG = 600.0
BRIEF = TOOLS.replace("retry: safe", "retry: safe\n  timeout: 1s")
PATIENT = TOOLS.replace("retry: safe", "retry: safe\n  timeout: 2m")
AGAIN = TOOLS.replace("retry: safe", "retry: safe\n  timeout: 1s\n  attempts: 4\n  backoff: 0.1")


@pytest.fixture
async def staged(shared_nats: Endpoint, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Starts services with settings of the test's; at its end, their sessions' logs must break no invariant."""
    started: list[Stage] = []

    async def start(**settings: Any) -> Stage:
        many_turns = {
            "ack_wait_seconds": 5.0,
            "crash_limit": 5,
        }  # at once: none is lost because one process has them all
        usual = {"breaker_failures": 3, "breaker_pause_seconds": LONG}
        stage = Stage(shared_nats.url, tmp_path, **usual | many_turns | settings)
        started.append(stage)
        return await stage.__aenter__()

    yield start
    for stage in started:
        for talk in stage.talks:
            await talk.check()
        await stage.__aexit__(None, None, None)


async def breaker(stage: Stage) -> Breaker | None:
    """Return the breaker of the tool as the registry has it."""
    [entry] = [one for one in await ToolRegistry(stage.nc).all(TENANT) if one.tool == TOOL]
    return entry.breaker


async def change(stage: Stage, changed: Callable[[Breaker], Breaker | None]) -> None:
    """Let the breaker of the tool be another one, and every process know."""

    def entry(known: ToolEntry | None) -> ToolEntry:
        assert known is not None
        assert known.breaker is not None
        return ToolEntry(known.tool, known.retry, known.worker, known.at, breaker=changed(known.breaker))

    written = await ToolRegistry(stage.nc).change(TENANT, TOOL, entry)
    assert written is not None
    await known_to_all(stage, lambda known: known == written.breaker)


async def known_to_all(stage: Stage, what: Callable[[Breaker | None], bool]) -> None:
    """Return when every service knows a breaker of the tool that is so."""

    def known() -> bool:
        services: list[Any] = [running.service for running in stage._running]
        return all(what(one._registry.broken(TENANT).get(TOOL)) for one in services)

    await until(known, what="every service knows of the breaker")


async def ended(talks: list[Talk], turns: list[Any], *, timeout: float = 60) -> None:
    """Return when each of these turns is over."""
    for talk, turn in zip(talks, turns, strict=True):
        await talk.end_of(turn, timeout=timeout)


async def at_once(stage: Stage, count: int, tools: str = PATIENT) -> tuple[list[Talk], list[Any]]:
    """Return so many sessions and the turns that begin in all of them at the same time; each calls the tool."""
    agent, _ = await Agents(stage.nc).store(TENANT, bundle("account-desk", CALL_THEN_SAY, tools=tools))
    talks = [await stage.session_of(agent.slug, agent.version) for _ in range(count)]
    return talks, list(await asyncio.gather(*(talk.send() for talk in talks)))


async def opened(stage: Stage, failures: int = 3) -> None:
    """Let calls of the tool go by unanswered until it is not asked any more."""
    talks, turns = await at_once(stage, failures, BRIEF)
    await ended(talks, turns)
    assert all([await talk.all(ToolTimedOut) for talk in talks])
    await known_to_all(stage, lambda known: known is not None)


async def all_of(talks: list[Talk], kind: type[Any]) -> list[Any]:
    """Return the events of one class in all these sessions."""
    return [event for talk in talks for event in await talk.all(kind)]


@asynccontextmanager
async def working(stage: Stage, handler: Callable[..., Any], name: str = "w-1") -> AsyncIterator[None]:
    """Let a worker serve the tool with `handler`."""
    worker = Worker(stage.settings.nats_url, name=name)
    worker.tool(TOOL, retry="safe")(handler)
    running = asyncio.create_task(worker.run(signals=False))
    await worker.serving.wait()
    try:
        yield
    finally:
        worker.stop()
        await running


async def test_turns_after_the_first_do_not_wait_for_a_tool_that_never_answers(staged: Callable[..., Any]):
    """Each would wait for two minutes."""
    stage = await staged(breaker_failures=5)
    begun: list[str] = []

    async def hangs(userId: str, *, call: ToolContext) -> None:
        begun.append(call.call)
        await asyncio.Event().wait()

    async with working(stage, hangs):
        await opened(stage, failures=5)
        talks, turns = await at_once(stage, 150)
        since = time.monotonic()
        await ended(talks, turns)
        took = time.monotonic() - since

    refused, asked = await all_of(talks, ToolRefused), await all_of(talks, ToolRequested)
    assert (len(refused), len(asked), len(begun)) == (150, 0, 5)
    assert took < 60
    assert {one.not_before for one in refused} == {(await breaker(stage)).until}  # type: ignore[union-attr]
    said = (await talks[0].said(turns[0]))[-1]
    assert said.startswith("You have the tool get-account failed 5 times in a row; it is not asked again before 2")


@pytest.mark.parametrize("orchestrators", [1, 2])
async def test_of_two_hundred_turns_at_once_each_orchestrator_lets_one_try(
    staged: Callable[..., Any], orchestrators: int
):
    stage = await staged()
    for _ in range(orchestrators - 1):
        await stage.start(orchestrator.build)
    await opened(stage)
    await change(stage, lambda known: known.begun_anew(datetime.now(UTC)))

    talks, turns = await at_once(stage, 200)

    async def decided() -> bool:
        return len(await all_of(talks, ToolRefused)) + len(await all_of(talks, ToolRequested)) == 200

    await until(decided, 40, what="each of them is asked or refused")
    tried = await all_of(talks, ToolRequested)
    assert 1 <= len(tried) <= orchestrators
    known = await breaker(stage)
    assert known is not None
    assert known.trial in [f"{one.session}/{one.call}/1" for one in tried]
    for talk in talks:
        for request in await talk.all(ToolRequested):
            await talk.answer(request, {"plan": "pro"})
    await ended(talks, turns)
    assert await breaker(stage) is None


async def test_a_tool_that_is_mended_is_found_out_by_one_call_and_then_asked_by_all(staged: Callable[..., Any]):
    stage = await staged(breaker_pause_seconds=1.0)
    answers = asyncio.Event()

    async def account(userId: str) -> dict[str, str]:
        await answers.wait()
        return {"plan": "pro"}

    async with working(stage, account):
        await opened(stage)
        answers.set()

        async def answered() -> bool:
            talk = await stage.session(CALL_THEN_SAY, tools=BRIEF)
            turn = await talk.send()
            await talk.end_of(turn)
            return 'You have {"plan":"pro"}' in await talk.said(turn)

        await until(answered, what="a call tries it")
        await known_to_all(stage, lambda known: known is None)
        talks, turns = await at_once(stage, 20)
        await ended(talks, turns)

    assert await all_of(talks, ToolRefused) == []


async def test_a_trial_that_fails_doubles_the_pause(staged: Callable[..., Any]):
    stage = await staged()
    await opened(stage)
    await change(stage, lambda known: known.begun_anew(datetime.now(UTC)))

    [talk], [turn] = await at_once(stage, 1, BRIEF)
    await talk.end_of(turn)
    await known_to_all(stage, lambda known: known is not None and known.times == 2)

    known = await breaker(stage)
    assert known is not None
    assert (known.failures, known.trial) == (4, None)
    assert known.until - known.opened_at == timedelta(seconds=LONG)  # doubled, and ten minutes at most
    assert len(await talk.all(ToolTimedOut)) == 1


async def test_a_worker_that_begins_anew_is_tried_at_once_and_one_that_registers_again_is_not(
    staged: Callable[..., Any],
):
    stage = await staged()

    async def hangs(userId: str) -> None:
        await asyncio.Event().wait()

    async def account(userId: str) -> dict[str, str]:
        return {"plan": "pro"}

    async with working(stage, hangs):
        await opened(stage)
        before = await breaker(stage)
        again = msgspec.json.encode(Registration(TOOL, "w-1", "safe"))
        await stage.nc.request(register_subject(TENANT, TOOL), again, timeout=5)
        [talk], [turn] = await at_once(stage, 1)
        await talk.end_of(turn)
        assert await all_of([talk], ToolRequested) == []
        assert await breaker(stage) == before

    async with working(stage, account, "w-2"):
        await known_to_all(stage, lambda known: known is None or not known.holds_back(datetime.now(UTC)))
        [talk], [turn] = await at_once(stage, 1)
        await talk.end_of(turn)

    assert (await talk.said(turn))[-1] == 'You have {"plan":"pro"}'
    assert await breaker(stage) is None


@pytest.mark.parametrize(
    ("error", "opens"),
    [(ToolError("no user has this id"), False), (ToolBroken("no database"), True), (KeyError("plan"), True)],
)
async def test_a_handler_that_breaks_is_a_failure_and_one_that_fails_the_call_is_an_answer(
    staged: Callable[..., Any], error: Exception, opens: bool
):
    stage = await staged()

    async def fails(userId: str) -> None:
        raise error

    async with working(stage, fails):
        talk = await stage.session(CALL_THEN_SAY, tools=BRIEF)
        for _ in range(3):
            await talk.end_of(await talk.send())
        if opens:
            await known_to_all(stage, lambda known: known is not None)
        await talk.end_of(await talk.send())

    assert len(await talk.all(ToolFailed)) == (3 if opens else 4)
    assert len(await talk.all(ToolRefused)) == (1 if opens else 0)
    assert (await breaker(stage) is not None) == opens


async def test_calls_that_a_dead_worker_took_with_it_do_not_stop_another_one(staged: Callable[..., Any]):
    """They are late together, and the tool has answered others since they were asked."""
    stage = await staged()
    lost, turns = await at_once(stage, 5, TOOLS.replace("retry: safe", "retry: safe\n  timeout: 2s"))
    asked = [await talk.request() for talk in lost]

    [talk], [turn] = await at_once(stage, 1)
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(turn)
    await ended(lost, turns)

    assert len(await all_of(lost, ToolTimedOut)) == len(asked) == 5
    assert await breaker(stage) is None


async def test_a_call_that_is_tried_again_is_given_up_once_its_tool_is_broken(staged: Callable[..., Any]):
    stage = await staged()

    talks, turns = await at_once(stage, 3, AGAIN)
    await ended(talks, turns)

    requests, refused = await all_of(talks, ToolRequested), await all_of(talks, ToolRefused)
    assert len(refused) == 3
    assert 3 <= len(requests) <= 6  # a second attempt may be asked before word of the third failure has come
    assert all("failed 3 times in a row" in one.error for one in refused)


async def test_a_trial_of_a_cancelled_turn_leaves_the_next_call_to_try(staged: Callable[..., Any]):
    stage = await staged()
    await opened(stage)
    await change(stage, lambda known: known.begun_anew(datetime.now(UTC)))

    [first], [turn] = await at_once(stage, 1)
    request = await first.request()
    await known_to_all(stage, lambda known: known is not None and known.trial is not None)
    [held], [refused] = await at_once(stage, 1)
    await held.end_of(refused)
    await first.cancel(turn)
    await first.end_of(turn)
    await known_to_all(stage, lambda known: known is not None and known.trial is None)

    [third], [last] = await at_once(stage, 1)
    await third.answer(await third.request(), {"plan": "pro"})
    await third.end_of(last)

    assert request.attempt == 1
    assert len(await held.all(ToolRefused)) == 1
    assert await breaker(stage) is None


async def test_a_call_that_was_to_try_and_was_never_asked_keeps_others_waiting_for_seconds_only(
    staged: Callable[..., Any],
):
    """Whoever was to try it may have died, or found its session moved on."""
    stage = await staged()
    await opened(stage)
    now = datetime.now(UTC)
    await change(stage, lambda known: known.begun_anew(now))
    service: Any = stage.running("orchestrator").service
    trials = Trials(service._registry)
    [talk], [turn] = await at_once(stage, 1)
    request = await talk.request()
    await known_to_all(stage, lambda known: known is not None and known.trial is not None)
    await change(stage, lambda known: known.let_go(known.trial or "", now))

    def may_try(session: str, seconds: float) -> bool:
        return trials.held_back(TENANT, session, now + timedelta(seconds=seconds))[TOOL].may_try

    assert may_try("s1", 0)
    trials.note(TENANT, "s1", [request], now)
    assert may_try("s1", 1)
    assert not may_try("s2", 1)
    assert may_try("s2", SOON.total_seconds())
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(turn)


async def test_two_tool_gateways_count_for_themselves_and_agree_on_what_is_broken(staged: Callable[..., Any]):
    stage = await staged()
    await stage.start(tool_gateway.build)
    talks, turns = await at_once(stage, 9, BRIEF)  # five would do: then one of them has counted three
    await ended(talks, turns)
    await known_to_all(stage, lambda known: known is not None)
    first = await breaker(stage)
    assert first is not None
    assert (first.failures, first.times) == (3, 1)
    await change(stage, lambda known: known.begun_anew(datetime.now(UTC)))

    [talk], [turn] = await at_once(stage, 1)
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(turn)

    await known_to_all(stage, lambda known: known is None)


async def test_a_killed_tool_gateway_leaves_a_broken_tool_as_it_was(staged: Callable[..., Any], processes: Processes):
    stage = await staged()
    await stage.end(stage.running("tool-gateway"))
    first = await tool_gateway_process(stage, processes)
    await opened(stage)
    before = await breaker(stage)

    first.kill()
    talks, turns = await at_once(stage, 20)
    await ended(talks, turns)
    second = await tool_gateway_process(stage, processes)
    [talk], [turn] = await at_once(stage, 1)
    await talk.end_of(turn)

    assert await breaker(stage) == before
    assert len(await all_of([*talks, talk], ToolRefused)) == 21
    assert await all_of([*talks, talk], ToolRequested) == []

    await change(stage, lambda known: known.begun_anew(datetime.now(UTC)))
    [talk], [turn] = await at_once(stage, 1)
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(turn)
    await known_to_all(stage, lambda known: known is None)
    await second.line("tool.breaker_closed")


async def tool_gateway_process(stage: Stage, processes: Processes) -> Process:
    """Start a tool gateway with the settings of `stage`, and return it when it serves."""
    settings = stage.settings
    given = {
        "nats_url": settings.nats_url,
        "data_dir": str(settings.data_dir),
        "ack_wait_seconds": str(settings.ack_wait_seconds),
        "breaker_failures": str(settings.breaker_failures),
        "breaker_pause_seconds": str(settings.breaker_pause_seconds),
    }
    env = {f"STENOGRAPH_{name.upper()}": value for name, value in given.items()}
    started = processes.start("tool-gateway", "-m", "stenograph_services.cli", "run", "tool-gateway", env=env)
    await started.line("service.started")
    return started
