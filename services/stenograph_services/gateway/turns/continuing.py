"""Continuing: a client brings what its tools came to, and the next leg of the turn is streamed to it.

    POST …/trigger {"executionId":"91d2…","toolResults":[{"toolCallId":"7e1f…","result":{"plan":"pro"}}]}
    tool.res.<tenant>.<tool>.<session>.7e1f….1    {"outcome":"succeeded","result":{"plan":"pro"},"worker":"http"}

An answer is stored where a worker would store it, once. So any gateway may be asked, and asked again: what was answered
before is passed over, and the leg is told from where the one before it ended, or from where its client was.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw
from nats.aio.client import Client

from stenograph_events import InvalidId, TurnId, checked_id
from stenograph_events.boxes import answer_of
from stenograph_events.subjects import answer_subject
from stenograph_events.types import ToolRequested, TurnStarted
from stenograph_events.wire import ToolAnswer
from stenograph_projections.session import Session
from stenograph_sdk.errors import AlreadyWritten
from stenograph_sdk.storing import store
from stenograph_services.gateway.http.bodies import ToolResultBody
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.stream import children
from stenograph_services.gateway.stream.callees import callees
from stenograph_services.gateway.stream.cursor import Cursor
from stenograph_services.gateway.stream.legs import Leg, next_leg
from stenograph_services.gateway.stream.sse import TurnStream
from stenograph_services.gateway.turns.anchors import anchored
from stenograph_services.gateway.turns.child_streams import ChildStreams
from stenograph_services.gateway.turns.observing import check_inside, check_reached, since
from stenograph_services.gateway.turns.past import Past, past_of
from stenograph_services.gateway.turns.response import TurnResponse
from stenograph_services.gateway.turns.streams import Streams
from stenograph_services.gateway.turns.telling import Teller
from stenograph_services.gateway.wire.stream_events import Start
from stenograph_services.gateway.wire.versions import Wire
from stenograph_services.runtime.blobs import Blobs
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.sessions import Loaded

WORKER = "http"  # who answered, as the log has it
STORE_SECONDS = 5.0  # as long as a trigger is tried
ERROR_CHARACTERS = 4_000  # a model reads it; a page of it helps nobody


class Continuations:
    """Stores what clients answer and streams what follows."""

    def __init__(
        self, streams: Streams, nc: Client, settings: Settings, reader: Reader, teller: Teller, children: ChildStreams
    ) -> None:
        self._streams = streams
        self._teller = teller
        self._children = children
        self._settings = settings
        self._reader = reader
        self._blobs = Blobs(nc)

    async def go_on(
        self,
        session: str,
        execution: str | None,
        results: Sequence[ToolResultBody],
        *,
        wire: Wire,
        last_event_id: str | None = None,
        start: Start | None = None,
        worker: str | None = None,
    ) -> TurnResponse:
        """Store `results` and return the response that streams the leg of turn `execution` after the one they answer.

        Raises `Refusal` if the session has no such turn, or the turn asked no client for one of the calls; then nothing
        is stored. `last_event_id`: the last one that the client read, of this leg or of one before, or of nothing that
        this turn's stream has, which is refused, too. `start` and `worker` are told as `TurnStream` says.
        """
        turn, cursor = _checked(execution), None if last_event_id is None else Cursor.read(last_event_id)
        loaded = await self._reader.session(session)
        await self._reader.sessions.at_head(loaded)  # the request may be younger than what a replica shows
        past = await past_of(self._reader.sessions.log, loaded, turn)
        if not past.events:
            raise Refusal(404, f"session {loaded.id} has no execution {turn!r}")
        leg = next_leg(past.events, [result.tool_call_id for result in results])
        if cursor is not None:
            check_reached(loaded, cursor)
            check_inside(past, turn, cursor)
            await self._children.check(cursor, past.events)
            cursor = cursor if cursor.n > leg.after else None  # it is of a leg before: of this one nothing is known
        items = await self._teller.tell(loaded, past, turn, cursor, after=leg.after)
        await self._store(loaded, past, leg, results)
        self._streams.repeats.take_up(loaded.id, turn)
        stream = await self._stream(loaded, past, leg, start or Start(turn), worker, cursor)
        whole = self._reader.with_results(items, after=leg.after)
        live = self._streams.live(turn, self._children.beside(whole, stream, wire, cursor, past.events))
        return self._streams.response(loaded.id, live, stream)

    async def _store(self, loaded: Loaded, past: Past, leg: Leg, results: Sequence[ToolResultBody]) -> None:
        asked = [event for event in past.events if isinstance(event, ToolRequested) and event.client]
        requests = {str(event.call): event for event in asked}
        if unknown := [result.tool_call_id for result in results if result.tool_call_id not in requests]:
            raise Refusal(400, f"toolResults: this execution asks no client for {', '.join(map(repr, unknown))[:500]}")
        for result in results:
            if result.tool_call_id in leg.open:  # what is answered, or was cancelled, stays as it is
                await self._answer(loaded, requests[result.tool_call_id], result)

    async def _answer(self, loaded: Loaded, request: ToolRequested, result: ToolResultBody) -> None:
        subject = answer_subject(loaded.tenant, request.tool, loaded.id, request.call, request.attempt)
        body = msgspec.json.encode(await self._answer_of(request, result))
        try:
            await store(
                self._streams.connection.jetstream,
                subject,
                await self._reader.sessions.log.seals.closed_body(loaded.tenant, loaded.id, subject, body),
                what=f"the answer to call {request.call}",
                timeout=STORE_SECONDS,
            )
        except AlreadyWritten:
            return  # the first answer stands

    async def _answer_of(self, request: ToolRequested, result: ToolResultBody) -> ToolAnswer:
        if result.error:
            return ToolAnswer("failed", error=result.error[:ERROR_CHARACTERS], worker=WORKER)
        value = msgspec.json.encode(result.result)
        if len(value) <= self._settings.inline_max_bytes:
            return ToolAnswer("succeeded", result=Raw(value), worker=WORKER)
        key = await self._reader.sessions.log.seals.known(request.tenant, request.session)
        sealed_as = answer_of(request.call, request.attempt)
        reference = await self._blobs.put(request.tenant, value, key=key, sealed_as=sealed_as)
        return ToolAnswer("succeeded", result_ref=reference, worker=WORKER)

    async def _stream(
        self, loaded: Loaded, past: Past, leg: Leg, start: Start, worker: str | None, cursor: Cursor | None
    ) -> TurnStream:
        state = loaded.state
        agent = await self._reader.agent(state.agent, state.agent_version)
        trigger = next((event.trigger for event in past.events if isinstance(event, TurnStarted)), "")
        return TurnStream(
            start.execution_id,
            agent.handlers.get(trigger, ()) if agent else (),
            callees(agent),
            since=_since(past, leg, state),
            leg=leg,
            start=anchored(start, loaded.entries, past.events),
            worker=children.alone(worker, state),
            cursor=cursor,
        )


def _since(past: Past, leg: Leg, state: Session) -> int:
    """Return the first event at which the leg may end because the turn waits for a budget, or for a person."""
    if state.turn is not None and state.turn.exceeded is not None:
        return leg.after + 1
    return min(since(past), leg.head + 1)


def _checked(execution: str | None) -> TurnId:
    if execution is None:
        raise Refusal(400, "executionId is missing: toolResults belong to an execution")
    try:
        return TurnId(checked_id(execution, "executionId"))
    except InvalidId as error:
        raise Refusal(400, str(error)) from error
