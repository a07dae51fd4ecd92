"""The sweep: a session that somebody should be driving, and nobody does, is nudged; one that is idle for long expires.

    trig.control.<tenant>.<session>.nudge     {"woken_by":"5b3f…","n":12}       Nats-Msg-Id nudge:<session>:12
    trig.control.<tenant>.<session>.expire    {"n":41,"idle_seconds":86400}     Nats-Msg-Id expire:<session>:41

Both are wishes: an orchestrator looks again, by the fence. A session to be nudged has lost its delivery, which only a
defect or a person can cause. A model that thinks for minutes looks the same from the log, so the sweep first asks the
server whether the delivery may be alive:

* a start or a control of the session lies in TRIG: it is held, or it will be delivered. No nudge.
* the wake consumer of its log stream has acknowledged everything up to its last event, or holds nothing at all: no
  tool result of this session is held. Nudge.
* otherwise an older delivery, of any session, hides the answer. Nudge after ten times as long a silence: then no model
  is still asked, and of two drivers the fence lets one through.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client

from stenograph_events.subjects import control_subject, trigger_filter
from stenograph_events.wire import Expire, Nudge
from stenograph_services.projector.sessions import WORLD
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.index import SessionIndex, SessionRow
from stenograph_services.runtime.jetstream import NOT_FOUND, JetStreamError, api, publish
from stenograph_services.runtime.streams import TRIG, log_stream

log = structlog.get_logger()

CERTAINLY_SILENT = 10  # times `sweep_seconds`; never less than a model may take for one answer


class Sweep:
    """Looks for silent sessions twice in each `sweep_seconds`."""

    def __init__(self, nc: Client, settings: Settings, index: SessionIndex) -> None:
        self._nc = nc
        self._settings = settings
        self._index = index
        self._log = EventLog(nc, settings)
        self._patience = timedelta(seconds=settings.sweep_seconds)
        self._longest = max(CERTAINLY_SILENT * self._patience, timedelta(seconds=settings.model_timeout_seconds))

    async def run(self) -> None:
        """Sweep without end."""
        while True:
            await asyncio.sleep(self._settings.sweep_seconds / 2)
            try:
                await self.sweep(datetime.now(UTC))
                await self.expire(datetime.now(UTC))
            except WORLD as error:
                log.warning("sweep.failed", error=str(error))

    async def sweep(self, now: datetime) -> None:
        """Nudge each session that, `now`, has been silent for too long and is held by nobody."""
        wakes: dict[str, dict[str, Any]] = {}
        for row in await asyncio.to_thread(self._index.silent, now - self._patience):
            stream = log_stream(self._settings, row.session)
            if stream not in wakes:
                wakes[stream] = await api(self._nc, f"CONSUMER.INFO.{stream}.orchestrator-wake")
            long_silent = row.updated_at < now - self._longest
            if await self._triggered(row) or not (_nothing_held(wakes[stream], row.sequence) or long_silent):
                continue
            if await self._log.leader_sequence(row.tenant, row.session) == row.sequence:  # the index may be behind
                await self._nudge(row)

    async def expire(self, now: datetime) -> None:
        """Ask for the expiry of each session that, `now`, has been idle for too long and that nobody triggers."""
        seconds = self._settings.session_idle_seconds
        if not seconds:
            return
        for row in await asyncio.to_thread(self._index.idle, now - timedelta(seconds=seconds)):
            if await self._triggered(row):
                continue
            subject = control_subject(row.tenant, row.session, "expire")
            body = msgspec.json.encode(Expire(n=row.events, idle_seconds=seconds))
            await publish(self._nc, subject, body, {"Nats-Msg-Id": f"expire:{row.session}:{row.events}"})
            log.info("session.idle", session=row.session, n=row.events, since=row.updated_at.isoformat())

    async def _triggered(self, row: SessionRow) -> bool:
        """Return whether a trigger or a control of the session is in TRIG, a work queue: it keeps what is un-acked."""
        try:
            body = {"last_by_subj": trigger_filter(row.tenant, row.session)}
            await api(self._nc, f"STREAM.MSG.GET.{TRIG}", body)
        except JetStreamError as error:
            if error.code in NOT_FOUND:
                return False
            raise
        return True

    async def _nudge(self, row: SessionRow) -> None:
        assert row.woken_by is not None, "the index names only sessions that an event woke"
        subject = control_subject(row.tenant, row.session, "nudge")
        body = msgspec.json.encode(Nudge(woken_by=row.woken_by, n=row.events))
        await publish(self._nc, subject, body, {"Nats-Msg-Id": f"nudge:{row.session}:{row.events}"})
        log.warning("session.silent", session=row.session, n=row.events, since=row.updated_at.isoformat())


def _nothing_held(wake: dict[str, Any], sequence: int) -> bool:
    """Return whether the wake consumer holds no delivery up to `sequence` un-acked."""
    if wake["num_ack_pending"] == 0 and wake["num_pending"] == 0:
        return True
    return bool(wake["ack_floor"]["stream_seq"] >= sequence)
