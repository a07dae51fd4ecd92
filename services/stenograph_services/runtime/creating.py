"""What a session begins with: the input that somebody gives, checked against what the agent declares.

Two services make sessions: the gateway for clients, the tool gateway for a parent that runs a child agent.
"""

from typing import Any

import msgspec
from msgspec import Raw

from stenograph_services.protocol import Agent, check_fields
from stenograph_services.runtime.errors import InputTooLarge, InvalidInput


def session_input(agent: Agent, given: Any) -> dict[str, Any]:
    """Return `given` with its defaults filled in, as a new session of `agent` takes it.

    Raises `InvalidInput` with everything that is wrong with it.
    """
    values, wrong = check_fields(agent.input, given)
    if wrong:
        raise InvalidInput("; ".join(wrong)[:1000])
    return values


def encoded(values: dict[str, Any], max_bytes: int) -> Raw:
    """Return `values` as JSON; raise `InputTooLarge` if they are larger than the log takes in one piece."""
    data = msgspec.json.encode(values)
    if len(data) > max_bytes:
        raise InputTooLarge(len(data), max_bytes)
    return Raw(data)
