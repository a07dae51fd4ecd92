"""One session over HTTP: send triggers, follow their turns, read the log."""

import time
import uuid
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from typing import Any

import httpx

from stenograph_events import SessionId, StoredEvent, checked_id, shard_of
from stenograph_sdk.http.answering import Answer
from stenograph_sdk.http.errors import StreamBroken
from stenograph_sdk.http.events import ToolResult
from stenograph_sdk.http.exchange import AGAIN_SECONDS, JSON, Lines, LogLines, Messages, decoded, given
from stenograph_sdk.http.handlers import Handlers
from stenograph_sdk.http.legs import AnyStreamEvent, Legs, resume_body, trigger_body
from stenograph_sdk.http.log_chain import LogChain
from stenograph_sdk.http.sync_transport import SyncTransport


class SyncHttpSession:
    """A session by its id. Cheap to make; nothing is asked of the gateway until it is used."""

    def __init__(self, transport: SyncTransport, session: str, handlers: Handlers) -> None:
        self.id = SessionId(checked_id(session, "session"))
        shard_of(session)
        self._transport = transport
        self._handlers = handlers
        self._path = f"/api/agent-sessions/{self.id}"

    def trigger(
        self, name: str, input: dict[str, Any] | None = None, *, request: str | None = None
    ) -> Generator[AnyStreamEvent, None, None]:
        """Send trigger `name` and yield the events of its turn, through all its legs; handlers answer in between.

        The last one is `Finish` or `StreamError`. After `ClientToolRequest` the turn waits for `resume`. The same
        `request` id is the same turn. Raises `Busy` while another turn runs, `HttpRefused` for what the gateway will
        not take, `UnknownSession`, and `StreamBroken` where the stream ends in its middle.
        """
        key = checked_id(request or str(uuid.uuid4()), "request")
        with closing(self._legs(trigger_body(name, input), key)) as events:
            yield from events

    def resume(self, execution: str, results: Sequence[ToolResult]) -> Generator[AnyStreamEvent, None, None]:
        """Answer the calls of a `ClientToolRequest`, all of them, and yield how the turn goes on, as `trigger` does."""
        with closing(self._legs(resume_body(execution, results), None)) as events:
            yield from events

    def ask(self, name: str, input: dict[str, Any] | None = None, *, request: str | None = None) -> str:
        """Send trigger `name`, wait for the end of its turn and return the text of its last message.

        Raises `TurnNotCompleted` if the turn failed, or waits for a tool that has no handler; and what `trigger` does.
        """
        answer = Answer()
        with closing(self.trigger(name, input, request=request)) as events:
            for event in events:
                answer.take(event)
        return answer.text

    def messages(self) -> list[dict[str, Any]]:
        """Return the conversation as a person's screen shows it."""
        answer = self._transport.request(
            "GET", self._path, what="the session", session=self.id, params={"format": "ui"}
        )
        return decoded(answer.content, Messages, "the session").messages

    def state(self, at: int | None = None) -> dict[str, Any]:
        """Return the session as it stood after event `at`, by default now."""
        answer = self._transport.request(
            "GET", f"{self._path}/state", what="the state", session=self.id, params=given(at=at)
        )
        return decoded(answer.content, dict[str, Any], "the state")

    def events(self, after: int = 0) -> Generator[StoredEvent, None, None]:
        """Yield the events of the log as it stands now whose number is over `after`, each one checked to follow.

        Raises `UnknownSession`, and `BrokenChain` where the log is not what was written.
        """
        chain = LogChain(after)
        while True:
            page = self._transport.request(
                "GET", f"{self._path}/events", what="the log", session=self.id, params={"after": after}
            )
            for line in page.content.splitlines():
                event = chain.event(line)
                after = event.n
                yield event
            if "next" not in page.links:
                return

    def follow(self, after: int = 0) -> Generator[StoredEvent, None, None]:
        """Yield the events over `after`, then those to come, for ever. It outlives lost connections and restarts."""
        chain, lines = LogChain(after), LogLines(after)
        path = f"{self._path}/events/stream"
        while True:
            back = {"Last-Event-ID": str(lines.after)}
            following = self._transport.stream("GET", path, what="the log", session=self.id, headers=back)
            # The connection may break: come back for what follows.
            with suppress(httpx.TransportError), following as response:
                for chunk in response.iter_bytes():
                    for data in lines.feed(chunk):
                        yield chain.event(data)
            lines.broke_off()
            time.sleep(AGAIN_SECONDS)

    def _legs(self, body: bytes, key: str | None) -> Generator[AnyStreamEvent, None, None]:
        legs = Legs(self.id, self._handlers, body)
        more = JSON | ({} if key is None else {"Idempotency-Key": key})
        while legs.body is not None:
            with closing(self._leg(legs, more)) as lines:
                for line in lines:
                    for event in legs.take(line):
                        yield event
            for event in legs.answered(self._handlers.run_here(legs.calls)):
                yield event
            more = JSON

    def _leg(self, legs: Legs, more: dict[str, str]) -> Generator[str, None, None]:
        path, lines = f"{self._path}/trigger", Lines()
        with self._transport.stream(
            "POST", path, what="the trigger", session=self.id, content=legs.body, headers=more
        ) as response:
            try:
                for chunk in response.iter_bytes():
                    yield from lines.feed(chunk)
            except httpx.TransportError as error:
                raise StreamBroken(self.id, legs.turn, str(error) or type(error).__name__) from error
