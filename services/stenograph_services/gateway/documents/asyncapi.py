"""The AsyncAPI 3 document of what travels on NATS: subjects, events, frames and bodies, and who consumes what.

    GET /asyncapi.json      the same document as docs/asyncapi.json, which `docs/generate_asyncapi.py` writes

Made from the table of subjects in `stenograph_events.subjects`, the msgspec types, and the consumers that the services
declare. A channel for each line of the table; the log has one for each class of events.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

import msgspec

from stenograph_events import EVENT_TYPES, frames, subjects, wire
from stenograph_events.progress import Progress
from stenograph_events.subjects import ApiVerb, AskVerb, ControlVerb, LogVerb
from stenograph_events.types import EventClass
from stenograph_services.gateway.documents.schemas import schemas_of
from stenograph_services.gateway.http.shapes import product_version
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.streams import Consumer, consumers, log_streams, tool_worker_consumer

_DESCRIPTION = (
    "What travels between the services of Stenograph, its clients and its workers, on NATS JetStream. The log of a "
    "session is the subjects `ev.<shard>.<tenant>.<session>.>`; everything else asks for events, or follows from them."
)

ALSO: dict[str, tuple[EventClass, ...]] = {
    "tool.requested": ("client-request", "child-request"),
    "turn.finished": ("child-end",),
    "tool.resolved": ("tool-result",),
}
"""The classes of a type beside its own: who answers a request, and whose end a turn's is, decides."""

CONTROLS: dict[ControlVerb, type[msgspec.Struct]] = {
    "cancel": wire.Cancel,
    "nudge": wire.Nudge,
    "budget": wire.RaiseBudget,
    "expire": wire.Expire,
    "restore": wire.Restore,
    "clear": wire.Clear,
    "approve": wire.Approve,
    "resolve": wire.Resolve,
    "rollback": wire.Rollback,
}
ASKED: dict[ApiVerb, tuple[type[msgspec.Struct], type[msgspec.Struct]]] = {
    "sessions.create": (wire.CreateSession, wire.SessionRef),
    "tools.register": (wire.Registration, wire.Registered),
}
"""What a request to a service holds, and its answer; or the answer is a `Problem`."""

OF_CLIENTS: dict[AskVerb | LogVerb, tuple[type[msgspec.Struct], tuple[type[msgspec.Struct], ...]]] = {
    "create": (wire.CreateSession, (wire.SessionRef,)),
    "start": (wire.Trigger, (wire.Accepted,)),
    "cancel": (wire.Cancel, (wire.Accepted,)),
    "answer": (wire.ClientAnswer, (wire.Accepted,)),
    "approve": (wire.Approve, (wire.Accepted,)),
    "resolve": (wire.Resolve, (wire.Accepted,)),
    "budget": (wire.RaiseBudget, (wire.Accepted,)),
    "read": (wire.ReadLog, (wire.LogEnd,)),
    "follow": (wire.Follow, (wire.Followed,)),
    "keep": (wire.Keep, ()),
}
"""The same of what clients ask the gateway for by their credentials. Events and frames come beside the answers."""

_ANSWERED_BY: dict[ApiVerb, str] = {"sessions.create": "gateway", "tools.register": "tool-gateway"}
"""The service whose processes share the requests: its name is that of their queue group."""


class Plain(NamedTuple):
    """A body that is no JSON of ours."""

    name: str
    about: str
    media_type: str


class Channel(NamedTuple):
    """What travels on one subject."""

    address: str
    about: str
    bodies: tuple[type[msgspec.Struct] | Plain, ...]


_REQUEST = EVENT_TYPES["tool.requested"]
_BODIES: dict[str, tuple[type[msgspec.Struct] | Plain, ...]] = {
    "trig.start": (wire.Trigger,),
    "tool.req": (_REQUEST,),
    "tool.res": (wire.ToolAnswer,),
    "tool.cancel": (wire.StopCall,),
    "tool.progress": (Progress,),
    "tool.claim": (Plain("claim", "Who runs the call, or `closed`: nobody may any more.", "text/plain"),),
    "tool.next": (Plain("pull", "A pull request of JetStream, for the consumer of the tool.", "application/json"),),
    "tim.set": (Plain("deadline", "A scheduled message, which fires when the time has come.", "application/json"),),
    "tok": get_args(frames.AnyFrame),
    "hint": (Plain("hint", "The id of the turn that is being cancelled.", "text/plain"),),
    "follow": (Plain("follow", "The id of a turn; a gateway that has a client who follows it answers.", "text/plain"),),
    "upload": (Plain("upload", "512 KiB of a worker's large result.", "application/octet-stream"),),
    "blob": (Plain("chunk", "512 KiB of a value that is named by its SHA-256.", "application/octet-stream"),),
    "park": (Plain("parked", "The message as it came; headers say why it lies here.", "application/octet-stream"),),
}
"""What travels under the heads of the table whose bodies are all of one kind."""

_WORD = re.compile(r"<(\w+)>")


def asyncapi_document() -> dict[str, Any]:
    """Return the document. It depends on nothing but the code: two calls return the same."""
    channels = dict(_channels())
    bodies = {body for channel in channels.values() for body in channel.bodies}
    answers = {answer for _, answer in ASKED.values()} | {wire.Problem}
    answers |= {answer for _, found in OF_CLIENTS.values() for answer in found}
    structs = sorted({*(b for b in bodies if not isinstance(b, Plain)), *answers}, key=lambda kind: kind.__name__)
    schemas = _with_named_discriminators(schemas_of(structs, "#/components/schemas/{name}"))
    messages = {_name(body): _message(body) for body in sorted(bodies | answers, key=_name)}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Stenograph", "version": product_version(), "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "127.0.0.1:4222", "pathname": "", "protocol": "nats"}},
        "channels": {name: _shown(channel) for name, channel in channels.items()} | dict(_answer_channels()),
        "operations": dict(_operations(channels)),
        "components": {"messages": messages, "schemas": schemas},
    }


# ---- channels


def _channels() -> Iterator[tuple[str, Channel]]:
    for subject, about in subject_table():
        head = subject.partition(".<")[0]
        if head in ("ev", "live"):
            for event_class in get_args(EventClass):
                yield f"{head}.{event_class}", _of_class(subject, event_class, about)
        elif head == "trig.control":
            for verb, body in CONTROLS.items():
                yield f"{head}.{verb}", Channel(subject.replace("<verb>", verb), str(inspect.getdoc(body)), (body,))
        elif head == "api":
            for asked, (body, _) in ASKED.items():
                yield f"{head}.{asked}", Channel(_address(subject, asked), str(inspect.getdoc(body)), (body,))
        elif head in ("as", "log"):
            for verb in get_args(AskVerb if head == "as" else LogVerb):
                address = subject.replace("[.<trigger>]", ".<trigger>" if verb == "start" else "")
                body, _ = OF_CLIENTS[verb]
                yield f"{head}.{verb}", Channel(address.replace("<verb>", verb), f"{about}: {verb}", (body,))
        else:
            yield head, Channel(subject, about, _BODIES[head])


def _address(subject: str, asked: ApiVerb) -> str:
    tail = ".<tool>" if asked == "tools.register" else ""
    return subject.replace("[.<tool>]", tail).replace("<verb>", asked)


def subject_table() -> Iterator[tuple[str, str]]:
    """Yield each subject of the table in `stenograph_events.subjects`, and what it is for."""
    for line in (subjects.__doc__ or "").splitlines():
        subject, gap, about = line.strip().partition("  ")
        if line.startswith("    ") and gap:
            yield subject, about.strip()


def _of_class(subject: str, event_class: EventClass, about: str) -> Channel:
    kinds = tuple(kind for tag, kind in EVENT_TYPES.items() if event_class in (kind.event_class, *ALSO.get(tag, ())))
    tail = ".<tool>" if kinds == (_REQUEST,) else ""
    address = subject.replace("[.<tool>]", tail).replace("<class>", event_class)
    return Channel(address, f"{about}: class `{event_class}`", kinds)


def _shown(channel: Channel) -> dict[str, Any]:
    return {
        "address": _WORD.sub(r"{\1}", channel.address),
        "description": channel.about,
        "messages": {_name(body): _reference("messages", _name(body)) for body in channel.bodies},
        "parameters": {word: {"description": f"The {word}"} for word in _WORD.findall(channel.address)},
    }


def _answer_channels() -> Iterator[tuple[str, Any]]:
    """Yield the channels of answers: their address is the inbox that a request names."""
    for verb, (_, answer) in ASKED.items():
        messages = {_name(kind): _reference("messages", _name(kind)) for kind in (answer, wire.Problem)}
        yield f"api.{verb}.answer", {"address": None, "description": f"The answer to {verb}", "messages": messages}
    for asked, (_, answers) in OF_CLIENTS.items():
        kinds: tuple[type[msgspec.Struct], ...] = (*answers, wire.Problem)
        messages = {_name(kind): _reference("messages", _name(kind)) for kind in kinds}
        if answers:
            about = f"The answers to {asked}"
            yield f"{_head(asked)}.{asked}.answer", {"address": None, "description": about, "messages": messages}


# ---- operations: what the services do


def _operations(channels: dict[str, Channel]) -> Iterator[tuple[str, Any]]:
    for name in channels:
        if name.startswith("ev."):
            yield f"append.{name[3:]}", _operation("send", name, "Append to the log, behind the session's fence")
    yield "frames", _operation("send", "tok", "Show what happens between events")
    told = _operation("receive", "tool.progress", "Show how far a call is, as a frame")
    yield "progress", told | {"bindings": {"nats": {"queue": "tool-gateway"}}}
    for verb in ASKED:
        answering = {"address": {"location": "$message.header#/reply"}, "channel": _reference("", f"api.{verb}.answer")}
        bindings = {"nats": {"queue": _ANSWERED_BY[verb]}}
        yield (
            verb,
            _operation("receive", f"api.{verb}", "Answer a request") | {"reply": answering, "bindings": bindings},
        )
    for asked, (_, answers) in OF_CLIENTS.items():
        channel = f"{_head(asked)}.{asked}"
        operation = _operation("receive", channel, "Answer a client")
        inbox = {"address": {"location": "$message.header#/reply"}, "channel": _reference("", f"{channel}.answer")}
        queue = {"bindings": {"nats": {"queue": "gateway"}}}
        yield f"client.{asked}", operation | ({"reply": inbox} | queue if answers else {})
    for consumer in _consumers():
        for name in channels:
            if _is_taken(consumer.filter, channels[name].address):
                yield f"{_who(consumer)}.{name}", _consumed(consumer, name)


def _head(verb: AskVerb | LogVerb) -> str:
    return "log" if verb in get_args(LogVerb) else "as"


def _consumers() -> Iterator[Consumer]:
    """Yield the durable consumers; those of the first log stream stand for those of all."""
    settings = Settings.model_construct()
    others = log_streams(settings)[1:]
    workers = tool_worker_consumer(settings, "TENANT", "TOOL")
    yield from (one for one in (*consumers(settings), workers) if one.stream not in others)


def _is_taken(filter: str, address: str) -> bool:
    """Return whether a consumer with `filter` is delivered what comes on `address`, whatever its words stand for."""
    wanted, tokens = filter.split("."), address.split(".")
    if wanted[-1] == ">":
        wanted, tokens = wanted[:-1], tokens[: len(wanted) - 1]
    return len(wanted) == len(tokens) and all(
        want == token or want == "*" or (token.startswith("<") and want.isupper())
        for want, token in zip(wanted, tokens, strict=True)
    )


def _who(consumer: Consumer) -> str:
    return "workers" if "TENANT" in consumer.name else consumer.name


def _consumed(consumer: Consumer, channel: str) -> dict[str, Any]:
    name = consumer.name.replace("TENANT", "<tenant>").replace("TOOL", "<tool>")
    return _operation("receive", channel, f"Consumed by the {consumer.who}") | {
        "x-consumer": {
            "stream": "EV_<k>" if consumer.stream.startswith("EV_") else consumer.stream,
            "name": name,
            "ackWaitSeconds": consumer.ack_wait_seconds,
            "maxAckPending": consumer.max_ack_pending,
        }
    }


def _operation(action: str, channel: str, summary: str) -> dict[str, Any]:
    return {"action": action, "channel": _reference("", channel), "summary": summary}


# ---- messages


def _name(body: type[msgspec.Struct] | Plain) -> str:
    """Return the name of a message: the tag of an event, `frame.<tag>` of a frame, else the name of its type."""
    if isinstance(body, Plain):
        return body.name
    tag = body.__struct_config__.tag
    if tag is None:
        return body.__name__
    return f"frame.{tag}" if issubclass(body, frames.Frame) else str(tag)


def _message(body: type[msgspec.Struct] | Plain) -> dict[str, Any]:
    if isinstance(body, Plain):
        return {"name": body.name, "summary": body.about, "contentType": body.media_type, "payload": {}}
    summary = inspect.cleandoc(body.__doc__ or "").partition("\n")[0]
    return {"name": _name(body), "summary": summary, "payload": _reference("schemas", body.__name__)}


def _with_named_discriminators(schema: Any) -> Any:
    """Return `schema` with what msgspec writes for OpenAPI, an object, as AsyncAPI has it: the field's name."""
    match schema:
        case {"discriminator": {"propertyName": name}}:
            return {key: _with_named_discriminators(value) for key, value in (schema | {"discriminator": name}).items()}
        case dict():
            return {key: _with_named_discriminators(value) for key, value in schema.items()}
        case list():
            return [_with_named_discriminators(one) for one in schema]
    return schema


def _reference(part: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{part}/{name}" if part else f"#/channels/{name}"}
