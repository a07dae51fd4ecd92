"""Asking the world for a model's answer, as an orchestrator asks a provider: from an `Ask` to the event it becomes."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from stenograph_events import EventId, call_id, derived_id
from stenograph_events.types import MessageAdded
from stenograph_services.cli.rehearsal.scenes import Scene
from stenograph_services.cli.rehearsal.world import Spoken
from stenograph_services.orchestrator.answers import Fact, Took, checked, failure, message
from stenograph_services.orchestrator.asking import context_hash, request_for
from stenograph_services.orchestrator.decisions import Ask
from stenograph_services.orchestrator.models.request import ModelError, ModelRequest, ModelResponse

if TYPE_CHECKING:
    from stenograph_services.cli.rehearsal.engine import Stage


def heard(stage: "Stage", scene: Scene, question: Ask) -> tuple[Fact | None, ModelRequest]:
    """Ask the world; return the event that follows, None if the model was stopped before it spoke, and the question."""
    context = context_hash(scene.threads.digest(question.thread), question)
    view = scene.threads.view(question.thread)
    request = request_for(scene.state, view, scene.agent, question)
    spoken = stage.world.speak(stage, request)
    stage.now += timedelta(seconds=spoken.seconds)
    fact = _fact(scene, question, spoken, context)
    # A fact from outside has a random id; here its place in the log makes one that is always the same.
    id = derived_id(scene.id, f"fact/{scene.head.n}")
    return fact and _stamped(fact, id, stage.now), request


def _fact(scene: Scene, question: Ask, spoken: Spoken, context: str) -> Fact | None:
    took = Took(round(spoken.seconds * 1000), 0 if spoken.heard else None)
    if scene.state.turn is not None and scene.state.turn.cancelling:
        cut_off = ModelResponse(parts=spoken.heard, finish_reason="cancelled")
        return message(scene.state, question, cut_off, took, context) if spoken.heard else None
    try:
        if isinstance(spoken.answer, ModelError):
            raise spoken.answer
        return message(scene.state, question, checked(spoken.answer), took, context)
    except ModelError as error:
        return failure(scene.state, question, error, took)


def _stamped(fact: Fact, id: EventId, at: datetime) -> Fact:
    if not isinstance(fact, MessageAdded):
        return msgspec.structs.replace(fact, id=id, at=at)
    calls = tuple(msgspec.structs.replace(call, call=call_id(id, i)) for i, call in enumerate(fact.calls))
    return msgspec.structs.replace(fact, id=id, at=at, calls=calls)
