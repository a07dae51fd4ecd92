"""In hand: the messages that this process works on. While it does they do not come again, neither here nor elsewhere.

Two hundred answers to one session wait for each other, and for the fence; each that came again would wait as well.
"""

import asyncio
import contextlib

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from stenograph_services.runtime.jetstream import delivered
from stenograph_services.runtime.pull import PullConsumer


class InHand:
    """Keeps messages alive by heartbeats, and knows one that is delivered again."""

    def __init__(self, *, heartbeat_seconds: float) -> None:
        self._heartbeat_seconds = heartbeat_seconds
        self._held: dict[tuple[str, str, int], Msg] = {}

    def start(self) -> None:
        self._beat = asyncio.create_task(self._heartbeat(), name="heartbeats")

    def stop(self) -> None:
        self._beat.cancel()

    def take(self, message: Msg, consumer: PullConsumer) -> bool:
        """Take in a message; False if it is worked on already: that work then settles its newest delivery."""
        held = self._held.setdefault(_key(message, consumer), message)
        held.reply = message.reply
        return held is message

    def drop(self, message: Msg, consumer: PullConsumer) -> None:
        """Let go of a message: it is settled, or somebody else's to settle."""
        self._held.pop(_key(message, consumer), None)

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            for message in tuple(self._held.values()):
                with contextlib.suppress(NatsError):
                    await message.in_progress()


def _key(message: Msg, consumer: PullConsumer) -> tuple[str, str, int]:
    return consumer.stream, consumer.durable, delivered(message)[0]
