"""Trials: of a tool whose breaker's pause is over, each orchestrator lets one call through, and no second one soon.

The tool gateway sees the request of that call and writes into the registry that it tries the tool; from then on nobody
lets another one through until its outcome is known. So at most one call of each orchestrator slips through, however
many turns wait for the tool, and nobody has to be asked. Who may is memory alone: it is worth no more than a moment.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from stenograph_events import AnyEvent
from stenograph_events.types import ToolRequested
from stenograph_services.orchestrator.decisions import HeldBack
from stenograph_services.runtime.breaker import Breaker
from stenograph_services.runtime.registry import ToolRegistry

SOON = timedelta(seconds=5)  # the gateway needs milliseconds; a call that was never asked must not be waited for long

NOTHING: Mapping[str, HeldBack] = {}


class Trial(NamedTuple):
    """Which session tries a tool, since when, and until when the tool was not to be asked before."""

    session: str
    since: datetime
    until: datetime


class Trials:
    """Which sessions of this process try a broken tool."""

    def __init__(self, registry: ToolRegistry) -> None:
        self._registry = registry
        self._trials: dict[tuple[str, str], Trial] = {}

    def held_back(self, tenant: str, session: str, now: datetime) -> Mapping[str, HeldBack]:
        """Return the broken tools of `tenant`, and whether `session` may try them."""
        if not (broken := self._registry.broken(tenant)):
            return NOTHING
        return {
            tool: HeldBack(
                one.failures, one.until, one.trial is not None, self._may_try((tenant, tool), session, one, now)
            )
            for tool, one in broken.items()
        }

    def note(self, tenant: str, session: str, events: Iterable[AnyEvent], now: datetime) -> None:
        """Take note of what is about to be asked, before another session decides on the same tool."""
        if not (broken := self._registry.broken(tenant)):
            return
        for event in events:
            if isinstance(event, ToolRequested) and (breaker := broken.get(event.tool)):
                self._trials[tenant, event.tool] = Trial(session, now, breaker.until)

    def _may_try(self, tool: tuple[str, str], session: str, breaker: Breaker, now: datetime) -> bool:
        if breaker.holds_back(now):
            return False
        trial = self._trials.get(tool)
        if trial is None or trial.until != breaker.until:  # that was another time
            return True
        return trial.session == session or now - trial.since >= SOON
