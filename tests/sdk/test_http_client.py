"""The client over HTTP against a real gateway: turns, handlers between their legs, logs, and what it says of errors."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.gateway.asking import ASK, ASK_TWICE, ASK_TWO, asking
from tests.support.agents import CALL_THEN_SAY, SAY_HELLO, SAY_SLOWLY, bundle
from tests.support.services import TENANT, Stage
from tests.support.wait import until

from stenograph_events import InvalidId, new_session_id
from stenograph_events.types import TurnFinished
from stenograph_sdk import ToolDefinitionError, ToolError, TurnNotCompleted, UnknownSession, tool
from stenograph_sdk.http import (
    Busy,
    ClientToolRequest,
    Finish,
    GatewayUnreachable,
    HttpClient,
    HttpRefused,
    HttpSession,
    Start,
    TextDelta,
    ToolCall,
    ToolOutputAvailable,
    ToolOutputError,
    ToolResult,
)
from stenograph_sdk.http.handlers import Tools
from stenograph_services.gateway import app as gateway
from stenograph_services.gateway.app import Gateway
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.service import Running


@pytest.fixture
async def client(url: str) -> AsyncIterator[HttpClient]:
    async with HttpClient.connect(url) as client:
        yield client


async def all_of(session: HttpSession, text: str = "Hi", **more: Any) -> list[Any]:
    return [event async for event in session.trigger("user-message", {"TEXT": text}, **more)]


def only(events: list[Any], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


# ---- turns


async def test_a_session_is_made_and_asked(services: Stage, client: HttpClient):
    agent, _ = await Agents(services.nc).store(TENANT, bundle("by-http", SAY_HELLO))

    session = await client.sessions.create(agent.slug)

    assert await session.ask("user-message", {"TEXT": "Hi"}) == "Hello!"
    assert [message["role"] for message in await session.messages()] == ["user", "assistant"]


async def test_a_turn_streams_from_start_to_finish(services: Stage, client: HttpClient):
    talk = await services.session(SAY_HELLO)

    events = await all_of(client.session(talk.id))

    assert isinstance(events[0], Start)
    assert events[-1] == Finish(finish_reason="stop")
    assert "".join(event.delta for event in only(events, TextDelta)) == "Hello!"
    assert (await talk.end_of(events[0].execution_id)).outcome == "completed"


async def test_the_same_request_is_the_same_turn(services: Stage, client: HttpClient):
    session = client.session((await services.session(SAY_HELLO)).id)

    first, second = await all_of(session, request="r-1"), await all_of(session, request="r-1")

    assert first[0] == second[0]
    assert (await session.state())["turns"] == 1


async def test_closing_the_stream_cancels_the_turn(services: Stage, client: HttpClient):
    talk = await services.session(SAY_SLOWLY)

    events = client.session(talk.id).trigger("user-message", {"TEXT": "Hi"})
    start = await anext(events)
    async for event in events:
        if isinstance(event, TextDelta):
            break
    await events.aclose()

    assert isinstance(start, Start)
    assert (await talk.end_of(start.execution_id)).outcome == "cancelled"


async def test_a_session_that_is_busy_says_when_to_try_again(services: Stage, client: HttpClient):
    talk = await services.session(CALL_THEN_SAY, when_busy="reject")
    turn = await talk.send("Hi")
    await talk.request()

    with pytest.raises(Busy, match="SESSION_BUSY") as busy:
        await all_of(client.session(talk.id))
    await talk.cancel(turn)
    await talk.end_of(turn)

    assert (busy.value.status, busy.value.retry_after) == (429, 2.0)


async def test_a_turn_that_fails_is_told_in_the_stream_and_raised_by_ask(services: Stage, client: HttpClient):
    session = client.session((await services.session("turns: []\n")).id)

    with pytest.raises(TurnNotCompleted, match="failed"):
        await session.ask("user-message", {"TEXT": "Hi"})


# ---- handlers


async def test_a_handler_answers_between_the_legs(services: Stage, url: str):
    asked: list[str] = []

    async def ask_user(question: str) -> dict[str, bool]:
        asked.append(question)
        return {"sure": True}

    talk = await asking(services, ASK_TWICE)
    async with HttpClient.connect(url, tools={"ask-user": ask_user}) as client:
        events = await all_of(client.session(talk.id))

    assert asked == ["Sure?", "Really?"]
    assert len({start.execution_id for start in only(events, Start)}) == 1
    assert [event.output for event in only(events, ToolOutputAvailable)] == [{"sure": True}] * 2
    assert only(events, Finish) == [Finish(finish_reason="stop")] == events[-1:]
    assert (await talk.end_of(events[0].execution_id)).outcome == "completed"


async def test_the_answer_is_the_text_of_the_last_message(services: Stage, url: str):
    async with HttpClient.connect(url, tools={"ask-user": lambda question: "yes"}) as client:
        session = client.session((await asking(services, ASK)).id)

        assert await session.ask("user-message", {"TEXT": "Hi"}) == "You said yes"


async def test_handlers_of_one_step_run_at_the_same_time(services: Stage, url: str):
    both = asyncio.Barrier(2)

    async def ask_user(question: str) -> str:
        await asyncio.wait_for(both.wait(), 10)
        return question

    async def pick_color() -> str:
        await asyncio.wait_for(both.wait(), 10)
        return "red"

    tools: Tools = {"ask-user": ask_user, "pick-color": pick_color}
    async with HttpClient.connect(url, tools=tools) as client:
        session = client.session((await asking(services, ASK_TWO)).id)

        assert await session.ask("user-message", {"TEXT": "Hi"}) == "You picked red"


async def test_what_a_handler_raises_is_read_by_the_model(services: Stage, url: str):
    @tool("ask-user")
    async def ask_user(question: str) -> str:
        raise ToolError("nobody is in front of the screen")

    async with HttpClient.connect(url, tools=[ask_user]) as client:
        events = await all_of(client.session((await asking(services, ASK)).id))

    [failed] = only(events, ToolOutputError)
    assert failed.error == "nobody is in front of the screen"
    assert events[-1] == Finish(finish_reason="stop")


async def test_arguments_that_do_not_fit_a_handler_are_its_error(services: Stage, url: str):
    def ask_user(question: int) -> str:
        raise AssertionError("it does not run")

    async with HttpClient.connect(url, tools={"ask-user": ask_user}) as client:
        events = await all_of(client.session((await asking(services, ASK)).id))

    [failed] = only(events, ToolOutputError)
    assert failed.error == "the arguments do not fit ask-user: Expected `int`, got `str` - at `$.question`"


async def test_a_handler_may_know_which_call_it_answers(services: Stage, url: str):
    known: list[ToolCall] = []

    def ask_user(question: str, *, call: ToolCall) -> None:
        known.append(call)

    async with HttpClient.connect(url, tools={"ask-user": ask_user}) as client:
        talk = await asking(services, ASK)
        await all_of(client.session(talk.id))

    assert [call.tool_call_id for call in known] == [(await talk.request()).call]


async def test_a_turn_that_waits_for_a_tool_without_a_handler_is_resumed_from_anywhere(services: Stage, url: str):
    talk = await asking(services, ASK_TWO)
    async with HttpClient.connect(url, tools={"pick-color": lambda: "blue"}) as client:
        events = await all_of(client.session(talk.id))

    [waiting] = only(events, ClientToolRequest)
    assert [call.args for call in waiting.tool_calls] == [{"question": "Sure?"}]
    assert [result.result for result in waiting.results] == ["blue"]
    assert events[-1] == Finish(finish_reason="client-tool-calls", execution_id=waiting.execution_id)

    mine = ToolResult(tool_call_id=waiting.tool_calls[0].tool_call_id, result="yes")
    async with HttpClient.connect(url) as elsewhere:
        session = elsewhere.session(talk.id)
        rest = [event async for event in session.resume(waiting.execution_id, [mine, *waiting.results])]

    assert rest[0] == Start(execution_id=waiting.execution_id)
    assert rest[-1] == Finish(finish_reason="stop")
    assert "".join(event.delta for event in only(rest, TextDelta)) == "You picked blue"


async def test_ask_says_which_handler_is_missing(services: Stage, client: HttpClient):
    session = client.session((await asking(services, ASK)).id)

    with pytest.raises(TurnNotCompleted, match="it waits for ask-user: give a handler"):
        await session.ask("user-message", {"TEXT": "Hi"})


async def test_a_function_that_cannot_be_a_handler_is_refused_at_once(url: str):
    with pytest.raises(ToolDefinitionError, match="'f'"):
        HttpClient(url, tools={"f": 5})  # type: ignore[dict-item]
    with pytest.raises(InvalidId):
        HttpClient(url, tools={"no tool": print})


# ---- logs


async def test_the_log_is_read_and_followed(services: Stage, client: HttpClient):
    talk = await services.session(SAY_HELLO)
    session = client.session(talk.id)
    await all_of(session)

    events = [event async for event in session.events()]
    after = [event async for event in session.events(after=3)]
    followed = []
    async for event in session.follow(after=1):
        followed.append(event)
        if isinstance(event, TurnFinished):
            break

    assert events == await talk.events()
    assert after == events[3:]
    assert followed == events[1:]


async def test_a_follower_outlives_a_restart_of_the_gateway(services: Stage):
    talk = await services.session(SAY_HELLO)
    running, port = await _gateway(services, 0)
    seen: list[Any] = []

    async def follow() -> None:
        async with HttpClient.connect(f"http://127.0.0.1:{port}") as client:
            async for event in client.session(talk.id).follow():
                seen.append(event)

    following = asyncio.create_task(follow())
    await until(lambda: bool(seen), what="the first event is seen")
    await running.stop()
    running, _ = await _gateway(services, port)
    turn = await talk.send("Hi")
    await talk.end_of(turn)
    await until(lambda: isinstance(seen[-1], TurnFinished), what="the turn is followed to its end")
    following.cancel()
    await running.stop()

    assert seen == await talk.events()


async def _gateway(services: Stage, port: int) -> tuple[Running, int]:
    running = Running(gateway.build, services.settings.model_copy(update={"port": port}))
    await running.start()
    assert isinstance(running.service, Gateway)
    return running, running.service.port


async def test_sessions_are_listed(services: Stage, client: HttpClient):
    agent, _ = await Agents(services.nc).store(TENANT, bundle("listed-by-http", SAY_HELLO))
    made = {(await client.sessions.create(agent.slug)).id for _ in range(3)}

    async def listed() -> set[str]:
        return {one["sessionId"] async for one in client.sessions.list(agent=agent.slug, status="idle")}

    async def all_listed() -> bool:
        return await listed() == made

    await until(all_listed, what="the index shows every session")


# ---- errors


async def test_what_is_refused_is_said_with_status_and_code(client: HttpClient, services: Stage):
    with pytest.raises(HttpRefused, match=r"the session was refused \(NOT_FOUND\): no agent 'nobody'") as refused:
        await client.sessions.create("nobody")
    assert refused.value.status == 404

    session = client.session((await services.session(SAY_HELLO)).id)
    with pytest.raises(HttpRefused, match="VALIDATION_ERROR"):
        [event async for event in session.trigger("no-such-trigger")]
    with pytest.raises(HttpRefused, match="has no event 99"):
        await session.state(at=99)


async def test_a_session_that_is_not_there_is_unknown(client: HttpClient):
    session = client.session(new_session_id())

    with pytest.raises(UnknownSession):
        await session.ask("user-message", {"TEXT": "Hi"})
    with pytest.raises(UnknownSession):
        await session.messages()
    with pytest.raises(UnknownSession):
        [event async for event in session.events()]
    with pytest.raises(UnknownSession):
        [event async for event in session.follow()]


async def test_a_gateway_that_is_not_there_is_said_with_its_address():
    url = "http://127.0.0.1:9"  # the port of the discard service, which nobody runs

    with pytest.raises(GatewayUnreachable, match=f"no gateway answers at {url}"):
        async with HttpClient.connect(url, timeout=0.2):
            pass
    with pytest.raises(GatewayUnreachable, match="no address such as"):
        HttpClient("nats://127.0.0.1")


async def test_an_id_that_could_be_no_session_is_refused_before_anything_is_asked(client: HttpClient):
    with pytest.raises(InvalidId):
        client.session("../agents")


def test_without_httpx_the_extra_is_named():
    code = """\
import sys
sys.modules["httpx"] = None
import stenograph_sdk
try:
    stenograph_sdk.HttpClient
except ImportError as error:
    print(error)
"""

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert 'pip install "stenograph-sdk[http]"' in said
