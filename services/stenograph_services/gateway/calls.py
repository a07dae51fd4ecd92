"""The calls of one turn on its stream: shown when they are asked for, answered when the log has their outcome. Pure.

How much is shown is the protocol's choice: a `hidden` tool makes no events at all.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from stenograph_events.types import EMPTY_OBJECT, Call, ToolOutcome, ToolRefused, ToolRequested
from stenograph_projections.transcript import Reply, entry_of
from stenograph_services.gateway.stream_events import (
    StreamEvent,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputEnd,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
)
from stenograph_services.protocol import Tool


class Calls:
    """What calls were shown, and which block made them."""

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self._tools = tools
        self._shown: dict[str, str] = {}  # call → tool
        self._blocks: dict[str, int] = {}

    def block_of(self, call: str) -> int | None:
        """Return the block that made `call`, None if a model did."""
        return self._blocks.get(call)

    def asked(self, call: Call) -> list[StreamEvent]:
        """Show a call that a model asks for. Arguments that are no object are shown as an empty one."""
        return self._show(call.call, call.tool, call.arguments)

    def requested(self, event: ToolRequested) -> list[StreamEvent]:
        """Show a call that a block makes; a second attempt is the same call."""
        if event.block is not None:
            self._blocks[event.call] = event.block
        return self._show(event.call, event.tool, event.arguments)

    def answered(self, event: ToolOutcome) -> list[StreamEvent]:
        """Show what answered a call."""
        events: list[StreamEvent] = []
        if isinstance(event, ToolRefused):  # a block's call that was never requested is heard of here first
            events = self._show(event.call, event.tool, EMPTY_OBJECT)
        if self._hidden(self._shown.get(event.call)):
            return []
        reply = entry_of(event)
        assert isinstance(reply, Reply), "each outcome is a reply in the transcript"
        if reply.outcome == "succeeded":
            return [*events, ToolOutputAvailable(event.call, reply.value)]
        return [*events, ToolOutputError(event.call, msgspec.json.decode(reply.value, type=str))]

    def _show(self, call: str, tool: str, arguments: Raw) -> list[StreamEvent]:
        if call in self._shown:
            return []
        self._shown[call] = tool
        if self._hidden(tool):
            return []
        return [
            ToolInputStart(call, tool, title_of(self._tools.get(tool))),
            ToolInputDelta(call, bytes(arguments).decode()),
            ToolInputEnd(call),
            ToolInputAvailable(call, tool, arguments),
        ]

    def _hidden(self, tool: str | None) -> bool:
        declared = self._tools.get(tool or "")
        return declared is not None and declared.display == "hidden"


def title_of(tool: Tool | None) -> str | None:
    """Return what a person reads instead of the tool's name, if the protocol says so."""
    if tool is None or tool.title is not None:
        return tool.title if tool else None
    return tool.description if tool.display == "description" else None
