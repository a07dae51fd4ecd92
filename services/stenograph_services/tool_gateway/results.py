"""Results: the value that an answer brings or refers to, and what of it has to be in BLOB before the log refers to it.

What a worker uploads is checked where it lies. Only what is recorded is copied, so that whoever uploads without end
fills the quota of a tenant and nothing else. Each step may be done again: a gateway may die between any two of them.
"""

from typing import NamedTuple

import structlog
from msgspec import Raw
from nats.aio.client import Client
from nats.errors import Error as NatsError

from stenograph_events import AnyEvent, InvalidId
from stenograph_events.boxes import answer_of
from stenograph_events.subjects import AnswerSubject
from stenograph_events.types import ToolSucceeded
from stenograph_events.wire import ToolAnswer
from stenograph_services.runtime.blobs import BlobMissing
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.jetstream import JetStreamError
from stenograph_services.runtime.sealing import Seals
from stenograph_services.runtime.uploads import Uploaded, Uploads

log = structlog.get_logger()


class Brought(NamedTuple):
    """The result of an answer, None if it is not where the answer says; and how it was uploaded, if it was."""

    value: Raw | None
    uploaded: Uploaded | None = None


class Results:
    """The results of answers, wherever they lie."""

    def __init__(self, nc: Client, settings: Settings, seals: Seals) -> None:
        self._settings = settings
        self._seals = seals
        self._uploads = Uploads(nc)

    async def brought(self, at: AnswerSubject, answer: ToolAnswer) -> Brought:
        """Return the result that `answer` brings or refers to."""
        if answer.result_ref is None:
            return Brought(answer.result)
        if answer.result_ref.size > self._settings.result_max_bytes:
            return Brought(None)  # nor is it read: it would be held in memory
        if answer.result_ref.sealed not in (None, answer_of(at.call, at.attempt)):
            return Brought(None)  # sealed for another call: a worker refers to what it stored itself
        try:
            key = await self._seals.known(at.tenant, at.session)
            uploaded = await self._uploads.read(at, answer.result_ref, key=key)
        except (BlobMissing, InvalidId) as error:
            log.warning("result.missing", error=str(error))
            return Brought(None)
        right = len(uploaded.value) == answer.result_ref.size
        return Brought(Raw(uploaded.value), uploaded) if right else Brought(None)

    async def keep(self, event: AnyEvent, brought: Brought) -> None:
        """Store in BLOB what `event`, which is about to be appended, refers to."""
        if isinstance(event, ToolSucceeded) and event.result_ref is not None and brought.uploaded is not None:
            await self._uploads.keep(event.tenant, brought.uploaded)

    async def let_go(self, at: AnswerSubject, answer: ToolAnswer) -> None:
        """Give back the room of what was uploaded for an answer, or in vain: it is recorded, whatever came of it."""
        if answer.result_ref is None and answer.outcome != "failed":
            return
        try:
            await self._uploads.let_go(at)
        except (JetStreamError, NatsError) as error:
            log.warning("uploads.left", error=str(error))  # they go with their age
