"""A session's log on a real server, and what the projector made of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

import msgspec
from nats.aio.client import Client
from tests.support.wait import until

from stenograph_events import EMPTY, AnyEvent, Head, SessionId, new_session_id, shard_of
from stenograph_events.subjects import snapshot_key
from stenograph_events.testing import (
    assistant_message,
    session_created,
    tool_requested,
    tool_succeeded,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_projections.snapshot import decode
from stenograph_services.projector.app import build
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.index import SessionIndex, SessionRow
from stenograph_services.runtime.service import Running

QUESTION = "What plan am I on?"


def one_turn(turn: str = "t1", text: str = QUESTION) -> list[AnyEvent]:
    """Return a turn of seven events with one tool call."""
    call = f"{turn}-c1"
    return [
        turn_started(turn),
        user_message(text, turn=turn),
        assistant_message(calls=[call], turn=turn),
        tool_requested(call, turn=turn),
        tool_succeeded(call, turn=turn),
        assistant_message("You are on the pro plan.", step=1, turn=turn),
        turn_finished(turn),
    ]


class Written:
    """One session's log, written as the services write it."""

    def __init__(self, nc: Client, settings: Settings, session: SessionId | None = None) -> None:
        self.session = session or new_session_id()
        self.head: Head = EMPTY
        self._nc = nc
        self._log = EventLog(nc, settings)

    async def append(self, *events: AnyEvent) -> None:
        mine = [msgspec.structs.replace(event, session=self.session) for event in events]
        for one in await self._log.append("default", self.session, self.head, mine):
            self.head = Head(one.sequence, one.event.n, sha256(one.data).hexdigest())

    async def turn(self, turn: str = "t1", text: str = QUESTION) -> None:
        """Append a whole turn, with `session.created` before the first."""
        await self.append(*([] if self.head.n else [session_created()]), *one_turn(turn, text))

    async def poison(self, data: bytes) -> None:
        """Put `data` where the session's next event belongs, as nothing of ours would."""
        ack = await self._nc.jetstream().publish(f"ev.{shard_of(self.session)}.default.{self.session}.turn", data)
        self.head = Head(ack.seq, self.head.n, self.head.hash)


class Made:
    """What the projector wrote: rows and snapshots."""

    def __init__(self, nc: Client, settings: Settings) -> None:
        self._nc = nc
        self._index = SessionIndex(settings.index_url())

    def row(self, session: str) -> SessionRow | None:
        return self._index.get("default", session)

    async def row_at(self, session: str, events: int) -> SessionRow:
        """Return the session's row as soon as it stands at event number `events`."""

        def there() -> SessionRow | None:
            row = self.row(session)
            return row if row and row.events == events else None

        return await until(there, what=f"the row of {session} stands at event {events}, not {self.row(session)}")

    async def broken(self, session: str) -> SessionRow:
        def there() -> SessionRow | None:
            row = self.row(session)
            return row if row and row.status == "broken" else None

        return await until(there, what=f"session {session} is broken, not {self.row(session)}")

    async def snapshot(self, session: str) -> bytes | None:
        message = await self._nc.request(f"$JS.API.DIRECT.GET.KV_SNAP.$KV.SNAP.{snapshot_key('default', session)}")
        return None if message.headers and message.headers.get("Status") else message.data

    async def snapshot_at(self, session: str, n: int) -> bytes:
        """Return the session's snapshot as soon as it stands at event number `n`."""

        async def there() -> bytes | None:
            data = await self.snapshot(session)
            snapshot = decode(data) if data else None
            return data if snapshot and snapshot.head.n == n else None

        return await until(there, what=f"the snapshot of {session} stands at event {n}")

    async def parked(self) -> int:
        return (await self._nc.jetstream().stream_info("PARKED")).state.messages

    def close(self) -> None:
        self._index.close()


@asynccontextmanager
async def projector(settings: Settings) -> AsyncIterator[Running]:
    """Run the service, and stop it gracefully."""
    running = Running(build, settings)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()
