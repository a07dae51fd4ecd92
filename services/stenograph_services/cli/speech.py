"""What a person sees of a turn while it runs: the text as it comes, and tools as dim lines.

What the agent says goes to stdout, everything else to stderr: `stenograph chat … > answer.txt` holds the answer alone.
"""

import sys
from datetime import datetime

import msgspec

from stenograph_events import ApprovalDecision, Event, StoredEvent, ToolOutcome, encode
from stenograph_events.frames import AnyFrame, ReasoningDelta, TextDelta, ToolProgress, TriggerUnanswered, encode_frame
from stenograph_events.types import (
    ApprovalRequested,
    BudgetExceeded,
    BudgetRaised,
    MessageAdded,
    ModelFailed,
    ResolutionRequested,
    ThreadCompacted,
    ToolRequested,
    TriggerQueued,
    TriggerRejected,
    TurnCancelRequested,
    TurnFinished,
)
from stenograph_events.values import FilePart, TextPart
from stenograph_projections.messages import read_by_people
from stenograph_sdk.approvals import decided, how_to_decide, unapproved
from stenograph_sdk.budgets import added, how_to_raise, used_up
from stenograph_sdk.resolutions import how_to_resolve, unknown
from stenograph_services.cli.output import Stream, complain, line_width, print_json_line
from stenograph_services.cli.progress import progress_text
from stenograph_services.cli.story import duration, json_text, outcome


class Speech:
    """Shows the items of turns. `completed` says how the last one ended.

    `all_is_chat`: whatever a model says in the thread `main` is for people; otherwise its messages alone tell what is.
    """

    def __init__(self, *, as_json: bool, all_is_chat: bool = True) -> None:
        self.completed = False
        self._as_json = as_json
        self._all_is_chat = all_is_chat
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
            case TextDelta() | ReasoningDelta() if frame.thread != "main" or not self._all_is_chat:
                return  # it comes with the message
            case TextDelta():
                self._begin(frame.after, frame.attempt)
                if not self._written:
                    self._stream.end_line()  # what was thought stands on lines of its own
                self._stream.text(frame.text)
                self._written += frame.text
            case ReasoningDelta() if sys.stdout.isatty():
                self._begin(frame.after, frame.attempt)
                self._stream.text(frame.text, dim=True)
            case ToolProgress():
                self._stream.status(f"  {progress_text(frame)}")
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
            case MessageAdded(rejected=str(why)):
                self._written = ""
                self.remark(f"asked again: {why}")
            case MessageAdded(role="assistant") if read_by_people(event):
                self._said(event)
            case ToolRequested(compacts=compacts) if compacts is not None:
                self._tools[event.call] = (event.tool, event.at)
                self.remark(f"{event.tool} sums up the thread {compacts.thread}")
            case ToolRequested():
                self._tools[event.call] = (event.tool, event.at)
                self.remark(f"{event.tool} {json_text(event.arguments)}")
            case ApprovalRequested():
                self._tools[event.call] = (event.tool, event.at)
                self._stream.end_line()
                complain(f"the turn waits: {unapproved(event)}; {how_to_decide(event)}")
            case ResolutionRequested():
                self._stream.end_line()
                complain(f"the turn waits: {unknown(event)}; {how_to_resolve(event)}")
            case _ if isinstance(event, ApprovalDecision):
                self.remark(decided(event))
            case ModelFailed():
                self._written = ""
                self.remark(f"{event.model} failed: {event.error}: {event.detail}")
            case ThreadCompacted():
                self.remark(f"models now read a summary of the thread {event.thread}")
            case BudgetExceeded():
                self._stream.end_line()
                complain(f"the turn waits: {used_up(event)}; {how_to_raise(event)}")
            case BudgetRaised():
                self.remark(f"the {event.scope}'s budget was raised by {added(event)}")
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
        for part in event.parts:
            if isinstance(part, FilePart):
                self.remark(f"file {part.filename or part.id} ({part.media_type}) at {part.url}")
        text = _text(event)
        if event.thread != "main":
            self.remark(f"in {event.thread}: {text}")
            return
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


def _text(event: MessageAdded) -> str:
    """Return what people read of a message, in place of what models read where a block says so."""
    if event.ui is None:
        return "".join(part.text for part in event.parts if isinstance(part, TextPart))
    shown = msgspec.json.decode(event.ui)
    return shown if isinstance(shown, str) else json_text(event.ui)
