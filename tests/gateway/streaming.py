"""One turn over HTTP: its stream read as a client reads it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx


class Heard:
    """What came of a stream: the events, the comments, and whether it was `[DONE]` at its end."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.events: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.identified: list[tuple[str | None, dict[str, Any]]] = []
        """The events, each after its own id, if it has one."""
        self.heartbeats = 0
        self._id: str | None = None
        self.done = False

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def text(self) -> str:
        return "".join(event["delta"] for event in self.events if event["type"] == "text-delta")

    @property
    def execution(self) -> str:
        """The id of the turn, as its first event says."""
        return str(self.events[0]["executionId"])

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The calls that the client is asked to answer."""
        [request] = [event for event in self.events if event["type"] == "tool-request"]
        calls: list[dict[str, Any]] = request["toolCalls"]
        return calls

    async def begun(self) -> str:
        """Read the first event, if it was not read yet, and return the id of the turn."""
        if not self.events:
            await self.until("start")
        return self.execution

    async def until(self, type: str) -> dict[str, Any]:
        """Read on to the next event of a type, and return it."""
        async for event in self.rest():
            if event["type"] == type:
                return event
        raise AssertionError(f"no {type} in {self.events}")

    async def rest(self) -> AsyncIterator[dict[str, Any]]:
        async for line in self._lines():
            assert not (line and self.done), f"{line!r} came after [DONE]"
            if line.startswith(":"):
                self.heartbeats += 1
            elif line.startswith("id: "):
                self.ids.append(line[4:])
                self._id = line[4:]
            elif line == "data: [DONE]":
                self.done = True
            elif line:
                assert line.startswith("data: "), f"{line!r} is no line that the client reads"
                self.events.append(json.loads(line[6:]))
                self.identified.append((self._id, self.events[-1]))
                self._id = None
                yield self.events[-1]

    async def end(self) -> None:
        async for _ in self.rest():
            pass

    async def _lines(self) -> AsyncIterator[str]:
        if not hasattr(self, "_reading"):
            self._reading = self.response.aiter_lines()
        async for line in self._reading:
            yield line


@asynccontextmanager
async def triggered(
    http: httpx.AsyncClient, session: str, text: str = "Hello", *, name: str = "user-message", **headers: str
) -> AsyncIterator[Heard]:
    body = {"triggerName": name, "input": {"TEXT": text}}
    async with http.stream("POST", f"/api/agent-sessions/{session}/trigger", json=body, headers=headers) as response:
        yield Heard(response)


@asynccontextmanager
async def observing(
    http: httpx.AsyncClient, session: str, last: str | None = None, **query: str
) -> AsyncIterator[Heard]:
    headers = {} if last is None else {"Last-Event-ID": last}
    async with http.stream("GET", f"/api/agent-sessions/{session}/observe", params=query, headers=headers) as response:
        yield Heard(response)


async def observed(
    http: httpx.AsyncClient, session: str, last: str | None = None, **query: str
) -> list[tuple[str | None, dict[str, Any]]]:
    """Return the stream from where a client was."""
    async with observing(http, session, last, **query) as heard:
        await heard.end()
    assert heard.response.status_code == 200
    assert heard.done
    return heard.identified


@asynccontextmanager
async def continued(
    http: httpx.AsyncClient, session: str, execution: str, *results: dict[str, Any], **beside: Any
) -> AsyncIterator[Heard]:
    """Send the results of a client's tools; `beside` is more of the body."""
    body = {"executionId": execution, "toolResults": results, **beside}
    async with http.stream("POST", f"/api/agent-sessions/{session}/trigger", json=body) as response:
        yield Heard(response)


async def leg(http: httpx.AsyncClient, session: str, execution: str, *results: dict[str, Any], **beside: Any) -> Heard:
    """Return the whole leg that follows on the results of a client's tools."""
    async with continued(http, session, execution, *results, **beside) as heard:
        await heard.end()
        return heard


async def turn(http: httpx.AsyncClient, session: str, text: str = "Hello", **more: str) -> Heard:
    """Return the whole stream of one turn."""
    async with triggered(http, session, text, **more) as heard:
        await heard.end()
        return heard
