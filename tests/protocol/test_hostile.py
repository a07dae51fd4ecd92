"""An agent that is meant to harm is refused in about a second of the processor and 64 MB, with a sentence.

A second is that of a machine that loads a small agent in 4.5 ms: how fast this one is just now says nothing of us.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.protocol.hostile import HARMLESS, HOSTILE

ROOT = Path(__file__).parents[2]
MAX_SMALL_AGENTS, MAX_MEMORY_MB = 220, 64.0


def measured(*names: str) -> list[dict[str, Any]]:
    """Return what loading the agents of `names` costs, or all; one that took its process with it is missing."""
    command = (sys.executable, "-m", "tests.protocol.hostile", *names)
    lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def costs() -> dict[str, Any]:
    """What each costs. What seems too much is measured again: others use this processor, and it pays for that."""
    found = {cost["name"]: cost for cost in measured()}
    for name in [name for name, cost in found.items() if cost["small_agents"] >= MAX_SMALL_AGENTS]:
        found[name] = min(found[name], *measured(name, name, name), key=lambda cost: cost["small_agents"])
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_agent_is_refused_soon_and_in_little_memory(name: str, costs: dict[str, Any]):
    cost = costs[name]

    assert cost["refused"] == (name not in HARMLESS)
    assert not any("root:" in told for told in cost["told"])  # how /etc/passwd begins
    assert all(len(told) < 1_000 for told in cost["told"])
    assert cost["small_agents"] < MAX_SMALL_AGENTS, f"{cost['cpu_seconds']:.2f} s"
    assert cost["memory_mb"] < MAX_MEMORY_MB
