"""Usage: what the models of a session consumed, by model."""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from stenograph_events import StoredEvent
from stenograph_events.types import MessageAdded, ModelFailed
from stenograph_events.values import Usage
from stenograph_projections.spending import ZERO, is_unpriced


class ModelUsage(msgspec.Struct, frozen=True, array_like=True):
    """Responses and tokens of one model. Failed attempts count where the provider said what they cost.

    `cost_usd` is the cost in US dollars of what has a known price; `unpriced` counts the rest: unknown is not 0.
    """

    responses: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: Decimal = ZERO
    unpriced: int = 0


UsageByModel = dict[str, ModelUsage]


def apply(usage: UsageByModel, event: StoredEvent) -> UsageByModel:
    """Return the usage after `event`."""
    match event:
        case MessageAdded(model=str(model)):
            return _used(usage, model, event)
        case ModelFailed() if event.usage is not None or event.cost_usd is not None:
            return _used(usage, event.model, event)
        case _:
            return usage


def _used(usage: UsageByModel, model: str, event: MessageAdded | ModelFailed) -> UsageByModel:
    return {**usage, model: _added(usage.get(model, ModelUsage()), event)}


def _added(total: ModelUsage, event: MessageAdded | ModelFailed) -> ModelUsage:
    more = event.usage or Usage()
    return replace(
        total,
        responses=total.responses + isinstance(event, MessageAdded),
        input_tokens=total.input_tokens + more.input_tokens,
        output_tokens=total.output_tokens + more.output_tokens,
        cache_read_tokens=total.cache_read_tokens + more.cache_read_tokens,
        cache_write_tokens=total.cache_write_tokens + more.cache_write_tokens,
        cost_usd=total.cost_usd + (event.cost_usd or ZERO),
        unpriced=total.unpriced + is_unpriced(event),
    )
