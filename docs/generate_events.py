"""Write docs/events.md from the event types, their samples, the subjects and the declared streams.

python docs/generate_events.py            write it
python docs/generate_events.py --check    exit 1 if it is out of date, for tests
"""

import inspect
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from pages import keep

from stenograph_events import EVENT_TYPES, Event, frames, subjects
from stenograph_events.frames import AnyFrame, Frame
from stenograph_events.types import EventClass
from stenograph_events.values import (
    Actor,
    BlobRef,
    Call,
    Child,
    Compaction,
    FilePart,
    Guard,
    OfferedTool,
    Parent,
    ReasoningPart,
    RestoredMessage,
    SecretArguments,
    Sender,
    Signature,
    TextPart,
    Usage,
)
from stenograph_projections.invariants import RULES
from stenograph_services.runtime import streams
from stenograph_services.runtime.config import Settings

HERE = Path(__file__).parent
PAGE = HERE / "events.md"
SAMPLES = HERE.parent / "tests" / "events" / "samples"

WRITERS = dict.fromkeys(EVENT_TYPES, "orchestrator") | {
    "session.created": "gateway, or the tool gateway for a child agent",
    "tool.succeeded": "tool gateway",
    "tool.failed": "tool gateway",
    "tool.timed_out": "tool gateway",
    "tool.outcome_unknown": "tool gateway",
    "tool.answer_rejected": "tool gateway",
    "tool.resolved": "orchestrator, or the tool gateway when time is up",
}
ELSEWHERE: dict[str, tuple[EventClass, str, str]] = {
    "tool.requested": ("child-request", "when a child agent is to answer", "child"),
    "turn.finished": ("child-end", "in the session of a child agent", "child"),
    "tool.resolved": ("tool-result", "when nobody said it in time", "expired"),
}
"""The types that have another class in some case, and which sample shows that."""

VALUES = (
    TextPart, ReasoningPart, FilePart, Call, Usage, BlobRef, Child, Parent, Guard, Compaction, RestoredMessage,
    OfferedTool, Sender, Actor, SecretArguments, Signature,
)  # fmt: skip
JSON_NAMES: dict[Any, str] = {
    str: "text",
    int: "number",
    float: "number",
    Decimal: "number",
    bool: "true or false",
    datetime: "time",
    NoneType: "none",
}

INTRO = """\
# Events

<!-- Written by docs/generate_events.py. Edit the types, the samples or the streams, then run it again. -->

Everything that a session did is an event in its log, stored once and never edited. This page says which events there
are, where they travel, and which streams and consumers carry them.

Fields are only ever added, with a default; none is renamed, retyped or removed, and a change of meaning is a new type.
A field that holds its default is left out of the bytes. A reader passes over fields that it does not know; an event of
an unknown type changes nothing for a reader and keeps a writer from deciding."""

CHAIN = """\
`n` counts 1, 2, 3 … inside the session without a gap, and `prev` is the SHA-256 of the bytes of the event before it:
loss, reordering, tampering and a cut log show when the log is folded. `stenograph sessions verify` checks that, and
the rules below, on any log."""


def page() -> str:
    """Return docs/events.md as it should be."""
    sections = [
        INTRO,
        _overview(),
        "## What every event has",
        _fields(Event),
        CHAIN,
        *(_event(tag, kind) for tag, kind in EVENT_TYPES.items()),
        "## Values inside events",
        *("\n\n".join(filter(None, (f"### {_heading(kind)}", _about(kind), _fields(kind)))) for kind in VALUES),
        "## Subjects",
        "Every id that enters a subject matches `^[A-Za-z0-9_-]{1,64}$`; a session's shard token is the first two\n"
        "characters of its id.",
        _table(("subject", "what"), _subjects()),
        "## Frames",
        _about(frames),
        *(_frame(kind) for kind in get_args(AnyFrame)),
        "## Streams",
        "As declared with default settings. Every service declares them when it starts; one that exists with settings\n"
        "whose change would lose data keeps it from starting.",
        _table(("stream", "what", "subjects", "keeps", "limits"), _streams()),
        "## Consumers",
        "All are durable pull consumers with explicit acks and without an end of deliveries. `max_ack_pending` bounds\n"
        "the work in flight over all processes of a service.",
        _table(("stream", "consumer", "filter", "ack_wait", "max_ack_pending", "who"), _consumers()),
        "## What every log satisfies",
        _table(("rule", "promise"), ((f"`{name}`", promise) for name, promise in RULES.items())),
    ]
    return "\n\n".join(sections) + "\n"


# ---- events and frames


def _overview() -> str:
    rows = [
        (f"`{event_class}`", ", ".join(_link(tag) for tag in tags), ", ".join(sorted({WRITERS[tag] for tag in tags})))
        for event_class in get_args(EventClass)
        if (tags := [tag for tag in EVENT_TYPES if event_class in _classes(tag)])
    ]
    return _table(("class", "types", "who writes"), rows)


def _classes(tag: str) -> tuple[EventClass, ...]:
    own = EVENT_TYPES[tag].event_class
    return (own, ELSEWHERE[tag][0]) if tag in ELSEWHERE else (own,)


def _event(tag: str, kind: type[Event]) -> str:
    elsewhere = ", `{}` {}".format(*ELSEWHERE[tag][:2]) if tag in ELSEWHERE else ""
    where = f"Class `{kind.event_class}`{elsewhere}, written by the {WRITERS[tag]}."
    own = [name for name in kind.__struct_fields__ if name not in Event.__struct_fields__]
    samples = [_sample(f"{tag}.json"), *([_sample(f"{tag}--{ELSEWHERE[tag][2]}.json")] if tag in ELSEWHERE else [])]
    return "\n\n".join(part for part in (f"## {tag}", _about(kind), where, _fields(kind, own), *samples) if part)


def _frame(kind: type[Frame]) -> str:
    tag = str(kind.__struct_config__.tag)
    return "\n\n".join((f"### {tag}", _about(kind), _fields(kind), _sample(f"frames/{tag}.json")))


def _fields(kind: type[msgspec.Struct], names: Iterable[str] | None = None) -> str:
    hints = get_type_hints(kind)
    wanted = set(kind.__struct_fields__ if names is None else names)
    rows = [
        (f"`{field.name}`", _type(hints[field.name]), _default(field))
        for field in msgspec.structs.fields(kind)
        if field.name in wanted
    ]
    return _table(("field", "holds", "if left out"), rows) if rows else ""


def _type(hint: Any) -> str:
    """Return what a field of type `hint` holds, in words."""
    if hint in VALUES:
        return f"[{_heading(hint)}](#{_heading(hint).replace(' ', '-')})"
    if hint is msgspec.Raw:
        return "any JSON"
    if hint in JSON_NAMES:
        return JSON_NAMES[hint]
    if hasattr(hint, "__supertype__"):  # a NewType, such as CallId
        return f"{hint.__name__.removesuffix('Id').lower()} id"
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if get_origin(hint) is tuple:
        return f"list of {_type(arguments[0])}"
    if get_origin(hint) is dict:
        return f"object of {_type(arguments[1])} by name"
    if get_origin(hint) is UnionType or "Union" in str(get_origin(hint)):
        return " or ".join(_type(argument) for argument in arguments)
    raise TypeError(f"docs/generate_events.py has no words for a field of type {hint}")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "never left out"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return f"`{msgspec.json.encode(value).decode()}`" if value is not None else "none"


def _heading(kind: type[msgspec.Struct]) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind.__name__).strip()


def _about(thing: Any) -> str:
    return inspect.cleandoc(thing.__doc__ or "")


def _sample(name: str) -> str:
    return f"```json\n{(SAMPLES / name).read_text().strip()}\n```"


def _link(tag: str) -> str:
    return f"[`{tag}`](#{tag.replace('.', '')})"


# ---- where they travel


def _subjects() -> Iterator[tuple[str, str]]:
    for line in (subjects.__doc__ or "").splitlines():
        subject, gap, what = line.strip().partition("  ")
        if line.startswith("    ") and gap:
            yield f"`{subject}`", what.strip()


def _streams() -> Iterator[tuple[str, ...]]:
    settings = Settings.model_construct()
    for stream in (*streams.streams(settings), streams.uploads_stream(settings, "TENANT")):
        if stream.name not in streams.log_streams(settings)[1:]:
            yield _named(stream.name), stream.about, _carried(stream), _kept(stream.config), _limits(stream.config)


def _consumers() -> Iterator[tuple[str, ...]]:
    settings = Settings.model_construct()
    declared = streams.consumers(settings)
    workers = streams.tool_worker_consumer(settings, "TENANT", "TOOL")
    for one in (*declared, workers):
        if one.stream not in streams.log_streams(settings)[1:]:
            name, filter_ = (_placeholders(text) for text in (one.name, one.filter))
            wait, pending = f"{one.ack_wait_seconds:g} s", f"{one.max_ack_pending:,}"
            yield _named(one.stream), f"`{name}`", f"`{filter_}`", wait, pending, one.who


def _placeholders(text: str) -> str:
    return text.replace("TENANT", "<tenant>").replace("TOOL", "<tool>")


def _named(stream: str) -> str:
    """Return the name of a stream; the log streams are many of one kind."""
    return "`EV_<k>`" if stream.startswith("EV_") else f"`{_placeholders(stream)}`"


def _carried(stream: streams.Stream) -> str:
    if stream.name.startswith("EV_"):
        return f"`{subjects.Pattern.shard('<shard>')}`"
    if sources := stream.config.get("sources"):
        moved = sources[0]["subject_transforms"][0]
        return f"`{moved['src']}` of the log, as `{subjects.Pattern.REQUEST_COPIES}`"
    return ", ".join(f"`{_placeholders(subject)}`" for subject in stream.config["subjects"])


def _kept(config: dict[str, Any]) -> str:
    kept = {"limits": "until a limit", "workqueue": "until it is acked"}[config["retention"]]
    return f"{config['storage']}, {kept}"


def _limits(config: dict[str, Any]) -> str:
    shown = ("max_bytes", "max_msgs", "max_age", "max_msg_size", "max_msgs_per_subject", "duplicate_window", "discard")
    return ", ".join(f"`{key}` {_amount(key, config[key])}" for key in shown if config.get(key) not in (None, 0, -1))


def _amount(key: str, value: Any) -> str:
    if key in ("max_age", "duplicate_window"):
        return f"{value / 1e9:g} s"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    raise SystemExit(keep(PAGE, page(), __file__))
