"""Tools known only at run time: what an application offers for one turn, checked, and as a model is offered it.

    [{"name":"files__search","description":"Search the files","inputSchema":{"type":"object","properties":{…}}}]

The log keeps them written out (`tool_schemas`), so a later reader needs nothing beside it.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec
from msgspec import Raw

from stenograph_events import InvalidId, checked_id
from stenograph_events.values import OfferedTool
from stenograph_services.protocol.agent import Agent, Schema, Tool
from stenograph_services.protocol.problems import shown
from stenograph_services.protocol.schemas import problems
from stenograph_services.protocol.tool_schemas import PATTERNS, InvalidTools, SchemaWriter, for_model

MAX_TOOLS = 128  # providers take no more in one question
MAX_BYTES = 256 * 1024  # all of them, as the log keeps them: an event holds 1 MB, and the input stands beside them

MAX_CHECKS = 50_000_000  # of one call's arguments: half a second

OWN_PREFIX = "octavus_"

__all__ = [
    "MAX_BYTES",
    "MAX_TOOLS",
    "InvalidTools",
    "ToolsTooLarge",
    "as_tools",
    "misfit",
    "offered",
    "offered_again",
    "undeclared",
]


class ToolsTooLarge(InvalidTools):
    """Tools that take more room than an event has for them."""


def offered(given: Any, place: str, schema: str = "inputSchema") -> tuple[OfferedTool, ...]:
    """Return the tools that `given`, a JSON value, offers, in its order. None offers none.

    `schema` is the key of a tool's parameters. Raises `InvalidTools` for the first that cannot be offered, and
    `ToolsTooLarge`.
    """
    if given is None:
        return ()
    if not isinstance(given, list):
        raise InvalidTools(f"{place}: must be a list of tools, not {shown(given)}")
    if len(given) > MAX_TOOLS:
        raise InvalidTools(f"{place}: holds {len(given)} tools; models take {MAX_TOOLS}")
    writer = SchemaWriter()
    tools = tuple(_tool(one, f"{place}[{i}]", schema, writer) for i, one in enumerate(given))
    names: set[str] = set()
    for i, tool in enumerate(tools):
        if tool.name in names:
            raise InvalidTools(f"{place}[{i}].name: {shown(tool.name)} is there twice; each tool has a name of its own")
        names.add(tool.name)
    if (size := len(msgspec.json.encode(tools))) > MAX_BYTES:
        raise ToolsTooLarge(f"{place}: the tools take {size} bytes; {MAX_BYTES} fit. Offer fewer, or shorter schemas")
    return tools


def offered_again(tools: Iterable[OfferedTool], place: str) -> tuple[OfferedTool, ...]:
    """Return `tools`, which came in the form of the log, checked and written out as `offered` does."""
    given = [
        {"name": tool.name, "description": tool.description, "parameters": _decoded(tool.parameters)} for tool in tools
    ]
    return offered(given, place, "parameters")


def undeclared(tools: Iterable[OfferedTool], agent: Agent) -> tuple[OfferedTool, ...]:
    """Return `tools` without those whose names the protocol declares: what it says of a name holds."""
    return tuple(tool for tool in tools if tool.name not in agent.tools and tool.name not in agent.children)


def as_tools(tools: tuple[OfferedTool, ...]) -> tuple[Tool, ...]:
    """Return `tools` as a model is offered them. Equal ones share their validators."""
    return _compiled(msgspec.json.encode(tools)) if tools else ()


def misfit(offers: OfferedTool, tool: Tool, arguments: Raw) -> str | None:
    """Return why `arguments`, a JSON object, do not fit `offers`, in one sentence, or None; `tool` is made of it.

    Somebody unknown wrote the schema, and a model the arguments: each of these may meet each part of that.
    """
    if _parts(offers.parameters) * _parts(arguments) > MAX_CHECKS:
        return "they are too many to be checked with the schema of the tool; send fewer"
    return problems(tool.parameters, msgspec.json.decode(arguments))


def _parts(value: Raw) -> int:
    """Return a number that is not under that of the values in `value`."""
    data = bytes(value)
    return 1 + data.count(b",") + data.count(b"{") + data.count(b"[")


@lru_cache(maxsize=64)  # the sets of a few turns: a set takes up to MAX_BYTES, and its validators as much again
def _compiled(tools: bytes) -> tuple[Tool, ...]:
    return tuple(
        Tool(one.name, one.description, _parameters(msgspec.json.decode(one.parameters)))
        for one in msgspec.json.decode(tools, type=tuple[OfferedTool, ...])
    )


def _parameters(written: dict[str, Any]) -> Schema:
    """The model reads a plain object; what it writes is checked with all that the schema says."""
    return Schema(for_model(written), jsonschema_rs.validator_for(written, pattern_options=PATTERNS, offline=True))


def _tool(given: Any, place: str, schema: str, writer: SchemaWriter) -> OfferedTool:
    if not isinstance(given, dict):
        raise InvalidTools(f"{place}: must be a tool with a name and {schema}, not {shown(given)}")
    for key in ("name", schema):
        if key not in given:
            raise InvalidTools(f"{place}.{key}: is missing")
    name, description = given["name"], given.get("description")
    if not isinstance(description, str | None):
        raise InvalidTools(f"{place}.description: must be a text, not {shown(description)}")
    checked = _name(name, f"{place}.name")
    parameters = writer.written(given[schema], f"{place}.{schema}")
    return OfferedTool(checked, description or "", Raw(msgspec.json.encode(parameters)))


def _name(name: Any, place: str) -> str:
    if not isinstance(name, str):
        raise InvalidTools(f"{place}: must be a text, not {shown(name)}")
    if name.startswith(OWN_PREFIX):
        raise InvalidTools(f"{place}: {shown(name)} begins with {OWN_PREFIX}, as our own tools do; choose another name")
    try:
        return checked_id(name, "tool")
    except InvalidId as error:
        raise InvalidTools(f"{place}: {shown(name)} must be 1 to 64 letters, digits, - or _") from error


def _decoded(parameters: Raw) -> Any:
    try:
        return msgspec.json.decode(parameters)
    except (msgspec.DecodeError, RecursionError):
        return None  # which is no schema
