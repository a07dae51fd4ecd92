"""Offering tools for one turn: functions of yours, or what somebody else says of theirs.

offered([search, OfferedTool("files__read", "Read a file", Raw(b'{"type":"object",…}'))])
"""

from collections.abc import Iterable

import msgspec

from stenograph_events.values import OfferedTool
from stenograph_sdk.tools import Tool


def offered(tools: Iterable[Tool | OfferedTool]) -> tuple[OfferedTool, ...]:
    """Return `tools` as a trigger carries them; a function's docstring is its description."""
    return tuple(tool if isinstance(tool, OfferedTool) else _described(tool) for tool in tools)


def _described(tool: Tool) -> OfferedTool:
    return OfferedTool(tool.name, tool.description, msgspec.Raw(msgspec.json.encode(tool.parameters)))
