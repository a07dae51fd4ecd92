"""The tool's own ledger: one line for each effect, written by the tool itself and synced before it goes on.

{"call":"7e1f…","attempt":1,"tool":"act-once","session":"2f01…","at":1764512345.12}
"""

import os
import time
from collections import defaultdict
from pathlib import Path

import msgspec

from stenograph_sdk import ToolContext


class Effect(msgspec.Struct, frozen=True):
    """One effect in the world."""

    call: str
    attempt: int
    tool: str
    session: str
    at: float


def take_effect(ledger: Path, context: ToolContext) -> None:
    """Write the effect of one run of a tool. What is in the ledger has happened, whoever dies next."""
    effect = Effect(context.call, context.attempt, context.tool, context.session, time.time())
    opened = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(opened, msgspec.json.encode(effect) + b"\n")
        os.fsync(opened)
    finally:
        os.close(opened)


def effects(ledger: Path) -> dict[str, list[Effect]]:
    """Return the effects of each session."""
    found: dict[str, list[Effect]] = defaultdict(list)
    if ledger.exists():
        for line in ledger.read_bytes().splitlines():
            effect = msgspec.json.decode(line, type=Effect)
            found[effect.session].append(effect)
    return found
