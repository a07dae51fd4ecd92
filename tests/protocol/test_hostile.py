"""An agent that is meant to harm is refused in under a second of the processor and 64 MB, with a sentence."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from tests.protocol.hostile import HARMLESS, HOSTILE

ROOT = Path(__file__).parents[2]
MAX_CPU_SECONDS, MAX_MEMORY_MB = 1.0, 64.0


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_agent_is_refused_soon_and_in_little_memory(name: str):
    command = (sys.executable, "-m", "tests.protocol.hostile", name)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()

    assert process.returncode == 0
    cost = json.loads(output)
    assert cost["refused"] == (name not in HARMLESS)
    assert not any("root:" in told for told in cost["told"])  # how /etc/passwd begins
    assert all(len(told) < 1_000 for told in cost["told"])
    assert cost["cpu_seconds"] < MAX_CPU_SECONDS
    assert cost["memory_mb"] < MAX_MEMORY_MB
