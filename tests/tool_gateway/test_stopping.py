"""Calls that nobody waits for any more: whoever runs them hears of it, after the log says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.agents import CALL_THEN_SAY, TOOLS
from tests.support.services import Stage
from tests.support.wait import until
from tests.tool_gateway.test_deadlines import MAIL_THEN_SAY, SHORT

from stenograph_events.types import ToolAnswerRejected, ToolCancelled, ToolOutcomeUnknown, ToolTimedOut
from stenograph_sdk import ToolContext, Worker


class Slow:
    """A worker whose tools do nothing until they are cancelled."""

    def __init__(self, url: str) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self._worker = Worker(url, name="w-1")
        self._worker.tool("get-account", retry="safe", parameters={"type": "object"})(self._wait)
        self._worker.tool("send-mail", parameters={"type": "object"})(self._wait)

    async def _wait(self, *, call: ToolContext, **_: object) -> None:
        self.begun.append(call.call)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.append(call.call)
            raise

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Slow"]:
        task = asyncio.create_task(self._worker.run(signals=False))
        await self._worker.serving.wait()
        try:
            yield self
        finally:
            self._worker.stop()
            await task


async def test_a_cancelled_turn_reaches_the_handler_and_what_it_answers_is_noted_as_late(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, tools=TOOLS)

    async with Slow(stage.settings.nats_url).serving() as slow:
        turn = await talk.send()
        await until(lambda: slow.begun)
        await talk.cancel(turn)
        await talk.end_of(turn)
        late = await talk.until(ToolAnswerRejected)

    [cancelled] = await talk.all(ToolCancelled)
    assert slow.cancelled == slow.begun == [cancelled.call]
    assert (late.reason, late.outcome, late.worker) == ("late", "failed", "w-1")
    assert late.n > cancelled.n
    await talk.check()


async def test_a_deadline_that_passed_reaches_the_handler(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, tools=SHORT)

    async with Slow(stage.settings.nats_url).serving() as slow:
        turn = await talk.send()
        timed_out = await talk.until(ToolTimedOut)
        await until(lambda: slow.cancelled)
        await talk.end_of(turn)

    assert slow.cancelled == [timed_out.call]


async def test_a_call_whose_outcome_is_unknown_is_cancelled_too(stage: Stage):
    talk = await stage.session(MAIL_THEN_SAY, tools=SHORT)

    async with Slow(stage.settings.nats_url).serving() as slow:
        turn = await talk.send()
        unknown = await talk.until(ToolOutcomeUnknown)
        await until(lambda: slow.cancelled)
        await talk.end_of(turn)

    assert slow.cancelled == [unknown.call]
