"""How a worker's process writes its log: one line for each thing that happened, named like an event, values as keys.

    10:00:00.120 tool.succeeded tool=get-user-account call=7e1f… session=2f01… ms=12        on a terminal, in colours
    2026-11-22 10:00:00,120 INFO tool.succeeded tool=get-user-account call=7e1f… …          into a file
    {"at":"2026-11-22T10:00:00.120Z","level":"info","event":"tool.succeeded","tool":"get-user-account",…}  --log-json

The lines of the SDK come from `logging` like any other library's, `log.info("tool.succeeded tool=%s", …)`: who runs a
`Worker` in a process of their own sees them wherever their log goes, and may use `JsonLines` there.
"""

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

PLAIN = "%(asctime)s %(levelname)s %(message)s"

_EVENT = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")
_KEY = re.compile(r"(\w+)=%[sdg]")
_DIM, _RED, _YELLOW, _BOLD, _RESET = "\033[2m", "\033[31m", "\033[33m", "\033[1m", "\033[0m"


def configure(*, as_json: bool = False, verbose: bool = False, stream: TextIO | None = None) -> None:
    """Send the log of this process to `stream`, standard error by default. `verbose` also shows tracebacks."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if as_json else Coloured() if stream.isatty() else logging.Formatter(PLAIN))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("stenograph_sdk").setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("nats").setLevel(logging.CRITICAL)  # what it reports, the SDK's log says in one line
    for chatty in ("httpx", "httpx2", "mcp", "client"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def keys_of(record: logging.LogRecord) -> tuple[str | None, dict[str, Any]]:
    """Return the event that `record` names, and its values under their keys; (None, {}) if it is not in that form.

    What stands beside the keys is under `message`, with them.
    """
    event = _EVENT.match(record.msg) if isinstance(record.msg, str) else None
    if event is None:
        return None, {}
    names = _KEY.findall(record.msg)
    values = record.args if isinstance(record.args, tuple) else ()
    if len(names) != record.msg.count("%") or len(names) != len(values):
        return None, {}
    keys = dict(zip(names, values, strict=True))
    beside = _KEY.sub("", record.msg[event.end() :]).strip()
    return event[0], keys | ({"message": record.getMessage()} if beside else {})


class JsonLines(logging.Formatter):
    """One JSON object for each line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as JSON. What is no event has its text under `message` and who says it under `logger`."""
        event, keys = keys_of(record)
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {"at": at, "level": record.levelname.lower()}
        line |= {"event": event, **keys} if event else {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class Coloured(logging.Formatter):
    """Lines for a person: a short time, the event in bold, the keys dimmed, trouble in colour."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` with its colours."""
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        colour = _RED if record.levelno >= logging.ERROR else _YELLOW if record.levelno >= logging.WARNING else ""
        event, keys = keys_of(record)
        if event is None:
            said = printable(record.getMessage())
        else:
            told = " ".join(f"{_DIM}{key}={_RESET}{printable(str(value))}" for key, value in keys.items())
            said = f"{_BOLD}{event}{_RESET} {told}".rstrip()
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{_DIM}{at}{_RESET} {colour}{said}{_RESET if colour else ''}{trace}"


def printable(text: str) -> str:
    """Return `text` without what a terminal would obey instead of showing."""
    return "".join(one if one.isprintable() else "�" for one in text)
