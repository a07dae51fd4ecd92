"""What the demo says: colours on a terminal, plain text in a pipe."""

import time

from rich.console import Console
from rich.markup import escape

from stenograph_events import StoredEvent
from stenograph_events.frames import AnyFrame, ReasoningDelta, TextDelta
from stenograph_events.types import (
    MessageAdded,
    ToolFailed,
    ToolRequested,
    ToolSucceeded,
    TurnFinished,
)


class Narrator:
    """Tells the story on `console`, with the seconds since its beginning."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()
        self._acts = 0
        self._mid_line = False

    def act(self, title: str) -> None:
        """Begin a new act of the story."""
        self._acts += 1
        self._line(f"\n[bold]{self._acts}. {escape(title)}[/]")

    def say(self, text: str) -> None:
        self._line(f"   {escape(text)}")

    def kept(self, text: str) -> None:
        """Say that a promise was kept."""
        self._line(f"   [green]✓[/] {escape(text)}")

    def strike(self, text: str) -> None:
        """Say what is destroyed on purpose."""
        self._line(f"   [bold red]✗ {escape(text)}[/]")

    def end(self) -> None:
        seconds = time.monotonic() - self._began
        self._line(f"\n[bold green]Every promise was kept, in {seconds:.0f} s.[/] Next: make dev\n")

    def customer(self, text: str) -> None:
        self._line(f"   [bold cyan]customer[/]  {escape(text)}")

    def hear(self, item: StoredEvent | AnyFrame) -> None:
        """Show one thing of a turn as it happens."""
        match item:
            case TextDelta():
                self._stream(item.text)
            case ReasoningDelta():
                self._line(f"   [dim]thinks[/]    [dim]{escape(item.text)}[/]")
            case ToolRequested():
                self._line(f"   [yellow]tool[/]      {item.tool} {escape(bytes(item.arguments).decode())}")
            case ToolSucceeded():
                self._line(f"   [yellow]result[/]    {escape(bytes(item.result).decode())}")
            case ToolFailed():
                self._line(f"   [red]failed[/]    {escape(item.error)}")
            case MessageAdded() | TurnFinished():
                self._end_line()

    def _stream(self, text: str) -> None:
        if not self._mid_line:
            self.console.print("   [bold magenta]agent[/]     ", end="", soft_wrap=True)
        self._mid_line = True
        self.console.print(escape(text), end="", soft_wrap=True)

    def _line(self, text: str) -> None:
        self._end_line()
        self.console.print(text, soft_wrap=True)

    def _end_line(self) -> None:
        if self._mid_line:
            self.console.print()
        self._mid_line = False
