"""The folder of agents that `stenograph dev` watches, changed at the worst moments."""

import asyncio
import shutil
from pathlib import Path

from tests.support.services import TENANT, Stage
from tests.support.wait import until

from stenograph_services.cli.agent_folder import files_in, store_all, watch
from stenograph_services.runtime.agents import Agents

AGENT = Path(__file__).parents[2] / "agents" / "support-chat"


async def test_a_change_after_the_start_and_before_the_watch_is_stored(stage: Stage, tmp_path: Path):
    """A file that was saved as soon as `dev` said that it runs used to go unnoticed until it was saved again."""
    shutil.copytree(AGENT, tmp_path / "support-chat")
    prompt = tmp_path / "support-chat" / "prompts" / "system.md"
    agents = Agents(stage.nc)
    said: list[tuple[str, str]] = []

    stored = files_in(tmp_path)
    await store_all(agents, TENANT, stored, lambda how, sentence: said.append((how, sentence)))
    first = await agents.current(TENANT, "support-chat")
    prompt.write_text("You are short.")
    watching = asyncio.create_task(
        watch(agents, TENANT, tmp_path, lambda how, sentence: said.append((how, sentence)), stored=stored)
    )

    async def changed() -> bool:
        return (await agents.current(TENANT, "support-chat")).version != first.version

    try:
        await until(changed, what="the change is stored")
        await until(lambda: len(said) == 2, what="it is told")
        shutil.rmtree(tmp_path / "support-chat")
        await until(lambda: said[-1][0] == "gone", what="the folder is gone")
    finally:
        watching.cancel()
    assert [how for how, _ in said] == ["stored", "stored", "gone"]
