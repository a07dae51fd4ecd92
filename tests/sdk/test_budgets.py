"""Budgets through the SDK: raising one, and what a turn that waits for one means to whoever asked."""

import asyncio
import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client as Nats
from nats.js.errors import NotFoundError
from tests.sdk.services import Log, of_turn
from tests.support.wait import until

from stenograph_events import DEFAULT_TENANT, raise_id, turn_id
from stenograph_events.subjects import control_subject, trigger_subject
from stenograph_events.testing import (
    assistant_message,
    budget_exceeded,
    budget_raised,
    trigger_queued,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.wire import RaiseBudget
from stenograph_sdk import Client, TurnNotCompleted


async def asked(streams: Nats, log: Log) -> None:
    """Wait until a trigger of the session is stored."""
    subject = trigger_subject(DEFAULT_TENANT, log.session, "user-message")

    async def stored() -> bool:
        try:
            return bool(await streams.jetstream().get_last_msg("TRIG", subject))
        except NotFoundError:
            return False

    await until(stored)


async def test_a_budget_is_raised_by_one_message_however_often_it_is_sent(streams: Nats, client: Client, log: Log):
    session = client.session(log.session)

    first = await session.raise_budget(scope="session", cost=Decimal("1.50"), steps=2, request="r1")
    again = await session.raise_budget(scope="session", cost=Decimal("1.50"), steps=2, request="r1")

    stored = await streams.jetstream().get_last_msg("TRIG", control_subject(DEFAULT_TENANT, log.session, "budget"))
    assert msgspec.json.decode(stored.data or b"", type=RaiseBudget) == RaiseBudget(
        "r1", "session", cost=Decimal("1.50"), steps=2
    )
    assert (await streams.jetstream().stream_info("TRIG")).state.messages == 1
    assert first == again == raise_id(log.session, "r1")


@pytest.mark.parametrize(
    "amounts",
    [
        {},
        {"tokens": -1},
        {"tokens": 5, "steps": -1},
        {"seconds": math.inf},
        {"cost": Decimal("NaN")},
        {"cost": Decimal(-1)},
    ],
)
async def test_a_budget_is_not_raised_by_nothing(client: Client, log: Log, amounts: dict[str, Any]):
    with pytest.raises(ValueError, match="amounts over 0"):
        await client.session(log.session).raise_budget(**amounts)


async def test_who_asks_is_told_that_the_turn_waits_and_gets_the_text_once_it_went_on(
    streams: Nats, client: Client, log: Log
):
    turn = turn_id(log.session, "r1")
    session = client.session(log.session)
    asking = asyncio.create_task(session.ask("user-message", request="r1"))
    await asked(streams, log)
    for event in (turn_started(), user_message(), budget_exceeded()):
        await log.append(of_turn(event, turn))

    with pytest.raises(TurnNotCompleted, match=r"was paused: the turn's budget allows 1,000 tokens.*--turn --tokens"):
        await asking
    await log.append(trigger_queued("t2"))  # of another turn
    with pytest.raises(TurnNotCompleted):
        await session.ask("user-message", request="r1")
    for later in (budget_raised(), assistant_message("Done."), turn_finished()):
        await log.append(of_turn(later, turn))

    assert await session.ask("user-message", request="r1") == "Done."


async def test_an_answer_that_is_not_for_the_chat_is_not_the_text_of_a_turn(streams: Nats, client: Client, log: Log):
    turn = turn_id(log.session, "r1")
    asking = asyncio.create_task(client.session(log.session).ask("user-message", request="r1"))
    await asked(streams, log)
    events = (
        turn_started(),
        assistant_message("Yes."),
        assistant_message("Hm.", independent=True, block=2),
        assistant_message("{", response_type="Plan", rejected="it is no JSON", block=3),
        turn_finished(),
    )
    for event in events:
        await log.append(of_turn(event, turn))

    assert await asking == "Yes."
