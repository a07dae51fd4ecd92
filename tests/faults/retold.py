"""What a reader must have in the end, by two witnesses apart from the gateway: the stream of frames, and the log.

frames = await FramesOf.all(nc)
assert_whole(reader, frames.of(turn), events)
"""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from tests.faults.reading import Reader, Told

from stenograph_events import StoredEvent
from stenograph_events.types import MessageAdded
from stenograph_events.values import ReasoningPart, TextPart


class FramesOf:
    """Every frame that the server keeps, as it comes to be kept, by turn."""

    def __init__(self) -> None:
        self.heard: dict[str, list[dict[str, Any]]] = defaultdict(list)

    @classmethod
    async def all(cls, nc: Nats) -> Self:
        frames = cls()

        async def hear(message: Msg) -> None:
            frame = json.loads(message.data)
            if frame["frame"] in ("text", "reasoning"):
                frames.heard[frame["turn"]].append(frame)

        await nc.jetstream().subscribe("tok.>", stream="TOK", ordered_consumer=True, cb=hear)
        return frames


class Place(NamedTuple):
    """An id of a stream, in the order of the stream."""

    n: int
    attempt: int
    k: int
    left: int

    @classmethod
    def read(cls, id: str) -> "Place":
        if "." in id:
            n, attempt, k, _ = map(int, id.split("."))
            return cls(n, attempt, k, 0)
        event, _, left = id.partition("/")
        return cls(int(event), 0, 0, -int(left or 0))


class Part:
    """A text, or a thought, as a reader has it."""

    def __init__(self, told: Told) -> None:
        self.id = told.event["id"]
        self.kind = told.event["type"].removesuffix("-start")
        self.text = ""
        self.ended = False
        self.last: Place


def assert_whole(reader: Reader, frames: Sequence[dict[str, Any]], events: Sequence[StoredEvent]) -> int:
    """Check all that `reader` was told of a turn; return how many attempts that came to nothing it saw.

    `frames`: those of the turn. `events`: those of the log of its session.
    """
    _assert_once_and_in_order(reader.told)
    told, kept = _frames_told(reader.told), _frames_kept(frames)
    assert told == kept, f"{reader} lacks {[one for one in kept if one not in told]}: {[one.id for one in reader.told]}"
    parts = _parts(reader.told)
    abandoned = len(parts)
    for message in events:
        if isinstance(message, MessageAdded) and message.turn == reader.turn.id and message.role == "assistant":
            mine, parts = _until(parts, message.n)
            own = [part for part in mine if part.last.attempt in (0, message.attempt)]
            assert [(part.kind, part.text) for part in own] == _said(message)
            abandoned -= len(own)
    assert not parts, f"nobody said {[part.text for part in parts]}"
    return abandoned


def _assert_once_and_in_order(told: Sequence[Told]) -> None:
    ids = list(dict.fromkeys(one.id for one in told))
    places = [Place.read(id) for id in ids]
    assert places == sorted(set(places)), ids


def _frames_told(told: Sequence[Told]) -> list[tuple[str, str]]:
    """Return the frames of a stream: the id of each, with the characters of its attempt so far, and its text."""
    return [(one.id, one.event["delta"]) for one in told if "." in one.id and one.event["type"].endswith("-delta")]


def _frames_kept(frames: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the same of the frames that the server keeps, of which it was given each once."""
    names = [(one["after"], one.get("attempt", 1), one["k"]) for one in frames]
    assert len(names) == len(set(names)), f"frames written twice: {[n for n, c in Counter(names).items() if c > 1]}"
    kept, characters = [], defaultdict[tuple[int, int], int](int)
    for (after, attempt, k), frame in sorted(zip(names, frames, strict=True), key=lambda one: one[0]):
        characters[after, attempt] += len(frame["text"])
        kept.append((f"{after}.{attempt}.{k}.{characters[after, attempt]}", frame["text"]))
    return kept


def _parts(told: Sequence[Told]) -> list[Part]:
    """Return the parts of a stream in order: each begins anew, after the one before it has ended, and ends."""
    parts: dict[str, Part] = {}
    for one in told:
        kind, _, what = one.event["type"].rpartition("-")
        if kind not in ("text", "reasoning"):
            continue
        if what == "start":
            assert one.event["id"] not in parts
            assert all(part.ended for part in parts.values())
            parts[one.event["id"]] = Part(one)
            continue
        part = parts[one.event["id"]]
        assert (part.kind, part.ended) == (kind, False)
        part.ended = what == "end"
        if what == "delta":
            part.text += one.event["delta"]
            part.last = Place.read(one.id)
    assert all(part.ended for part in parts.values())
    return list(parts.values())


def _until(parts: list[Part], n: int) -> tuple[list[Part], list[Part]]:
    """Return the parts up to event `n`, and the rest. What a frame brings comes after an event before it."""
    mine = [part for part in parts if part.last.n < n or (part.last.n == n and not part.last.attempt)]
    return mine, parts[len(mine) :]


def _said(message: MessageAdded) -> list[tuple[str, str]]:
    kinds = {TextPart: "text", ReasoningPart: "reasoning"}
    return [(kinds[type(part)], part.text) for part in message.parts if isinstance(part, TextPart | ReasoningPart)]
