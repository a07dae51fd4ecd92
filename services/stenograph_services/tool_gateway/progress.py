"""What workers say of calls that run, made frames. Nothing is stored, acked or awaited: what is too much is lost.

    tool.progress.acme.export.2f01….c1.1    {"text":"3 of 10 pages","done":3,"total":10,"k":7}
    tok.acme.2f01…                          {"frame":"tool.progress","turn":"91d2…","after":5,"k":7,"call":"c1",…}

Said is what the session of an open call shows, at most every fifth of a second, the newest. Each tenant has a
subscription of its own that the server ends after so many messages, and a task of its own: a flood costs its own
tenant frames, and no other tenant, and no result, anything.
"""

import asyncio
from contextlib import suppress

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from stenograph_events import EventError
from stenograph_events.frames import encode_frame
from stenograph_events.progress import BODY_BYTES, Progress, read_progress
from stenograph_events.subjects import AnswerSubject, frame_subject, parse_answer, progress_filter, worker_requests
from stenograph_services.runtime.errors import StenographError
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.jetstream import JetStreamError
from stenograph_services.tool_gateway import decide
from stenograph_services.tool_gateway.recording import Records

log = structlog.get_logger()

QUEUE = "tool-gateway"
WINDOW_SECONDS = 0.1
HEARD = 50  # messages of a tenant in a window, by each gateway: 200 calls that say something twice a second make 40
MUTED_SECONDS = 30.0  # a megabyte in place of a line is an attack, or a mistake; 50 of them may be on their way
REST_SECONDS = 0.2  # between two frames of a call: a person sees no more
PACE_SECONDS = 0.005  # between two looks into logs for a tenant
CALLS = 1_000  # of a tenant, that something was said of a moment ago


class ProgressRelay:
    """Relays what the workers of every tenant that has some say of their calls."""

    def __init__(self, nc: Client, log: EventLog, records: Records) -> None:
        self._nc = nc
        self._log = log
        self._records = records
        self._tenants: dict[str, _Tenant] = {}

    def listen(self, tenant: str, tool: str) -> None:
        """Listen to the workers of `tenant` from now on: one of them serves `tool`."""
        if tenant not in self._tenants:
            self._tenants[tenant] = _Tenant(tenant, self._nc, self._log, self._records)

    def stop(self) -> None:
        for tenant in self._tenants.values():
            tenant.stop()


class _Call:
    """A call that something was said of a moment ago, and what is to be told of it next."""

    __slots__ = ("is_known", "k", "newest")

    def __init__(self) -> None:
        self.newest: Progress | None = None
        self.is_known = False  # its session has asked workers of its tool for something
        self.k = 0


class _Tenant:
    def __init__(self, tenant: str, nc: Client, log: EventLog, records: Records) -> None:
        self._tenant = tenant
        self._nc = nc
        self._log = log
        self._records = records
        self._heard = 0
        self._muted = False
        self._full = asyncio.Event()
        self._calls: dict[AnswerSubject, _Call] = {}
        self._ready: asyncio.Queue[AnswerSubject] = asyncio.Queue()
        self._tasks = [
            asyncio.create_task(self._listen(), name=f"progress of {tenant}"),
            asyncio.create_task(self._relay(), name=f"frames of {tenant}"),
        ]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _listen(self) -> None:
        """Subscribe for so many messages, again and again: the server itself drops what comes beyond them."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            self._heard, self._muted = 0, False
            self._full.clear()
            try:
                subscription = await self._nc.subscribe(progress_filter(self._tenant), queue=QUEUE, cb=self._hear)
                await subscription.unsubscribe(limit=HEARD)
                await self._full.wait()
                if self._muted:
                    await subscription.unsubscribe()
            except NatsError:  # the connection is closed, or its buffer is full of what matters more
                await asyncio.sleep(1)
                continue
            pause = MUTED_SECONDS if self._muted else began + WINDOW_SECONDS - loop.time()
            await asyncio.sleep(max(0.0, pause))

    async def _hear(self, message: Msg) -> None:
        self._heard += 1
        if self._heard >= HEARD:
            self._full.set()
        if self._muted:
            return
        if len(message.data) > BODY_BYTES:
            log.warning("progress.muted", subject=message.subject, bytes=len(message.data), seconds=MUTED_SECONDS)
            self._muted = True
            self._full.set()
            return
        with suppress(EventError, ValueError):  # it is no progress, so nobody misses it
            self._take(parse_answer(message.subject), read_progress(message.data))

    def _take(self, at: AnswerSubject, said: Progress) -> None:
        call = self._calls.get(at)
        if call is None:
            if len(self._calls) >= CALLS:
                return
            call = self._calls[at] = _Call()
            self._ready.put_nowait(at)
        if said.k > call.k:
            call.k, call.newest = said.k, said

    async def _relay(self) -> None:
        """Tell what is newest of one call after the other."""
        loop = asyncio.get_running_loop()
        while True:
            at = await self._ready.get()
            try:
                await self._tell(at, self._calls[at])
            except (StenographError, EventError, JetStreamError, NatsError) as error:
                log.debug("progress.untold", session=at.session, call=at.call, error=str(error))
            except Exception:
                log.exception("progress.untold", session=at.session, call=at.call)
            loop.call_later(REST_SECONDS, self._rested, at)
            await asyncio.sleep(PACE_SECONDS)

    def _rested(self, at: AnswerSubject) -> None:
        if self._calls[at].newest is not None:
            self._ready.put_nowait(at)
        else:
            del self._calls[at]

    async def _tell(self, at: AnswerSubject, call: _Call) -> None:
        """Show what is newest if the call is open. The log is asked each time: another gateway may have closed it."""
        said, call.newest = call.newest, None
        if said is None or not (call.is_known or await self._log.has(at.session, _requests(at))):
            return
        call.is_known = True
        loaded = await self._records.session(at.about)
        if frame := decide.progress(loaded.state, loaded.head.n, at, said):
            await self._nc.publish(frame_subject(at.tenant, at.session), encode_frame(frame))


def _requests(at: AnswerSubject) -> str:
    """Return where the log has requests for the tool. One look there, and a session that is made up costs no more."""
    return worker_requests(at.tenant, at.session, at.tool)
