"""Answers: from what a model said, or failed to say, to the one event that records it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events import call_id, new_id, one_line
from stenograph_events.ids import EventId, SessionId, TenantId, TurnId
from stenograph_events.types import MessageAdded, ModelFailed
from stenograph_events.values import EMPTY_OBJECT, Call, TextPart
from stenograph_projections.session import Session
from stenograph_services.orchestrator.decisions import Ask
from stenograph_services.orchestrator.models.request import CallWanted, ModelError, ModelResponse
from stenograph_services.protocol.schemas import problems

Fact = MessageAdded | ModelFailed

RESPONSE_MAX_BYTES = 900_000  # of the 1 MB that the log takes in one event


class Took(msgspec.Struct, frozen=True):
    """How long an attempt took. `first_token_ms` None: nothing came; otherwise somebody may have seen a piece."""

    latency_ms: int
    first_token_ms: int | None = None


def checked(response: ModelResponse) -> ModelResponse:
    """Return `response` if it can be an event; raise `ModelError` if it is empty, or larger than an event may be."""
    if not response.parts and not response.calls:
        raise ModelError("empty-response", "the model answered nothing", retryable=True, usage=response.usage)
    size = len(msgspec.json.encode(response))
    if size > RESPONSE_MAX_BYTES:
        detail = f"the response takes {size} bytes; one event holds {RESPONSE_MAX_BYTES}"
        raise ModelError("too-large", detail, usage=response.usage)
    return response


def message(
    session: Session,
    question: Ask,
    response: ModelResponse,
    took: Took,
    context: str | None = None,
    *,
    id: EventId | None = None,
    at: datetime | None = None,
) -> MessageAdded:
    """Return the message that `response` is. Nothing is rejected of a response that asks for tools, or was cut off.

    A model's answer is a fact from outside: nothing in the log names it, so its `id` is random where none is given.
    """
    envelope = _envelope(session, question, id, at)
    is_final = not response.calls and response.finish_reason != "cancelled"
    typed = question.response_type if is_final else None
    return MessageAdded(
        **envelope,
        role="assistant",
        block=question.block,
        thread=question.thread,
        parts=response.parts,
        calls=tuple(_call(envelope["id"], i, wanted) for i, wanted in enumerate(response.calls)),
        step=question.step,
        attempt=question.attempt,
        model=response.model or question.model,
        finish_reason=response.finish_reason,
        usage=response.usage,
        output=question.output,
        independent=question.independent,
        response_type=typed,
        rejected=_misfit(question, response) if typed else None,
        cost_usd=response.cost_usd,
        provider=response.provider or question.model.partition("/")[0],
        agent_version=session.agent_version,
        backup=question.backup,
        latency_ms=took.latency_ms,
        first_token_ms=took.first_token_ms,
        context=context,
    )


def failure(
    session: Session,
    question: Ask,
    error: ModelError,
    took: Took,
    cost_usd: Decimal | None = None,
    *,
    id: EventId | None = None,
    at: datetime | None = None,
) -> ModelFailed:
    """Return the event of an attempt that failed; `cost_usd` is what its usage cost, None if that is unknown."""
    return ModelFailed(
        **_envelope(session, question, id, at),
        block=question.block,
        step=question.step,
        attempt=question.attempt,
        model=question.model,
        error=error.kind,
        detail=error.detail[:2000],
        retryable=error.retryable,
        usage=error.usage,
        cost_usd=cost_usd,
        provider=question.model.partition("/")[0],
        status=error.status,
        streamed=took.first_token_ms is not None,
        backup=question.backup,
        latency_ms=took.latency_ms,
    )


def _misfit(question: Ask, response: ModelResponse) -> str | None:
    """Return why the text of `response` is not the JSON that it had to be, or None if it is."""
    text = "".join(part.text for part in response.parts if isinstance(part, TextPart))
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        return f"it is not JSON: {error}"
    problem = problems(question.response, value) if question.response else None
    return f"it is no {question.response_type}: {problem}" if problem else None


def _call(message: str, ordinal: int, wanted: CallWanted) -> Call:
    """Arguments that are not a JSON object travel as text: what stands in an event as a value is valid JSON."""
    text = wanted.arguments.strip() or "{}"
    try:
        msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return Call(call_id(message, ordinal), wanted.tool, EMPTY_OBJECT, wanted.arguments)
    return Call(call_id(message, ordinal), wanted.tool, one_line(Raw(text.encode())))


def _envelope(session: Session, question: Ask, id: EventId | None, at: datetime | None) -> dict[str, Any]:
    assert session.turn is not None, "a model is asked in a turn"
    return {
        "id": id or new_id(),
        "at": at or datetime.now(UTC),
        "tenant": TenantId(session.tenant),
        "session": SessionId(session.session),
        "turn": TurnId(question.turn),
        "cause": session.turn.started,
    }
