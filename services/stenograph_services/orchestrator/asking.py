"""Asking a model: from an `Ask` to the one event that is its answer, its failure, or what it had said when cancelled.

The whole context comes from the log, so another orchestrator asks the very same question. While the model speaks,
frames go out; into the log goes the finished message alone.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from msgspec import Raw
from nats.aio.client import Client

from stenograph_events import call_id, new_id
from stenograph_events.ids import SessionId, TenantId, TurnId
from stenograph_events.types import EMPTY_OBJECT, Call, MessageAdded, ModelFailed, Part, ReasoningPart, TextPart
from stenograph_projections.session import Session
from stenograph_projections.transcript import Entry, Message, Reply
from stenograph_services.orchestrator.blocks import Values
from stenograph_services.orchestrator.decisions import Ask
from stenograph_services.orchestrator.frames import FrameWriter
from stenograph_services.orchestrator.models.choose import Models
from stenograph_services.orchestrator.models.request import (
    CallWanted,
    Delta,
    ModelError,
    ModelRequest,
    ModelResponse,
    Reasoning,
    Text,
)
from stenograph_services.protocol import Agent, render
from stenograph_services.runtime.blobs import BlobMissing, Blobs
from stenograph_services.runtime.sessions import Loaded

log = structlog.get_logger()

Fact = MessageAdded | ModelFailed

RESPONSE_MAX_BYTES = 900_000  # of the 1 MB that the log takes in one event
_BACK_OFF_SECONDS = (0.5, 1.0, 2.0, 4.0)
_RETRY_AFTER_MAX_SECONDS = 30.0  # longer would hold the session's turn for a provider that is down


class Said:
    """What a model has said so far, kept in case it is stopped."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []

    def hear(self, delta: Delta) -> None:
        match delta:
            case Text():
                self.text.append(delta.text)
            case Reasoning():
                self.reasoning.append(delta.text)

    def parts(self) -> tuple[Part, ...]:
        thought, said = "".join(self.reasoning), "".join(self.text)
        return (*((ReasoningPart(thought),) if thought else ()), *((TextPart(said),) if said else ()))


async def ask(
    nc: Client, models: Models, loaded: Loaded, agent: Agent, question: Ask, stop: asyncio.Event, *, attempts: int
) -> Fact | None:
    """Ask the model and return the event that follows; None if it was stopped before it said anything.

    `stop` is set when the turn is being cancelled: what was said until then is kept as a cancelled message. A failure
    is followed by a wait, unless it was the last of `attempts`.
    """
    state = loaded.state
    said = Said()
    after = loaded.head.n
    began = asyncio.get_running_loop().time()
    asking = asyncio.ensure_future(_answer(nc, models, loaded, agent, question, after, said))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({asking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            parts = said.parts()
            log.info("model.stopped", step=question.step, characters=sum(map(len, said.text)))
            return (
                _message(state, agent, question, ModelResponse(parts=parts, finish_reason="cancelled"))
                if parts
                else None
            )
        response = asking.result()
    except ModelError as error:
        log.warning("model.failed", model=agent.model, error=error.kind, retryable=error.retryable)
        if state.turn is not None and state.turn.failures + 1 < attempts:
            await _back_off(error, state.turn.failures, stop)
        return _failure(state, agent, question, error)
    finally:
        for task in (asking, stopping):
            task.cancel()
    elapsed = asyncio.get_running_loop().time() - began
    log.info(
        "model.answered", model=agent.model, step=question.step, seconds=round(elapsed, 3), calls=len(response.calls)
    )
    return _message(state, agent, question, response)


def request_for(
    session: Session, messages: Sequence[Message | Reply], step: int, agent: Agent, question: Ask
) -> ModelRequest:
    """Return the question with its whole context: the rendered system prompt, the thread, the tools."""
    return ModelRequest(
        session=session.session,
        turn=question.turn,
        turn_number=session.turns,
        block=question.block,
        step=step,
        attempt=question.attempt,
        model=agent.model,
        system=render(agent.system, Values(session, agent)),
        messages=messages,
        tools=[agent.tools[name] for name in agent.allowed],
        temperature=agent.temperature,
        thinking=agent.thinking,
    )


async def _answer(
    nc: Client, models: Models, loaded: Loaded, agent: Agent, question: Ask, after: int, said: Said
) -> ModelResponse:
    messages = loaded.threads.view(question.thread)
    if loaded.threads.refer_to_blobs:
        messages = await _whole(nc, loaded.tenant, messages)
    request = request_for(loaded.state, messages, _step(loaded.entries, question.turn), agent, question)
    model = models.for_agent(agent.model, agent.scripts)
    frames = FrameWriter(
        nc, loaded.tenant, loaded.id, turn=question.turn, after=after, attempt=question.attempt, thread=question.thread
    )
    async with aclosing(model.ask(request)) as stream:  # type: ignore[type-var]
        async for piece in stream:
            if isinstance(piece, ModelResponse):
                await frames.flush()
                return _checked(piece)
            said.hear(piece)
            await frames.write(piece)
    raise ModelError("cut-off", "the stream ended before the response did", retryable=True)


def _checked(response: ModelResponse) -> ModelResponse:
    """Return `response` if it can be an event; raise `ModelError` if it is empty, or larger than an event may be."""
    if not response.parts and not response.calls:
        raise ModelError("empty-response", "the model answered nothing", retryable=True)
    size = len(msgspec.json.encode(response))
    if size > RESPONSE_MAX_BYTES:
        raise ModelError("too-large", f"the response takes {size} bytes; one event holds {RESPONSE_MAX_BYTES}")
    return response


def _step(entries: Sequence[Entry], turn: str) -> int:
    """Return how many responses models gave in `turn`, the last one of the transcript."""
    step = 0
    for entry in reversed(entries):
        if entry.turn != turn:
            break
        step += isinstance(entry, Message) and entry.role == "assistant"
    return step


async def _whole(nc: Client, tenant: str, entries: list[Message | Reply]) -> list[Message | Reply]:
    """Return `entries` with the results that lie in BLOB put in their places."""
    referring = [entry for entry in entries if isinstance(entry, Reply) and entry.ref is not None]
    if not referring:
        return entries
    try:
        values = await Blobs(nc).get(tenant, [entry.ref for entry in referring if entry.ref is not None])
    except BlobMissing as error:
        log.error("blob.missing", error=str(error))
        return entries  # the model is told that it cannot see them: the session must not end for it
    found = {id(entry): value for entry, value in zip(referring, values, strict=True)}
    return [
        msgspec.structs.replace(entry, value=Raw(found[id(entry)]), ref=None) if id(entry) in found else entry
        for entry in entries
    ]


async def _back_off(error: ModelError, failures: int, stop: asyncio.Event) -> None:
    """Wait before the failure is recorded, so that the next attempt comes no sooner; a cancel ends the wait."""
    if not error.retryable:
        return
    step = _BACK_OFF_SECONDS[min(failures, len(_BACK_OFF_SECONDS) - 1)]
    seconds = min(error.retry_after_seconds or step, _RETRY_AFTER_MAX_SECONDS) * random.uniform(0.75, 1.25)
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


def _message(session: Session, agent: Agent, question: Ask, response: ModelResponse) -> MessageAdded:
    message = new_id()
    return MessageAdded(
        **(_envelope(session, question) | {"id": message}),
        role="assistant",
        block=question.block,
        thread=question.thread,
        parts=response.parts,
        calls=tuple(_call(message, i, wanted) for i, wanted in enumerate(response.calls)),
        step=question.step,
        attempt=question.attempt,
        model=response.model or agent.model,
        finish_reason=response.finish_reason,
        usage=response.usage,
        output=question.output,
    )


def _call(message: str, ordinal: int, wanted: CallWanted) -> Call:
    """Arguments that are not a JSON object travel as text: what stands in an event as a value is valid JSON."""
    text = wanted.arguments.strip() or "{}"
    try:
        msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return Call(call_id(message, ordinal), wanted.tool, EMPTY_OBJECT, wanted.arguments)
    return Call(call_id(message, ordinal), wanted.tool, Raw(text.encode()))


def _failure(session: Session, agent: Agent, question: Ask, error: ModelError) -> ModelFailed:
    return ModelFailed(
        **_envelope(session, question),
        block=question.block,
        step=question.step,
        attempt=question.attempt,
        model=agent.model,
        error=error.kind,
        detail=error.detail[:2000],
        retryable=error.retryable,
    )


def _envelope(session: Session, question: Ask) -> dict[str, Any]:
    """A model's answer is a fact from outside: nothing in the log names it, so its id is random."""
    assert session.turn is not None, "a model is asked in a turn"
    return {
        "id": new_id(),
        "at": datetime.now(UTC),
        "tenant": TenantId(session.tenant),
        "session": SessionId(session.session),
        "turn": TurnId(question.turn),
        "cause": session.turn.started,
    }
