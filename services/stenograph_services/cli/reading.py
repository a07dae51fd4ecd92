"""Reading logs as the streams hold them, with their subjects, and finding sessions by the beginning of their ids.

It looks into the log, never into the index: what a person checks is the truth itself.
"""

from collections.abc import AsyncIterator
from datetime import datetime

from nats.aio.client import Client as Nats

from stenograph_events import SHARDS, BrokenChain, SessionId, StoredEvent, UndecodableEvent, checked_id, decode
from stenograph_events.chain import digest
from stenograph_events.sealing import with_digest
from stenograph_events.subjects import Pattern, call_filters, created_filter, parse_event, session_filter
from stenograph_projections.invariants import Stored
from stenograph_sdk import Client
from stenograph_sdk.gated import Gated
from stenograph_services.cli.connect import Place, no_streams, sealing_settings
from stenograph_services.cli.output import Failure
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.errors import KeyMissing, UnknownSession
from stenograph_services.runtime.jetstream import api
from stenograph_services.runtime.sealing import Seals

PAGE = 512  # events that one direct read asks for
NEWEST = "last"
WHOLE = 34  # characters of an id as `new_session_id` makes it; such a one is not searched for
VERSION, TIMED = slice(14, 15), "7"  # ids of child agents' sessions are derived from calls, and tell no time
SHOWN = 5  # ids named when a beginning fits several


def logs_of(client: Client, place: Place) -> "Logs | ClientLogs":
    """Return the logs that `client` may read, by the way that its credentials allow."""
    if isinstance(client.way, Gated):
        return ClientLogs(client.way)
    return Logs(client.connection.nats, place)


class ClientLogs:
    """The logs that a client's credential is for, as a gateway reads them out. There is no list of them."""

    def __init__(self, way: Gated) -> None:
        self._way = way

    async def read(self, session: str) -> list[Stored]:
        """Return the session's log; empty if there is none. Raises `Failure` for one that was cleared."""
        stored = [Stored(sequence, None, data) for sequence, data in await self._way.log(SessionId(session)).stored()]
        if stored and (n := decode(stored[0].data).n) > 1:
            raise Failure(f"session {session} was cleared by event {n}: its log is shown to nobody from its beginning")
        return stored

    async def events(self, session: str) -> list[StoredEvent]:
        """Return the session's events; raise `UnknownSession` if there are none."""
        return _decoded(session, await self.read(session))

    async def sessions(self) -> list[SessionId]:
        """Raise `Failure` unless the credential names its one session."""
        if self._way.session is None:
            raise Failure("a client's credential lists no sessions: name one by its whole id")
        return [SessionId(self._way.session)]

    async def find(self, given: str) -> SessionId:
        """Return the session that is given by its whole id, or that the credential is for: then `last` will do."""
        if given == NEWEST and self._way.session is not None:
            return SessionId(self._way.session)
        if len(given) != WHOLE:
            raise Failure(f"a client's credential finds no session by {given!r}: write its whole id")
        return SessionId(checked_id(given, "session"))


class Logs:
    """The logs of one tenant."""

    def __init__(self, nc: Nats, place: Place) -> None:
        self._nc = nc
        self._place = place
        self._tenant = checked_id(place.tenant, "tenant")
        self._reader = BatchReader(nc)
        self._seals = Seals(nc, sealing_settings(place))

    async def read(self, session: str, *, opened: bool = True) -> list[Stored]:
        """Return the session's log; empty if there is none. Raises `KeyMissing` if it is sealed and must be `opened`.

        Otherwise each event that does not open says so, or stays sealed.
        """
        wanted = session_filter(self._tenant, session)
        stored: list[Stored] = []
        for stream in await self._streams(wanted):
            more = True
            while more:
                start = stored[-1].sequence + 1 if stored else 1
                page, more = await self._reader.read(stream, wanted, start, PAGE)
                stored += [Stored(*message) for message in page]
        return [await self._opened(one, must=opened) for one in stored]

    async def _opened(self, stored: Stored, *, must: bool) -> Stored:
        try:
            plain = await self._seals.opened(stored.data)
        except BrokenChain as error:
            if must:
                raise
            return stored._replace(problem=error.reason)
        except KeyMissing:
            if must:
                raise
            return stored
        except UndecodableEvent:
            return stored  # what is wrong with it shows where it is decoded
        return stored if plain is stored.data else stored._replace(opened=plain)

    async def events(self, session: str) -> list[StoredEvent]:
        """Return the session's events; raise `UnknownSession` if there are none."""
        return _decoded(session, await self.read(session))

    async def sessions(self, shard: str = "*") -> list[SessionId]:
        """Return the ids of all sessions, the oldest first."""
        wanted = created_filter(self._tenant, shard)
        found: list[SessionId] = []
        for stream in await self._streams(wanted):
            found += [SessionId(parse_event(subject).session) for subject in await self._subjects(stream, wanted)]
        return sorted(found, key=lambda session: session[2:])

    async def of_calls(self, since: datetime | None) -> AsyncIterator[StoredEvent]:
        """Yield what all sessions have of calls since then, and nothing else, each session's in order."""
        for stream in await self._streams(Pattern.EVENTS):
            found: list[tuple[int, bytes]] = []
            for wanted in call_filters(self._tenant):
                found += await self._since(stream, wanted, since)
            for _, data in sorted(found):
                yield await self._seals.event(data)

    async def _since(self, stream: str, wanted: str, since: datetime | None) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        more = True
        while more:
            start = found[-1][0] + 1 if found else 1
            page, more = await self._reader.read(stream, wanted, start, PAGE, since=None if found else since)
            found += [(sequence, data) for sequence, _, data in page]
        return found

    async def find(self, given: str) -> SessionId:
        """Return the one session whose id begins with `given`; `last` is the newest one that is no child agent's."""
        if given == NEWEST:
            if not (newest := [session for session in await self.sessions() if session[VERSION] == TIMED][-1:]):
                raise Failure(f"tenant {self._tenant!r} has no sessions yet")
            return newest[0]
        beginning = checked_id(given, "session")
        if len(beginning) == WHOLE:
            return SessionId(beginning)
        if beginning[:2] not in SHARDS and len(beginning) > 1:
            raise UnknownSession(given)
        found = await self.sessions(beginning[:2] if len(beginning) > 1 else "*")
        fitting = [session for session in found if session.startswith(beginning)]
        if given in fitting or len(fitting) == 1:
            return SessionId(given) if given in fitting else fitting[0]
        if not fitting:
            raise UnknownSession(given)
        named = ", ".join(fitting[:SHOWN]) + (", …" if len(fitting) > SHOWN else "")
        raise Failure(f"{len(fitting)} sessions begin with {given!r}, so write more of the id: {named}")

    async def _streams(self, wanted: str) -> list[str]:
        """Return the log streams that may hold `wanted`."""
        names: list[str] = (await api(self._nc, "STREAM.NAMES", {"subject": wanted})).get("streams") or []
        if not names and not (await api(self._nc, "STREAM.NAMES", {"subject": Pattern.EVENTS})).get("streams"):
            raise no_streams(self._place)
        return names

    async def _subjects(self, stream: str, wanted: str) -> list[str]:
        found: list[str] = []
        while True:
            request = {"subjects_filter": wanted, "offset": len(found)}
            answer = await api(self._nc, f"STREAM.INFO.{stream}", request, timeout_seconds=20.0)
            found += answer["state"].get("subjects") or {}
            if len(found) >= answer.get("total", 0):
                return found


def told(stored: Stored) -> bytes:
    """Return an event as an exported log has it: as it is stored, or, opened, with the hash of what is stored."""
    if stored.opened is None:
        return stored.data
    return with_digest(stored.opened, digest(stored.data))


def _decoded(session: str, stored: list[Stored]) -> list[StoredEvent]:
    if not stored:
        raise UnknownSession(session)
    return [decode(one.opened or one.data) for one in stored]
