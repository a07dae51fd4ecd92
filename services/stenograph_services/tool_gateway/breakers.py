"""Breakers: what becomes of calls decides whether their tool is asked any more. The rules are in `runtime.breaker`.

The breaker stands in the registry, TOOLREG: every tool gateway reads and writes the same one, and it outlives them. The
failures in a row are each gateway's own; whoever counts enough of them opens it. What could not be written is not tried
again: the next failure or answer says the same, and a pause ends by itself.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace
from nats.errors import Error as NatsError

from stenograph_events import AnyEvent
from stenograph_events.subjects import CallSubject
from stenograph_events.types import ToolFailed, ToolOutcomeUnknown, ToolRequested, ToolSucceeded, ToolTimedOut
from stenograph_services.runtime.breaker import Breaker, Row, Terms, opened
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.jetstream import JetStreamError
from stenograph_services.runtime.registry import ToolEntry, ToolRegistry

log = structlog.get_logger()

NEW = Row()


class Breakers:
    """Opens and closes the breakers of the tools whose calls this process records."""

    def __init__(self, registry: ToolRegistry, settings: Settings) -> None:
        self._registry = registry
        self._terms = Terms(settings.breaker_failures, timedelta(seconds=settings.breaker_pause_seconds))
        self._rows: dict[tuple[str, str], Row] = {}

    async def asked(self, request: ToolRequested) -> None:
        """Take note that a worker is asked: if the tool is to be tried, `request` does, and no other one."""
        if self._known(request.tenant, request.tool) is None:
            return
        call, at = _trial(request.session, request.call, request.attempt), asked_at(request)
        tried = await self._change(
            request.tenant, request.tool, lambda known: known and known.tried(call, at, request.deadline_at)
        )
        if tried is not None:
            log.info("tool.breaker_tried", tool=request.tool, session=request.session, call=request.call)

    async def ended(
        self,
        where: CallSubject,
        tool: str,
        outcome: AnyEvent | None,
        now: datetime,
        *,
        broken: bool = False,
        asked_at: datetime | None = None,
    ) -> None:
        """Take note of what was recorded of a worker's call, None: nothing.

        `broken`: of a failure its worker says that the tool could do nothing, whatever it was asked.
        """
        match outcome:
            case ToolTimedOut() | ToolOutcomeUnknown():
                await self._failed(where, tool, now, asked_at)
            case ToolFailed() if broken:
                await self._failed(where, tool, now, asked_at)
            case ToolFailed() | ToolSucceeded():
                await self._answered(where.tenant, tool, now)

    async def let_go(self, where: CallSubject, tool: str, now: datetime) -> None:
        """Take note that nobody waits for any attempt of a call any more."""
        known = self._known(where.tenant, tool)
        trial = known.trial if known else None
        if trial is not None and trial.startswith(f"{where.session}/{where.call}/"):
            await self._change(where.tenant, tool, lambda known: known and known.let_go(trial, now))

    async def _answered(self, tenant: str, tool: str, now: datetime) -> None:
        self._rows[tenant, tool] = Row(answered_at=now)
        known = self._known(tenant, tool)
        if known is not None and await self._change(tenant, tool, lambda _: None) is not None:
            log.info("tool.breaker_closed", tool=tool, failures=known.failures, opened_at=known.opened_at)

    async def _failed(self, where: CallSubject, tool: str, now: datetime, asked_at: datetime | None) -> None:
        tenant, call = where.tenant, _trial(where.session, where.call, where.attempt)
        row = self._rows.get((tenant, tool), NEW)
        if self._known(tenant, tool) is not None:
            self._rows[tenant, tool] = Row(answered_at=row.answered_at)  # what was in hand when it opened says no more
            entry = await self._change(tenant, tool, lambda known: known and known.failed(call, now, self._terms))
        else:
            row = self._rows[tenant, tool] = row.failed(asked_at)
            if not 0 < self._terms.failures <= row.failures:
                return
            entry = await self._change(tenant, tool, lambda known: known or opened(row.failures, now, self._terms))
        if entry is not None and (breaker := entry.breaker) is not None:
            at = {"until": breaker.until, "times": breaker.times}
            log.warning("tool.breaker_opened", tool=tool, failures=breaker.failures, **at)

    def _known(self, tenant: str, tool: str) -> Breaker | None:
        return self._registry.broken(tenant).get(tool)

    async def _change(
        self, tenant: str, tool: str, changed: Callable[[Breaker | None], Breaker | None]
    ) -> ToolEntry | None:
        """Record what `changed` makes of the breaker; return the entry if that is news."""
        try:
            return await self._registry.change(
                tenant, tool, lambda entry: entry and replace(entry, breaker=changed(entry.breaker))
            )
        except (NatsError, JetStreamError) as error:
            log.warning("tool.breaker_not_stored", tool=tool, error=str(error))
            return None


def asked_at(request: ToolRequested) -> datetime:
    """Return from when on a worker could answer `request`."""
    return request.not_before or request.at


def _trial(session: str, call: str, attempt: int) -> str:
    return f"{session}/{call}/{attempt}"
