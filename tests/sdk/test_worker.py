import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client as Nats
from tests.sdk.services import ACK_WAIT_SECONDS, MAX_INLINE_BYTES, Log, ToolGateway, declared, request
from tests.support.nats import connect
from tests.support.wait import until

from stenograph_events import DEFAULT_TENANT, CallId, subjects
from stenograph_events.testing import session_created
from stenograph_events.types import ToolRequested
from stenograph_events.wire import StopCall, ToolAnswer
from stenograph_sdk import NoTools, Refused, ToolContext, ToolDefinitionError, ToolError, Worker, blobs, serving
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.nats_server import NatsServer
from stenograph_services.runtime.uploads import Uploads, declare_uploads

LOOKUP = "get-user-account"


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[Worker]:
    """Run `worker` until it serves every tool, and stop it in the end."""
    task = asyncio.create_task(worker.run(signals=False))
    ready = asyncio.create_task(worker.serving.wait())
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    try:
        yield worker
    finally:
        worker.stop()
        await task


@pytest.fixture
def worker(tool_gateway: ToolGateway, nats_url: str) -> Worker:
    return Worker(nats_url, name="w-1")


class Calls:
    """Asks for tools as an orchestrator does, and waits for what workers answer."""

    def __init__(self, log: Log, tool_gateway: ToolGateway) -> None:
        self.session = log.session
        self._log = log
        self._tool_gateway = tool_gateway
        self._asked = 0

    async def ask(self, tool: str = LOOKUP, arguments: Any = None, **more: Any) -> ToolRequested:
        asked = msgspec.structs.replace(request(tool, arguments, **more), session=self._log.session)
        await self._log.append(asked)
        self._asked += 1
        return asked

    async def answer(self, tool: str = LOOKUP, arguments: Any = None, **more: Any) -> ToolAnswer:
        return await self.to(await self.ask(tool, arguments, **more))

    async def to(self, asked: ToolRequested) -> ToolAnswer:
        return await until(lambda: self._tool_gateway.answer(asked))

    async def all_acked(self) -> None:
        await until(self._none_open)

    async def delivered(self, times: int) -> bool:
        """Return whether the server has delivered requests for `LOOKUP` so often."""
        return await self._tool_gateway.deliveries(LOOKUP) >= times

    async def _none_open(self) -> bool:
        return await self._tool_gateway.acked_requests() >= self._asked


@pytest.fixture
def calls(log: Log, tool_gateway: ToolGateway) -> Calls:
    return Calls(log, tool_gateway)


def value(answer: ToolAnswer) -> Any:
    return msgspec.json.decode(answer.result)


async def test_a_call_is_answered_with_what_the_function_returns(worker: Worker, calls: Calls):
    @worker.tool(LOOKUP, retry="safe")
    async def lookup(userId: str) -> dict[str, str]:
        return {"user": userId, "plan": "pro"}

    async with running(worker):
        answer = await calls.answer(arguments={"userId": "u1"})
        await calls.all_acked()

    assert answer.outcome == "succeeded"
    assert answer.worker == "w-1"
    assert value(answer) == {"user": "u1", "plan": "pro"}


async def test_a_result_over_its_limit_fails_the_call_before_anything_is_uploaded(
    worker: Worker, calls: Calls, streams: Nats
):
    worker.tool(LOOKUP, retry="safe")(lambda: "x" * 100_000)

    async with running(worker):
        asked = await calls.ask(max_result_bytes=90_000)
        answer = await calls.to(asked)

    assert (answer.outcome, answer.kind) == ("failed", "too-large")
    assert answer.error == "the result has 100,002 bytes, and at most 90,000 are taken"
    assert (await streams.jetstream().stream_info("BLOB")).state.messages == 0


async def test_bytes_are_answered_as_a_file(worker: Worker, calls: Calls):
    worker.tool(LOOKUP, retry="safe")(lambda: b"%PDF-1.7")

    async with running(worker):
        said = value(await calls.answer())

    assert (said["media_type"], said["size"], said["data"]) == ("application/pdf", 8, "JVBERi0xLjc=")


async def test_a_worker_registers_what_its_tools_take(worker: Worker, tool_gateway: ToolGateway):
    @worker.tool(LOOKUP, retry="safe")
    async def lookup(userId: str) -> bool:
        """Whether somebody is a user."""
        return True

    @worker.tool("anything", parameters={"type": "object"})
    async def anything(**arguments: Any) -> None: ...

    async with running(worker):
        offers = {offer.tool: offer for offer in tool_gateway.registrations}

    assert offers[LOOKUP].retry == "safe"
    assert (offers[LOOKUP].parameters or {})["required"] == ["userId"]
    assert offers[LOOKUP].description == "Whether somebody is a user."
    assert offers[LOOKUP].result == {"type": "boolean"}
    assert offers["anything"].retry == "never"
    assert offers["anything"].parameters == {"type": "object"}


async def test_a_worker_waits_for_the_tool_gateway(streams: Nats, log: Log, nats_url: str):
    worker = Worker(nats_url)
    worker.tool(LOOKUP)(lambda: "here")
    late = ToolGateway(streams)
    task = asyncio.create_task(worker.run(signals=False))
    await late.start()

    assert value(await Calls(log, late).answer()) == "here"
    worker.stop()
    await task


async def test_a_refused_registration_ends_the_worker_with_the_reason(worker: Worker, tool_gateway: ToolGateway):
    tool_gateway.refuses.add(LOOKUP)
    worker.tool(LOOKUP)(lambda: None)

    with pytest.raises(Refused, match=f"the registration of tool '{LOOKUP}' was refused .*no JSON schema"):
        await worker.run(signals=False)


async def test_a_worker_without_tools_says_so(worker: Worker):
    with pytest.raises(NoTools, match="has no tools"):
        await worker.run()


async def test_two_tools_of_one_name_are_refused(worker: Worker):
    worker.tool(LOOKUP)(lambda: None)

    with pytest.raises(ToolDefinitionError, match="two tools of this name"):
        worker.tool(LOOKUP)(lambda: None)


async def test_a_plain_function_runs_beside_the_event_loop(worker: Worker, calls: Calls):
    worker.tool(LOOKUP)(lambda: threading.current_thread() is threading.main_thread())

    async with running(worker):
        assert value(await calls.answer()) is False


async def test_a_tool_learns_which_call_it_runs_for(worker: Worker, calls: Calls, log: Log):
    @worker.tool(LOOKUP)
    async def lookup(*, call: ToolContext) -> ToolContext:
        return call

    async with running(worker):
        asked = await calls.ask(attempt=2)
        context = msgspec.json.decode((await calls.to(asked)).result, type=ToolContext)

    assert context.call == asked.call
    assert context.attempt == 2
    assert context.session == log.session
    assert context.deadline_at == asked.deadline_at


def refuse() -> None:
    raise ToolError("no user has the id u9")


def stumble() -> None:
    raise KeyError("plan")


def unprintable() -> Any:
    return object()


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (refuse, "no user has the id u9"),
        (stumble, "KeyError: 'plan'"),
        (unprintable, "TypeError: a value of type object cannot be written as JSON"),
        (lambda userId: userId, f"the arguments do not fit {LOOKUP}: Object missing required field `userId`"),
    ],
)
async def test_a_tool_that_fails_answers_with_a_sentence(
    worker: Worker, calls: Calls, function: Callable[..., Any], error: str
):
    worker.tool(LOOKUP)(function)

    async with running(worker):
        answer = await calls.answer()

    assert answer.outcome == "failed"
    assert answer.error == error


async def test_a_request_past_its_deadline_is_not_run(worker: Worker, calls: Calls):
    ran: list[str] = []
    worker.tool(LOOKUP)(lambda: ran.append("ran"))

    async with running(worker):
        answer = await calls.answer(seconds=-1)

    assert answer.outcome == "expired"
    assert ran == []


@pytest.mark.parametrize(("asked", "declared"), [("never", "safe"), ("safe", "never")])
async def test_a_call_that_must_not_run_twice_is_claimed_first(
    worker: Worker, calls: Calls, streams: Nats, asked: Any, declared: Any
):
    worker.tool(LOOKUP, retry=declared)(lambda: "ran")

    async with running(worker):
        call = await calls.ask(retry=asked)
        await calls.to(call)
    claim = await streams.jetstream().get_last_msg(
        "RES", subjects.claim_subject(call.tenant, call.tool, call.session, call.call, call.attempt)
    )

    assert claim.data == b'{"worker":"w-1"}'


async def test_a_call_that_is_claimed_elsewhere_is_acked_and_not_run(
    worker: Worker, calls: Calls, tool_gateway: ToolGateway, streams: Nats, log: Log
):
    ran: list[str] = []
    worker.tool(LOOKUP, retry="never")(lambda: ran.append("ran"))
    await streams.jetstream().publish(subjects.claim_subject("default", LOOKUP, log.session, "c1", 1), b"closed")

    async with running(worker):
        asked = await calls.ask(retry="never")
        await calls.all_acked()

    assert ran == []
    assert await tool_gateway.answer(asked) is None


async def test_a_call_that_is_already_answered_keeps_its_first_answer(worker: Worker, calls: Calls, streams: Nats):
    worker.tool(LOOKUP, retry="safe")(lambda: "second")
    asked = await calls.ask()
    first = msgspec.json.encode(ToolAnswer("succeeded", msgspec.Raw(b'"first"')))
    await streams.jetstream().publish(
        subjects.answer_subject(asked.tenant, asked.tool, asked.session, asked.call, asked.attempt), first
    )

    async with running(worker):
        await calls.all_acked()
        assert value(await calls.to(asked)) == "first"


async def test_a_large_result_lies_in_chunks_under_its_call_and_its_hash(worker: Worker, calls: Calls, streams: Nats):
    text = "long " * 300_000
    worker.tool(LOOKUP, retry="safe")(lambda: text)

    async with running(worker):
        asked = await calls.ask(call="c1")
        answer = await calls.to(asked)
    assert answer.result_ref is not None
    stored = await Uploads(streams).read(answered_at(asked), answer.result_ref, key=None)

    assert answer.result_ref.size > MAX_INLINE_BYTES
    assert msgspec.json.decode(stored.value) == text
    assert len(stored.chunks) == await uploaded(streams) == 3


async def test_a_result_whose_worker_died_before_it_answered_is_uploaded_on(
    worker: Worker, calls: Calls, streams: Nats
):
    text = "long " * 300_000
    body = msgspec.json.encode(text)
    asked = request(LOOKUP, session=calls.session)
    begun = subjects.upload_subject(answered_at(asked), sha256(body).hexdigest(), 0)
    await declare_uploads(streams, Settings(), DEFAULT_TENANT)
    await streams.jetstream().publish(begun, body[: 512 * 1024])
    worker.tool(LOOKUP, retry="safe")(lambda: text)

    async with running(worker):
        answer = await calls.answer()
    assert answer.result_ref is not None
    stored = await Uploads(streams).read(answered_at(asked), answer.result_ref, key=None)

    assert msgspec.json.decode(stored.value) == text
    assert await uploaded(streams) == 3


async def test_a_result_that_finds_no_room_fails_its_call_and_says_why(
    worker: Worker, calls: Calls, tool_gateway: ToolGateway, streams: Nats, monkeypatch: pytest.MonkeyPatch
):
    """It was tried for as long as the deadline was away, and longer; the reason was that nothing was confirmed."""
    monkeypatch.setattr(blobs, "FULL_SECONDS", 0.1)
    tool_gateway.quota_bytes = 2_000_000
    worker.tool(LOOKUP, retry="safe")(lambda: "long " * 300_000)

    async with running(worker):
        first = await calls.answer(call="c1")
        second = await calls.answer(call="c2")

    assert (first.outcome, second.outcome) == ("succeeded", "failed")
    assert second.reason.startswith(
        "the call ran, and its result of 1,500,002 bytes finds no room: the tenant's upload quota of 1.907 MiB is used"
    )


async def test_a_result_that_is_larger_than_the_whole_quota_takes_nothing_of_it(
    worker: Worker, calls: Calls, tool_gateway: ToolGateway, streams: Nats
):
    tool_gateway.quota_bytes = 1_000_000
    worker.tool(LOOKUP, retry="safe")(lambda: "long " * 300_000)

    async with running(worker):
        answer = await calls.answer()

    assert (answer.outcome, await uploaded(streams)) == ("failed", 0)


def answered_at(asked: ToolRequested) -> subjects.AnswerSubject:
    return subjects.AnswerSubject(asked.tenant, asked.tool, asked.session, asked.call, asked.attempt)


async def uploaded(streams: Nats) -> int:
    """Return how many chunks the workers of the tenant have uploaded."""
    return (await streams.jetstream().stream_info(f"UPLOADS_{DEFAULT_TENANT}")).state.messages


async def test_a_long_call_keeps_its_request(worker: Worker, calls: Calls):
    runs: list[int] = []
    release = asyncio.Event()

    @worker.tool(LOOKUP, retry="safe")
    async def lookup() -> str:
        runs.append(1)
        await release.wait()
        return "done"

    async with running(worker):
        asked = await calls.ask()
        await until(lambda: runs)
        await asyncio.sleep(3 * ACK_WAIT_SECONDS)  # that time passes is what the test is about
        release.set()
        await calls.to(asked)
        await calls.all_acked()

    assert len(runs) == 1


async def test_a_request_that_is_delivered_again_is_not_run_beside_itself(
    worker: Worker, calls: Calls, monkeypatch: pytest.MonkeyPatch
):
    """A stalled event loop sends no heartbeats; then the server delivers again what still runs here."""
    at_once: list[int] = []
    now = 0
    release = asyncio.Event()

    async def no_heartbeats(_: serving.Serving) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(serving.Serving, "keep_alive", no_heartbeats)

    @worker.tool(LOOKUP, retry="safe")
    async def lookup() -> str:
        nonlocal now
        now += 1
        at_once.append(now)
        await release.wait()
        now -= 1
        return "done"

    async with running(worker):
        asked = await calls.ask()
        await until(lambda: calls.delivered(3))
        release.set()
        await calls.to(asked)
        await calls.all_acked()

    assert max(at_once) == 1


async def test_a_request_that_comes_again_after_its_answer_is_acked_and_not_run_again(
    worker: Worker, calls: Calls, streams: Nats
):
    """Where a server dies the queue may hold a request twice, or have lost its ack: the call took effect again."""
    runs: list[str] = []

    @worker.tool(LOOKUP, retry="safe")
    async def lookup(call: ToolContext) -> str:
        runs.append(call.call)
        return "done"

    async with running(worker):
        asked = await calls.ask()
        await calls.to(asked)
        copy = subjects.request_subject(asked.tenant, asked.tool, asked.session)
        await streams.jetstream().publish(copy, msgspec.json.encode(asked))
        await until(lambda: calls.delivered(2))
        await calls.answer(call=CallId("c2"))
        await calls.all_acked()

    assert runs == [asked.call, "c2"]


@pytest.mark.parametrize(("of_all", "of_one", "most"), [(2, None, 2), (8, 3, 3)])
async def test_no_more_calls_run_at_once_than_allowed(
    tool_gateway: ToolGateway, calls: Calls, nats_url: str, of_all: int, of_one: int | None, most: int
):
    worker = Worker(nats_url, concurrency=of_all)
    at_once: list[int] = []
    now = 0

    @worker.tool(LOOKUP, retry="safe", concurrency=of_one)
    async def lookup() -> None:
        nonlocal now
        now += 1
        at_once.append(now)
        await asyncio.sleep(0.01)
        now -= 1

    async with running(worker):
        for i in range(20):
            await calls.ask(call=f"c{i}")
        await calls.all_acked()

    assert len(at_once) == 20
    assert max(at_once) == most


async def test_tools_share_the_worker_and_none_starves(tool_gateway: ToolGateway, calls: Calls, nats_url: str):
    worker = Worker(nats_url, concurrency=2)
    worker.tool("slow", retry="safe")(lambda: "slow")
    worker.tool("fast", retry="safe")(lambda: "fast")

    async with running(worker):
        asked = [await calls.ask(tool, call=f"{tool}-{i}") for i in range(20) for tool in ("slow", "fast")]
        answers = [await calls.to(one) for one in asked]

    assert [value(answer) for answer in answers] == ["slow", "fast"] * 20


async def test_a_stopped_worker_answers_what_runs_and_gives_back_the_rest(
    tool_gateway: ToolGateway, calls: Calls, nats_url: str
):
    worker, other = Worker(nats_url, name="w-1", concurrency=1), Worker(nats_url, name="w-2")
    release = asyncio.Event()
    began = asyncio.Event()

    @worker.tool(LOOKUP, retry="safe")
    async def lookup() -> str:
        began.set()
        await release.wait()
        return "done"

    other.tool(LOOKUP, retry="safe")(lambda: "from the other")
    async with running(worker):
        running_call = await calls.ask(call="c1")
        await began.wait()
        left = await calls.ask(call="c2")
        worker.stop()
        async with running(other):
            assert (await calls.to(left)).worker == "w-2"
        release.set()
        answer = await calls.to(running_call)

    assert answer.worker == "w-1"
    await calls.all_acked()


async def test_sigterm_stops_a_worker_gracefully(worker: Worker, calls: Calls):
    began = asyncio.Event()

    @worker.tool(LOOKUP, retry="safe")
    async def lookup() -> str:
        began.set()
        await asyncio.sleep(0.1)
        return "done"

    task = asyncio.create_task(worker.run())
    asked = await calls.ask()
    await began.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await task

    assert value(await calls.to(asked)) == "done"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_a_deleted_consumer_is_registered_again(worker: Worker, calls: Calls, streams: Nats):
    worker.tool(LOOKUP, retry="safe")(lambda: "here")

    async with running(worker):
        await streams.jetstream().delete_consumer("TOOLS", subjects.tool_consumer("default", LOOKUP))
        assert value(await calls.answer()) == "here"


async def test_an_unreadable_request_is_set_aside_and_blocks_nobody(worker: Worker, calls: Calls, streams: Nats):
    worker.tool(LOOKUP, retry="safe")(lambda: "here")
    session = "2f0193a5c1d07b7c8e9d4f60718293a4b5"

    async with running(worker):
        await streams.jetstream().publish(f"ev.2f.default.{session}.tool-request.{LOOKUP}", b"no event")
        assert value(await calls.answer()) == "here"
        await calls.all_acked()


async def test_a_worker_outlives_a_killed_server(nats_server: NatsServer):
    nats = await connect(nats_server.url)
    await declared(nats)
    tool_gateway, log = ToolGateway(nats), Log(nats)
    await tool_gateway.start()
    await log.append(session_created())
    calls = Calls(log, tool_gateway)
    worker = Worker(nats_server.url)
    worker.tool(LOOKUP, retry="safe")(lambda: "here")
    async with running(worker):
        await calls.answer(call="c1")
        await nats_server.kill()
        await nats_server.start()
        await until(lambda: nats.is_connected)

        assert value(await calls.answer(call="c2")) == "here"
    await nats.close()


# ---- calls that nobody waits for any more


async def stopped(calls: Calls, streams: Nats, asked: ToolRequested, attempt: int | None = None) -> None:
    """Say, as the tool gateway does, that nobody waits for the call."""
    hint = StopCall(asked.session, asked.call, attempt)
    await streams.publish(subjects.stop_subject(asked.tenant, asked.tool), msgspec.json.encode(hint))


async def test_a_handler_is_cancelled_when_nobody_waits_for_its_call(worker: Worker, calls: Calls, streams: Nats):
    begun, cleaned = asyncio.Event(), asyncio.Event()

    @worker.tool(LOOKUP)
    async def lookup(call: ToolContext) -> str:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            assert call.cancelled
            cleaned.set()
            raise
        return "never"

    async with running(worker):
        asked = await calls.ask()
        await until(lambda: begun.is_set())
        await stopped(calls, streams, asked)
        answer = await calls.to(asked)
        await calls.all_acked()

    assert cleaned.is_set()
    assert (answer.outcome, answer.error) == ("failed", "it was cancelled: nobody waited for it any more")


async def test_what_a_cancelled_handler_did_all_the_same_is_answered(worker: Worker, calls: Calls, streams: Nats):
    begun = asyncio.Event()

    @worker.tool(LOOKUP)
    async def lookup() -> str:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "it was paid already"
        return "never"

    async with running(worker):
        asked = await calls.ask()
        await until(lambda: begun.is_set())
        await stopped(calls, streams, asked, attempt=1)

        assert value(await calls.to(asked)) == "it was paid already"


async def test_a_thread_looks_whether_anybody_waits(worker: Worker, calls: Calls, streams: Nats):
    begun = threading.Event()

    @worker.tool(LOOKUP)
    def lookup(call: ToolContext) -> str:
        begun.set()
        while not call.cancelled:
            pass
        return "left off"

    async with running(worker):
        asked = await calls.ask()
        await until(begun.is_set)
        await stopped(calls, streams, asked)

        assert value(await calls.to(asked)) == "left off"


async def test_a_hint_stops_the_call_and_the_attempt_that_it_names_and_no_other(
    worker: Worker, calls: Calls, streams: Nats
):
    go_on = asyncio.Event()
    begun: list[str] = []

    @worker.tool(LOOKUP)
    async def lookup(call: ToolContext) -> str:
        begun.append(call.call)
        await go_on.wait()
        return "done"

    async with running(worker):
        asked, other = await calls.ask(call="c1"), await calls.ask(call="c2")
        await until(lambda: len(begun) == 2)
        await stopped(calls, streams, asked, attempt=2)
        await streams.publish(subjects.stop_subject(asked.tenant, asked.tool), b"nonsense")
        await stopped(calls, streams, other)
        answer = await calls.to(other)
        go_on.set()

        assert value(await calls.to(asked)) == "done"
    assert answer.outcome == "failed"


async def test_a_call_that_waits_for_room_is_let_go_when_nobody_waits_for_it(
    tool_gateway: ToolGateway, calls: Calls, streams: Nats, nats_url: str
):
    worker = Worker(nats_url, name="w-1", concurrency=1)
    go_on, ran = asyncio.Event(), list[str]()

    @worker.tool(LOOKUP)
    async def lookup(call: ToolContext) -> str:
        ran.append(call.call)
        await go_on.wait()
        return "done"

    @worker.tool("other")
    async def other(call: ToolContext) -> str:
        ran.append(call.call)
        return "done"

    async with running(worker):
        first = await calls.ask(call="c1")
        await until(lambda: ran == ["c1"])
        waits = await calls.ask("other", call="c2")
        await until(lambda: tool_gateway.deliveries("other"))
        await stopped(calls, streams, waits)
        go_on.set()
        await calls.to(first)
        await calls.all_acked()

    assert ran == ["c1"]
