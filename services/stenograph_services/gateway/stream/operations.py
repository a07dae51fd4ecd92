"""Blocks that set a variable or a resource, as a screen that reloads shows them: the same that one makes of
`block-start` and `block-end` while it watches.

    {"type":"operation","operationId":"91d2…/1","name":"Save the plan","operationType":"set-resource","status":"done"}

Pure.
"""

from collections.abc import Mapping
from types import MappingProxyType

from stenograph_services.gateway.stream.position import block_id, type_of
from stenograph_services.gateway.wire.ui_parts import UIOperation, thread_of
from stenograph_services.protocol import Agent
from stenograph_services.protocol.agent import SerializeThread, SetResource

Operations = Mapping[tuple[str, int], SetResource | SerializeThread]
"""The blocks of an agent that people see at work, by their trigger and their place in its handler."""

NO_OPERATIONS: Operations = MappingProxyType({})


def operations(agent: Agent | None) -> Operations:
    """Return those of `agent`; None: its version can no longer be read."""
    return {
        (trigger, at): block
        for trigger, handler in (agent.handlers.items() if agent else ())
        for at, block in enumerate(handler)
        if isinstance(block, SetResource | SerializeThread) and block.display != "hidden"
    }


def operation(turn: str, trigger: str, block: int, known: Operations) -> UIOperation | None:
    """Return what block `block` did in `turn`; None if people do not see it."""
    declared = known.get((trigger, block))
    if declared is None:
        return None
    return UIOperation(
        operation_id=block_id(turn, block),
        name=declared.title or declared.description or declared.name,
        operation_type=type_of(declared),
        status="done",
        thread=thread_of(getattr(declared, "thread", "main")),
    )
