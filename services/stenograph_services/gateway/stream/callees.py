"""What a turn may call, as screens show it: the tools of an agent, its child agents, and tools of our own.

display       while it runs, and after                     arguments and result after a reload
hidden        nothing                                      no
name          its name                                     no
description   its title, else its description              no
stream        its title, else its name                     yes
title         its title                                    no
"""

from collections.abc import Mapping

import msgspec

from stenograph_services.protocol import Agent
from stenograph_services.protocol.agent import ChildAgent, Display, Tool
from stenograph_services.protocol.builtin_tools import TODO_TOOL, reference_list_tool, reference_tool


class Callee(msgspec.Struct, frozen=True):
    """One tool or child agent. `title` is what a person reads instead of its name, if the protocol says so."""

    display: Display = "name"
    title: str | None = None
    description: str | None = None
    is_child: bool = False

    @property
    def hidden(self) -> bool:
        return self.display == "hidden"

    @property
    def kept(self) -> bool:
        """Whether a screen keeps the arguments and the result."""
        return self.display == "stream"


UNDECLARED = Callee()
"""What a model asked for that its agent does not declare, such as a tool known only at run time: shown by its name."""


def callees(agent: Agent | None) -> Mapping[str, Callee]:
    """Return all that sessions of `agent` may call, by name; None: its version can no longer be read."""
    known = {TODO_TOOL: Callee("hidden")}  # its list is shown in its place
    if agent is None:
        return known
    if agent.references:
        for own in (reference_list_tool(), reference_tool(tuple(agent.references.values()))):
            known[own.name] = _callee(own)
    known |= {name: _callee(child) for name, child in agent.children.items()}
    return known | {name: _callee(tool) for name, tool in agent.tools.items()}


def _callee(declared: Tool | ChildAgent) -> Callee:
    described = declared.description if declared.display == "description" else None
    is_child = isinstance(declared, ChildAgent)
    return Callee(declared.display, declared.title or described, declared.description, is_child)
