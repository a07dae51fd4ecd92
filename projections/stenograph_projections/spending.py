"""Spending: what models consumed, and what somebody allowed on top of a budget. Whether it is enough, `decide` says."""

from decimal import Decimal

import msgspec

from stenograph_events.types import BudgetRaised, MessageAdded, ModelFailed

ZERO = Decimal(0)


class Spent(msgspec.Struct, frozen=True, array_like=True):
    """What models consumed. `cost_usd` is the cost of the answers whose price is known, `unpriced` counts the others.

    An answer that was stopped before its provider had counted it is in neither: nobody ever says what it cost.
    """

    tokens: int = 0
    cost_usd: Decimal = ZERO
    steps: int = 0
    unpriced: int = 0
    seconds: float = 0.0
    """Of a session: how long the turns that are over took, without waiting for budgets."""

    def plus(self, more: "Spent") -> "Spent":
        """Return the sum of both."""
        if more is NOTHING_SPENT:
            return self
        return Spent(
            self.tokens + more.tokens,
            self.cost_usd + more.cost_usd if more.cost_usd else self.cost_usd,
            self.steps + more.steps,
            self.unpriced + more.unpriced,
            self.seconds + more.seconds,
        )


NOTHING_SPENT = Spent()


class Raised(msgspec.Struct, frozen=True, array_like=True):
    """What somebody allowed on top of a budget."""

    tokens: int = 0
    cost_usd: Decimal = ZERO
    steps: int = 0
    seconds: float = 0.0

    def plus(self, event: BudgetRaised) -> "Raised":
        """Return what is allowed once `event` allows more."""
        return Raised(
            self.tokens + event.tokens,
            self.cost_usd + event.cost,
            self.steps + event.steps,
            self.seconds + event.seconds,
        )


NOTHING_RAISED = Raised()


def spent_by(event: MessageAdded | ModelFailed) -> Spent:
    """Return what a model consumed for `event`: nothing for a message of a block, tokens but no step for a failure."""
    steps = 0 if isinstance(event, ModelFailed) else 1
    if event.model is None:
        return NOTHING_SPENT
    usage = event.usage
    tokens = usage.input_tokens + usage.output_tokens if usage is not None else 0
    return Spent(tokens, event.cost_usd or ZERO, steps, 1 if is_unpriced(event) else 0)


def is_unpriced(event: MessageAdded | ModelFailed) -> bool:
    """Return whether tokens were counted whose price is unknown. Unknown is not 0."""
    usage = event.usage
    return event.cost_usd is None and usage is not None and (usage.input_tokens or usage.output_tokens) > 0
