"""What commands print: results on stdout, all else on stderr; colours on a terminal, plain text in a pipe.

stenograph: cannot connect to NATS at nats://127.0.0.1:4222: …     one line on stderr, exit code 1
stenograph: No such option: --agnt (see `stenograph sessions list --help`)               exit code 2
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

PIPE_WIDTH = 160  # of a line that is shortened, where there is no terminal whose width would say


class Failure(typer.TyperException):
    """A command cannot do what it was asked. The message is one sentence; the exit code is 1."""


class CommandLine(TyperGroup):
    """The root of the commands: whatever goes wrong below it becomes one line and an exit code, never a traceback."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal that lacks a sign gets a question mark
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except Exception as error:
            code = report(error)
        sys.exit(code if isinstance(code, int) else 0)


def report(error: Exception) -> int:
    """Say on stderr what `error` means to a person, and return the exit code."""
    if isinstance(error, BrokenPipeError):  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, typer.TyperException):
        if text := error_text(error):
            complain(text)
        return error.exit_code
    if os.environ.get("STENOGRAPH_LOG_LEVEL", "").lower() == "debug":
        import traceback

        traceback.print_exception(error)
    complain(_known(error) or f"unexpected {type(error).__name__}: {error} (STENOGRAPH_LOG_LEVEL=debug shows where)")
    return 1


def complain(text: str) -> None:
    """Print `text` on stderr. What a mistake in an agent's files needs several lines for keeps them."""
    lines = [printable(line) for line in text.splitlines()]
    typer.echo(f"{typer.style('stenograph:', fg='red', bold=True)} {lines[0] if lines else ''}", err=True)
    for line in lines[1:]:
        typer.echo(line, err=True)


def note(text: str, *, dim: bool = True) -> None:
    """Print a remark that is no result, on stderr, so that a pipe does not carry it."""
    typer.echo(typer.style(text, dim=dim), err=True)


def error_text(error: typer.TyperException) -> str:
    """Return the one line that says what is wrong with a command line, and where its help is."""
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    return f"{text.rstrip('.')} (see `{context.command_path} --help`)" if context is not None and text else text


def _known(error: Exception) -> str | None:
    """Return the message of an error that somebody raised for a person to read."""
    from nats.errors import Error as NatsError

    from stenograph_events import EventError
    from stenograph_sdk import StenographSdkError
    from stenograph_services.protocol.problems import AgentError
    from stenograph_services.runtime.errors import StenographError
    from stenograph_services.runtime.jetstream import JetStreamError

    match error:
        case StenographError() | StenographSdkError() | EventError():
            return " ".join(str(error).split())
        case AgentError():
            return str(error)
        case NatsError() | JetStreamError():
            return f"the nats-server did not do it: {' '.join(str(error).split()) or type(error).__name__}"
        case OSError():
            return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return None


# ---- results


def console(*, err: bool = False) -> "Console":
    """Return a console for stdout, or stderr. In a pipe nothing is wrapped."""
    from rich.console import Console

    made = Console(stderr=err, highlight=False, markup=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = 10_000
    return made


def line_width() -> int:
    """Return how many columns a line that may be shortened has."""
    width = console().width
    return width if width < 10_000 else PIPE_WIDTH


def print_lines(lines: Iterable["Text"]) -> None:
    """Print each of `lines` as it is, without wrapping it and without blanks at its end."""
    screen = console()
    for line in lines:
        line.rstrip()
        screen.print(line, soft_wrap=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence["str | Text"]], *, right: Sequence[str] = ()) -> None:
    """Print `rows` under `columns`; those named in `right` are numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    screen = console()
    with screen.capture() as captured:
        screen.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def print_json(value: Any) -> None:
    """Print `value` as one JSON document."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_json_line(data: bytes) -> None:
    """Print the JSON `data` as one line, at once."""
    typer.echo(data.decode(errors="replace"))


def printable(text: str, *, lines: bool = False) -> str:
    """Return `text` with what a terminal would obey made visible; `lines` keeps the ends of lines and tabs.

    Models, tools and users write these texts, and none of them may move our cursor. Of sealed secrets it only says that
    they are there.
    """
    from stenograph_events.secrets import shown

    text = shown(text)
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


class Stream:
    """Text that comes in pieces, on stdout, and whole lines between them."""

    def __init__(self) -> None:
        self._open = False
        self._has_status = False

    def text(self, piece: str, *, dim: bool = False) -> None:
        """Print `piece` after what is there."""
        if piece:
            self._take_status_away()
            typer.echo(
                typer.style(printable(piece, lines=True), dim=dim) if dim else printable(piece, lines=True), nl=False
            )
            sys.stdout.flush()
            self._open = not piece.endswith("\n")

    def end_line(self) -> None:
        """End the line that is open, if one is."""
        self._take_status_away()
        if self._open:
            typer.echo()
            self._open = False

    def remark(self, text: str) -> None:
        """Print `text` on a line of its own, on stderr."""
        self.end_line()
        with contextlib.suppress(BrokenPipeError):
            note(printable(text))

    def status(self, text: str) -> None:
        """Show `text`, cut to the line, until something else is printed; without a terminal it is a remark."""
        if not sys.stderr.isatty():
            self.remark(text)
            return
        self.end_line()
        self._has_status = True
        typer.echo(typer.style(shortened(printable(text), console(err=True).width), dim=True), nl=False, err=True)

    def _take_status_away(self) -> None:
        if self._has_status:
            self._has_status = False
            typer.echo("\r\x1b[2K", nl=False, err=True)


def shortened(text: str, width: int) -> str:
    """Return `text` cut to less than `width` columns."""
    return text if len(text) < width else text[: width - 2] + "…"
