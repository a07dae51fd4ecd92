"""Legs: a turn is streamed in one response or in several, because clients answer calls only after a response has ended.

    leg 1    start … tool-request, finish: tool-calls     the turn waits for its client, and for nobody else
             POST with the results
    leg 2    start … finish: stop

Where such a leg ends follows from the log alone, so any gateway can go on where another one stopped.

A turn that waits for a person, and for nobody else, ends its leg, too: that may take days. So does one that waits for
child agents in whose turns that is so. Pure.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec

from stenograph_events import ApprovalDecision, StoredEvent, answers_call
from stenograph_events.types import (
    ApprovalRequested,
    MessageAdded,
    ResolutionRequested,
    ToolCancelled,
    ToolOutcome,
    ToolRequested,
    TurnCancelRequested,
)
from stenograph_services.gateway.wire.stream_events import ClientCall
from stenograph_services.gateway.wire.ui_parts import thread_of


class Leg(msgspec.Struct, frozen=True):
    """One response: where in the turn it begins, and what its request knew and brought."""

    after: int = 0
    """Events up to this one were told by the legs before."""
    head: int = 0
    """The last event of the log when the request came …"""
    open: frozenset[str] = frozenset()
    """… and the calls that were open there."""
    answered: frozenset[str] = frozenset()
    """The calls that the request answers. Its sender shows their results by itself."""

    def ends_with(self, requested: Iterable[ToolRequested]) -> bool:
        """Return whether the leg ends because the turn waits for `requested`: no answer is known, or on its way."""
        return all(call.call not in self.answered and self._is_open(call) for call in requested)

    def _is_open(self, request: ToolRequested) -> bool:
        return request.n > self.head or request.call in self.open


FIRST_LEG = Leg()

Question = ApprovalRequested | ResolutionRequested
"""What a person is asked about a call."""


class WaitsBelow(NamedTuple):
    """The child agent that answers `call` waits for what people say, and nothing else. Without questions it runs."""

    call: str
    questions: tuple[Question, ...]


class Pending:
    """The calls of a turn that are not answered."""

    def __init__(self) -> None:
        self.open: dict[str, ToolRequested] = {}
        self._unsaid: dict[str, Question] = {}
        """The calls of which a person is to say something …"""
        self._below: dict[str, tuple[Question, ...]] = {}
        """… and those of child agents whose turns wait for such words, by the call that waits for the child."""
        self._needed: set[str] = set()
        self._thread = "main"
        self._closing = False

    def see(self, event: StoredEvent) -> None:
        """Move on by one event of the turn."""
        match event:
            case MessageAdded():
                self._needed, self.open = {call.call for call in event.calls}, {}
                self._unsaid, self._below = {}, {}
                self._thread = event.thread
            case ApprovalRequested() | ResolutionRequested():
                self._needed.discard(event.call)
                self._unsaid[event.call] = event
            case _ if isinstance(event, ApprovalDecision):
                self._needed.add(event.call)
                self._unsaid.pop(event.call, None)
            case ToolRequested():
                self._needed.discard(event.call)
                self.open[event.call] = event
            case ToolCancelled() | TurnCancelRequested():  # calls are cancelled one by one, and only at a turn's end
                self._closing = True
            case _ if isinstance(event, ToolOutcome):
                self._needed.discard(event.call)
                self.open.pop(event.call, None)
                self._unsaid.pop(event.call, None)
                self._below.pop(event.call, None)
                if not answers_call(event):
                    self._needed.add(event.call)  # something follows on it

    def see_below(self, waits: WaitsBelow) -> None:
        """Move on by how a child agent stands now."""
        self._below[waits.call] = waits.questions

    @property
    def paused(self) -> bool:
        """Whether the turn waits for its client alone."""
        calls = self.open.values()
        return bool(calls) and not self._needed and not self._closing and all(call.client for call in calls)

    @property
    def held(self) -> bool:
        """Whether the turn waits for what people say of calls, and for nothing else."""
        waits = all(self._below.get(call) for call in self.open)
        return waits and bool(self._unsaid or self.open) and not self._needed and not self._closing

    @property
    def held_below(self) -> bool:
        """Whether child agents are among what waits like that."""
        return bool(self.open)

    @property
    def questions(self) -> list[Question]:
        """What people are asked, also in the child agents that are waited for."""
        below = [question for call in self.open for question in self._below.get(call, ())]
        return [*self._unsaid.values(), *below]

    def calls(self) -> list[ClientCall]:
        """Return what the client is asked for, in the order of the requests."""
        return [self._asked(request) for request in self.open.values()]

    def _asked(self, request: ToolRequested) -> ClientCall:
        by_model = request.block is None
        return ClientCall(
            tool_call_id=request.call,
            tool_name=request.tool,
            args=request.arguments,
            source="llm" if by_model else "block",
            output_variable=request.output,
            block_index=request.block,
            thread=thread_of(self._thread) if by_model else None,
        )


def next_leg(history: Iterable[StoredEvent], answered: Collection[str]) -> Leg:
    """Return the leg that follows on the one that asked for the calls in `answered`.

    `history` is the turn as the log has it. If no calls are named it follows on the last one.
    """
    pending, after, head = Pending(), 0, 0
    for event in history:
        pending.see(event)
        head = event.n
        if pending.paused and (not answered or not pending.open.keys().isdisjoint(answered)):
            after = head
    return Leg(after, head, frozenset(pending.open), frozenset(answered))
