"""Budgets: whether a model may be asked once more, and how much it may say.

A question is held back before it exceeds a budget, not after. What it will consume at least is the context that it
brings along; how much may be answered is then what is left, so that the answer cannot exceed the budget either.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

import msgspec

from stenograph_events.types import BudgetExceeded
from stenograph_events.values import Usage
from stenograph_projections.session import Raised, Session, Spent, Turn
from stenograph_services.orchestrator.decisions import Env, ThreadSettings, common
from stenograph_services.protocol.agent import Agent, Budget

BYTES_PER_TOKEN = 3  # fewer than in English text, so that the estimate is seldom too low
PROBE_TOKENS = 1_000  # a price per token is read off that many: small ones are rounded

Scope = Literal["turn", "session"]


class Left(msgspec.Struct, frozen=True):
    """What the budgets leave for one answer; None: they set no limit."""

    output_tokens: int | None = None
    seconds: float | None = None


class _Over(Exception):
    def __init__(self, unit: str, allowed: Any, used: Any, wanted: Any) -> None:
        super().__init__(unit)
        self.amounts = {"unit": unit, "allowed": Decimal(str(allowed)), "used": Decimal(str(used)), "wanted": wanted}


def left(
    session: Session, turn: Turn, block: int, thread: str, settings: ThreadSettings, agent: Agent, env: Env
) -> Left | BudgetExceeded:
    """Return what is left for the next answer in `thread`, or the event that says which budget it would exceed."""
    scopes: tuple[tuple[Scope, Budget, Spent, Raised], ...] = (
        ("turn", agent.budget_of_turn, turn.spent, turn.raised),
        ("session", agent.budget_of_session, session.spent, session.raised),
    )
    tokens: list[int] = []
    seconds: list[float] = []
    for scope, budget, spent, raised in scopes:
        if budget == Budget():
            continue
        context = context_tokens(session, thread, settings)
        try:
            _steps(budget, spent, raised)
            tokens += _tokens(budget, spent, raised, context)
            tokens += _cost(budget, spent, raised, context, settings.model, env)
            seconds += _seconds(budget, _elapsed(scope, session, turn, env), raised)
        except _Over as over:
            # Raised by too little it is exceeded again: the last raise tells the two events apart.
            ordinal = f"budget/{block}/{turn.spent.steps}/{'/'.join(session.raises[-1:])}"
            envelope = common(session, env, turn.started, ordinal)
            return BudgetExceeded(**envelope, block=block, scope=scope, **over.amounts)
    return Left(min(tokens, default=None), min(seconds, default=None))


def context_tokens(session: Session, thread: str, settings: ThreadSettings) -> int:
    """Return how many tokens a question in `thread` brings along: what its last answer counted, and what came since."""
    size = session.sizes.get(thread)
    if size is not None and size.tokens:
        return size.tokens + -(-size.more_bytes // BYTES_PER_TOKEN)
    schemas = sum(len(msgspec.json.encode(tool.parameters.json)) + len(tool.description) for tool in settings.tools)
    more = size.more_bytes if size else 0
    return -(-(len(settings.system) + schemas + more) // BYTES_PER_TOKEN)


def _steps(budget: Budget, spent: Spent, raised: Raised) -> None:
    if budget.steps is not None and spent.steps + 1 > budget.steps + raised.steps:
        raise _Over("steps", budget.steps + raised.steps, spent.steps, Decimal(1))


def _tokens(budget: Budget, spent: Spent, raised: Raised, context: int) -> Iterator[int]:
    if budget.tokens is None:
        return
    allowed = budget.tokens + raised.tokens
    if spent.tokens + context + 1 > allowed:
        raise _Over("tokens", allowed, spent.tokens, Decimal(context + 1))
    yield allowed - spent.tokens - context


def _cost(budget: Budget, spent: Spent, raised: Raised, context: int, model: str, env: Env) -> Iterator[int]:
    """An unknown price is unknown, not 0: nobody could say whether the budget holds, so nothing more is asked.

    Whoever raises the budget then allows it all the same; what has a price is counted on.
    """
    if budget.cost_usd is None:
        return
    allowed = budget.cost_usd + raised.cost_usd
    question = env.price(model, Usage(input_tokens=context))
    probe = env.price(model, Usage(input_tokens=context, output_tokens=PROBE_TOKENS))
    known = question is not None and probe is not None
    if not (known and not spent.unpriced) and not raised.cost_usd:
        raise _Over("cost", allowed, spent.cost_usd, None)
    if question is None or probe is None:
        return
    a_token = (probe - question) / PROBE_TOKENS
    if spent.cost_usd + question + a_token > allowed:
        raise _Over("cost", allowed, spent.cost_usd, question + a_token)
    if a_token > 0:
        yield int((allowed - spent.cost_usd - question) / a_token)


def _seconds(budget: Budget, elapsed: float, raised: Raised) -> Iterator[float]:
    if budget.seconds is None:
        return
    allowed = budget.seconds + raised.seconds
    if elapsed >= allowed:
        raise _Over("seconds", allowed, round(elapsed, 3), Decimal(0))
    yield round(allowed - elapsed, 3)


def _elapsed(scope: Scope, session: Session, turn: Turn, env: Env) -> float:
    """Return the seconds that turns took, without those in which they waited for a budget."""
    now = (env.now - turn.started_at).total_seconds() if turn.started_at else 0.0
    return now if scope == "turn" else session.spent.seconds + now
