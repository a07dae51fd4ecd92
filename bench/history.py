"""A long conversation, made up but sealed as the services seal it: turns with one tool call, about 400 bytes an event.

session.created, then for each turn
turn.started, message (user), message (call), tool.requested, tool.succeeded, message (answer), turn.finished
and at last turn.started, message (user): a model is to be asked next
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import Raw
from nats.aio.client import Client

from stenograph_events import (
    DEFAULT_TENANT,
    EMPTY,
    AnyEvent,
    Head,
    SessionId,
    call_id,
    derived_id,
    new_id,
    outcome_id,
    seal,
    turn_id,
)
from stenograph_events.chain import digest
from stenograph_events.subjects import event_subject, session_filter
from stenograph_events.types import (
    MessageAdded,
    SessionCreated,
    ToolRequested,
    ToolSucceeded,
    TriggerRejected,
    TurnFinished,
    TurnStarted,
)
from stenograph_events.values import Call, TextPart, Usage
from stenograph_services.runtime.batches import publish_batch

EVENTS_OF_A_TURN = 7
BATCH = 1_000  # the most that the server stores at once
BEGAN_AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
QUESTION = "Which plan is user-123 on?"
ANSWER = "You are on the Pro plan, with twelve seats."
ARGUMENTS = Raw(b'{"key":"user-123"}')
RESULT = Raw(b'{"plan":"pro","seats":12}')


def history(session: SessionId, agent: str, version: str, count: int) -> Iterator[tuple[AnyEvent, bytes]]:
    """Yield `count` events of `session`, at least 3, sealed, with their bytes."""
    head = EMPTY
    for event in _story(session, agent, version, count):
        sealed, data = seal(event, head)
        head = Head(0, sealed.n, digest(data))
        yield sealed, data


async def store(nc: Client, events: list[tuple[AnyEvent, bytes]]) -> None:
    """Store the sealed log of a new session, a thousand events at once."""
    session = events[0][0].session
    expected = 0
    for start, end in pairwise([*range(0, len(events), BATCH), len(events)]):
        fence = {
            "Nats-Expected-Last-Subject-Sequence": str(expected),
            "Nats-Expected-Last-Subject-Sequence-Subject": session_filter(DEFAULT_TENANT, session),
        }
        batch = events[start:end]
        expected = await publish_batch(
            nc, [(event_subject(event), data, {} if i else fence) for i, (event, data) in enumerate(batch)]
        )


def _story(session: SessionId, agent: str, version: str, count: int) -> Iterator[AnyEvent]:
    turns, left = divmod(count - 3, EVENTS_OF_A_TURN)
    yield SessionCreated(**_envelope(session, 0), agent=agent, agent_version=version)
    for i in range(left):
        turn = turn_id(session, f"rejected-{i}")
        envelope = _envelope(session, 0, turn, outcome_id(turn))
        yield TriggerRejected(**envelope, trigger="ask", reason="busy", detail="The session is busy with another turn.")
    for i in range(turns):
        yield from _turn(session, i)
    yield from _begun(session, turns)


def _begun(session: SessionId, i: int) -> Iterator[AnyEvent]:
    turn = turn_id(session, f"request-{i}")
    started = outcome_id(turn)
    question = Raw(msgspec.json.encode({"QUESTION": QUESTION}))
    yield TurnStarted(**_envelope(session, i, turn, started), trigger="ask", input=question)
    asked = _envelope(session, i, turn, derived_id(started, "block/0"), started)
    yield MessageAdded(**asked, role="user", block=0, parts=(TextPart(QUESTION),))


def _turn(session: SessionId, i: int) -> Iterator[AnyEvent]:
    turn = turn_id(session, f"request-{i}")
    started, wish = outcome_id(turn), derived_id(turn, "wish")
    call = call_id(wish, 0)
    by_model: dict[str, Any] = {"role": "assistant", "block": 1, "model": "scripted/instant", "usage": Usage(1200, 64)}

    def envelope(event: str, cause: str = started) -> dict[str, Any]:
        return _envelope(session, i, turn, derived_id(turn, event), cause)

    yield from _begun(session, i)
    calls = (Call(call, "lookup", ARGUMENTS),)
    yield MessageAdded(
        **_envelope(session, i, turn, wish, started), **by_model, calls=calls, finish_reason="tool-calls"
    )
    deadline_at = BEGAN_AT + timedelta(seconds=i + 30)
    yield ToolRequested(
        **envelope("requested", wish),
        call=call,
        tool="lookup",
        arguments=ARGUMENTS,
        retry="safe",
        deadline_at=deadline_at,
    )
    yield ToolSucceeded(**envelope("succeeded"), call=call, result=RESULT)
    yield MessageAdded(**envelope("answer"), **by_model, parts=(TextPart(ANSWER),), step=1, finish_reason="stop")
    yield TurnFinished(**envelope("finished"), outcome="completed")


def _envelope(
    session: SessionId, turn_number: int, turn: str | None = None, event: str | None = None, cause: str | None = None
) -> dict[str, Any]:
    return {
        "id": event or new_id(),
        "at": BEGAN_AT + timedelta(seconds=turn_number),
        "tenant": DEFAULT_TENANT,
        "session": session,
        "turn": turn,
        "cause": cause,
    }
