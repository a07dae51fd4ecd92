"""What a worker says of a call that runs: shown to who watches, only for the call that it has, and never too much."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from tests.support.agents import CALL_THEN_SAY, TOOLS
from tests.support.services import TENANT, Frames, Stage, Talk
from tests.support.wait import until

from stenograph_events import StoredEvent
from stenograph_events.frames import AnyFrame, ToolProgress
from stenograph_events.progress import BODY_BYTES, TEXT_CHARACTERS
from stenograph_events.subjects import progress_subject
from stenograph_events.types import ToolRequested, ToolSucceeded, TurnFinished
from stenograph_sdk import ToolContext, Worker
from stenograph_services.tool_gateway import app as tool_gateway
from stenograph_services.tool_gateway.progress import HEARD, REST_SECONDS, WINDOW_SECONDS

TWO_AT_ONCE = """\
loop: true
turns:
  - - calls:
        - {tool: get-account, arguments: {userId: u1}}
        - {tool: get-account, arguments: {userId: u2}}
    - text: Both.
"""


OTHER_MESSAGES = 500  # that a tool gateway reads while two turns end


@asynccontextmanager
async def serving(stage: Stage, function: Any) -> AsyncIterator[None]:
    worker = Worker(stage.settings.nats_url, name="w-1")
    worker.tool("get-account", retry="safe")(function)
    task = asyncio.create_task(worker.run(signals=False))
    await worker.serving.wait()
    try:
        yield
    finally:
        worker.stop()
        await task


async def told(frames: Frames, text: str) -> ToolProgress:
    """Return the frame that says `text`, as soon as it is there."""
    return await until(lambda: next((one for one in progress(frames) if one.text == text), None), what=text)


def progress(frames: Frames) -> list[ToolProgress]:
    return [frame for frame in frames.heard if isinstance(frame, ToolProgress)]


async def asked(stage: Stage, script: str = CALL_THEN_SAY) -> tuple[Talk, str, ToolRequested]:
    """Return a session whose turn waits for a call, the turn, and the request."""
    talk = await stage.session(script, tools=TOOLS)
    turn = await talk.send()
    return talk, turn, await talk.request()


async def answered(talk: Talk, turn: str, *requests: ToolRequested) -> None:
    for request in requests:
        await talk.answer(request, {"plan": "pro"})
    await talk.end_of(turn)
    await talk.check()


async def test_a_client_sees_how_far_a_handler_is_between_its_request_and_its_result(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, tools=TOOLS)
    seen: list[StoredEvent | AnyFrame] = []
    shown = asyncio.Event()

    async def get_account(userId: str, *, call: ToolContext) -> dict[str, str]:
        call.progress("1 of 2 ledgers", done=1, total=2)
        await shown.wait()
        return {"plan": "pro"}

    async with serving(stage, get_account), aclosing(talk.sdk.trigger("user-message", {"TEXT": "Hello"})) as items:
        async for item in items:
            seen.append(item)
            if isinstance(item, ToolProgress):
                shown.set()

    [at] = [i for i, item in enumerate(seen) if isinstance(item, ToolProgress)]
    frame = seen[at]
    [request] = [item for item in seen[:at] if isinstance(item, ToolRequested)]
    assert isinstance(frame, ToolProgress)
    assert (frame.call, frame.tool, frame.turn) == (request.call, "get-account", request.turn)
    assert (frame.text, frame.done, frame.total) == ("1 of 2 ledgers", 1, 2)
    assert frame.frame_id == f"{request.call}.1.1"
    assert [type(item) for item in seen[at + 1 :] if isinstance(item, ToolSucceeded | TurnFinished)] == [
        ToolSucceeded,
        TurnFinished,
    ]
    await talk.check()


async def test_a_handler_in_a_thread_says_how_far_it_is(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, tools=TOOLS)
    shown = threading.Event()

    def get_account(userId: str, *, call: ToolContext) -> dict[str, str]:
        for page in range(1, 10_001):
            call.progress(f"{page} of 10000 pages", done=page, total=10_000)
        assert shown.wait(10)
        return {"plan": "pro"}

    async with Frames(stage.nc, talk.id) as frames, serving(stage, get_account):
        turn = await talk.send()
        await told(frames, "10000 of 10000 pages")
        shown.set()
        await talk.end_of(turn)

    assert len(progress(frames)) <= 3  # of ten thousand: the first, perhaps one more, and the last
    await talk.check()


async def test_each_of_two_calls_is_told_of_by_itself(stage: Stage):
    talk, turn, first = await asked(stage, TWO_AT_ONCE)
    second = await talk.request(2)

    async with Frames(stage.nc, talk.id) as frames:
        await talk.progress(second, "half of the second")
        await talk.progress(first, "half of the first")
        shown = [await told(frames, "half of the second"), await told(frames, "half of the first")]

    assert [one.call for one in shown] == [second.call, first.call]
    await answered(talk, turn, first, second)


async def test_what_is_said_of_a_call_that_is_not_ones_own_is_shown_to_nobody(stage: Stage):
    talk, turn, request = await asked(stage)
    other, others_turn, foreign = await asked(stage)

    async with Frames(stage.nc, talk.id) as frames, Frames(stage.nc, other.id) as others:
        await talk.progress(request, "of another tool", tool="send-mail")
        await talk.progress(request, "of another attempt", attempt=2)
        await talk.progress(request, "of no call", call="c-999")
        await talk.progress(request, "of another session's call", session=other.id)
        await talk.progress(foreign, "of a call of another session")
        await talk.progress(request, "of a session that is not there", session="00" + "0" * 32)
        await talk.progress(request, "true")
        await told(frames, "true")
        await other.progress(foreign, "true as well")
        await told(others, "true as well")

    assert [one.text for one in progress(frames)] == ["true"]
    assert [one.text for one in progress(others)] == ["true as well"]
    await answered(talk, turn, request)
    await answered(other, others_turn, foreign)


async def test_what_is_said_of_an_answered_call_is_dropped(stage: Stage):
    talk, turn, request = await asked(stage)
    await answered(talk, turn, request)
    still, stills_turn, open_one = await asked(stage)

    async with Frames(stage.nc, talk.id) as frames, Frames(stage.nc, still.id) as others:
        await talk.progress(request, "too late")
        await still.progress(open_one, "in time")
        await told(others, "in time")

    assert progress(frames) == []
    await answered(still, stills_turn, open_one)


async def test_what_is_said_of_a_cancelled_call_is_dropped(stage: Stage):
    talk, turn, request = await asked(stage)
    await talk.cancel(turn)
    await talk.end_of(turn)
    still, stills_turn, open_one = await asked(stage)

    async with Frames(stage.nc, talk.id) as frames, Frames(stage.nc, still.id) as others:
        await talk.progress(request, "too late")
        await still.progress(open_one, "in time")
        await told(others, "in time")

    assert progress(frames) == []
    await answered(still, stills_turn, open_one)


async def test_what_is_no_progress_is_dropped_and_what_is_too_long_is_cut(stage: Stage):
    talk, turn, request = await asked(stage)
    subject = progress_subject(TENANT, request.tool, talk.id, request.call, 1)

    async with Frames(stage.nc, talk.id) as frames:
        for body in (b"", b"{", b"[]", b'{"text":7}', b'{"k":0}', b'{"k":-1}', b'{"done":"much"}', b"\xff"):
            await stage.nc.publish(subject, body)
        await stage.nc.publish(f"tool.progress.{TENANT}.get-account.x", b"{}")
        await talk.progress(request, "a\tlong\n" + "x" * 1000)
        frame = await until(lambda: next(iter(progress(frames)), None), what="a frame")

    assert len(progress(frames)) == 1
    assert frame.text == f"a long {'x' * (TEXT_CHARACTERS - 8)}…"
    await answered(talk, turn, request)


async def test_a_flood_is_cut_by_the_server_and_results_go_through(stage: Stage):
    talk, turn, request = await asked(stage)
    other, others_turn, others_request = await asked(stage)
    gateway: Any = stage.running("tool-gateway").service
    sent = itertools.count(1)

    async def flood() -> None:
        while True:
            for k in itertools.islice(sent, 200):
                await talk.progress(request, f"{k}", k)
            await asyncio.sleep(0)

    began, read_before = asyncio.get_running_loop().time(), gateway._nc.stats["in_msgs"]
    async with Frames(stage.nc, talk.id) as frames:
        flooding = asyncio.create_task(flood())
        await until(lambda: len(progress(frames)) >= 3, what="three frames")
        await answered(other, others_turn, others_request)
        await answered(talk, turn, request)
        await until(lambda: next(sent) > 5_000, what="a flood")
        flooding.cancel()

    seconds = asyncio.get_running_loop().time() - began
    assert len(progress(frames)) <= seconds / REST_SECONDS + 2
    assert gateway._nc.stats["in_msgs"] - read_before <= HEARD * (seconds / WINDOW_SECONDS + 1) + OTHER_MESSAGES


async def test_another_tool_gateway_goes_on_where_one_ended(stage: Stage):
    talk, turn, request = await asked(stage)

    async with Frames(stage.nc, talk.id) as frames:
        await talk.progress(request, "before", 1)
        await told(frames, "before")
        await stage.end(stage.running("tool-gateway"))
        await stage.start(tool_gateway.build)

        async def goes_on() -> bool:  # it listens a moment after it has started
            await talk.progress(request, "after", 2)
            return any(one.text == "after" for one in progress(frames))

        await until(goes_on, what="progress goes on")

    await answered(talk, turn, request)


async def test_who_sends_a_book_in_place_of_a_line_is_not_heard_for_a_while(stage: Stage):
    talk, turn, request = await asked(stage)
    subject = progress_subject(TENANT, request.tool, talk.id, request.call, 1)
    gateway: Any = stage.running("tool-gateway").service
    tenant = gateway._progress._tenants[TENANT]

    await stage.nc.publish(subject, b" " * (BODY_BYTES + 1))
    await until(lambda: tenant._muted, what="the tenant is not heard")

    await answered(talk, turn, request)
