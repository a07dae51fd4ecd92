"""One trial: a conversation, somebody who dies in it exactly at one point, and another turn that shows it goes on."""

import asyncio
import contextlib
import uuid
from typing import NamedTuple

from tests.faults.trials.ground import Ground
from tests.faults.trials.points import AT_RANDOM, Plan

from stenograph_events import SessionId, TurnId
from stenograph_events.types import ApprovalRequested, ToolRequested, TurnFinished
from stenograph_sdk.errors import StenographSdkError

TURN_SECONDS = 60.0  # far over the longest deadline: a turn that takes longer is stuck
STRIKE_SECONDS = 3.0  # what is passed after the end of a turn is passed within this


class Tried(NamedTuple):
    """What a trial leaves behind. `struck_at`: when somebody died by it, None if its point was not passed."""

    plan: Plan
    session: SessionId
    turns: tuple[TurnId, ...]
    struck_at: float | None


async def run(ground: Ground, plan: Plan) -> Tried:
    """Play the trial that `plan` says.

    Whoever is to die belongs to this trial until it is dead: its recovery goes on while others die.
    """
    session = await ground.session(plan)
    async with ground.let_alone(plan):
        if plan.point.at_birth:
            await ground.arm(plan, "")
            await ground.kill("worker")
            struck_at = await _struck(ground, "")
            first = await _send(ground, session)
        else:
            if plan.point.name != AT_RANDOM:
                await ground.arm(plan, session)
            first = await _send(ground, session)
            playing = asyncio.create_task(_played(ground, plan, session, first))
            await asyncio.wait((playing, ground.struck[session]), return_when=asyncio.FIRST_COMPLETED)
            struck_at = await _struck(ground, session)
    await (_played(ground, plan, session, first) if plan.point.at_birth else playing)
    second = await _send(ground, session)
    await ground.event(session, TurnFinished, second, TURN_SECONDS)
    return Tried(plan, session, (first, second), struck_at)


async def undisturbed(ground: Ground, plan: Plan) -> Tried:
    """Play the conversation of `plan`, and let nobody die."""
    session = await ground.session(plan)
    first = await _send(ground, session)
    await _played(ground, plan, session, first)
    second = await _send(ground, session)
    await ground.event(session, TurnFinished, second, TURN_SECONDS)
    return Tried(plan, session, (first, second), None)


async def _struck(ground: Ground, session: str) -> float | None:
    """Return when somebody died by the trial of `session`, and None if nobody does soon."""
    struck = ground.struck[session]
    await asyncio.wait((struck,), timeout=STRIKE_SECONDS)
    del ground.struck[session]
    if not struck.done():
        ground.disarm(session)
    return struck.result() if struck.done() else None


async def _played(ground: Ground, plan: Plan, session: SessionId, turn: TurnId) -> None:
    """Return when the first turn is over; do in it what its scene wants of people."""
    people = asyncio.create_task(_people(ground, plan, session, turn))
    try:
        await ground.event(session, TurnFinished, turn, TURN_SECONDS)
    finally:
        people.cancel()


async def _people(ground: Ground, plan: Plan, session: SessionId, turn: TurnId) -> None:
    handle = ground.client.session(session)
    if plan.point.name == AT_RANDOM:
        await asyncio.sleep(plan.delay_seconds)
        ground.kill_server(session)
    if plan.scene == "cancelled":
        await ground.event(session, ToolRequested, turn, TURN_SECONDS)
        await asyncio.sleep(plan.delay_seconds)
        while True:
            with contextlib.suppress(StenographSdkError):
                return await handle.cancel(turn)
    if plan.scene == "approved":
        asked = await ground.event(session, ApprovalRequested, turn, TURN_SECONDS)
        while True:
            with contextlib.suppress(StenographSdkError):
                await handle.approve(asked.call, digest=asked.digest)
                return None
    return None


async def _send(ground: Ground, session: SessionId) -> TurnId:
    """Send one trigger until the server says that it has it."""
    request = str(uuid.uuid4())
    while True:
        with contextlib.suppress(StenographSdkError):
            return await ground.client.session(session).send("ask", {"QUESTION": "Do it"}, request=request)
