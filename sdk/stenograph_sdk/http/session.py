"""One session over HTTP: send triggers, follow their turns, read the log."""

import uuid
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, suppress
from typing import Any

import httpx

from stenograph_events import SessionId, StoredEvent, checked_id, shard_of
from stenograph_events.values import OfferedTool, Resolution, Sender
from stenograph_sdk.encoding import to_json
from stenograph_sdk.http.answering import Answer
from stenograph_sdk.http.errors import StreamBroken
from stenograph_sdk.http.events import ToolResult
from stenograph_sdk.http.exchange import (
    AGAIN_SECONDS,
    EXTRAS,
    JSON,
    Lines,
    LogLines,
    Messages,
    Waiting,
    decoded,
    given,
)
from stenograph_sdk.http.handlers import Handlers
from stenograph_sdk.http.legs import AnyStreamEvent, Legs, resume_body, trigger_body
from stenograph_sdk.http.log_chain import LogChain
from stenograph_sdk.http.transport import Transport
from stenograph_sdk.offering import offered
from stenograph_sdk.tools import Tool
from stenograph_sdk.tracing import trace_headers


class HttpSession:
    """A session by its id. Cheap to make; nothing is asked of the gateway until it is used."""

    def __init__(self, transport: Transport, session: str, handlers: Handlers) -> None:
        self.id = SessionId(checked_id(session, "session"))
        shard_of(session)
        self._transport = transport
        self._handlers = handlers
        self._path = f"/api/agent-sessions/{self.id}"

    async def trigger(
        self,
        name: str,
        input: dict[str, Any] | None = None,
        *,
        request: str | None = None,
        tools: Iterable[Tool | OfferedTool] = (),
        sender: Sender | None = None,
    ) -> AsyncGenerator[AnyStreamEvent, None]:
        """Send trigger `name` and yield the events of its turn, through all its legs; handlers answer in between.

        The last one is `Finish` or `StreamError`. After `ClientToolRequest` the turn waits for `resume`. The same
        `request` id is the same turn. Raises `Busy` while another turn runs, `HttpRefused` for what the gateway will
        not take, `UnknownSession`, and `StreamBroken` where the stream ends in its middle.

        `tools` are offered to the model in this turn, beside those of the protocol; functions among them answer their
        calls, as handlers do. `sender` stands at what the trigger says.
        """
        key = checked_id(request or str(uuid.uuid4()), "request")
        offers = tuple(tools)
        body = trigger_body(name, input, offered(offers), sender)
        handlers = self._handlers.beside(tool for tool in offers if isinstance(tool, Tool))
        async with aclosing(self._legs(body, key, handlers)) as events:
            async for event in events:
                yield event

    async def resume(self, execution: str, results: Sequence[ToolResult]) -> AsyncGenerator[AnyStreamEvent, None]:
        """Answer the calls of a `ClientToolRequest`, all of them, and yield how the turn goes on, as `trigger` does."""
        async with aclosing(self._legs(resume_body(execution, results), None)) as events:
            async for event in events:
                yield event

    async def ask(self, name: str, input: dict[str, Any] | None = None, *, request: str | None = None) -> str:
        """Send trigger `name`, wait for the end of its turn and return the text of its last message.

        Raises `TurnNotCompleted` if the turn failed, or waits for a tool that has no handler; and what `trigger` does.
        """
        answer = Answer()
        async with aclosing(self.trigger(name, input, request=request)) as events:
            async for event in events:
                answer.take(event)
        return answer.text

    async def messages(self) -> list[dict[str, Any]]:
        """Return the conversation as a person's screen shows it."""
        answer = await self._transport.request(
            "GET", self._path, what="the session", session=self.id, params={"format": "ui"}
        )
        return decoded(answer.content, Messages, "the session").messages

    async def state(self, at: int | None = None) -> dict[str, Any]:
        """Return the session as it stood after event `at`, by default now."""
        answer = await self._transport.request(
            "GET", f"{self._path}/state", what="the state", session=self.id, params=given(at=at)
        )
        return decoded(answer.content, dict[str, Any], "the state")

    async def approvals(self) -> list[dict[str, Any]]:
        """Return the calls that wait for a person, with the `digest` that a decision on each has to name."""
        answer = await self._transport.request("GET", f"{self._path}/approvals", what="the approvals", session=self.id)
        return decoded(answer.content, Waiting, "the approvals").approvals

    async def approve(
        self, call: str, *, digest: str, reason: str | None = None, name: str | None = None
    ) -> dict[str, Any]:
        """Let `call` run with the arguments that `digest` is of, and return what is recorded.

        The first decision stands: the same one again returns it. Raises `HttpRefused` for another one, and where
        nothing waits; and `UnknownSession`.
        """
        return await self._decide(call, decision="grant", digest=digest, reason=reason, actor=name)

    async def deny(
        self, call: str, *, digest: str, reason: str | None = None, name: str | None = None
    ) -> dict[str, Any]:
        """Do not let `call` run; its model reads the `reason`. As `approve`."""
        return await self._decide(call, decision="deny", digest=digest, reason=reason, actor=name)

    async def edit(
        self,
        call: str,
        arguments: dict[str, Any],
        *,
        digest: str,
        reason: str | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Let `call` run with other `arguments` than those that `digest` is of. As `approve`."""
        given = {"decision": "edit", "digest": digest, "arguments": arguments, "reason": reason, "actor": name}
        return await self._decide(call, **given)

    async def _decide(self, call: str, **body: Any) -> dict[str, Any]:
        path = f"{self._path}/approvals/{checked_id(call, 'call')}"
        answer = await self._transport.request(
            "POST", path, what="the decision", session=self.id, content=to_json(body), headers=JSON
        )
        return decoded(answer.content, dict[str, Any], "the decision")

    async def unresolved(self) -> list[dict[str, Any]]:
        """Return the calls whose outcome is unknown and that a person is asked about."""
        path = f"{self._path}/resolutions"
        answer = await self._transport.request("GET", path, what="the unknown outcomes", session=self.id)
        return decoded(answer.content, Waiting, "the unknown outcomes").resolutions

    async def resolve(
        self,
        call: str,
        outcome: Resolution,
        *,
        result: Any = None,
        error: str | None = None,
        reason: str | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Say what came of a call that a person is asked about, and return what is recorded. As `approve`."""
        body = {"outcome": outcome, "result": result, "error": error, "reason": reason, "actor": name}
        path = f"{self._path}/resolutions/{checked_id(call, 'call')}"
        answer = await self._transport.request(
            "POST", path, what="the outcome", session=self.id, content=to_json(body), headers=JSON
        )
        return decoded(answer.content, dict[str, Any], "the outcome")

    async def events(self, after: int = 0) -> AsyncGenerator[StoredEvent, None]:
        """Yield the events of the log as it stands now whose number is over `after`, each one checked to follow.

        Raises `UnknownSession`, and `BrokenChain` where the log is not what was written.
        """
        chain = LogChain(after)
        while True:
            page = await self._transport.request(
                "GET", f"{self._path}/events", what="the log", session=self.id, params={"after": after}
            )
            for line in page.content.splitlines():
                event = chain.event(line)
                after = event.n
                yield event
            if "next" not in page.links:
                return

    async def follow(self, after: int = 0) -> AsyncGenerator[StoredEvent, None]:
        """Yield the events over `after`, then those to come, for ever. It outlives lost connections and restarts."""
        chain, lines = LogChain(after), LogLines(after)
        path = f"{self._path}/events/stream"
        while True:
            back = {"Last-Event-ID": str(lines.after)}
            following = self._transport.stream("GET", path, what="the log", session=self.id, headers=back)
            with suppress(httpx.TransportError):  # the connection broke: come back for what follows
                async with following as response:
                    async for chunk in response.aiter_bytes():
                        for data in lines.feed(chunk):
                            yield chain.event(data)
            lines.broke_off()
            await self._transport.sleep(AGAIN_SECONDS)

    async def _legs(
        self, body: bytes, key: str | None, handlers: Handlers | None = None
    ) -> AsyncGenerator[AnyStreamEvent, None]:
        handlers = handlers or self._handlers
        legs = Legs(self.id, handlers, body)
        always = JSON | EXTRAS
        more = always | trace_headers() | ({} if key is None else {"Idempotency-Key": key})
        while legs.body is not None:
            async with aclosing(self._leg(legs, more)) as lines:
                async for line in lines:
                    for event in legs.take(line):
                        yield event
            for event in legs.answered(await handlers.run(legs.calls)):
                yield event
            more = always

    async def _leg(self, legs: Legs, more: dict[str, str]) -> AsyncGenerator[str, None]:
        path, lines = f"{self._path}/trigger", Lines()
        async with self._transport.stream(
            "POST", path, what="the trigger", session=self.id, content=legs.body, headers=more
        ) as response:
            try:
                async for chunk in response.aiter_bytes():
                    for line in lines.feed(chunk):
                        yield line
            except httpx.TransportError as error:
                raise StreamBroken(self.id, legs.turn, str(error) or type(error).__name__) from error
