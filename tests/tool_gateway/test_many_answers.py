"""Answers that come all at once: real server, real services."""

import asyncio
from pathlib import Path

from tests.support.nats import Endpoint
from tests.support.services import Stage

from stenograph_events.types import ToolRequested
from stenograph_services.runtime.streams import RES

CALLS = 200


async def test_two_hundred_answers_to_one_turn_are_each_recorded_at_their_first_delivery(
    shared_nats: Endpoint, tmp_path: Path
):
    """They refused each other in one process until their deliveries came again, and those waited as well."""
    many = ", ".join(["{tool: get-account, arguments: {userId: u1}}"] * CALLS)
    async with Stage(shared_nats.url, tmp_path, ack_wait_seconds=10.0) as stage:
        talk = await stage.session(f"turns:\n  - - calls: [{many}]\n    - text: Done.\n")
        turn = await talk.send()
        await talk.request(CALLS)

        await asyncio.gather(*(talk.answer(one, {"plan": "pro"}) for one in await talk.all(ToolRequested)))
        end = await talk.end_of(turn, timeout=30)

        answers = await stage.nc.jetstream().consumer_info(RES, "tool-gateway-answers")
        await talk.check()

    assert end.outcome == "completed"
    assert answers.delivered is not None
    assert answers.delivered.consumer_seq == CALLS
