"""Registration: a worker offers to serve a tool, and is told where to pull its calls.

The consumer that the workers of one tool share is made here, and the stream that those of a tenant upload to, so that
a worker's credential need not create anything.
"""

from datetime import UTC, datetime, timedelta

import msgspec
import structlog
from msgspec.structs import replace
from nats.aio.client import Client

from stenograph_events import EventError, checked_id
from stenograph_events.boxes import Unboxable, checked_public
from stenograph_events.subjects import parse_register
from stenograph_events.wire import Problem, Registered, Registration
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.jetstream import JetStreamError
from stenograph_services.runtime.registry import ToolEntry, ToolRegistry
from stenograph_services.runtime.streams import declare_consumer, tool_worker_consumer
from stenograph_services.runtime.uploads import declare_uploads

log = structlog.get_logger()

SEEN_EVERY = timedelta(minutes=1)  # each write is read by every orchestrator; people need to know no better

MEND = "make its credential anew, `stenograph workers creds`"

_registration = msgspec.json.Decoder(Registration)


class Registrations:
    """Answers registrations. Doing so again is safe: workers repeat theirs every half minute."""

    def __init__(self, nc: Client, settings: Settings, registry: ToolRegistry) -> None:
        self._nc = nc
        self._settings = settings
        self._registry = registry

    async def register(self, subject: str, data: bytes) -> Registered | Problem:
        """Return where the worker pulls, or what is wrong with its offer. The subject says what it may offer."""
        try:
            tenant, tool = parse_register(subject)
            wanted = _registration.decode(data)
            checked_id(wanted.worker, "worker")
            if wanted.tool != tool:
                return Problem("VALIDATION_ERROR", f"{tool!r} is registered here, and the offer is {wanted.tool!r}")
            if wanted.seal_to is not None:
                checked_public(wanted.seal_to)
            elif self._settings.sealing:
                return Problem("SEALED", f"requests are sealed here, and this worker has no key for {tool!r}: {MEND}")
            consumer = tool_worker_consumer(self._settings, tenant, wanted.tool)
        except (msgspec.MsgspecError, EventError, Unboxable) as error:
            return Problem("VALIDATION_ERROR", f"the registration is wrong: {error}")
        try:
            await declare_consumer(self._nc, consumer)
            quota = await declare_uploads(self._nc, self._settings, tenant)
        except JetStreamError as error:
            log.error("tool.unregistered", tool=tool, error=str(error), mend="see what the server has no room for")
            return Problem("UNAVAILABLE", f"{tool!r} cannot be served now: {error}")
        offered = (wanted.parameters, wanted.description, wanted.result, wanted.seal_to)
        entry = ToolEntry(wanted.tool, wanted.retry, wanted.worker, datetime.now(UTC), *offered)
        await self._record(tenant, entry, begins=wanted.begins)
        sizes = self._settings.inline_max_bytes, self._settings.result_max_bytes, quota
        return Registered(consumer.stream, consumer.name, consumer.ack_wait_seconds, *sizes)

    async def _record(self, tenant: str, entry: ToolEntry, *, begins: bool) -> None:
        """Record what a worker offers. One that `begins` may be the mended one of a tool that is not asked any more."""

        def changed(known: ToolEntry | None) -> ToolEntry:
            breaker = known.breaker if known else None
            return replace(entry, breaker=breaker.begun_anew(entry.at) if breaker and begins else breaker)

        known = self._registry.entry(tenant, entry.tool)
        news = known is None or replace(known, at=entry.at, breaker=None) != entry
        if news:
            log.info("tool.registered", tool=entry.tool, worker=entry.worker, retry=entry.retry)
        tries = begins and known is not None and known.breaker is not None
        if news or tries or (known is not None and entry.at - known.at >= SEEN_EVERY):
            await self._registry.change(tenant, entry.tool, changed)
