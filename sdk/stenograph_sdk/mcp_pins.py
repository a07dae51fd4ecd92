"""Pins: which tools of an MCP server were looked at and accepted, as they were then.

    .stenograph/mcp-pins.json    {"npx some-server": {"read_file": "5b3f…"}}

A server may change what a tool says and takes at any time, also to something that nobody would have accepted. What it
offers the first time is pinned, by a hash of all that it says of each tool; a tool that changes, or comes new, is off
until somebody accepts its hash, or the hash of the whole list.
"""

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from stenograph_events import canonical
from stenograph_sdk.errors import McpUnavailable

if TYPE_CHECKING:
    from mcp_types import Tool as McpTool

log = logging.getLogger("stenograph_sdk")

DEFAULT = Path(".stenograph") / "mcp-pins.json"
DIGITS = 32  # of a SHA-256: 128 bits that nobody finds a second text for


def hash_of(tool: "McpTool") -> str:
    """Return the hash of all that a server says of a tool."""
    said = tool.model_dump_json(by_alias=True, exclude_none=True, exclude={"meta"})
    return sha256(canonical(msgspec.Raw(said.encode()))).hexdigest()[:DIGITS]


def hashes(tools: "Sequence[McpTool]") -> dict[str, str]:
    return {tool.name: hash_of(tool) for tool in tools}


def hash_of_all(found: Mapping[str, str]) -> str:
    """Return the hash of a list of tools, in whatever order."""
    return sha256(msgspec.json.encode(sorted(found.items()))).hexdigest()[:DIGITS]


class Pins:
    """The pins of one server, in a file that those of others may share."""

    def __init__(self, path: Path, server: str, accepted: Collection[str] = ()) -> None:
        self._path = path
        self._server = server
        self._accepted = frozenset(accepted)

    def hold(self, found: Mapping[str, str]) -> dict[str, str]:
        """Return what is pinned, after `found`, all of them or those that are accepted, was pinned as well.

        Raises `McpUnavailable` for a file that cannot be read or written.
        """
        everything = self._read()
        whole = hash_of_all(found)
        pinned = everything.get(self._server)
        for unknown in self._accepted - {*found.values(), whole, *(pinned or {}).values()}:
            log.warning("mcp.accepted_nothing server=%s accepted=%s list=%s", self._server, unknown, whole)
        new = found if pinned is None or whole in self._accepted else self._among(found)
        held = {**(pinned or {}), **new}
        if pinned is None:
            log.info("mcp.tools_pinned server=%s tools=%d list=%s", self._server, len(held), whole)
        if held != pinned:
            self._write({**everything, self._server: held})
        return held

    def _among(self, found: Mapping[str, str]) -> dict[str, str]:
        return {name: one for name, one in found.items() if one in self._accepted}

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, dict[str, str]])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise McpUnavailable(self._server, f"the pins in {self._path} cannot be read: {error}") from error

    def _write(self, everything: dict[str, dict[str, str]]) -> None:
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(msgspec.json.format(msgspec.json.encode(everything), indent=1) + b"\n")
            beside.replace(self._path)
        except OSError as error:
            raise McpUnavailable(self._server, f"the pins in {self._path} cannot be written: {error}") from error
