"""The table of limits: each number is the code's own."""

from collections.abc import Iterable

from protocol_parts.tables import code, table
from stenograph_services.orchestrator import answers, asking, compaction, decide, serializing
from stenograph_services.orchestrator.blocks import TEXT_MAX_BYTES
from stenograph_services.orchestrator.models import bounded, loops
from stenograph_services.protocol import (
    builtin_tools,
    bundle,
    expansion,
    folder,
    forms,
    offered,
    prompts,
    references,
    source,
    tags,
    templates,
    tool_schemas,
    types,
)
from stenograph_services.protocol.problems import MAX_PROBLEMS
from stenograph_services.protocol.thread_documents import MAX_SANDBOX_MILLISECONDS
from stenograph_services.runtime.config import Settings

KIB, MIB = 1024, 1024**2

SETTINGS: dict[str, tuple[str, str]] = {
    "trigger_max_bytes": ("The input of a session, or of a trigger with the tools that it offers", "bytes"),
    "inline_max_bytes": ("A tool result that stands in the log; a larger one is stored beside it", "bytes"),
    "result_max_bytes": ("A tool result; its tool's `maxResult` may allow less", "bytes"),
    "queue_max": ("Triggers that wait in one session", ""),
    "child_depth_max": ("Child agents inside each other", ""),
    "model_attempts": ("Attempts for one answer of a model", ""),
    "model_timeout_seconds": ("One answer of a model", "seconds"),
    "breaker_failures": ("Failures in a row before a tool is not asked for a while", ""),
    "breaker_pause_seconds": ("… for how long at first; it doubles, up to ten minutes", "seconds"),
    "crash_limit": ("Deliveries without progress before a turn fails with `crash-loop`", ""),
}
"""Limits that an operator may change, each by an environment variable."""

FILES: tuple[tuple[str, int, str], ...] = (
    ("protocol.yaml, a script, a test case", source.MAX_YAML_BYTES, "bytes"),
    ("Any other file", source.MAX_BYTES, "bytes"),
    ("All files of an agent together, as they are stored", bundle.MAX_BUNDLE_BYTES, "bytes"),
    ("Files in each of prompts/, references/ and scripts/", folder.MAX_FILES, ""),
    ("Folders in each of them", folder.MAX_FOLDERS, ""),
    ("The text of a reference, as JSON", references.MAX_TEXT_BYTES, "bytes"),
    ("Levels of a YAML file", source.MAX_DEPTH, ""),
    ("Keys and values of a YAML file", source.MAX_NODES, ""),
    ("Its values, once aliases are followed", source.MAX_VALUES, ""),
    ("Mistakes that are told of one file", MAX_PROBLEMS, ""),
)

LANGUAGE: tuple[tuple[str, float, str], ...] = (
    ("A type, written out in full", types.MAX_TYPE_SCHEMAS, "types"),
    ("All types of a protocol, written out in full", types.MAX_SCHEMAS, "types"),
    ("Types inside each other", types.MAX_TYPE_DEPTH, ""),
    ("Tags in one prompt, with all that it includes", templates.MAX_TAGS, ""),
    ("What stands inside the braces of one tag", tags.MAX_TAG, "characters"),
    ("Conditions inside each other", templates.MAX_NESTED, ""),
    ("Prompts that include each other in a row", expansion.MAX_INCLUDED, ""),
    ("A prompt with all that it includes", expansion.MAX_LENGTH, "characters"),
    ("A duration", forms.MAX_TIMEOUT_SECONDS, "seconds"),
    ("`maxSteps`", forms.MAX_STEPS, ""),
    ("`sandboxTimeout`", MAX_SANDBOX_MILLISECONDS, "milliseconds"),
)

RUNNING: tuple[tuple[str, float, str], ...] = (
    ("A prompt once it is filled in; a larger one fails the turn", TEXT_MAX_BYTES, "bytes"),
    ("Characters while a prompt is filled in; it ends there", prompts.MAX_RENDERED, ""),
    ("One answer of a model; a larger one fails", answers.RESPONSE_MAX_BYTES, "bytes"),
    ("One event of a provider's stream", bounded.EVENT_MAX_BYTES, "bytes"),
    ("The output of a child agent", decide.OUTPUT_MAX_BYTES, "bytes"),
    ("What `serialize-thread` writes; the middle of more is left out", serializing.LIMIT_BYTES, "bytes"),
    ("The conversation that a summariser is given: its end", compaction.CONVERSATION_CHARACTERS, "characters"),
    ("Each tool result in it", compaction.RESULT_CHARACTERS, "characters"),
    ("`loopGuard`: the shortest loop that it ends", loops.LOOP_CHARACTERS, "characters"),
    ("`loopGuard`: how often the same is said in it, at least", loops.LOOP_TIMES, "times"),
    ("Pause before a model is asked again: the first", asking._BACK_OFF_SECONDS[0], "seconds"),
    ("… and, doubling each time, the longest", asking._BACK_OFF_SECONDS[-1], "seconds"),
    ("… and the longest that a provider may ask for", asking._RETRY_AFTER_MAX_SECONDS, "seconds"),
    ("Tools known only at run time: in one turn", offered.MAX_TOOLS, ""),
    ("… all of them, as the log keeps them", offered.MAX_BYTES, "bytes"),
    ("… levels of a schema", tool_schemas.MAX_DEPTH, ""),
    ("… schemas inside each other, references written out", tool_schemas.MAX_NODES, ""),
    ("… patterns; further ones are left out", tool_schemas.MAX_PATTERNS, ""),
    ("… values in the arguments of a call, times those in the schema", offered.MAX_CHECKS, ""),
    ("Things on the list of things to do", builtin_tools.MAX_TODOS, ""),
    ("One thing on it", builtin_tools.MAX_CONTENT, "characters"),
)


def limits() -> str:
    """Return the table of all limits; the last column is the variable with which an operator changes one."""
    defaults = Settings.model_construct()
    changed = (
        (what, _amount(getattr(defaults, name), unit), code(f"STENOGRAPH_{name.upper()}"))
        for name, (what, unit) in SETTINGS.items()
    )
    return table(("what", "at most", "changed by"), (*_fixed(FILES), *_fixed(LANGUAGE), *_fixed(RUNNING), *changed))


def _fixed(rows: Iterable[tuple[str, float, str]]) -> Iterable[tuple[str, str, str]]:
    return ((what, _amount(number, unit), "–") for what, number, unit in rows)


def _amount(number: float, unit: str) -> str:
    if unit == "bytes" and number % KIB == 0:
        return f"{number / MIB:g} MiB" if number >= MIB else f"{number / KIB:g} KiB"
    if unit == "seconds" and number >= 3600:
        return f"{number / 3600:g} h"
    return f"{number:,g} {unit}".strip() if number < 1e6 else f"{number:,.0f} {unit}".strip()
