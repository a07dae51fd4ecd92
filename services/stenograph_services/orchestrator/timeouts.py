"""How long a call may take: as the block that makes it says, or its tool, or as is usual for whoever answers it."""

from stenograph_projections.session import PendingCall, Turn
from stenograph_services.protocol.agent import Agent, ToolCall


def declared_seconds(turn: Turn, call: PendingCall, agent: Agent) -> float | None:
    """Return what the protocol says of `call`, of any attempt of it; None if it says nothing."""
    if call.block is not None:
        block = agent.handlers[turn.trigger][call.block]
        if isinstance(block, ToolCall) and block.timeout_seconds is not None:
            return block.timeout_seconds
    return agent.tools[call.tool].timeout_seconds
