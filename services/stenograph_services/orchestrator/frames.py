"""Frames out: what a model says while it says it, gathered into one frame every 30 ms, on `tok.<tenant>.<session>`."""

import asyncio
import contextlib
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

from stenograph_events.frames import AnyFrame, CallDelta, ReasoningDelta, TextDelta, encode_frame
from stenograph_events.subjects import frame_subject
from stenograph_services.orchestrator.models.request import CallPiece, Delta, Reasoning, Text

FRAME_SECONDS = 0.03  # a person sees no difference, a network does


class FrameWriter:
    """Writes the frames of one attempt, numbered from 1. Lost ones are nobody's loss: the message enters the log."""

    def __init__(
        self, nc: Client, tenant: str, session: str, *, turn: str, after: int, attempt: int, thread: str
    ) -> None:
        self._nc = nc
        self._subject = frame_subject(tenant, session)
        self._turn, self._after, self._attempt, self._thread = turn, after, attempt, thread
        self._k = 0
        self._pending: list[Delta] = []
        self._sent_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None

    async def write(self, delta: Delta) -> None:
        """Send `delta` now, or with the next frame if one went out a moment ago."""
        self._pending.append(delta)
        loop = asyncio.get_running_loop()
        wait = self._sent_at + FRAME_SECONDS - loop.time()
        if wait <= 0:
            await self.flush()
        elif self._timer is None:
            self._timer = loop.call_later(wait, self._flush_soon)

    async def flush(self) -> None:
        """Send what is gathered: neighbours of one kind as one frame."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending, self._pending = self._pending, []
        if not pending:
            return
        self._sent_at = asyncio.get_running_loop().time()
        joined = [pending[0]]
        for delta in pending[1:]:
            if merged := _merged(joined[-1], delta):
                joined[-1] = merged
            else:
                joined.append(delta)
        for delta in joined:
            self._k += 1
            with contextlib.suppress(NatsError):
                await self._nc.publish(self._subject, encode_frame(self._frame(delta)))

    def _flush_soon(self) -> None:
        self._timer = None
        self._sending = asyncio.ensure_future(self.flush())

    def _frame(self, delta: Delta) -> AnyFrame:
        where: dict[str, Any] = {
            "turn": self._turn,
            "after": self._after,
            "attempt": self._attempt,
            "k": self._k,
            "thread": self._thread,
        }
        match delta:
            case Text():
                return TextDelta(**where, text=delta.text)
            case Reasoning():
                return ReasoningDelta(**where, text=delta.text)
            case CallPiece():
                return CallDelta(**where, index=delta.index, tool=delta.tool, arguments=delta.arguments)


def _merged(left: Delta, right: Delta) -> Delta | None:
    match left, right:
        case Text(), Text():
            return Text(left.text + right.text)
        case Reasoning(), Reasoning():
            return Reasoning(left.text + right.text)
        case CallPiece(), CallPiece() if left.index == right.index:
            return CallPiece(left.index, left.tool, left.arguments + right.arguments)
        case _:
            return None
