"""Readers of turns over HTTP whose connections break at random. They know the last id that they read, and come back.

turn = Turn(session)
driver, viewer = Driver(turn), Viewer(turn)
await asyncio.gather(driver.read(gateway, http), viewer.read(gateway, http))
"""

import asyncio
import json
import random
import uuid
from typing import Any, NamedTuple

import httpx
from tests.support.processes import Process

from stenograph_events import SessionId

LINES = (2, 9)
"""Of how many events a connection lives at least and at most. The first one is `start`, which has no id."""


class Turn:
    """What those who read a turn know of each other."""

    def __init__(self, session: SessionId) -> None:
        self.session = session
        self.id = ""
        self.began = asyncio.Event()
        self.answering = asyncio.Event()
        """Set as soon as the turn, which asks its client once, has its answer."""


class Told(NamedTuple):
    """An event that a reader has for good: one without an id comes with the next that has one."""

    id: str
    event: dict[str, Any]


class Gateway:
    """Where the gateway is that runs now."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = ""
        self.doomed = False
        """Whether it is about to be killed: then nobody leaves it by themselves, and the kill breaks connections."""

    async def use(self, process: Process) -> None:
        """Send readers to `process` from now on, as soon as it listens."""
        line = json.loads(await process.line("http.listening"))
        self.process, self.url, self.doomed = process, f"http://127.0.0.1:{line['port']}", False


class Reader:
    """One reader of one turn, over as many connections as it takes."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.told: list[Told] = []
        self.over = False
        self.reconnects = 0
        """How often it went on, after a connection that broke, from something that it had, with something new."""
        self.killed = 0
        """How often a connection, of which it had read something, was broken by the other side."""
        self.reading = False
        """Whether the present connection has told it something."""
        self.connections = 0
        self._waiting: list[dict[str, Any]] = []
        self._broken = False

    def __repr__(self) -> str:
        return f"{type(self).__name__} of turn {self.turn.id} of session {self.turn.session}"

    async def read(self, gateway: Gateway, http: httpx.AsyncClient) -> None:
        """Read to the end of the turn."""
        while not self.over:
            self._waiting.clear()
            self.connections += 1
            try:
                await self._connect(gateway, http)
            except (httpx.HTTPError, OSError):
                self.killed += self.reading
                self._broken = True
                await asyncio.sleep(0.01)  # as long as the next gateway takes to be told of
            finally:
                self.reading = False

    async def _connect(self, gateway: Gateway, http: httpx.AsyncClient) -> None:
        method, path, body, headers = await self._request()
        if self.told:
            headers |= {"Last-Event-ID": self.told[-1].id}
        url = f"{gateway.url}/api/agent-sessions/{self.turn.session}/{path}"
        async with http.stream(method, url, json=body, headers=headers) as response:
            if response.status_code >= 500:
                raise httpx.ReadError("the services are not there yet")
            assert response.status_code == 200, (await response.aread(), url, headers)
            await self._hear(response, random.randint(*LINES), gateway)

    async def _hear(self, response: httpx.Response, lines: int, gateway: Gateway) -> None:
        id, had = "", len(self.told)
        async for line in response.aiter_lines():
            if line == "data: [DONE]":
                self.reading = self._broken = False
                return
            if line.startswith("id: "):
                id = line[4:]
            elif line.startswith("data: "):
                self._take(id, json.loads(line[6:]))
                self.reading = len(self.told) > had
                if had and self.reading and self._broken:
                    self.reconnects += 1
                    self._broken = False
                id, lines = "", lines - 1
            if lines <= 0 and not gateway.doomed:
                self.reading, self._broken = False, True
                return
        raise httpx.ReadError("the stream ends without [DONE]")

    def _take(self, id: str, event: dict[str, Any]) -> None:
        if event["type"] == "start":
            self.turn.id = self.turn.id or event["executionId"]
            self.turn.began.set()
            assert event["executionId"] == self.turn.id
            return
        if event["type"] == "error" and not id:
            raise httpx.ReadError("the gateway ends the stream, not the turn")
        self._waiting.append(event)
        if id:
            self.told += [Told(id, one) for one in self._waiting]
            for one in self._waiting:
                self._has(one)
            self._waiting.clear()

    def _has(self, event: dict[str, Any]) -> None:
        self.over = event["type"] == "error" or (event["type"] == "finish" and event["finishReason"] != "tool-calls")

    async def _request(self) -> tuple[str, str, Any, dict[str, str]]:
        """Return method, path, body and headers of the next connection, as soon as there is something to ask for."""
        raise NotImplementedError


class Viewer(Reader):
    """Only watches."""

    async def _request(self) -> tuple[str, str, Any, dict[str, str]]:
        await self.turn.began.wait()
        if self.told and self.told[-1].event["type"] == "finish":
            await self.turn.answering.wait()
        return "GET", f"observe?executionId={self.turn.id}", None, {}


class Driver(Reader):
    """Triggers the turn, and answers what it asks its client."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn)
        self._body: dict[str, Any] = {"triggerName": "ask", "input": {"QUESTION": "What is it?"}}
        self._headers = {"Idempotency-Key": str(uuid.uuid4())}
        self._results: list[dict[str, Any]] = []

    async def _request(self) -> tuple[str, str, Any, dict[str, str]]:
        return "POST", "trigger", self._body, dict(self._headers)

    def _has(self, event: dict[str, Any]) -> None:
        super()._has(event)
        if event["type"] == "tool-request":
            self._results = [{"toolCallId": call["toolCallId"], "result": "yes"} for call in event["toolCalls"]]
        elif event == {"type": "finish", "finishReason": "tool-calls"}:
            self._body, self._headers = {"executionId": self.turn.id, "toolResults": self._results}, {}
            self.turn.answering.set()
