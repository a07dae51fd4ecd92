"""Budgets: what it means that one is used up, in words, and the wish to raise it. Pure.

the turn's budget allows 1,000 tokens: 980 used, at least 57 more needed for the next answer
raise it with `stenograph sessions raise-budget 2f0193… --turn --tokens N`, or cancel the turn
"""

import math
from decimal import Decimal
from typing import Literal

from stenograph_events import checked_id
from stenograph_events.types import BudgetExceeded, BudgetRaised
from stenograph_events.wire import RaiseBudget


def used_up(event: BudgetExceeded) -> str:
    """Return which budget holds an answer back, what it allows, and what is used of it."""
    allowed, used = _amount(event, event.allowed), _amount(event, event.used, unit=False)
    return f"the {event.scope}'s budget allows {allowed}: {used} used{_wanted(event)}"


def how_to_raise(event: BudgetExceeded) -> str:
    """Return what to do about it."""
    option = {"tokens": "--tokens N", "cost": "--cost USD", "steps": "--steps N", "seconds": "--seconds S"}[event.unit]
    command = f"stenograph sessions raise-budget {event.session} --{event.scope} {option}"
    return f"raise it with `{command}`, or cancel the turn"


def raising(
    request: str, scope: Literal["turn", "session"], tokens: int, cost: Decimal, steps: int, seconds: float
) -> RaiseBudget:
    """Return the wish to allow so much more; raise `ValueError` for amounts that raise nothing."""
    amounts = (tokens, cost, steps, seconds)
    if not cost.is_finite() or not all(0 <= amount < math.inf for amount in amounts) or not any(amounts):
        raise ValueError(f"a budget is raised by amounts over 0, not by {tokens=}, {cost=}, {steps=}, {seconds=}")
    return RaiseBudget(checked_id(request, "request"), scope, tokens, cost, steps, seconds)


def added(event: BudgetRaised) -> str:
    """Return by how much a budget was raised: `20,000 tokens and $0.50`."""
    amounts = [
        _counted(Decimal(event.tokens), "tokens") if event.tokens else "",
        dollars(event.cost) if event.cost else "",
        _counted(Decimal(event.steps), "steps") if event.steps else "",
        f"{event.seconds:,g} s" if event.seconds else "",
    ]
    return " and ".join(amount for amount in amounts if amount)


def dollars(amount: Decimal) -> str:
    """Return `$0.50`, `$0.031`; a millionth is the smallest that shows."""
    whole, _, cents = f"{amount:,.6f}".partition(".")
    return f"${whole}.{cents.rstrip('0'):0<2}"


def _wanted(event: BudgetExceeded) -> str:
    if event.wanted is None:
        return ", and what the next answer costs is unknown"
    if event.unit in ("steps", "seconds"):
        return ""
    return f", at least {_amount(event, event.wanted, unit=False)} more needed for the next answer"


def _amount(event: BudgetExceeded, amount: Decimal, *, unit: bool = True) -> str:
    if event.unit == "cost":
        return dollars(amount)
    if event.unit == "seconds":
        return f"{amount.normalize():,f} s"
    return _counted(amount, event.unit if unit else "")


def _counted(amount: Decimal, unit: str) -> str:
    return f"{amount.normalize():,f} {unit.removesuffix('s') if amount == 1 else unit}".strip()
