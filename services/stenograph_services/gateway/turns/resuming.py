"""Resuming: a client that drove a turn lost its connection, and sends its trigger again with the last id that it read.

    POST …/trigger {"triggerName":"user-message","input":{…}}    Last-Event-ID: 3.1.7.42

The log decides whether it is the same trigger, whatever time has passed and whichever gateway is asked. What says
something else is a new turn; so is what its client has seen the end of.
"""

from stenograph_events.types import TurnFinished
from stenograph_projections.transcript import cleared_by
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.stream.cursor import Cursor
from stenograph_services.gateway.stream.legs import Pending, next_leg
from stenograph_services.gateway.turns.asked import asks_for, has_begun, other_trigger
from stenograph_services.gateway.turns.observing import Observed, Observers, check_inside, check_reached, since
from stenograph_services.gateway.turns.past import Past, past_of
from stenograph_services.gateway.turns.repeats import Wanted
from stenograph_services.gateway.turns.response import TurnResponse
from stenograph_services.gateway.wire.stream_events import Opening, Start
from stenograph_services.gateway.wire.versions import Wire


class Resumptions:
    """Finds the turns that repeated triggers mean, and streams the rest of them."""

    def __init__(self, reader: Reader, observers: Observers) -> None:
        self._reader = reader
        self._observers = observers

    async def resume(
        self, wanted: Wanted, last_event_id: str | None, wire: Wire, opening: Opening = Start
    ) -> TurnResponse | None:
        """Return the rest of the turn of `wanted`, driven by whoever asks; None if it is a trigger like any other.

        Raises `Refusal` if the turn of its key was asked something else, and as `Observers.observe`.
        """
        if last_event_id is None:
            return None
        cursor = Cursor.read(last_event_id)
        observed = await (self._of_cursor(wanted, cursor) if wanted.key is None else self._of_key(wanted, cursor))
        if observed is None:
            return None
        return await self._observers.response(observed, wire, wanted.of(observed.turn), opening)

    async def _of_cursor(self, wanted: Wanted, cursor: Cursor) -> Observed | None:
        observed = await self._observers.found(wanted.session, None, cursor)
        if _has_end(observed.past, cursor) or not await self._is_same(wanted, observed):
            return None
        return observed

    async def _of_key(self, wanted: Wanted, cursor: Cursor) -> Observed | None:
        loaded = await self._reader.session(wanted.session)
        await self._reader.sessions.at_head(loaded)
        turn = wanted.after_clear(cleared_by(loaded.entries)).turn
        past = await past_of(self._reader.sessions.log, loaded, turn)
        if not has_begun(past.events):
            return None
        check_reached(loaded, cursor)
        check_inside(past, turn, cursor)
        observed = Observed(loaded, past, turn, cursor)
        if not await self._is_same(wanted, observed):
            raise other_trigger()
        return observed

    async def _is_same(self, wanted: Wanted, observed: Observed) -> bool:
        state = observed.loaded.state
        return asks_for(wanted, observed.past.events, await self._reader.agent(state.agent, state.agent_version))


def _has_end(past: Past, cursor: Cursor) -> bool:
    """Return whether a client that is at `cursor` has seen how the stream of `past` ends, for good or for now."""
    pending = Pending()
    for event in past.events:
        pending.see(event)
    last, end = past.events[-1], since(past)
    if isinstance(last, TurnFinished):
        end = last.n
    elif pending.paused:
        end = next_leg(past.events, ()).after
    return not cursor.k and not cursor.step and cursor.n >= end
