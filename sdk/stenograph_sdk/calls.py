"""One call, from the delivered request to the stored answer.

A request is answered once for each attempt: the answer's subject is write-once, so the first answer stands whatever
is delivered twice. A call that must not run twice is claimed first, in a write-once cell: whoever writes it may run.
"""

import asyncio
import logging
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw
from nats.js import JetStreamContext

from stenograph_events import subjects
from stenograph_events.boxes import AnswerKey
from stenograph_events.progress import Progress
from stenograph_events.secrets import masked_json, masked_text, values_in
from stenograph_events.signatures import signed_answer
from stenograph_events.subjects import AnswerSubject
from stenograph_events.types import ToolRequested
from stenograph_events.values import BlobRef
from stenograph_events.wire import ToolAnswer, too_large
from stenograph_sdk.blobs import upload
from stenograph_sdk.credentials import NOBODY, Identity
from stenograph_sdk.encoding import to_json
from stenograph_sdk.errors import AlreadyWritten, OutcomeUnknown, ToolBroken, ToolError, Unconfirmed, UploadQuotaUsed
from stenograph_sdk.files import ToolFile
from stenograph_sdk.parameters import InvalidArguments
from stenograph_sdk.progress import Reporter, Telling
from stenograph_sdk.storing import MESSAGE_ID, store
from stenograph_sdk.tools import Tool
from stenograph_sdk.tracing import span_of

log = logging.getLogger("stenograph_sdk")

LATE_SECONDS = 30.0  # an answer after the deadline is recorded as late: worth a short try, not a long one
CLOCKS_DIFFER_SECONDS = 5.0
STOPPED = "it was cancelled: nobody waited for it any more"
ERROR_CHARACTERS = 4_000  # a model reads it; a page of it helps nobody


Publish = Callable[[str, bytes], Awaitable[None]]
"""Sends something that may be lost."""


async def _nowhere(subject: str, data: bytes) -> None:
    return


class Running(NamedTuple):
    """A handler at work. `stop` is set when nobody waits for what it does."""

    handler: "asyncio.Future[Any]"
    stop: Event


def utc_now() -> datetime:
    return datetime.now(UTC)


class Calls:
    """Answers the requests for one tool, in the name of `worker`, whose clock is `now`.

    Answers are signed by the worker's `identity`, if that has a key. `publish` sends what may be lost.
    """

    def __init__(
        self,
        jetstream: JetStreamContext,
        tool: Tool,
        worker: str,
        threads: Executor,
        identity: Identity = NOBODY,
        *,
        now: Callable[[], datetime] = utc_now,
        publish: Publish = _nowhere,
    ) -> None:
        self.max_inline_bytes = 256 * 1024
        self.max_result_bytes = 64 * 1024 * 1024
        self.upload_quota_bytes = 256 * 1024 * 1024
        self._jetstream = jetstream
        self._tool = tool
        self._worker = worker
        self._threads = threads
        self._now = now
        self._identity = identity
        self._publish = publish
        self._running: dict[tuple[str, str, int], Running] = {}

    async def answer(self, request: ToolRequested, key: AnswerKey | None = None) -> None:
        """Run `request` and store its answer, sealed with `key`; return when the request may be acked.

        Raises `StenographSdkError` if the answer could not be stored: then it must come again.
        """
        began = time.monotonic()
        answer = await self.outcome(request, key)
        if answer is None:
            return
        log.info(
            f"tool.{answer.outcome} tool=%s call=%s attempt=%d tenant=%s session=%s turn=%s worker=%s ms=%d bytes=%d",
            *(request.tool, request.call, request.attempt, request.tenant, request.session, request.turn),
            *(self._worker, (time.monotonic() - began) * 1000, size_of(answer)),
        )
        try:
            await store(
                self._jetstream,
                subjects.answer_subject(*_whose(request)),
                _closed(msgspec.json.encode(self._signed(answer, request)), key),
                what=f"the answer to call {request.call}",
                timeout=max(0.0, self._seconds_left(request)) + LATE_SECONDS,
            )
        except AlreadyWritten:
            log.debug("tool.already_answered call=%s attempt=%d", request.call, request.attempt)

    def _signed(self, answer: ToolAnswer, request: ToolRequested) -> ToolAnswer:
        signer = self._identity.signer
        return signed_answer(answer, AnswerSubject(*_whose(request)), signer) if signer else answer

    async def outcome(self, request: ToolRequested, key: AnswerKey | None = None) -> ToolAnswer | None:
        """Return what answers `request`, run if it may be; None if another worker claimed it, or nobody can know."""
        if self._seconds_left(request) <= 0:
            return ToolAnswer("expired", worker=self._worker)
        if "never" in (request.retry, self._tool.retry):
            try:
                await self._claim(request)
            except AlreadyWritten:
                log.info("tool.claimed_elsewhere call=%s attempt=%d", request.call, request.attempt)
                return None
            except Unconfirmed:
                return ToolAnswer("expired", worker=self._worker)
        with span_of(request, self._worker) as ended:
            try:
                answer = await self._run(request, key)
            except OutcomeUnknown:
                log.warning("tool.not_answered tool=%s call=%s attempt=%d", request.tool, request.call, request.attempt)
                ended("unknown")
                return None
            ended(answer.outcome)
        return answer

    async def _claim(self, request: ToolRequested) -> None:
        """Write the call's claim cell; raise `AlreadyWritten` if another worker, or the deadline, was first."""
        await store(
            self._jetstream,
            subjects.claim_subject(*_whose(request)),
            msgspec.json.encode({"worker": self._worker}),
            what=f"the claim of call {request.call}",
            timeout=self._seconds_left(request),
            # The server looks at the message id before the cell: our own second try is a duplicate, not a refusal.
            headers={MESSAGE_ID: str(uuid.uuid4())},
        )

    def stop(self, session: str, call: str, attempt: int | None) -> None:
        """Let the handler of a call know that nobody waits for it: one that is async is cancelled.

        What it answers all the same is recorded as late, so that the log says what came of it.
        """
        for (whose, which, number), running in tuple(self._running.items()):
            if (whose, which) == (session, call) and attempt in (None, number) and not running.stop.is_set():
                log.info("tool.stopped tool=%s call=%s attempt=%d", self._tool.name, call, number)
                running.stop.set()
                if self._tool.is_async:
                    running.handler.cancel()

    async def _handled(self, request: ToolRequested) -> Any:
        """Return what the handler returns; raise what it raises, and `ToolError` if it was stopped."""
        stop, reporter = Event(), self._reporter(request)
        handler = asyncio.ensure_future(self._tool.run(request, self._threads, stop, reporter))
        key = (request.session, request.call, request.attempt)
        self._running[key] = Running(handler, stop)
        # The platform says when the deadline has passed; should its word get lost, the handler ends all the same.
        late = max(0.0, self._seconds_left(request)) + LATE_SECONDS
        timer = asyncio.get_running_loop().call_later(late, self.stop, *key)
        try:
            return await handler
        except asyncio.CancelledError:
            if stop.is_set():
                raise ToolError(STOPPED) from None
            raise
        finally:
            timer.cancel()
            del self._running[key]
            await reporter.close()

    def _reporter(self, request: ToolRequested) -> Reporter:
        """Return who tells how far the handler of `request` is."""
        subject, secrets = subjects.progress_subject(*_whose(request)), values_in(request)

        async def tell(progress: Progress) -> None:
            if self._identity.said.progress:  # an older credential may not, and each try would be a denial
                await self._publish(subject, msgspec.json.encode(progress))

        return Telling(tell, clean=lambda text: masked_text(text, secrets))

    async def _run(self, request: ToolRequested, key: AnswerKey | None) -> ToolAnswer:
        secrets = values_in(request)
        try:
            returned = await self._handled(request)
            result = to_json(ToolFile(returned) if isinstance(returned, bytes | bytearray) else returned)
            result = self._masked(request, result, secrets)
            most = request.max_result_bytes or self.max_result_bytes
            if len(result) > most:
                return ToolAnswer("failed", error=too_large(len(result), most), worker=self._worker, kind="too-large")
            if len(result) <= self.max_inline_bytes:
                return ToolAnswer("succeeded", result=Raw(result), worker=self._worker)
            reference = await self._upload(request, result, key)
            return ToolAnswer("succeeded", result_ref=reference, worker=self._worker)
        except OutcomeUnknown:
            raise
        except (ToolError, InvalidArguments) as error:
            return self._failed(masked_text(str(error), secrets), broken=isinstance(error, ToolBroken))
        except UploadQuotaUsed as error:
            log.error("tool.upload_refused tool=%s call=%s error=%s", request.tool, request.call, error)
            return self._failed(str(error))
        except Exception as error:  # the tool is the customer's: whatever it raises is its answer
            # What an exception says may be an argument: a model reads it, and a log only where that is asked for.
            log.warning(
                "tool.raised tool=%s call=%s error=%s raised_at=%s",
                *(request.tool, request.call, type(error).__name__, place_of(error)),
            )
            if request.secrets is None:
                log.debug("tool.traceback tool=%s call=%s", request.tool, request.call, exc_info=True)
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            return self._failed(masked_text(text, secrets), broken=True)

    def _masked(self, request: ToolRequested, result: bytes, secrets: tuple[str, ...]) -> bytes:
        """Return `result` without the secrets that the call was given: it goes into the log, and to a model."""
        clean = masked_json(result, secrets)
        if clean != result:
            log.warning("tool.secret_masked tool=%s call=%s mend=%s", request.tool, request.call, "do not return it")
        return clean

    async def _upload(self, request: ToolRequested, result: bytes, key: AnswerKey | None) -> BlobRef:
        seconds = max(LATE_SECONDS, self._seconds_left(request))
        at = AnswerSubject(*_whose(request))
        return await upload(self._jetstream, at, result, seconds, quota=self.upload_quota_bytes, key=key)

    def too_early(self, request: ToolRequested) -> float:
        """Return after how many seconds `request` may begin: those of its pause at most, whatever our clock says."""
        if request.not_before is None:
            return 0.0
        wait, pause = (request.not_before - self._now()).total_seconds(), request.not_before - request.at
        if wait > pause.total_seconds() + CLOCKS_DIFFER_SECONDS:
            return 0.0  # our clock is far behind: by it the time would never come
        return min(wait, pause.total_seconds())

    def _seconds_left(self, request: ToolRequested) -> float:
        """Return the seconds until the deadline of `request`, by this worker's clock; negative when it is past."""
        return (request.deadline_at - self._now()).total_seconds()

    def _failed(self, reason: str, *, broken: bool = False) -> ToolAnswer:
        return ToolAnswer("failed", error=reason[:ERROR_CHARACTERS], worker=self._worker, broken=broken)


def _closed(answer: bytes, key: AnswerKey | None) -> bytes:
    return key.close(answer) if key else answer


def _whose(request: ToolRequested) -> tuple[str, str, str, str, int]:
    return request.tenant, request.tool, request.session, request.call, request.attempt


def size_of(answer: ToolAnswer) -> int:
    """Return how many bytes the result has, wherever it lies."""
    return answer.result_ref.size if answer.result_ref else len(bytes(answer.result))


def place_of(error: BaseException) -> str:
    """Return the file and line where `error` was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
