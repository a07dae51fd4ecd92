"""`--list`: what a worker would serve, without serving it."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from stenograph_sdk.logs import printable
from stenograph_sdk.tools import Tool


class Listed(msgspec.Struct, omit_defaults=True):
    """A tool, as `--list --json` tells of it."""

    tool: str
    retry: str
    parameters: dict[str, Any]
    description: str = ""
    result: dict[str, Any] | None = None
    concurrency: int | None = None


def listed(tools: Iterable[Tool]) -> list[Listed]:
    return [Listed(one.name, one.retry, one.parameters, one.description, one.result, one.concurrency) for one in tools]


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
