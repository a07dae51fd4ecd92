"""A model provider on 127.0.0.1: a real HTTP server that streams what it is told, byte for byte.

    POST /v1/chat/completions                              OpenAI
    POST /v1/responses                                     OpenAI, Responses API
    POST /v1/messages                                      Anthropic
    POST /v1beta/models/<model>:streamGenerateContent      Google

In a test: `async with ModelServer() as server: server.answers(Answer(text="Hello"))`, then `server.requests` holds what
was asked. By itself, for a benchmark, it answers at once: a call of the first tool it is offered, then a text.

    $ python -m tests.support.openai_server --port 9999 --arguments '{"userId":"user-123"}'
"""

import argparse
import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Self

import msgspec
from tests.support.model_answers import Answer, anthropic_events, google_events, openai_events, responses_events

Body = dict[str, Any]
Respond = Callable[[Body], Answer]

LAST_CHUNK = b"0\r\n\r\n"
MEGABYTE = bytes(1024 * 1024)


class ModelServer:
    """Answers each request with the next of `answers`, then with `respond`."""

    def __init__(self, respond: Respond = lambda _: Answer(text="Hello"), *, keep_requests: bool = True) -> None:
        self.requests: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self._respond = respond
        self._keep_requests = keep_requests
        self._queue: deque[Answer] = deque()
        self._open: set[asyncio.Task[None]] = set()
        self._hung_up = asyncio.Event()
        self._server: asyncio.Server | None = None

    def answers(self, *answers: Answer) -> None:
        """Queue `answers` for the next requests, one each."""
        self._queue.extend(answers)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    async def all_hung_up(self) -> None:
        """Wait until no client is connected."""
        while self._open:
            self._hung_up.clear()
            await self._hung_up.wait()

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port, limit=64 * 1024 * 1024)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Refuse new connections and cut the open ones."""
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        self._hung_up.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away, which some tests want
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; tell whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name}
        body = msgspec.json.decode(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
        if self._keep_requests:
            self.requests.append(body)
            self.headers.append(headers)
        answer = self._queue.popleft() if self._queue else self._respond(body)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.status != 200:
            writer.write(_refusal(answer, path))
            await writer.drain()
            return True
        events = [answer.body] if answer.body is not None else events_for(path, answer, body)
        if answer.endless is not None:
            await _for_ever(writer, answer, events[: answer.ends_after])
        return await _stream(writer, answer, events)


def wire_bytes(path: str, answer: Answer, body: Body) -> bytes:
    """Return the whole response to a request to `path`, headers and all, as `answer.cut_at` counts it."""
    return _head(answer) + b"".join(map(_http_chunk, events_for(path, answer, body))) + LAST_CHUNK


def events_for(path: str, answer: Answer, body: Body) -> list[bytes]:
    """Return the events of `answer` in the format that `path` stands for."""
    if ":streamGenerateContent" in path:
        return google_events(answer, path.rpartition("/")[2].partition(":")[0])
    if path.endswith("/messages") or "/messages?" in path:
        return anthropic_events(answer, body["model"])
    if path.endswith("/responses"):
        return responses_events(answer, body["model"])
    return openai_events(answer, body["model"])


def _refusal(answer: Answer, path: str) -> bytes:
    body = (answer.body if answer.body is not None else _error(answer, path)) + MEGABYTE * answer.megabytes
    lines = [
        f"HTTP/1.1 {answer.status} {_phrase(answer.status)}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _error(answer: Answer, path: str) -> bytes:
    error: Body = {"message": answer.error, "type": "test", "code": answer.error_code}
    if "/v1beta/" in path:
        error = {"message": answer.error, "code": answer.status, "status": "TEST"}
    return msgspec.json.encode({"type": "error", "error": error})


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


async def _stream(writer: asyncio.StreamWriter, answer: Answer, events: list[bytes]) -> bool:
    """Send `events` as told; tell whether the connection stays open."""
    chunks = [*_chunks(answer, events), *[MEGABYTE] * answer.megabytes]
    torn = answer.cut_after is not None or answer.cut_at is not None
    if answer.piece_delay or answer.megabytes:
        writer.write(_head(answer))
        for chunk in chunks:
            writer.write(_http_chunk(chunk))
            await writer.drain()
            await asyncio.sleep(answer.piece_delay)
        whole = b""
    else:
        whole = _head(answer) + b"".join(map(_http_chunk, chunks))
    writer.write((whole if torn and answer.cut_at is None else whole + LAST_CHUNK)[: answer.cut_at])
    await writer.drain()
    return not torn


def _chunks(answer: Answer, events: list[bytes]) -> list[bytes]:
    """Return what travels in a piece: an event, or as many bytes as `answer` says."""
    events = [event for event in events if event]  # an empty chunk would be the last one
    events = events[: answer.cut_after if answer.cut_after is not None else answer.ends_after]
    if answer.chunk_bytes is None and answer.ends_at is None:
        return events
    body = b"".join(events)[: answer.ends_at]
    size = answer.chunk_bytes or len(body)
    return [body[at : at + size] for at in range(0, len(body), size)]


async def _for_ever(writer: asyncio.StreamWriter, answer: Answer, events: list[bytes]) -> None:
    """Send `events`, then `answer.endless` again and again until the client hangs up."""
    assert answer.endless is not None
    writer.write(_head(answer) + b"".join(map(_http_chunk, events)))
    while True:
        writer.write(_http_chunk(answer.endless))
        await writer.drain()
        await asyncio.sleep(answer.piece_delay)


def _head(answer: Answer) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {answer.content_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def _http_chunk(event: bytes) -> bytes:
    return f"{len(event):x}\r\n".encode() + event + b"\r\n"


def call_then_text(arguments: str) -> Respond:
    """Return an answerer that calls the first tool offered with `arguments`, and ends the turn after its result."""

    def respond(body: Body) -> Answer:
        tools = body.get("tools") or []
        if tools and body["messages"][-1]["role"] == "user":
            return Answer(calls=(("call_1", tools[0]["function"]["name"], arguments),))
        return Answer(text="You are on the Pro plan.")

    return respond


async def main() -> None:
    parser = argparse.ArgumentParser(description="A local OpenAI-compatible server that answers at once.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--arguments", default="{}", help="the arguments of the call it answers with, JSON")
    options = parser.parse_args()
    server = ModelServer(call_then_text(options.arguments), keep_requests=False)
    await server.start(options.port)
    print(server.openai_url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
