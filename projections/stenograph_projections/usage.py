"""Usage: what the models of a session consumed, by model."""

import msgspec
from msgspec.structs import replace

from stenograph_events import StoredEvent
from stenograph_events.types import MessageAdded, ModelFailed, Usage


class ModelUsage(msgspec.Struct, frozen=True, array_like=True):
    """Responses and tokens of one model. Failed attempts count where the provider said what they cost."""

    responses: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


UsageByModel = dict[str, ModelUsage]


def apply(usage: UsageByModel, event: StoredEvent) -> UsageByModel:
    """Return the usage after `event`."""
    match event:
        case MessageAdded(model=str(model)):
            return usage | {model: _added(usage.get(model, ModelUsage()), event.usage, responses=1)}
        case ModelFailed(usage=Usage()):
            return usage | {event.model: _added(usage.get(event.model, ModelUsage()), event.usage, responses=0)}
        case _:
            return usage


def _added(total: ModelUsage, usage: Usage | None, *, responses: int) -> ModelUsage:
    more = usage or Usage()
    return replace(
        total,
        responses=total.responses + responses,
        input_tokens=total.input_tokens + more.input_tokens,
        output_tokens=total.output_tokens + more.output_tokens,
        cache_read_tokens=total.cache_read_tokens + more.cache_read_tokens,
        cache_write_tokens=total.cache_write_tokens + more.cache_write_tokens,
    )
