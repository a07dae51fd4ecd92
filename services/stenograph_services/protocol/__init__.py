"""Agents: their files, the protocol language, and the `Agent` that runs.

Start at `documents` (the grammar), then `compile` (how files become an `Agent`) and `agent` (what that is).
"""

from stenograph_services.protocol.agent import (
    AddMessage,
    Agent,
    Block,
    Field,
    NextMessage,
    Prompt,
    Schema,
    SetResource,
    Tool,
    ToolCall,
    Trigger,
    WhenBusy,
)
from stenograph_services.protocol.bundle import Bundle
from stenograph_services.protocol.compile import load_bundle, load_folder
from stenograph_services.protocol.folder import read_folder
from stenograph_services.protocol.problems import AgentError, Problem
from stenograph_services.protocol.prompts import as_text, placeholders, render
from stenograph_services.protocol.schemas import check_fields, compiled, problems

__all__ = [
    "AddMessage",
    "Agent",
    "AgentError",
    "Block",
    "Bundle",
    "Field",
    "NextMessage",
    "Problem",
    "Prompt",
    "Schema",
    "SetResource",
    "Tool",
    "ToolCall",
    "Trigger",
    "WhenBusy",
    "as_text",
    "check_fields",
    "compiled",
    "load_bundle",
    "load_folder",
    "placeholders",
    "problems",
    "read_folder",
    "render",
]
