"""Boxing: the secrets of a request go to its tool's workers, in a box to their key, right before it is appended.

Deciding stays pure: it says which arguments are secret, and what they are stays sealed. They are opened here, and
nowhere else outside of a worker.
"""

from collections.abc import Callable, Sequence

import msgspec

from stenograph_events import AnyEvent
from stenograph_events.secrets import with_box
from stenograph_events.signatures import for_workers
from stenograph_events.types import ToolRequested
from stenograph_services.runtime.sealing import Seals


class NoToolKey(Exception):
    """A tool's workers had a key when it was decided to ask them, and have none any more: decide again."""


async def boxed(
    events: Sequence[AnyEvent], seals: Seals, tool_key: Callable[[str, str], str | None]
) -> Sequence[AnyEvent]:
    """Return `events`, of which the requests with secrets have those in a box to the key of their tool.

    Raises `NoToolKey`, and `KeyMissing` if the session's key cannot be had.
    """
    if not any(_has_secrets(one) for one in events):
        return events
    return [await _boxed(one, seals, tool_key) if isinstance(one, ToolRequested) else one for one in events]


def _has_secrets(event: AnyEvent) -> bool:
    return isinstance(event, ToolRequested) and event.secrets is not None


async def _boxed(request: ToolRequested, seals: Seals, tool_key: Callable[[str, str], str | None]) -> ToolRequested:
    if request.secrets is None or not for_workers(request):
        return request
    seal_to = tool_key(request.tenant, request.tool)
    if seal_to is None:
        raise NoToolKey
    key = await seals.keys.get(request.tenant, request.session)
    arguments = msgspec.json.decode(request.arguments)
    values = {name: key.open_secret(arguments[name]) for name in request.secrets.names}
    return with_box(request, values, seal_to)
