"""`--list`: what a worker would serve, without serving it."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from stenograph_sdk.logs import printable
from stenograph_sdk.mcp_tools import McpTools
from stenograph_sdk.tools import Tool


class Listed(msgspec.Struct, omit_defaults=True):
    """A tool, as `--list --json` tells of it."""

    tool: str
    retry: str
    parameters: dict[str, Any]
    description: str = ""
    result: dict[str, Any] | None = None
    concurrency: int | None = None
    hash: str | None = None
    """Of a tool that an MCP server offers."""


def listed(tools: Iterable[Tool], offered: Iterable[McpTools] = ()) -> list[Listed]:
    """Return `tools`, and those that MCP servers offer."""
    ours = [_listed(one, None) for one in tools]
    return ours + [_listed(one, server.hash_of(one)) for server in offered for one in server.tools]


def _listed(tool: Tool, hash: str | None) -> Listed:
    said = (tool.name, tool.retry, tool.parameters, tool.description, tool.result, tool.concurrency)
    return Listed(*said, hash)


def pages_of(server: McpTools) -> Iterator[str]:
    """Yield the lines on what an MCP server offers: its tools, and what accepts all of them."""
    for tool in server.tools:
        first, *more = pages([tool])
        yield f"{first}, hash {server.hash_of(tool)}"
        yield from more
    yield f"all of them: --accept {server.hash}"


def pages(tools: Iterable[Tool]) -> Iterator[str]:
    """Yield the lines for a person.

    get-user-account  retry safe
        Look up what somebody pays for.
        userId   string
        detail?  boolean
    """
    for one in tools:
        limit = f", {one.concurrency} at once" if one.concurrency else ""
        yield f"{one.name}  retry {one.retry}{limit}"
        if one.description:
            yield f"    {printable(one.description.splitlines()[0])}"
        yield from _parameters(one.parameters)


def _parameters(schema: dict[str, Any]) -> Iterator[str]:
    required = schema.get("required", ())
    properties = schema.get("properties", {})
    names = {name: name if name in required else f"{name}?" for name in properties}
    width = max(map(len, names.values()), default=0)
    for name, told in names.items():
        says = properties[name]
        about = f"  {printable(str(says['description']))}" if "description" in says else ""
        yield f"    {printable(told):{width}}  {_kind(says)}{about}"


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(msgspec.json.encode(one).decode() for one in schema["enum"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kinds = schema.get("anyOf") or schema.get("oneOf")
    if kinds:
        return " | ".join(_kind(one) for one in kinds)
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "anything"))
