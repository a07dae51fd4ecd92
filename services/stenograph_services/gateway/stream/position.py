"""Where a turn stands in its handler: which block is open, and the events that open and close it. Pure.

    {"type":"block-start","blockId":"91d2…/1","blockName":"Answer","blockType":"next-message","display":"stream",…}
    {"type":"block-end","blockId":"91d2…/1"}

A block whose display is `hidden` has neither. What is said in between lies in the block's thread.
"""

from collections.abc import Sequence

from stenograph_services.gateway.wire.stream_events import BlockEnd, BlockStart, StreamEvent
from stenograph_services.gateway.wire.ui_parts import thread_of
from stenograph_services.protocol.agent import Block, NextMessage, NotRun


class Position:
    """The open block of a turn. Blocks are named by their index in the handler."""

    def __init__(self, turn: str, handler: Sequence[Block]) -> None:
        self.index: int | None = None
        self._turn = turn
        self._handler = handler

    def enter(self, index: int) -> list[StreamEvent]:
        """Open block `index` and close the one before it."""
        events = self.leave()
        self.index = index
        block = self.block
        if block is not None and self.is_told:
            events.append(
                BlockStart(
                    block_id=self._id,
                    block_name=block.name,
                    block_type=type_of(block),
                    display=block.display,
                    description=block.title or block.description,
                    output_to_chat=not block.independent if isinstance(block, NextMessage) else None,
                    thread=thread_of(getattr(block, "thread", "main")),
                )
            )
        return events

    def leave(self) -> list[StreamEvent]:
        """Close the open block, if one is."""
        events: list[StreamEvent] = [BlockEnd(self._id)] if self.is_told else []
        self.index = None
        return events

    @property
    def block(self) -> Block | None:
        """The open block; None before the first, after the last, and where the agent can no longer be read."""
        return self._handler[self.index] if self.index is not None and self.index < len(self._handler) else None

    @property
    def is_told(self) -> bool:
        """Whether the client knows of the open block, and so in which thread it is."""
        return self.block is not None and self.block.display != "hidden"

    @property
    def is_silent(self) -> bool:
        """Whether the open block is one whose answer the protocol hides."""
        return isinstance(self.block, NextMessage) and self.block.display == "hidden"

    @property
    def is_aside(self) -> bool:
        """Whether a model answers for itself, not for the chat. A thread of its own is shown as that thread."""
        block = self.block
        return isinstance(block, NextMessage) and block.independent and block.thread == "main"

    @property
    def response_type(self) -> str | None:
        """The type that the model has to answer with in the open block."""
        return self.block.response_type if isinstance(self.block, NextMessage) else None

    @property
    def _id(self) -> str:
        return block_id(self._turn, self.index)


def block_id(turn: str, index: int | None) -> str:
    """Return the name under which clients know block `index` of the handler of `turn`."""
    return f"{turn}/{index}"


def type_of(block: Block) -> str:
    """Return the kind of `block` as the protocol writes it."""
    return block.kind if isinstance(block, NotRun) else str(type(block).__struct_config__.tag)
