"""The tools of an MCP server as tools of ours.

    read_file      read_file            our names match [A-Za-z0-9_-]{1,64}
    files.read     files-read           what else is in a name becomes `-`
    files/read     files-read-5c1e9a07  where two would be one, both get a piece of a hash

What the server answers becomes JSON: its structured content, which the standard has it repeat in texts; else its one
text, as a string; else, and where there are images, sounds or resources, `{"content": […]}` as MCP writes it. An error
of the tool is an error here.
"""

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from stenograph_events.values import Retry
from stenograph_sdk.errors import McpUnavailable, ToolError
from stenograph_sdk.logs import printable
from stenograph_sdk.mcp_link import Link
from stenograph_sdk.mcp_pins import Pins, hash_of, hash_of_all, hashes
from stenograph_sdk.tools import Tool, ToolContext

if TYPE_CHECKING:
    from mcp_types import CallToolResult
    from mcp_types import Tool as McpTool

log = logging.getLogger("stenograph_sdk")

LONGEST_NAME = 64
_NOT_OURS = re.compile(r"[^A-Za-z0-9_-]")


class Choice(NamedTuple):
    """Which tools of a server are served, and how often each may run. Names are the server's or ours."""

    only: Collection[str] = ()
    retry: Retry = "never"
    safe: Collection[str] = ()
    trust_annotations: bool = False


class McpTools:
    """The tools of one server that are served here."""

    def __init__(self, link: Link, choice: Choice, pins: Pins | None) -> None:
        """Without `pins` nothing is held fast, as for a look at the list. Raises `McpUnavailable`."""
        self._link = link
        self._choice = choice
        self._names = our_names(tool.name for tool in link.tools)
        self._check_named((*choice.only, *choice.safe))
        chosen = [tool for tool in link.tools if self._is_named(tool.name, choice.only) or not choice.only]
        self._now = hashes(chosen)
        self._pinned = self._now if pins is None else pins.hold(self._now)
        self._off: set[str] = set()
        self._told: set[str] = set()
        self.tools = [self._tool(tool) for tool in chosen]
        self.hash = hash_of_all(self._now)
        for tool in chosen:
            if tool.name != self._names[tool.name]:
                log.info("mcp.tool_renamed name=%s tool=%s", printable(tool.name), self._names[tool.name])
        link.on_tools = self._looked
        self._looked(link.tools)

    def hash_of(self, tool: Tool) -> str:
        """Return the hash of one of `tools`, as its server tells of it now."""
        return next(self._now[name] for name, ours in self._names.items() if ours == tool.name)

    def _tool(self, tool: "McpTool") -> Tool:
        retry = self._retry(tool)

        async def run(*, stenograph_call: ToolContext, **arguments: Any) -> Any:
            async def told(progress: float, total: float | None, message: str | None) -> None:
                stenograph_call.progress(message or "", done=progress, total=total)

            self._refuse_changed(tool.name)
            deadline = stenograph_call.deadline_at
            again = retry == "safe"
            return result_of(await self._link.call(tool.name, arguments, deadline, again=again, progress=told))

        return Tool(
            self._names[tool.name],
            run,
            retry=retry,
            parameters=tool.input_schema,
            description=tool.description or tool.title or "",
            result=tool.output_schema,
        )

    def _retry(self, tool: "McpTool") -> Retry:
        hints = tool.annotations
        if self._choice.trust_annotations and hints and (hints.read_only_hint or hints.idempotent_hint):
            return "safe"
        return "safe" if self._is_named(tool.name, self._choice.safe) else self._choice.retry

    def _looked(self, tools: "Sequence[McpTool]") -> None:
        """Turn off what is not as it was accepted, and on again what is."""
        found = {tool.name: hash_of(tool) for tool in tools}
        for name in self._now:
            off = name in found and found[name] != self._pinned.get(name)
            if off and name not in self._off:
                log.warning(
                    "mcp.tool_changed tool=%s was=%s now=%s: it is off; look at it with --list, then --accept its hash",
                    *(self._names[name], self._pinned.get(name, "new"), found[name]),
                )
            if name not in found and name not in self._told:
                log.warning("mcp.tool_gone tool=%s: its calls fail", self._names[name])
            (self._told.add if name not in found else self._told.discard)(name)
            (self._off.add if off else self._off.discard)(name)
            self._now[name] = found.get(name, self._now[name])
        for name in found.keys() - self._names.keys() - self._told:
            self._told.add(name)
            log.warning("mcp.tool_added name=%s: a worker that starts now would offer it", printable(name))

    def _refuse_changed(self, name: str) -> None:
        if name in self._off:
            raise ToolError(
                f"the MCP server changed what {self._names[name]} says or takes: it is off until its operator accepts "
                f"it with --accept {self._now[name]}"
            )

    def _is_named(self, name: str, names: Collection[str]) -> bool:
        return name in names or self._names[name] in names

    def _check_named(self, names: Iterable[str]) -> None:
        known = {*self._names, *self._names.values()}
        for name in names:
            if name not in known:
                there = ", ".join(sorted(self._names.values())) or "none"
                raise McpUnavailable(self._link.server.name, f"it has no tool {name!r}; its tools are {there}")
        if not self._names:
            raise McpUnavailable(self._link.server.name, "it offers no tools")


def our_names(names: Iterable[str]) -> dict[str, str]:
    """Return each name with the one that it has here. Two names never become one."""
    simple = {name: _NOT_OURS.sub("-", name)[:LONGEST_NAME] or "tool" for name in names}
    many = Counter(simple.values())
    return {
        name: ours if many[ours] == 1 else _with_hash(name, ours) if name != ours else ours
        for name, ours in simple.items()
    }


def _with_hash(name: str, ours: str) -> str:
    piece = sha256(name.encode()).hexdigest()[:8]
    return f"{ours[: LONGEST_NAME - len(piece) - 1]}-{piece}"


def result_of(answer: "CallToolResult") -> Any:
    """Return the JSON that `answer` is; raise `ToolError` if it is an error."""
    parts = [part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in answer.content]
    for part in parts:
        part.pop("_meta", None)
    texts = [part["text"] for part in parts if part["type"] == "text"]
    if answer.is_error:
        raise ToolError("\n".join(texts) or "the tool failed, and its MCP server does not say why")
    only_texts = len(texts) == len(parts)
    if answer.structured_content is not None:
        if only_texts:  # which say the same once more, for those who read no structure
            return answer.structured_content
        return {"structuredContent": answer.structured_content, "content": parts}
    if only_texts and len(texts) <= 1:
        return texts[0] if texts else None
    return {"content": parts}


def headers_from(given: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of NAME=VARIABLE each, out of the environment; raise `ValueError` for one not there."""
    found: dict[str, str] = {}
    for one in given:
        name, _, variable = one.partition("=")
        if not name or not variable:
            raise ValueError(f"--mcp-header {one!r} is not NAME=VARIABLE, such as Authorization=GITHUB_AUTHORIZATION")
        found[name] = _variable(variable, environment, f"--mcp-header {name}")
    return found


def env_from(names: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return these variables of the environment; raise `ValueError` for one that is not there."""
    return {name: _variable(name, environment, "--mcp-env") for name in names}


def _variable(name: str, environment: Mapping[str, str], what: str) -> str:
    if name not in environment:
        raise ValueError(f"{what}: there is no variable {name} in the environment")
    return environment[name]
