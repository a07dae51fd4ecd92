import io
import json
import logging
import sys
from typing import Any

import pytest

from stenograph_sdk.logs import Coloured, JsonLines, configure, keys_of


def record(message: str, *values: Any, level: int = logging.INFO, error: BaseException | None = None) -> Any:
    trace = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("stenograph_sdk", level, __file__, 1, message, values, trace)


def test_a_line_of_the_sdk_has_its_values_under_their_keys():
    event, keys = keys_of(record("tool.succeeded tool=%s call=%s ms=%d", "get-account", "c1", 12))

    assert event == "tool.succeeded"
    assert keys == {"tool": "get-account", "call": "c1", "ms": 12}


@pytest.mark.parametrize(
    ("message", "values"),
    [("hello %s", ("you",)), ("tool.odd tool=%s %s", ("a", "b")), ("Done.", ()), ("100% done", ())],
)
def test_what_is_not_in_that_form_is_a_message(message: str, values: tuple[Any, ...]):
    line = json.loads(JsonLines().format(record(message, *values)))

    assert line["logger"] == "stenograph_sdk"
    assert "message" in line
    assert "event" not in line


def test_what_stands_beside_the_keys_is_kept():
    _, keys = keys_of(record("worker.unverified worker=%s: it runs all", "w-1"))

    assert keys == {"worker": "w-1", "message": "worker.unverified worker=w-1: it runs all"}


def test_a_line_of_json_has_time_level_and_event_first():
    line = JsonLines().format(record("tool.failed tool=%s error=%s", "a", ValueError("b"), level=logging.WARNING))

    assert list(json.loads(line)) == ["at", "level", "event", "tool", "error"]
    assert json.loads(line)["level"] == "warning"
    assert json.loads(line)["at"].endswith("Z")


def test_a_traceback_stays_in_its_line_of_json():
    try:
        raise KeyError("x")
    except KeyError as error:
        line = JsonLines().format(record("tool.traceback tool=%s", "a", error=error))

    assert "\n" not in line
    assert "KeyError: 'x'" in json.loads(line)["exception"]


def test_a_terminal_is_told_in_colours_and_obeys_nothing():
    line = Coloured().format(record("tool.failed error=%s", "\033[2Jgone", level=logging.ERROR))

    assert "\033[2J" not in line
    assert "\033[1mtool.failed\033[0m" in line


def test_no_colours_go_into_a_file(monkeypatch: pytest.MonkeyPatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    level, stream = root.level, io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    try:
        configure()
        logging.getLogger("stenograph_sdk").info("tool.succeeded tool=%s", "a")
    finally:
        root.setLevel(level)

    assert "\033" not in stream.getvalue()
    assert stream.getvalue().endswith("INFO tool.succeeded tool=a\n")
