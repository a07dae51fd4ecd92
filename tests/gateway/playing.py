"""One turn played to a stream, without a server: its events and frames in, what a client parses out.

stream_of(turn_started(), user_message("Hi"), said(1, "Hel"), assistant_message("Hello"), turn_finished())
"""

import json
from collections.abc import Mapping
from typing import Any

from stenograph_events.frames import AnyFrame, ReasoningDelta, TextDelta
from stenograph_events.types import AnyEvent
from stenograph_services.gateway.stream.callees import Callee
from stenograph_services.gateway.stream.legs import FIRST_LEG, Leg
from stenograph_services.gateway.stream.sse import TurnStream
from stenograph_services.gateway.wire.stream_events import framed
from stenograph_services.gateway.wire.versions import Wire
from stenograph_services.protocol.agent import AddMessage, Block, NextMessage, Prompt
from stenograph_services.protocol.builtin_tools import TODO_TOOL

KNOWN: Mapping[str, Callee] = {
    "get-user-account": Callee("description", "Look it up", "Look it up"),
    "researcher": Callee("stream", "Research", "Finds things out", is_child=True),
    TODO_TOOL: Callee("hidden"),
}


def add(role: Any = "user", **more: Any) -> AddMessage:
    return AddMessage(name="Add", role=role, prompt=Prompt("said", ("…",)), **more)


HANDLER: tuple[Block, ...] = (add(), NextMessage(name="Answer"))


def stream_of(
    *items: AnyEvent | AnyFrame,
    handler: tuple[Block, ...] = HANDLER,
    known: Mapping[str, Callee] = KNOWN,
    since: int = 0,
    leg: Leg = FIRST_LEG,
    wire: Wire = Wire.FIRST,
) -> list[dict[str, Any]]:
    """Return what `items` show, as a client parses it, without `start`."""
    stream = TurnStream("t1", handler, known, since=since, leg=leg)
    shown = framed(wire.events([event for item in items for event in stream.show(item)]))
    return [json.loads(line[6:]) for line in shown.decode().splitlines() if line]


def only(events: list[dict[str, Any]], *types: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"].startswith(types)]


def said(k: int, text: str, *, attempt: int = 1, after: int = 3, **more: Any) -> TextDelta:
    return TextDelta(turn="t1", after=after, attempt=attempt, k=k, text=text, **more)


def thought(k: int, text: str) -> ReasoningDelta:
    return ReasoningDelta(turn="t1", after=3, k=k, text=text)


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["delta"] for event in events if event["type"] == "text-delta")
