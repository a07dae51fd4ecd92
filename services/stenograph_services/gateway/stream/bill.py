"""What the models of one turn consumed, added up from its log. Child agents have logs of their own. Pure.

{"type":"usage","cost":{"currency":"USD","bandwidthFee":0.0,"providerFee":0.0,"totalFee":0.0,"byok":true,
 "estimatedProviderFee":0.0021},"tokens":{"inputTokens":780,"outputTokens":32,"totalTokens":812}}
"""

import msgspec

from stenograph_events.types import MessageAdded, ModelFailed
from stenograph_projections.spending import NOTHING_SPENT, spent_by
from stenograph_services.gateway.wire.stream_events import Cost, Tokens, Usage


class Bill:
    """The sum so far."""

    def __init__(self) -> None:
        self._spent = NOTHING_SPENT
        self._input = self._output = 0

    def see(self, event: MessageAdded | ModelFailed) -> None:
        """Add what a model consumed for `event`."""
        self._spent = self._spent.plus(spent_by(event))
        if event.model is not None and event.usage is not None:
            self._input += event.usage.input_tokens
            self._output += event.usage.output_tokens

    def usage(self) -> Usage:
        """Return the sum. Where the price of an answer is unknown, that of all is."""
        fee = msgspec.UNSET if self._spent.unpriced else float(self._spent.cost_usd)
        return Usage(Cost(estimated_provider_fee=fee), Tokens(self._input, self._output, self._input + self._output))
