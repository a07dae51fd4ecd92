"""The demo, for real: all its processes, both kills, the rebuild. It is what a newcomer sees first."""

import os
from pathlib import Path

from tests.support.processes import Process, Processes

ROOT = Path(__file__).parents[2]


def start(processes: Processes, tmp_path: Path, *arguments: str) -> Process:
    env = {"TMPDIR": str(tmp_path), "COLUMNS": "120"}
    agent = ROOT / "agents" / "support-chat"
    return processes.start("demo", "-m", "stenograph_services.cli", "demo", "--agent", str(agent), *arguments, env=env)


async def test_the_demo_keeps_every_promise(processes: Processes, tmp_path: Path):
    demo = start(processes, tmp_path)

    assert await demo.exit(90) == 0, demo.output()

    said = demo.output()
    assert said.count("kill -9 ") == 4, said  # two titles, two kills
    assert "attempt 2 streamed the whole text" in said
    assert "one request, one run, one result" in said
    assert "byte for byte the same" in said
    assert "none broken; the hash chain is whole" in said
    assert "turn 2 completed" in said
    assert "\x1b[" not in said, "a pipe gets plain text"
    assert not any("stenograph-demo-" in name for name in os.listdir(tmp_path)), "nothing is left behind"


async def test_one_changed_byte_of_one_event_fails_the_demo_in_its_verify_step(processes: Processes, tmp_path: Path):
    demo = start(processes, tmp_path, "--tamper", "6")

    assert await demo.exit(90) == 1

    last = demo.output().splitlines()[-1]
    assert "the demo broke its promise in step 'verify': event" in last, demo.output()
    assert "Every promise was kept" not in demo.output()


async def test_a_folder_that_is_not_the_demo_agent_is_named(processes: Processes, tmp_path: Path):
    demo = start(processes, tmp_path, "--agent", str(tmp_path))

    assert await demo.exit() == 1
    assert demo.output().startswith(f"stenograph: {tmp_path} is not the demo agent")
