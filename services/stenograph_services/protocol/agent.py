"""The compiled agent: a protocol as `decide` reads it. Frozen, validated, with nothing left to look up or to parse.

`compile.py` makes one from a folder or a stored bundle; an `Agent` is the same for ever under its version.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from stenograph_events.types import Retry, Role

WhenBusy = Literal["reject", "enqueue", "interrupt"]
Display = Literal["hidden", "name", "description", "stream"]


class Field(msgspec.Struct, frozen=True):
    """An input, variable, resource or parameter: its JSON Schema, and what it is when nobody gives it."""

    name: str
    schema: dict[str, Any]
    required: bool = True
    default: Any = None
    description: str | None = None


class Schema(msgspec.Struct, frozen=True):
    """A JSON Schema with its validator. `problems(value)` is in protocol/schemas.py."""

    json: dict[str, Any]
    validator: Any


class Tool(msgspec.Struct, frozen=True):
    """A tool as the protocol declares it. `retry` is None where the protocol leaves it to the worker."""

    name: str
    description: str
    parameters: Schema
    result: Schema | None = None
    retry: Retry | None = None
    timeout_seconds: float = 60.0
    display: Display = "description"
    title: str | None = None


class Trigger(msgspec.Struct, frozen=True):
    name: str
    input: tuple[Field, ...] = ()
    description: str | None = None


class Prompt(msgspec.Struct, frozen=True):
    """A prompt and what may appear in it: `input` maps each label to the variable it is filled from."""

    name: str
    template: str
    input: tuple[tuple[str, str], ...] = ()


class AddMessage(msgspec.Struct, frozen=True, tag="add-message"):
    name: str
    role: Role
    prompt: Prompt
    thread: str = "main"
    visible: bool = True
    display: Display = "hidden"
    description: str | None = None


class NextMessage(msgspec.Struct, frozen=True, tag="next-message"):
    name: str
    thread: str = "main"
    output: str | None = None
    display: Display = "stream"
    description: str | None = None


class ToolCall(msgspec.Struct, frozen=True, tag="tool-call"):
    """`input` maps each parameter to ("variable", NAME) or ("literal", value)."""

    name: str
    tool: str
    input: tuple[tuple[str, tuple[Literal["variable", "literal"], Any]], ...] = ()
    output: str | None = None
    display: Display = "description"
    description: str | None = None


class SetResource(msgspec.Struct, frozen=True, tag="set-resource"):
    name: str
    resource: str
    value: str
    display: Display = "name"
    description: str | None = None


Block = AddMessage | NextMessage | ToolCall | SetResource


class Agent(msgspec.Struct, frozen=True):
    """One version of one agent."""

    slug: str
    name: str
    version: str
    model: str
    system: Prompt
    tools: Mapping[str, Tool]
    allowed: tuple[str, ...]
    """The tools that the model may call, in the order in which it is told of them."""
    triggers: Mapping[str, Trigger]
    handlers: Mapping[str, tuple[Block, ...]]
    input: tuple[Field, ...] = ()
    variables: tuple[Field, ...] = ()
    resources: tuple[Field, ...] = ()
    max_steps: int = 10
    temperature: float | None = None
    thinking: Literal["low", "medium", "high"] | None = None
    when_busy: WhenBusy = "reject"
    description: str | None = None
    scripts: Mapping[str, str] = {}
    """What a `scripted/NAME` model plays: the texts of scripts/NAME.yaml, pinned with the version like all else."""
