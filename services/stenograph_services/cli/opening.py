"""How a person who types reaches an agent: which of its triggers takes one text."""

from typing import NamedTuple

from stenograph_services.cli.output import Failure
from stenograph_services.protocol import Agent


class Opening(NamedTuple):
    """How a message reaches an agent: the trigger, and the input that takes the text.

    `all_is_chat`: no block of its handler lets a model answer for itself alone.
    """

    agent: str
    trigger: str
    input: str
    all_is_chat: bool


USUAL = Opening("", "user-message", "USER_MESSAGE", True)
"""How most agents are talked to: for who cannot read which way an agent has."""


def opening_of(agent: Agent) -> Opening:
    """Return how to talk to `agent`: by `user-message`, or the first trigger that a text alone is enough for."""
    for trigger in sorted(agent.triggers.values(), key=lambda trigger: trigger.name != "user-message"):
        texts = [field for field in trigger.input if field.schema.get("type") == "string" and not field.secret]
        needed = [field for field in trigger.input if field.required]
        if len(needed) == 1 and needed[0] in texts:
            return Opening(agent.slug, trigger.name, needed[0].name, _all_is_chat(agent, trigger.name))
        if not needed and len(texts) == 1:
            return Opening(agent.slug, trigger.name, texts[0].name, _all_is_chat(agent, trigger.name))
    raise Failure(
        f"agent {agent.slug!r} has no trigger that takes one text: send its triggers with `stenograph sessions trigger`"
    )


def _all_is_chat(agent: Agent, trigger: str) -> bool:
    return not any(getattr(block, "independent", False) for block in agent.handlers[trigger])
