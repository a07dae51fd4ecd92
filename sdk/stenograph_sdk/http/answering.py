"""The text of an answer, out of the events of its turn. Pure."""

from stenograph_sdk.errors import TurnNotCompleted
from stenograph_sdk.http.events import (
    BlockStart,
    ClientToolRequest,
    Finish,
    OtherEvent,
    Start,
    StreamError,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolOutputAvailable,
    ToolOutputError,
)


class Answer:
    """Takes the events of a turn; `text` is then what its last message says in the chat."""

    def __init__(self) -> None:
        self.text = ""
        self._turn = "?"
        self._aside = False
        self._new_message = True
        self._after_text = False

    def take(self, event: StreamEvent | OtherEvent) -> None:
        """Raises `TurnNotCompleted` for an event that says that the turn gives no text."""
        match event:
            case Start():
                self._turn = event.execution_id
            case BlockStart():
                self._aside = event.thread is not None or not event.output_to_chat
                self._new_message = True
            case ToolInputAvailable() | ToolOutputAvailable() | ToolOutputError():
                self._new_message = True
            case TextStart() if not self._aside:
                if self._new_message or self._after_text:  # a text right after a text is the same one anew
                    self.text = ""
                self._new_message = False
            case TextDelta() if not self._aside:
                self.text += event.delta
            case StreamError():
                raise TurnNotCompleted(self._turn, "failed", f"{event.error_type}: {event.message}")
            case ClientToolRequest():
                names = ", ".join(call.tool_name for call in event.tool_calls)
                raise TurnNotCompleted(
                    self._turn, "paused", f"it waits for {names}: give a handler, or resume the turn"
                )
            case Finish(finish_reason="error"):
                raise TurnNotCompleted(self._turn, "failed", "no reason given")
        self._after_text = isinstance(event, TextEnd)
