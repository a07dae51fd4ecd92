"""The events of a stream that a client of Octavus knows nothing of, sent to whoever asks for them by name.

    X-Stenograph-Events: tool-progress      {"type":"tool-progress","toolCallId":"7e1f…","text":"3 of 10","done":3}

A name that we do not know asks for nothing: a later gateway may know it.
"""

from typing import Annotated

from fastapi import Header, Request
from starlette.types import Scope

from stenograph_services.gateway.wire.stream_events import StreamEvent, ToolProgress
from stenograph_services.gateway.wire.versions import UNSAID

HEADER = "X-Stenograph-Events"
_KEY = "extras"

Extras = frozenset[str]
"""The types of events that a client asked for."""

_KINDS = (ToolProgress,)
_NAMES = {kind: str(kind.__struct_config__.tag) for kind in _KINDS}

_DESCRIPTION = f"Further events that the client reads, comma-separated: {', '.join(_NAMES.values())}"


async def asked_extras(
    request: Request,
    x_stenograph_events: Annotated[str, Header(description=_DESCRIPTION, examples=["tool-progress"])] = "",
) -> None:
    """Take note of what a request asks for, for the response to it."""
    setattr(request.state, _KEY, frozenset(name.strip() for name in x_stenograph_events.split(",")))


def extras_of(scope: Scope) -> Extras:
    """Return what the request of `scope` asked for."""
    asked: Extras = scope.get("state", {}).get(_KEY, frozenset())
    return asked


def asked_for(events: list[StreamEvent], extras: Extras) -> list[StreamEvent]:
    """Return `events`, one for each, without those that nobody asked for."""
    return [UNSAID if isinstance(event, _KINDS) and _NAMES[type(event)] not in extras else event for event in events]
