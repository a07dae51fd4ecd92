"""Who holds a delivery that came again to somebody else, and was overtaken there, leaves the session to them."""

from typing import Any

import pytest
from nats.aio.msg import Msg
from tests.support.nats import Endpoint
from tests.support.services import Frames, Stage
from tests.support.wait import until

from stenograph_events.frames import TextDelta
from stenograph_events.types import TurnStarted
from stenograph_services.orchestrator import app as orchestrator
from stenograph_services.orchestrator.app import STARTS
from stenograph_services.runtime.streams import TRIG

SLOW = """\
turns:
  - - text: This takes a while to be said, and so there is time for somebody else to come and say it too.
      chunks: 40
      chunk_delay_ms: 50
"""


@pytest.fixture
async def stage(shared_nats: Endpoint, tmp_path: Any) -> Any:
    async with Stage(shared_nats.url, tmp_path) as stage:
        yield stage


async def held(stage: Stage) -> Msg:
    """Return a trigger that is delivered to the test, which does nothing about it."""
    subscription = await stage.nc.jetstream().pull_subscribe_bind(STARTS, TRIG)
    [message] = await subscription.fetch(1, timeout=5)
    await subscription.unsubscribe()
    return message


async def test_an_overtaken_delivery_asks_no_model_and_settles_nothing(stage: Stage):
    await stage.end(stage.running("orchestrator"))
    talk = await stage.session(SLOW)
    turn = await talk.send()
    first = await held(stage)

    await stage.start(orchestrator.build)  # and gets the second delivery, when nobody says a word about the first
    async with Frames(stage.nc, talk.id) as frames:
        started = await talk.until(TurnStarted, turn)
        await frames.first()
        late: Any = (await stage.start(orchestrator.build)).service
        consumer = next(one for one in late._consumers if one.durable == STARTS)
        consumer.in_hand += 1
        late._lanes.take(first, consumer, None)
        await until(lambda: not late._lanes._held, what="the overtaken delivery is let go")
        left = await stage.unsettled(TRIG, STARTS)
        end = await talk.end_of(turn)

    ids = [frame.frame_id for frame in frames.heard if isinstance(frame, TextDelta)]
    assert (started.delivery, left, end.outcome) == (1, 1, "completed")
    assert len(ids) > 10
    assert len(set(ids)) == len(ids)
    await until(lambda: _settled(stage), what="the trigger is settled")
    await talk.check()


async def _settled(stage: Stage) -> bool:
    return await stage.unsettled(TRIG, STARTS) == 0
