"""Parallel calls are answered in any order: their session ends in one state, and its model reads one conversation."""

import asyncio
import itertools
import random
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Raw
from tests.support.agents import HANDLER, TOOLS, bundle
from tests.support.services import Stage
from tests.support.worlds import World

from stenograph_events.subjects import AnswerSubject
from stenograph_events.testing import (
    SESSION,
    START,
    assistant_message,
    raw,
    tool_call,
    tool_timed_out,
    turn_started,
    user_message,
)
from stenograph_events.types import ToolAnswerRejected, ToolRequested, ToolSucceeded
from stenograph_events.values import TextPart
from stenograph_events.wire import ToolAnswer
from stenograph_projections.invariants import check
from stenograph_projections.messages import shown
from stenograph_projections.session import Session
from stenograph_services.orchestrator.answers import Took, message
from stenograph_services.orchestrator.asking import request_for
from stenograph_services.orchestrator.decisions import Append, Ask
from stenograph_services.orchestrator.models.conversation import to_messages
from stenograph_services.orchestrator.models.request import ModelResponse
from stenograph_services.protocol import load_bundle
from stenograph_services.tool_gateway import decide as answers

AGAIN = TOOLS.replace("  result: {plan: {type: string}}", "  attempts: 2\n  backoff: 1s")
AGENT = load_bundle(bundle("x", handler=HANDLER, tools=AGAIN))
CALLS = ("c1", "c2", "c3", "c4", "c5")
PERMUTATIONS = 1_000


class Arrival(NamedTuple):
    """What comes from outside about a call: an answer, or its deadline."""

    call: str
    attempt: int
    what: Literal["succeeded", "failed", "expired", "overdue", "overdue, claimed"]
    after: str = ""
    """What has to come before: an answer is late because the deadline was before it."""


ARRIVALS = (
    Arrival("c1", 1, "succeeded"),
    Arrival("c1", 1, "succeeded"),  # delivered twice
    Arrival("c2", 1, "succeeded"),  # of the attempt that another one took the place of
    Arrival("c2", 2, "succeeded"),
    Arrival("c3", 1, "failed"),
    Arrival("c4", 1, "overdue, claimed"),
    Arrival("c4", 1, "succeeded", after="overdue, claimed"),
    Arrival("c5", 1, "overdue"),
    Arrival("c5", 1, "expired"),
)


class Seen(NamedTuple):
    """What a session has come to, without when and in which order it was told."""

    session: Session
    read_by_the_model: list[Any]
    read_by_people: list[Any]


def test_a_thousand_orders_of_arrival_give_one_state_and_one_conversation():
    """The model used to read results in the order in which they came: its history, and its answer, depended on that."""
    found = [lived(arrivals) for arrivals in orders(PERMUTATIONS)]

    assert len({str(one.read_by_the_model) for one in found}) == 1
    assert all(one == found[0] for one in found)


def test_what_comes_late_or_for_another_attempt_changes_nothing():
    rejected = [arrival for arrival in ARRIVALS if arrival.after or arrival == Arrival("c2", 1, "succeeded")]
    without = [arrival for arrival in ARRIVALS if arrival not in rejected]

    assert len(rejected) == 2
    assert lived(without) == lived(ARRIVALS)


def orders(count: int) -> list[list[Arrival]]:
    """Return `count` different orders of the arrivals, each with what is late after what it is late for."""
    drawn, found = random.Random(count), dict[tuple[int, ...], list[Arrival]]()
    while len(found) < count:
        order = drawn.sample(range(len(ARRIVALS)), len(ARRIVALS))
        arrivals = [ARRIVALS[i] for i in order]
        if all(not one.after or one.after in [two.what for two in arrivals[:i]] for i, one in enumerate(arrivals)):
            found[tuple(order)] = arrivals
    return list(found.values())


def lived(arrivals: Sequence[Arrival]) -> Seen:
    """Return what becomes of a turn with five open calls once `arrivals` have come, one after the other."""
    world = waiting_for_five()
    for arrival in arrivals:
        arrive(world, arrival)
        drive(world)
    question = world.decided()
    assert isinstance(question, Ask), question
    request = request_for(world.state, world.threads.view(question.thread), AGENT, question)
    answer = ModelResponse(parts=(TextPart("Done."),), finish_reason="stop")
    world.add(message(world.state, question, answer, Took(9, 5), "hash", id="answer", at=START))  # type: ignore[arg-type]
    drive(world)
    report = check(world.stored, complete=True)
    assert report.ok, report.broken
    return Seen(world.state, timeless(to_messages(request)), timeless(shown(world.entries, world.state)))


def waiting_for_five() -> World:
    """Return a session with five open calls, one of them in its second attempt."""
    world = World(AGENT, never)
    calls = [tool_call(call, tool_of(call), arguments=raw(given_to(call))) for call in CALLS]
    for event in (turn_started(input=raw({"TEXT": "Hi"})), user_message(), assistant_message(calls=calls)):
        world.add(event)
    drive(world)
    world.add(tool_timed_out("c2", again=True))
    drive(world)
    return world


def tool_of(call: str) -> str:
    """Return the tool that is called: one of them may be tried again."""
    return "get-account" if call == "c2" else "send-mail"


def given_to(call: str) -> dict[str, str]:
    return {"userId": call} if call == "c2" else {"to": call}


def arrive(world: World, arrival: Arrival) -> None:
    """Record what `arrival` becomes, as the tool gateway does."""
    at = AnswerSubject("default", tool_of(arrival.call), SESSION, arrival.call, arrival.attempt)
    if arrival.what.startswith("overdue"):
        claim: answers.Claim = "taken" if "claimed" in arrival.what else "closed"
        world.add(answers.overdue(world.state, at.about, claim, START))
        return
    value = raw({"sent": [arrival.call, arrival.attempt]})
    error = "no such address" if arrival.what == "failed" else None
    answer = ToolAnswer(arrival.what, result=value, error=error, worker="w-1")  # type: ignore[arg-type]
    event = answers.answered(world.state, AGENT, at, answer, value, START)
    if not isinstance(event, ToolAnswerRejected) or not answers.recorded_as(at.about) & world.ids:
        world.add(event)


def drive(world: World) -> None:
    """Append what follows, until the session waits or a model has to be asked."""
    while isinstance(decision := world.decided(), Append):
        for event in decision.events:
            world.add(event)


def never(_: Any) -> Any:
    raise AssertionError("nothing is left to chance here")


def timeless(value: Any) -> Any:
    """Return `value` as plain data, without its times."""
    plain = msgspec.to_builtins(value, enc_hook=plainly, builtin_types=(datetime,))
    return without_times(plain)


def plainly(value: Any) -> Any:
    return bytes(value) if isinstance(value, Raw) else vars(value)


def without_times(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: without_times(item) for key, item in plain.items() if not isinstance(item, datetime)}
    return [without_times(item) for item in plain] if isinstance(plain, list) else plain


# ---- through the services

THREE = """\
turns:
  - - calls:
        - {tool: send-mail, arguments: {to: a}}
        - {tool: send-mail, arguments: {to: b}}
        - {tool: send-mail, arguments: {to: c}}
    - text: "The last I heard was {{last_result}}"
"""


async def test_the_answer_of_a_turn_does_not_depend_on_which_worker_was_faster(stage: Stage):
    said = await asyncio.gather(*(answered_in(stage, order) for order in itertools.permutations(range(3))))

    assert len(said) == 6
    assert set(said) == {'The last I heard was {"sent":2}'}


def answers_call(request: ToolRequested, event: ToolSucceeded) -> bool:
    return event.call == request.call


async def answered_in(stage: Stage, order: Sequence[int]) -> str:
    """Return what the model says of three results that come in `order`."""
    talk = await stage.session(script=THREE)
    turn = await talk.send()
    requests = [await talk.request(i + 1) for i in range(3)]
    for i in order:
        await talk.answer(requests[i], {"sent": i})
        await talk.until(ToolSucceeded, turn, partial(answers_call, requests[i]))
    await talk.end_of(turn)
    return (await talk.said(turn))[-1]
