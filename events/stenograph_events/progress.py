"""How far a running call is, as its worker tells the tool gateway on `tool.progress.…`. Nobody stores it.

    {"text":"3 of 10 pages","done":3,"total":10,"k":7}

`k` counts what is told of one attempt, from 1: of two the one with the greater `k` is newer.
"""

from typing import Any

import msgspec

Number = int | float

TEXT_CHARACTERS = 200  # a line on a screen
BODY_BYTES = 4096  # of all that, with every character escaped, and room
LARGEST = 2**53  # what every JSON reader holds exactly


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a call is: a `text` for people, and how much of how much is `done`, in any unit."""

    text: str = ""
    done: Number | None = None
    total: Number | None = None
    k: int = 1


_decoder = msgspec.json.Decoder(Progress)


def bounded(text: object, done: Any, total: Any, k: int) -> Progress:
    """Return what was said as it may travel: on one line, cut to its bounds, without numbers that JSON has not."""
    line = " ".join(str(text)[: 2 * TEXT_CHARACTERS].split())
    if len(line) > TEXT_CHARACTERS:
        line = line[: TEXT_CHARACTERS - 1] + "…"
    return Progress(line, _number(done), _number(total), k)


def read_progress(data: bytes) -> Progress:
    """Return what a worker says, within its bounds; raise `ValueError` if it is too large, or no progress."""
    if len(data) > BODY_BYTES:
        raise ValueError(f"it has {len(data)} bytes, and {BODY_BYTES} are allowed")
    said = _decoder.decode(data)
    if not 1 <= said.k <= LARGEST:
        raise ValueError(f"k counts from 1, and is {said.k}")
    return bounded(said.text, said.done, said.total, said.k)


def _number(value: Any) -> Number | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= LARGEST else None  # which is not so of infinity, and of what is no number
