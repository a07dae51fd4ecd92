"""The list of things to do, as the tool that writes it answers. Pure.

{"todos":[{"id":"1","content":"Ask for the order","status":"in_progress"}]}
"""

import msgspec
from msgspec import Raw

from stenograph_events.values import OptionalRaw


class _Answer(msgspec.Struct):
    todos: OptionalRaw = None


def todos_of(result: Raw | None) -> Raw | None:
    """Return the list in `result`; None if that holds none."""
    if result is None:
        return None
    try:
        return msgspec.json.decode(result, type=_Answer).todos
    except msgspec.ValidationError:
        return None
