"""Events and frames in one order, whatever order they come in."""

from tests.sdk.services import Log
from tests.support.wait import until

from stenograph_events import DEFAULT_TENANT, EMPTY
from stenograph_events.frames import TextDelta, encode_frame
from stenograph_events.subjects import frame_subject
from stenograph_events.testing import turn_started, user_message
from stenograph_sdk import Client
from stenograph_sdk.following import Follower
from stenograph_sdk.live import Feed
from stenograph_sdk.log import SessionLog, Streams


async def test_a_frame_waits_for_the_events_before_it(client: Client, log: Log):
    """A turn that was told again while its model spoke had the text that was being written at its beginning, too."""
    await log.append(turn_started(), user_message())
    feed = Feed(client.connection, DEFAULT_TENANT, log.session)
    events = SessionLog(client.connection, Streams(client.connection), DEFAULT_TENANT, log.session)
    beside = await feed.join()

    async with Follower(feed, events, EMPTY) as follower:
        await follower.read_from(EMPTY)
        frame = TextDelta(turn="t1", after=3, k=1, text="You are on ")
        # Over the connection that subscribed: the server takes both in their order.
        await client.connection.nats.publish(frame_subject(DEFAULT_TENANT, log.session), encode_frame(frame))
        await until(lambda: beside.take() is not None, what="the frame has come")
        told = [await follower.next() for _ in range(4)]
    feed.leave(beside)

    assert [getattr(item, "n", None) for item in told] == [1, 2, 3, None]
    assert told[3] == frame
