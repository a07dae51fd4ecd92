"""Telling a turn again, from its beginning: its events from the log, its frames from the server's memory while they
are there, then both as they come. Who has a part of it already leaves that out.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from nats.aio.client import Client

from stenograph_events import TurnId
from stenograph_events.frames import AnyFrame, decode_frame
from stenograph_events.subjects import frame_subject
from stenograph_events.types import Event, MessageAdded
from stenograph_sdk.following import TurnWatch
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stream.cursor import Cursor
from stenograph_services.gateway.turns.live import Item
from stenograph_services.gateway.turns.past import Past
from stenograph_services.gateway.turns.retelling import Retelling
from stenograph_services.gateway.turns.streams import Streams
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.sessions import Loaded
from stenograph_services.runtime.streams import TOK

FRAMES_MAX = 100_000  # of a session, in the minutes that they are kept


class Teller:
    """Tells turns of one tenant."""

    def __init__(self, streams: Streams, nc: Client) -> None:
        self._streams = streams
        self._batches = BatchReader(nc)

    async def tell(
        self, loaded: Loaded, past: Past, turn: TurnId, cursor: Cursor | None, *, after: int = 0
    ) -> AsyncIterator[Item]:
        """Return what there is to yield of `turn`, whose events so far are `past`, without the frames before `after`.

        Raises `Refusal` if `cursor` lies in frames that are gone, and does not say how much its client has of them.
        """
        retelling = Retelling(turn, await self._kept(loaded), cursor, after=after)
        if retelling.is_lost:  # or not kept yet: the server sends a frame a moment before it keeps it
            retelling = Retelling(turn, await self._kept(loaded), cursor, after=after)
        if cursor is not None and cursor.characters is None and retelling.is_lost:
            raise Refusal(400, f"Last-Event-ID: the frames up to {cursor.own} are gone; ask without it")
        return self._told(loaded, past, TurnWatch(turn), retelling)

    async def _kept(self, loaded: Loaded) -> list[AnyFrame]:
        messages, _ = await self._batches.read(TOK, frame_subject(loaded.tenant, loaded.id), 1, FRAMES_MAX)
        return [frame for _, _, data in messages if (frame := _known(data)) is not None]

    async def _told(
        self, loaded: Loaded, past: Past, watch: TurnWatch, retelling: Retelling
    ) -> AsyncGenerator[Item, None]:
        async with aclosing(self._ordered(loaded, past, retelling)) as ordered:
            async for item in ordered:
                if isinstance(item, MessageAdded) and item.turn == watch.turn:
                    for frame in retelling.instead(item):
                        yield frame
                if watch.shows(item):
                    yield item
                if watch.over:
                    return

    async def _ordered(self, loaded: Loaded, past: Past, retelling: Retelling) -> AsyncGenerator[Item, None]:
        """Yield the turn's events and frames as a stream shows them, then whatever happens to the session."""
        for event in past.events:
            for frame in retelling.due(event.n):
                yield frame
            yield event
        for frame in (*retelling.due(past.head.n + 1), *retelling.progress()):
            yield frame
        async with aclosing(self._streams.session(loaded.id).watch_from(past.head)) as following:
            async for item in following:
                if retelling.may_lack(item):
                    retelling.keep(await self._kept(loaded))
                for frame in retelling.due(item.n) if isinstance(item, Event) else retelling.until(item):
                    yield frame
                if isinstance(item, Event):
                    yield item


def _known(data: bytes) -> AnyFrame | None:
    try:
        return decode_frame(data)
    except ValueError:  # a kind of frame that a later version added; the event after it says everything
        return None
