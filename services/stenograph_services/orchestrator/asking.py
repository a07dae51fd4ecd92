"""Asking a model: from an `Ask` to the one event that is its answer, its failure, or what it had said when cancelled.

The whole context comes from the log, so another orchestrator asks the very same question. While the model speaks,
frames go out; into the log goes the finished message alone.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import aclosing
from hashlib import sha256
from typing import NamedTuple

import msgspec
import structlog
from msgspec import Raw
from nats.aio.client import Client

from stenograph_events.values import Part, ReasoningPart, TextPart
from stenograph_projections.session import Session
from stenograph_projections.transcript import Message, Reply
from stenograph_services.orchestrator.answers import Fact, Took, checked, failure, message
from stenograph_services.orchestrator.attachments import Attachments
from stenograph_services.orchestrator.decisions import Ask
from stenograph_services.orchestrator.frames import FrameWriter
from stenograph_services.orchestrator.models.choose import Models
from stenograph_services.orchestrator.models.prices import price
from stenograph_services.orchestrator.models.request import (
    Delta,
    ModelError,
    ModelRequest,
    ModelResponse,
    Reasoning,
    Text,
)
from stenograph_services.protocol import Agent
from stenograph_services.runtime.blobs import BlobMissing, Blobs
from stenograph_services.runtime.sealing import Seals
from stenograph_services.runtime.sessions import Loaded

log = structlog.get_logger()

_BACK_OFF_SECONDS = (0.5, 1.0, 2.0, 4.0)
_RETRY_AFTER_MAX_SECONDS = 30.0  # longer would hold the session's turn for a provider that is down


class Means(NamedTuple):
    """What every question of a process is asked with. Two of them hold subscriptions: there is one of each."""

    nc: Client
    models: Models
    attachments: Attachments
    blobs: Blobs
    seals: Seals


class Hearing:
    """What a model has said so far, and when: kept in case it is stopped, or fails."""

    def __init__(self) -> None:
        self._began = asyncio.get_running_loop().time()
        self._first_at: float | None = None
        self._text: list[str] = []
        self._reasoning: list[str] = []

    def hear(self, delta: Delta) -> None:
        if self._first_at is None:
            self._first_at = asyncio.get_running_loop().time()
        match delta:
            case Text():
                self._text.append(delta.text)
            case Reasoning():
                self._reasoning.append(delta.text)

    @property
    def parts(self) -> tuple[Part, ...]:
        thought, said = "".join(self._reasoning), "".join(self._text)
        return (*((ReasoningPart(thought),) if thought else ()), *((TextPart(said),) if said else ()))

    @property
    def took(self) -> Took:
        first = None if self._first_at is None else round((self._first_at - self._began) * 1000)
        return Took(round((asyncio.get_running_loop().time() - self._began) * 1000), first)


async def ask(
    means: Means,
    loaded: Loaded,
    agent: Agent,
    question: Ask,
    stop: asyncio.Event,
    *,
    attempts: int,
) -> Fact | None:
    """Ask the model and return the event that follows; None if it was stopped before it said anything.

    `stop` is set when the turn is being cancelled: what was said until then is kept as a cancelled message. A failure
    is followed by a wait, unless it was the last of `attempts`.
    """
    state = loaded.state
    hearing = Hearing()
    context = context_hash(loaded.threads.digest(question.thread), question)
    asking = asyncio.ensure_future(_answer(means, loaded, agent, question, hearing))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({asking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            log.info("model.stopped", step=question.step)
            cut_off = ModelResponse(parts=hearing.parts, finish_reason="cancelled")
            return message(state, question, cut_off, hearing.took, context) if cut_off.parts else None
        response = asking.result()
    except ModelError as error:
        took = hearing.took
        log.warning("model.failed", model=question.model, error=error.kind, retryable=error.retryable)
        if state.turn is not None and state.turn.failures + 1 < attempts and not question.settings.backup_model:
            await _back_off(error, state.turn.failures, stop)
        cost = price(question.model, error.usage) if error.usage else None
        return failure(state, question, error, took, cost)
    finally:
        for task in (asking, stopping):
            task.cancel()
    took = hearing.took
    log.info("model.answered", model=question.model, step=question.step, ms=took.latency_ms, calls=len(response.calls))
    return message(state, question, response, took, context)


def request_for(session: Session, messages: Sequence[Message | Reply], agent: Agent, question: Ask) -> ModelRequest:
    """Return the question with its whole context: the system prompt, the thread, the tools."""
    settings = question.settings
    return ModelRequest(
        tenant=session.tenant,
        session=session.session,
        turn=question.turn,
        turn_number=session.turns,
        block=question.block,
        step=session.turn.spent.steps if session.turn else 0,
        attempt=question.attempt,
        model=question.model,
        system=settings.system,
        messages=messages,
        tools=settings.tools,
        temperature=settings.temperature,
        thinking=settings.thinking,
        max_output_tokens=question.max_output_tokens,
        max_tool_output_tokens=settings.max_tool_output_tokens,
        loop_guard=settings.loop_guard,
        cache=settings.cache,
        speed=settings.speed,
        response_type=question.response_type,
        response=question.response,
        seconds=question.seconds,
    )


def context_hash(thread: bytes, question: Ask) -> str:
    """Return the hash of all that the model is shown: the thread's, which grows entry by entry, and the settings."""
    settings = msgspec.json.encode((question.model, question.settings.system, question.response_type))
    tools = msgspec.json.encode(
        [(tool.name, tool.description, tool.parameters.json) for tool in question.settings.tools]
    )
    return sha256(thread + sha256(settings + tools).digest()).hexdigest()


async def _answer(means: Means, loaded: Loaded, agent: Agent, question: Ask, hearing: Hearing) -> ModelResponse:
    messages = loaded.threads.view(question.thread)
    after = loaded.head.n
    if loaded.threads.refer_to_blobs:
        messages = await _whole(means, loaded, messages)
    messages = await means.attachments.brought(loaded.tenant, loaded.id, messages)
    request = request_for(loaded.state, messages, agent, question)
    model = means.models.for_agent(question.model, agent.scripts, tenant=loaded.tenant)
    frames = FrameWriter(
        means.nc,
        loaded.tenant,
        loaded.id,
        turn=question.turn,
        after=after,
        attempt=question.attempt,
        thread=question.thread,
    )
    async with aclosing(model.ask(request)) as stream:  # type: ignore[type-var]
        async for piece in stream:
            if isinstance(piece, ModelResponse):
                await frames.flush()
                return checked(piece)
            hearing.hear(piece)
            await frames.write(piece)
    raise ModelError("cut-off", "the stream ended before the response did", retryable=True)


async def _whole(means: Means, loaded: Loaded, entries: list[Message | Reply]) -> list[Message | Reply]:
    """Return `entries` with the results that lie in BLOB put in their places."""
    referring = [entry for entry in entries if isinstance(entry, Reply) and entry.ref is not None]
    if not referring:
        return entries
    try:
        key = await means.seals.known(loaded.tenant, loaded.id)
        refs = [entry.ref for entry in referring if entry.ref is not None]
        values = await means.blobs.get(loaded.tenant, refs, key=key)
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
