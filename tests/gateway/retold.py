"""Streams compared: with what another reader heard, with the frames that the server keeps, and with the log."""

from collections.abc import Sequence
from typing import Any

from nats.js.errors import NotFoundError
from tests.support.services import TENANT, Stage, Talk

from stenograph_events.frames import ReasoningDelta, TextDelta, decode_frame
from stenograph_events.subjects import frame_subject
from stenograph_events.types import MessageAdded
from stenograph_events.values import ReasoningPart, TextPart

Identified = list[tuple[str | None, dict[str, Any]]]


def resumed_from(whole: Identified, cut: int) -> Identified:
    """Return what a client has, up to the last id, whose connection broke after `cut` events."""
    return whole[: max((at + 1 for at, (id, _) in enumerate(whole[:cut]) if id is not None), default=0)]


def seen(events: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Return what a client that keys by id has in the end: the content of each part and call, and all its events."""
    parts: dict[str, Any] = {}
    for event in events:
        key = event.get("id") or event.get("toolCallId") or event.get("blockId") or event["type"]
        part = parts.setdefault(key, {"said": "", "types": []})
        part["said"] += event.get("delta", event.get("inputTextDelta", ""))
        part["types"] += [event["type"]] if event["type"] not in part["types"] else []
    return parts, list(parts)


def parts_of(events: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return text and id of each part. Each one ends before the next begins."""
    parts: dict[str, str] = {}
    open: list[str] = []
    for event in events:
        match event["type"].rpartition("-"):
            case ("text" | "reasoning", _, "start"):
                assert not open
                assert event["id"] not in parts
                parts[event["id"]] = ""
                open.append(event["id"])
            case ("text" | "reasoning", _, "delta"):
                assert open == [event["id"]]
                parts[event["id"]] += event["delta"]
            case ("text" | "reasoning", _, "end"):
                open.remove(event["id"])
    assert not open
    return [(text, id) for id, text in parts.items()]


def frames_of(told: Identified) -> list[tuple[str, str]]:
    """Return the frames of a stream: what names each, and its text."""
    return [(id.rpartition(".")[0], one["delta"]) for id, one in told if id and "." in id and "delta" in one]


async def frames_kept(stage: Stage, talk: Talk) -> list[tuple[str, str]]:
    """Return the frames with a text that the server keeps of a session, in the order in which they came."""
    js, subject, sequence = stage.nc.jetstream(), frame_subject(TENANT, talk.id), 1
    kept: list[tuple[str, str]] = []
    while True:
        try:
            message = await js.get_msg("TOK", sequence, subject=subject, direct=True, next=True)
        except NotFoundError:
            return kept
        frame, sequence = decode_frame(message.data or b""), (message.seq or 0) + 1
        if isinstance(frame, TextDelta | ReasoningDelta):
            kept.append((frame.frame_id, frame.text))


async def texts(talk: Talk) -> list[str]:
    """Return the texts and thoughts of models that the log has of a session."""
    said = [one for one in await talk.all(MessageAdded) if one.role == "assistant"]
    return [part.text for one in said for part in one.parts if isinstance(part, TextPart | ReasoningPart)]
