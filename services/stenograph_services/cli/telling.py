"""Telling a session as it happens: its events as lines of the timeline, and what a model is writing between them."""

from stenograph_events import Event, StoredEvent, encode
from stenograph_events.frames import AnyFrame, ReasoningDelta, TextDelta, ToolProgress, TriggerUnanswered, encode_frame
from stenograph_services.cli import output
from stenograph_services.cli.progress import progress_text
from stenograph_services.cli.story import Story
from stenograph_services.cli.timeline import Timeline


class Teller:
    """Prints a session's events as lines of the timeline, and the frames between them as they come."""

    def __init__(self, *, full: bool = False, as_json: bool = False) -> None:
        self._story = Story()
        self.timeline = Timeline(output.line_width(), full=full)
        self._as_json = as_json
        self._stream = output.Stream()

    def skip(self, events: list[StoredEvent]) -> None:
        """Take note of `events`, which are not printed: later ones refer to them."""
        for event in events:
            self._story.tell(event)

    def item(self, item: StoredEvent | AnyFrame) -> None:
        """Print an event, or what a frame adds to the line that is being written."""
        match item:
            case Event():
                self.event(item)
            case _ if self._as_json:
                output.print_json_line(encode_frame(item))
            case TextDelta() | ReasoningDelta():
                self._stream.text(item.text, dim=True)
            case ToolProgress():
                self._stream.status(f"  {progress_text(item)}")
            case TriggerUnanswered():
                self._stream.end_line()
                output.complain(f"{item.reason}: {item.detail}")

    def event(self, event: StoredEvent) -> None:
        """Print an event."""
        if self._as_json:
            output.print_json_line(encode(event))
            return
        self._stream.end_line()
        output.print_lines(self.timeline.lines(self._story.tell(event)))
