"""Messages in hand, on a real server that takes a delivery for lost after a second."""

import asyncio

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from tests.support.wait import until

from stenograph_services.runtime.jetstream import delivered
from stenograph_services.runtime.pull import PullConsumer
from stenograph_services.tool_gateway.in_hand import InHand

ACK_WAIT_SECONDS = 1.0


async def pulled(nc: Client, js: JetStreamContext, heard: list[Msg]) -> PullConsumer:
    """Return a running consumer of the messages `kept` and `lost`, which leaves what it is given in `heard`."""
    await js.add_stream(name="HELD", subjects=["kept", "lost"])
    config = ConsumerConfig(durable_name="held", ack_policy=AckPolicy.EXPLICIT, ack_wait=ACK_WAIT_SECONDS)
    await js.add_consumer("HELD", config)

    async def nothing() -> None:
        return

    consumer = PullConsumer(nc, "HELD", "held", heard.append, limit=10, restore=nothing)
    await consumer.start()
    return consumer


async def test_what_is_in_hand_does_not_come_again_while_what_is_not_does(nc: Client, js: JetStreamContext):
    heard: list[Msg] = []
    consumer = await pulled(nc, js, heard)
    in_hand = InHand(heartbeat_seconds=ACK_WAIT_SECONDS * 0.2)
    in_hand.start()

    await asyncio.gather(js.publish("kept"), js.publish("lost"))
    await until(lambda: len(heard) == 2, what="both are delivered")
    kept = next(one for one in heard if one.subject == "kept")
    assert in_hand.take(kept, consumer)
    await until(lambda: sum(one.subject == "lost" for one in heard) == 3, what="the other one comes twice again")
    in_hand.stop()
    await consumer.stop()

    assert sum(one.subject == "kept" for one in heard) == 1


async def test_a_delivery_of_what_is_in_hand_is_no_work_and_is_settled_with_it(nc: Client, js: JetStreamContext):
    heard: list[Msg] = []
    consumer = await pulled(nc, js, heard)
    in_hand = InHand(heartbeat_seconds=60.0)  # whose heartbeats are too late

    await js.publish("kept")
    first = await until(lambda: heard[0] if heard else None, what="it is delivered")
    taken = in_hand.take(first, consumer)
    again = await until(lambda: heard[1] if len(heard) > 1 else None, what="it is delivered again")
    taken_again = in_hand.take(again, consumer)
    count = delivered(first)[1]
    in_hand.drop(first, consumer)

    assert (taken, taken_again, count) == (True, False, 2)
    assert in_hand.take(again, consumer), "what was let go of is work again"
    await consumer.stop()
