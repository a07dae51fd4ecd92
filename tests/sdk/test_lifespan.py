"""What a worker opens for its handlers: before the first registration, until after the last answer."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, Protocol

import pytest
from tests.sdk.services import ToolGateway
from tests.sdk.test_worker import LOOKUP, Calls, calls, running, value
from tests.support.wait import until

from stenograph_sdk import FromLifespan, LifespanFailed, Refused, Tool, ToolDefinitionError, Worker, lifespan
from stenograph_sdk.http.handlers import Handlers
from stenograph_sdk.lifespan import values_for

__all__ = ["calls"]


class Database:
    """Says what happens to it, in order."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.is_open = False

    @asynccontextmanager
    async def opened(self) -> "AsyncIterator[Database]":
        self.story.append("open")
        self.is_open = True
        yield self
        self.is_open = False
        self.story.append("close")


class Finds(Protocol):
    def find(self) -> str: ...


@pytest.fixture
def database() -> Database:
    return Database()


async def look_up(userId: str, db: Annotated[Database, FromLifespan]) -> dict[str, Any]:
    return {"user": userId, "open": db.is_open}


async def test_a_handler_gets_what_the_lifespan_yields(
    tool_gateway: ToolGateway, calls: Calls, nats_url: str, database: Database
):
    worker = Worker(nats_url, lifespan=database.opened)
    worker.tool(LOOKUP, retry="safe")(look_up)

    async with running(worker):
        answer = await calls.answer(arguments={"userId": "u1"})

    assert value(answer) == {"user": "u1", "open": True}
    assert database.story == ["open", "close"]
    assert list((tool_gateway.registrations[0].parameters or {})["properties"]) == ["userId"]


async def test_it_is_closed_after_the_last_answer(
    tool_gateway: ToolGateway, calls: Calls, nats_url: str, database: Database
):
    worker = Worker(nats_url, lifespan=database.opened)
    began, release = asyncio.Event(), asyncio.Event()

    @worker.tool(LOOKUP, retry="safe")
    async def slow(db: Annotated[Database, FromLifespan]) -> list[str]:
        began.set()
        await release.wait()
        return db.story

    async with running(worker):
        asked = await calls.ask()
        await began.wait()
        worker.stop()
        release.set()
        assert value(await calls.to(asked)) == ["open"]

    assert database.story == ["open", "close"]


async def test_several_are_opened_in_order_and_closed_in_reverse(
    tool_gateway: ToolGateway, calls: Calls, nats_url: str
):
    story: list[str] = []

    @lifespan
    async def first() -> AsyncIterator[str]:
        story.append("first")
        yield "text"
        story.append("first closed")

    @lifespan
    def second() -> Iterator[int]:
        story.append("second")
        yield 7
        story.append("second closed")

    worker = Worker(nats_url, lifespan=[first, second])

    @worker.tool(LOOKUP, retry="safe")
    def both(text: Annotated[str, FromLifespan], number: Annotated[int, FromLifespan]) -> list[Any]:
        return [text, number]

    async with running(worker):
        assert value(await calls.answer()) == ["text", 7]

    assert story == ["first", "second", "second closed", "first closed"]


async def test_one_that_does_not_start_ends_the_worker_before_anything_is_registered(
    tool_gateway: ToolGateway, nats_url: str, database: Database
):
    async def broken() -> AsyncIterator[None]:
        raise ConnectionRefusedError("nobody listens at db:5432")
        yield

    worker = Worker(nats_url, lifespan=[database.opened, broken])
    worker.tool(LOOKUP)(look_up)

    with pytest.raises(LifespanFailed, match="lifespan 'broken' did not start: ConnectionRefusedError: nobody listens"):
        await worker.run(signals=False)

    assert tool_gateway.registrations == []
    assert database.story == ["open", "close"]


async def test_it_is_closed_when_the_worker_fails(tool_gateway: ToolGateway, nats_url: str, database: Database):
    tool_gateway.refuses.add(LOOKUP)
    worker = Worker(nats_url, lifespan=database.opened)
    worker.tool(LOOKUP)(look_up)

    with pytest.raises(Refused):
        await worker.run(signals=False)

    assert database.story == ["open", "close"]


async def test_one_that_does_not_close_is_said_and_the_others_are_closed(
    tool_gateway: ToolGateway, nats_url: str, database: Database
):
    async def sticky() -> AsyncIterator[None]:
        yield
        raise OSError("the file is gone")

    worker = Worker(nats_url, lifespan=[database.opened, sticky])
    worker.tool(LOOKUP)(look_up)

    with pytest.raises(LifespanFailed, match="lifespan 'sticky' did not close: OSError: the file is gone"):
        async with running(worker):
            pass

    assert database.story == ["open", "close"]


async def test_a_worker_that_is_stopped_meanwhile_does_not_wait_for_it(
    tool_gateway: ToolGateway, nats_url: str, database: Database
):
    begun: list[str] = []

    async def endless() -> AsyncIterator[None]:
        begun.append("begun")
        await asyncio.Event().wait()
        yield

    worker = Worker(nats_url, lifespan=[database.opened, endless])
    worker.tool(LOOKUP)(look_up)
    task = asyncio.create_task(worker.run(signals=False))
    await until(lambda: begun)
    worker.stop()
    await task

    assert tool_gateway.registrations == []
    assert database.story == ["open", "close"]


async def test_a_handler_without_its_lifespan_is_refused_at_once(nats_url: str):
    worker = Worker(nats_url)
    worker.tool(LOOKUP)(look_up)

    with pytest.raises(ToolDefinitionError, match="'db' wants a Database, and no lifespan gives one"):
        await worker.run(signals=False)


async def test_what_is_no_context_manager_is_refused(tool_gateway: ToolGateway, nats_url: str):
    worker = Worker(nats_url, lifespan=lambda: 7)
    worker.tool(LOOKUP)(lambda: None)

    with pytest.raises(LifespanFailed, match="it must be a context manager, or yield once, not int"):
        await worker.run(signals=False)


@pytest.mark.parametrize(
    ("kind", "values", "found"),
    [
        (dict[str, int], [{"a": 1}, "text"], {"a": 1}),
        (Finds, ["text"], "text"),  # nobody can ask whether it is one
        (Exception, [ValueError("a"), "text"], None),
        (int, [True, 7], 7),  # a bool is an int, too; the exact type goes before
    ],
)
def test_a_parameter_is_filled_by_its_type(kind: Any, values: list[Any], found: Any):
    given = values_for("tool", {"it": kind}, values)

    assert given == {"it": values[0] if found is None else found}


def test_a_type_that_several_lifespans_give_is_refused():
    with pytest.raises(ToolDefinitionError, match=r"wants a str, and several lifespans give one \(values: str, str\)"):
        values_for("tool", {"it": str}, ["a", "b"])


async def test_a_handler_is_still_the_function_for_a_test_of_its_own(database: Database):
    tool = Tool(LOOKUP, look_up)

    assert await tool(userId="u1", db=database) == {"user": "u1", "open": False}


def test_a_client_that_answers_itself_opens_nothing():
    with pytest.raises(ToolDefinitionError, match="lifespans are opened by workers"):
        Handlers({LOOKUP: look_up})

    assert LOOKUP in Handlers({LOOKUP: partial(look_up, db=Database())})
