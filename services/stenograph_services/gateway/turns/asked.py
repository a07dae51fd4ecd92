"""Whether a trigger that comes is the one that a turn was started by, as its log has that. Pure."""

from collections.abc import Iterable, Sequence

import msgspec

from stenograph_events import StoredEvent
from stenograph_events.types import MessagesRolledBack, TriggerQueued, TurnStarted
from stenograph_events.values import OfferedTool
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.turns.repeats import Wanted
from stenograph_services.protocol import Agent
from stenograph_services.protocol.offered import undeclared
from stenograph_services.protocol.schemas import check_fields
from stenograph_services.protocol.secrets import without_secrets


def has_begun(events: Sequence[StoredEvent]) -> bool:
    """Return whether the trigger of these events was accepted."""
    return any(isinstance(event, TurnStarted | TriggerQueued) for event in events)


def asks_for(wanted: Wanted, events: Sequence[StoredEvent], agent: Agent | None) -> bool:
    """Return whether `wanted` says what the trigger of the turn said whose `events` these are.

    The log has the input with its defaults filled in; for an `agent` that can no longer be read they stay unknown.
    Secrets are not compared: a token of a few minutes is another one when the same thing is asked for again.
    """
    asked = next((event for event in events if isinstance(event, TurnStarted | TriggerQueued)), None)
    rolled_back = any(isinstance(event, MessagesRolledBack) for event in events)
    if asked is None or asked.trigger != wanted.name or rolled_back != (wanted.rollback is not None):
        return False
    if agent is not None and _tools(undeclared(wanted.brought.tools, agent)) != _tools(asked.tools):
        return False
    declared = agent.triggers.get(wanted.name) if agent is not None else None
    values, wrong = check_fields(declared.input, wanted.input) if declared is not None else (wanted.input, [])
    fields = declared.input if declared is not None else ()
    told = without_secrets(fields, msgspec.json.decode(asked.input))
    return not wrong and _canonical(without_secrets(fields, values)) == _canonical(told)


def other_trigger() -> Refusal:
    """Return why a trigger is refused whose key stands for a turn that was asked something else."""
    return Refusal(400, "this idempotency key stands for another trigger of this session: send a new one")


def _tools(tools: Iterable[OfferedTool]) -> dict[str, tuple[str, object]]:
    """Return `tools` by their names, so that neither their order counts nor how their schemas are written."""
    return {tool.name: (tool.description, msgspec.json.decode(tool.parameters)) for tool in tools}


def _canonical(value: object) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
