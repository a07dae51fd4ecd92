"""The calls of one turn on its stream: shown when they are asked for, answered when the log has their outcome. Pure.

How much is shown is the protocol's choice: a `hidden` tool makes no events at all.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Raw

from stenograph_events.frames import ToolProgress
from stenograph_events.secrets import shown_json
from stenograph_events.types import ToolAnswered, ToolOutcome, ToolRefused, ToolRequested
from stenograph_events.values import EMPTY_OBJECT, Call
from stenograph_projections.transcript import Reply, entry_of
from stenograph_services.gateway.stream import children, tool_events
from stenograph_services.gateway.stream.callees import UNDECLARED, Callee
from stenograph_services.gateway.wire.stream_events import StreamEvent, TodoUpdate


class Shown(NamedTuple):
    """A call that the client was told of."""

    callee: Callee
    by_model: bool


class Calls:
    """What calls were shown, and which block made them."""

    def __init__(self, callees: Mapping[str, Callee]) -> None:
        self._callees = callees
        self._shown: dict[str, Shown] = {}
        self._blocks: dict[str, int] = {}

    def block_of(self, call: str) -> int | None:
        """Return the block that made `call`, None if a model did."""
        return self._blocks.get(call)

    def shows(self, call: str) -> bool:
        """Return whether the client was told of `call`."""
        return call in self._shown

    @property
    def may_run(self) -> bool:
        """Whether there are child agents that may be called."""
        return any(callee.is_child for callee in self._callees.values())

    @property
    def may_follow(self) -> bool:
        """Whether what a child agent does is for the client, of any that may be called."""
        return any(callee.is_child and callee.kept for callee in self._callees.values())

    def follows(self, child: str) -> bool:
        """Return whether what child agent `child` does is for the client."""
        return self._callees.get(child, UNDECLARED).kept

    def asked(self, call: Call) -> list[StreamEvent]:
        """Show a call that a model asks for. Arguments that are no object are shown as an empty one."""
        return self._show(call.call, call.tool, call.arguments, by_model=True)

    def requested(self, event: ToolRequested) -> list[StreamEvent]:
        """Show a call that a block makes; a second attempt is the same call."""
        if event.block is not None:
            self._blocks[event.call] = event.block
        return self._show(event.call, event.tool, event.arguments, by_model=False)

    def answered(self, event: ToolOutcome) -> list[StreamEvent]:
        """Show what answered a call, if the call was shown, and the list of things to do, if it wrote that."""
        if isinstance(event, ToolAnswered) and event.todos is not None:
            return [TodoUpdate(event.todos)]
        events: list[StreamEvent] = []
        if (
            isinstance(event, ToolRefused) and event.block is not None
        ):  # it may never have been requested: then this is the first of it
            events = self._show(event.call, event.tool, EMPTY_OBJECT, by_model=False)
        shown = self._shown.get(event.call)
        if shown is None:
            return []
        reply = entry_of(event)
        assert isinstance(reply, Reply), "each outcome is a reply in the transcript"
        if shown.callee.is_child:
            return events + children.ended(reply, by_model=shown.by_model)
        return events + tool_events.answered(reply)

    def progressed(self, frame: ToolProgress) -> list[StreamEvent]:
        """Show how far a call is, if the call was shown."""
        return [tool_events.progressed(frame)] if self.shows(frame.call) else []

    def _show(self, call: str, tool: str, arguments: Raw, *, by_model: bool) -> list[StreamEvent]:
        arguments = shown_json(arguments)
        callee = self._callees.get(tool, UNDECLARED)
        if callee.hidden or call in self._shown:
            return []
        self._shown[call] = Shown(callee, by_model)
        if callee.is_child:
            return children.begun(call, tool, arguments, callee, by_model=by_model)
        return tool_events.asked(call, tool, callee, arguments)
