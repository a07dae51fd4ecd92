"""Frames: what a screen needs between events. They travel on `tok.<tenant>.<session>` and are never stored for long.

    {"frame":"text","turn":"91d2…","after":3,"attempt":1,"k":7,"text":"You are on "}

`after` is the number of the event that the frame comes after; `attempt` counts the deliveries of the work that
writes it; `k` counts its frames. So a frame's id is `3.1.7`, and the id of what an event shows is its `n`, such as `4`.
When another orchestrator takes the work over, `attempt` grows and `k` begins at 1 again.

    {"frame":"tool.progress","turn":"91d2…","after":5,"k":3,"call":"c1","tool":"export","text":"3 of 10 pages","done":3}

What a tool says of its progress is no piece of anything: the newest stands, and none is missed. Several calls may run
at once, so there `attempt` and `k` count within the call and its id is `c1.1.3`; no reader goes on from one.

A stream that tells of child agents, too, has ids of several places, the one that was reached last first:
`5:3.1.7.42~6` is frame `3.1.7`, of 42 characters so far, in the session of the child that event 5 asked for, beside
event 6 of the turn itself.
"""

import msgspec

from stenograph_events.progress import Number


class Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="frame"):
    turn: str
    after: int
    attempt: int = 1
    k: int = 0

    @property
    def frame_id(self) -> str:
        """`<n>.<attempt>.<k>`, as a reader gives it back to resume."""
        return f"{self.after}.{self.attempt}.{self.k}"


class TextDelta(Frame, frozen=True, kw_only=True, tag="text"):
    """More text of the message that a model is writing."""

    text: str
    thread: str = "main"


class ReasoningDelta(Frame, frozen=True, kw_only=True, tag="reasoning"):
    """More of what a thinking model thinks."""

    text: str
    thread: str = "main"


class CallDelta(Frame, frozen=True, kw_only=True, tag="call"):
    """More of the arguments of the `index`-th call that a model is writing."""

    index: int
    tool: str
    arguments: str = ""
    thread: str = "main"


class TriggerUnanswered(Frame, frozen=True, kw_only=True, tag="trigger.unanswered"):
    """The trigger of `turn` went to a session that has no log: it was parked under `reason`."""

    reason: str
    detail: str


class ApprovalRefused(Frame, frozen=True, kw_only=True, tag="approval.refused"):
    """What `request` decides on `call`, or says came of it, is not recorded, and changes nothing. `detail`: why."""

    request: str
    call: str
    detail: str


class ToolProgress(Frame, frozen=True, kw_only=True, tag="tool.progress"):
    """How far a running call is, as its worker says: a line for people, how much is done, and of how much."""

    call: str
    tool: str
    text: str = ""
    done: Number | None = None
    total: Number | None = None

    @property
    def frame_id(self) -> str:
        """`<call>.<attempt>.<k>`: several calls may run after the same event."""
        return f"{self.call}.{self.attempt}.{self.k}"


AnyFrame = TextDelta | ReasoningDelta | CallDelta | TriggerUnanswered | ApprovalRefused | ToolProgress

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyFrame] = msgspec.json.Decoder(AnyFrame)


def encode_frame(frame: AnyFrame) -> bytes:
    return _encoder.encode(frame)


def decode_frame(data: bytes) -> AnyFrame:
    return _decoder.decode(data)
