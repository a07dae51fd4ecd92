"""What a person sees of a turn while it runs: the text as it comes, and tools as dim lines.

What the agent says goes to stdout, everything else to stderr: `stenograph chat … > answer.txt` holds the answer alone.
"""

import sys
from datetime import datetime

from stenograph_events import Event, StoredEvent, ToolOutcome, encode
from stenograph_events.frames import AnyFrame, ReasoningDelta, TextDelta, TriggerUnanswered, encode_frame
from stenograph_events.types import (
    MessageAdded,
    ModelFailed,
    TextPart,
    ToolRequested,
    TriggerQueued,
    TriggerRejected,
    TurnCancelRequested,
    TurnFinished,
)
from stenograph_services.cli.output import Stream, complain, line_width, print_json_line
from stenograph_services.cli.story import duration, json_text, outcome


class Speech:
    """Shows the items of turns. `completed` says how the last one ended."""

    def __init__(self, *, as_json: bool) -> None:
        self.completed = False
        self._as_json = as_json
        self._stream = Stream()
        self._work = (0, 0)
        self._written = ""
        self._tools: dict[str, tuple[str, datetime]] = {}

    def show(self, item: StoredEvent | AnyFrame) -> None:
        """Print what `item` adds."""
        self.completed = isinstance(item, TurnFinished) and item.outcome == "completed"
        if self._as_json:
            print_json_line(encode(item) if isinstance(item, Event) else encode_frame(item))
        elif isinstance(item, Event):
            self._event(item)
        else:
            self._frame(item)

    def _frame(self, frame: AnyFrame) -> None:
        match frame:
            case TextDelta():
                self._begin(frame.after, frame.attempt)
                if not self._written:
                    self._stream.end_line()  # what was thought stands on lines of its own
                self._stream.text(frame.text)
                self._written += frame.text
            case ReasoningDelta() if sys.stdout.isatty():
                self._begin(frame.after, frame.attempt)
                self._stream.text(frame.text, dim=True)
            case TriggerUnanswered():
                complain(f"{frame.reason}: {frame.detail}")

    def _begin(self, after: int, attempt: int) -> None:
        """Notice when another orchestrator begins the message again."""
        if self._written and (after, attempt) != self._work:
            self._stream.remark("  (begun again)")
            self._written = ""
        self._work = (after, attempt)

    def _event(self, event: StoredEvent) -> None:
        match event:
            case MessageAdded(role="assistant", visible=True):
                self._said(event)
            case ToolRequested():
                self._tools[event.call] = (event.tool, event.at)
                self.remark(f"{event.tool} {json_text(event.arguments)}")
            case ModelFailed():
                self._written = ""
                self.remark(f"{event.model} failed: {event.error}: {event.detail}")
            case TriggerQueued():
                self.remark("waiting for the turn that runs")
            case TriggerRejected():
                self._stream.end_line()
                complain(f"rejected ({event.reason}): {event.detail}")
            case TurnCancelRequested():
                self.remark("cancelled")
            case TurnFinished(outcome="failed"):
                self._stream.end_line()
                complain(f"the turn failed: {': '.join(filter(None, (event.reason, event.detail)))}")
            case TurnFinished():
                self._stream.end_line()
            case _ if isinstance(event, ToolOutcome):
                self._answered(event)

    def _said(self, event: MessageAdded) -> None:
        """Print what of the message the frames did not bring: they may be lost, the event says everything."""
        text = "".join(part.text for part in event.parts if isinstance(part, TextPart))
        if text.startswith(self._written):
            self._stream.text(text[len(self._written) :])
        else:
            self._stream.end_line()
            self._stream.text(text)
        self._stream.end_line()
        self._written = ""

    def _answered(self, event: ToolOutcome) -> None:
        tool, since = self._tools.get(event.call, (getattr(event, "tool", "a call"), None))
        what, text, _ = outcome(event)
        took = f"  {duration(event.at - since)}" if since else ""
        self.remark(f"{tool} {what} {text}", took)

    def remark(self, text: str, end: str = "") -> None:
        """Print `text`, shortened to one line, on a line of its own."""
        room = line_width() - len(end) - 1
        line = " ".join(text.split())
        self._stream.remark(f"  {line if len(line) < room - 2 else line[: room - 3] + '…'}{end}")
