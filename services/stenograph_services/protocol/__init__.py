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
from stenograph_services.protocol.compile import check_bundle, load_bundle, load_folder
from stenograph_services.protocol.folder import read_folder
from stenograph_services.protocol.language_schema import json_schema
from stenograph_services.protocol.problems import CODES, AgentError, Problem
from stenograph_services.protocol.schemas import check_fields, compiled, problems

__all__ = [
    "CODES",
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
    "check_bundle",
    "check_fields",
    "compiled",
    "json_schema",
    "load_bundle",
    "load_folder",
    "problems",
    "read_folder",
    "render",
]
