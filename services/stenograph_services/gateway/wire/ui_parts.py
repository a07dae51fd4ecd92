"""The parts of a message on a screen, in their full shape; `versions` says what of it a client reads.

{"type":"text","text":"You are on the pro plan.","status":"done"}
{"type":"object","id":"5b3f…","typeName":"Plan","object":{"name":"pro"},"status":"done","thread":"research"}
{"type":"worker","workerId":"7e1f…","workerSlug":"researcher","input":{…},"parts":[],"output":"…","status":"done"}

What is optional is left out.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Raw

from stenograph_events.values import OptionalRaw
from stenograph_services.gateway.http.shapes import Shape
from stenograph_services.protocol.agent import Display


class UIText(Shape, frozen=True, kw_only=True, tag_field="type", tag="text"):
    text: str
    status: str
    thread: str | None = None


class UIReasoning(Shape, frozen=True, kw_only=True, tag_field="type", tag="reasoning"):
    text: str
    status: str
    thread: str | None = None


class UIToolCall(Shape, frozen=True, kw_only=True, tag_field="type", tag="tool-call"):
    tool_call_id: str
    tool_name: str
    display_name: str | None = None
    args: Raw
    result: Raw | None = None
    error: str | None = None
    status: str
    display: Display | None = None
    thread: str | None = None


class UIOperation(Shape, frozen=True, kw_only=True, tag_field="type", tag="operation"):
    operation_id: str
    name: str
    operation_type: str
    status: str
    thread: str | None = None


class UIFile(Shape, frozen=True, kw_only=True, tag_field="type", tag="file"):
    id: str
    media_type: str
    url: str
    filename: str | None = None
    size: int | None = None
    thread: str | None = None


class UIObject(Shape, frozen=True, kw_only=True, tag_field="type", tag="object"):
    id: str
    type_name: str
    object: Raw
    status: str
    thread: str | None = None


class UITodo(Shape, frozen=True, kw_only=True, tag_field="type", tag="todo"):
    """The list of things to do, as the answer left it."""

    todos: Raw
    status: str
    thread: str | None = None


class UIStepStart(Shape, frozen=True, kw_only=True, tag_field="type", tag="step-start"):
    """Here one of the messages begins that the answer is made of: a response of a model, or what a block adds."""


UINested = UIText | UIReasoning | UIToolCall | UIOperation | UIFile | UIObject | UITodo | UIStepStart
"""What a run of a child agent may show inside it: no further run."""


class UIWorker(Shape, frozen=True, kw_only=True, tag_field="type", tag="worker"):
    """A run of a child agent, for a block of the protocol. `parts`: what it said and did itself."""

    worker_id: str
    worker_slug: str
    description: str | None = None
    input: OptionalRaw = None
    parts: list[UINested]
    output: OptionalRaw = None
    error: str | None = None
    status: str
    thread: str | None = None


class UICalledWorker(UIWorker, frozen=True, kw_only=True, tag_field="type", tag="worker"):
    """The same, for a model that asked."""


UIPart = UINested | UIWorker

Nested = Mapping[str, list[UINested]]
"""What child agents said and did, by the calls that they answer."""

NOTHING_NESTED: Nested = MappingProxyType({})


def thread_of(name: str) -> str | None:
    """Return the thread that a client has to be told of: absent means main."""
    return None if name == "main" else name
