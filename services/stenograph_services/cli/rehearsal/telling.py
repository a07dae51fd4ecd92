"""A log as text that a person reads and a test compares: one event a line, nothing in it but what was decided.

    session.created        support-chat input={"COMPANY_NAME":"Acme"}
    turn.started           turn-1 user-message input={"USER_MESSAGE":"What plan am I on?"}
    message.added          turn-1 user "What plan am I on?" block=0
    ?                      openai/gpt-5 system="You are …" tools=["get-user-account"]
    message.added          turn-1 assistant → call-1 get-user-account {"userId":"user-123"} block=1
    tool.requested         turn-1 call-1 get-user-account arguments={"userId":"user-123"} retry=safe within=30s
      turn.started         child-1 run                          the log of a child agent stands further right

A line that begins with `?` is no event: it says how a model is asked, wherever that is not as it was before.
Times, hashes, versions and whatever holds its default are left out; ids get the names in which they first appear.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from stenograph_events import StoredEvent, type_of
from stenograph_events.codec import encode
from stenograph_events.secrets import shown
from stenograph_events.types import (
    ApprovalRequested,
    BlockFinished,
    MessageAdded,
    ResolutionRequested,
    SessionCreated,
    ToolCancelled,
    ToolRequested,
)
from stenograph_events.values import Part, ReasoningPart, TextPart
from stenograph_services.cli.rehearsal.scenes import Log, Recorded
from stenograph_services.orchestrator.models.request import ModelRequest

INDENT = "  "
WIDTH = 22  # of the event's type: the longest one has 21 characters
QUESTION = "?"

BARE = ("agent", "trigger", "role", "call", "tool", "scope", "unit", "outcome")
"""Fields whose values say by themselves what they are; they come first, in this order."""

ENVELOPE = frozenset({"type", "id", "n", "prev", "at", "tenant", "session", "turn", "cause"})
LEFT_OUT = ENVELOPE | {
    "agent_version", "calls", "child", "context", "deadline_at", "delivery", "digest", "edited_digest",
    "first_token_ms", "latency_ms", "not_before", "parent", "parts", "provider", "worker",
}  # fmt: skip
NOTHING: tuple[Any, ...] = (0, {}, [])
SAID = ("block", "allowed", "used", "wanted", "result", "output")
"""Fields in which nothing says something."""

USUAL = ("stop", "tool-calls")
"""Reasons for which an answer ends that say nothing new."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]*")


def told(log: Log) -> str:
    """Return `log` as text."""
    story = _Story()
    return "".join(line + "\n" for recorded in log for line in story.lines(recorded))


class _Story:
    """What has appeared so far: names for ids, how deep each session lies, how its models were asked last."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._depths: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._asked: dict[str, str] = {}

    def lines(self, recorded: Recorded) -> Iterator[str]:
        """Return the line of an event, after the one that says how its model was asked, if that is news."""
        event, asked = recorded.event, recorded.asked
        self._meet(event)
        if asked is not None and self._asked.get(event.session) != (how := " ".join(_question(asked))):
            self._asked[event.session] = how
            yield self._line(event, QUESTION, how)
        words = (self._whose(event), *_words(event, asked))
        yield self._line(event, type_of(event), " ".join(word for word in words if word))

    def _line(self, event: StoredEvent, kind: str, words: str) -> str:
        for id, name in self._names.items():
            words = words.replace(id, name)
        return f"{INDENT * self._depths.get(event.session, 0)}{kind:<{WIDTH}} {words}".rstrip()

    def _meet(self, event: StoredEvent) -> None:
        if isinstance(event, SessionCreated):
            self._depths[event.session] = event.parent.depth if event.parent else 0
        if isinstance(event, ToolRequested) and event.child is not None:
            self._name(event.child.session, "child")
        if event.turn is not None and event.turn not in self._names:
            if event.session in self._names:  # a child agent's session has one turn, and both have one name
                self._names[event.turn] = self._names[event.session]
            else:
                self._name(event.turn, "turn")
        for call in event.calls if isinstance(event, MessageAdded) else ():
            self._name(call.call, "call")
        if call_id := getattr(event, "call", None):
            self._name(call_id, "call")

    def _name(self, id: str, kind: str) -> None:
        if id not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[id] = f"{kind}-{self._counts[kind]}"

    def _whose(self, event: StoredEvent) -> str:
        return event.turn or (event.session if self._depths.get(event.session) else "")


def _words(event: StoredEvent, asked: ModelRequest | None) -> Iterator[str]:
    fields: dict[str, Any] = msgspec.json.decode(encode(event))
    if asked is not None:
        fields.pop("model", None)
    if isinstance(event, BlockFinished):
        fields.pop("trigger", None)  # its turn says that
    if fields.get("finish_reason") in USUAL:
        del fields["finish_reason"]
    if isinstance(event, ToolCancelled):
        fields.pop("tool", None)  # its request said so
    yield from (_value(fields.pop(name)) for name in BARE if name in fields)
    if isinstance(event, MessageAdded):
        yield from map(_part, event.parts)
        for call in event.calls:
            arguments = bytes(call.arguments).decode() if call.malformed is None else _value(call.malformed)
            yield f"→ {call.call} {call.tool} {arguments}"
    for name, value in fields.items():
        if name not in LEFT_OUT and (value is False or value not in NOTHING or name in SAID):
            yield _field(name, value)
    if isinstance(event, ToolRequested):
        yield f"within={(event.deadline_at - event.at).total_seconds():g}s"
        yield f"by={event.child.session}" if event.child else ""
        yield f"after={(event.not_before - event.at).total_seconds():.3g}s" if event.not_before else ""
    if isinstance(event, ApprovalRequested | ResolutionRequested):
        yield f"within={(event.deadline_at - event.at).total_seconds():g}s"


def _question(asked: ModelRequest) -> Iterator[str]:
    """Return how the model is asked: what of the settings is not their default, without the conversation."""
    yield asked.model
    yield f"system={_value(asked.system)}"
    if asked.tools:
        yield f"tools={_json([tool.name for tool in asked.tools])}"
    names = ("temperature", "thinking", "max_output_tokens", "max_tool_output_tokens", "loop_guard", "cache", "speed")
    defaults = {field.name: field.default for field in msgspec.structs.fields(ModelRequest)}
    for name in (*names, "response_type", "seconds"):
        if (value := getattr(asked, name)) != defaults[name]:
            yield _field(name, value)


def _part(part: Part) -> str:
    match part:
        case TextPart(text):
            return _json(text)
        case ReasoningPart():
            return f"thinks {_json(part.text)}"
        case _:
            return f"file {_json(part)}"


def _field(name: str, value: Any) -> str:
    if name == "usage" and value.keys() <= {"input_tokens", "output_tokens"}:
        return f"tokens={value.get('input_tokens', 0)}+{value.get('output_tokens', 0)}"
    return f"{name}={_value(value)}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else _json(value)


def _json(value: Any) -> str:
    return shown(msgspec.json.encode(value).decode())
