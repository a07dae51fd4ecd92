"""An agent that is meant to harm is refused in under a second of the processor and 64 MB, with a sentence."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.protocol.hostile import HARMLESS, HOSTILE

ROOT = Path(__file__).parents[2]
MAX_CPU_SECONDS, MAX_MEMORY_MB = 1.0, 64.0


@pytest.fixture(scope="module")
def costs() -> dict[str, Any]:
    """What loading each hostile agent costs, by name; one that took its process with it is missing."""
    command = (sys.executable, "-m", "tests.protocol.hostile")
    lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.splitlines()
    return {cost["name"]: cost for cost in map(json.loads, lines)}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_agent_is_refused_soon_and_in_little_memory(name: str, costs: dict[str, Any]):
    cost = costs[name]

    assert cost["refused"] == (name not in HARMLESS)
    assert not any("root:" in told for told in cost["told"])  # how /etc/passwd begins
    assert all(len(told) < 1_000 for told in cost["told"])
    assert cost["cpu_seconds"] < MAX_CPU_SECONDS
    assert cost["memory_mb"] < MAX_MEMORY_MB
