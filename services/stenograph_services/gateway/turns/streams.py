"""The streams that are open: what they follow, and how they end when their client goes away or the gateway stops."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog
from nats.aio.client import Client

from stenograph_events import TurnId
from stenograph_sdk import Session, Sessions, StenographSdkError
from stenograph_sdk.connection import Connection
from stenograph_sdk.ways import Direct
from stenograph_services.gateway.stream.sse import TurnStream
from stenograph_services.gateway.turns.followers import Followers
from stenograph_services.gateway.turns.live import LiveTurn, Signal, Told
from stenograph_services.gateway.turns.repeats import Repeats, Wanted
from stenograph_services.gateway.turns.response import TurnResponse
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.sealing import Seals
from stenograph_services.runtime.secrets import Secrets

log = structlog.get_logger()

KEPT = 2_000  # sessions that are followed, or were lately; the next turn of one finds its subscriptions still there


class SharedConnection(Connection):
    """The SDK's connection over the one that the service has already."""

    def __init__(self, nc: Client, url: str, seals: Seals, secrets: Secrets) -> None:
        super().__init__(url)
        self.opened = seals.opened
        self.closed = secrets.closed_body
        self.nats = nc
        self.jetstream = nc.jetstream()

    def restored(self) -> None:
        """Let those who follow sessions look into the log: something may have been missed."""
        for heard in tuple(self.on_reconnect):
            heard()


class Streams:
    """Every stream of this process."""

    def __init__(self, nc: Client, settings: Settings, seals: Seals, secrets: Secrets) -> None:
        self.connection = SharedConnection(nc, settings.nats_url, seals, secrets)
        self.repeats = Repeats()
        self._settings = settings
        self._sessions = Sessions(Direct(self.connection, settings.tenant))
        self._kept: OrderedDict[str, Session] = OrderedDict()
        self._open: set[LiveTurn] = set()
        self._awaited: Counter[str] = Counter()
        self._cancelling: set[asyncio.Task[None]] = set()
        self._followers = Followers(nc, settings.tenant, self._has_follower)

    async def start(self) -> None:
        """Answer other gateways that ask who follows a turn."""
        await self._followers.start()

    def session(self, session: str) -> Session:
        """Return the session to be followed; who follows it at the same time shares its subscriptions."""
        if session not in self._kept:
            self._kept[session] = self._sessions.get(session)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(session)
        return self._kept[session]

    def live(self, turn: TurnId, items: AsyncIterator[Told]) -> LiveTurn:
        """Begin to gather `items` of `turn`."""
        return LiveTurn(turn, items, self._open)

    def response(
        self, session: str, live: LiveTurn, stream: TurnStream, wanted: Wanted | None = None, *, drives: bool = True
    ) -> TurnResponse:
        """Return the response that streams `live`. `wanted`: the trigger that it answers, if it answers one.

        `drives`: its client is the one who wants the turn, so that one who goes away has aborted it.
        """
        return TurnResponse(
            live,
            stream,
            heartbeat_seconds=self._settings.sse_heartbeat_seconds,
            abandoned=lambda: self._left(session, live.turn, wanted) if drives else None,
        )

    def cancel(self, session: str, turn: TurnId) -> None:
        """Cancel `turn` beside everything else: a request that is over must not hold its connection."""
        self._beside(_cancel(self.session(session), turn))

    @asynccontextmanager
    async def awaiting(self, session: str) -> AsyncIterator[None]:
        """While a trigger waits for `session`, a turn there that its client leaves gives way to it at once.

        A client that aborts a turn and triggers another one may be heard on its new connection first.
        """
        self._awaited[session] += 1
        try:
            yield
        finally:
            self._awaited[session] -= 1
            self._awaited += Counter()  # forgets those that nobody awaits any more

    async def drain(self, seconds: float) -> None:
        """Wait for the streams that are open, then end the rest with an error; their turns go on."""
        if self._open:
            await asyncio.wait([live.closed for live in self._open], timeout=seconds)
        for live in tuple(self._open):
            live.say(Signal.CLOSING)
        self.repeats.give_all_up()
        if self._cancelling:
            await asyncio.wait(set(self._cancelling), timeout=2)

    def _left(self, session: str, turn: TurnId, wanted: Wanted | None) -> None:
        """A client went away. Its turn goes on if another one follows it, and for a while if it may come back."""
        if not self._is_open(turn):
            self.repeats.left(session, turn, wanted, lambda: self._beside(self._abandon(session, turn)))
        if self._awaited[session]:
            self.repeats.give_up(session)

    async def _abandon(self, session: str, turn: TurnId) -> None:
        """Cancel `turn`, whose client has not come back to this gateway, unless it is followed all the same."""
        if await self._followers.any(session, turn):
            log.info("turn.followed_elsewhere", session=session, turn=turn)
        else:
            await _cancel(self.session(session), turn)

    def _has_follower(self, session: str, turn: str) -> bool:
        """Return whether a client of this gateway follows `turn`, or did a moment ago and may come back."""
        return self._is_open(turn) or self.repeats.is_left(session, turn)

    def _is_open(self, turn: str) -> bool:
        return any(live.turn == turn for live in self._open)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)


async def _cancel(following: Session, turn: TurnId) -> None:
    try:
        await following.cancel(turn)
        log.info("turn.abandoned", session=following.id, turn=turn)
    except StenographSdkError as error:
        log.warning("turn.not_cancelled", session=following.id, turn=turn, error=str(error))
