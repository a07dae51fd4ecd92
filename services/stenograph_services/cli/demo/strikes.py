"""The two kills: while a model's response streams, and while a tool runs."""

from stenograph_events.frames import TextDelta
from stenograph_events.types import ToolRequested
from stenograph_services.cli.demo.conversation import Item
from stenograph_services.cli.demo.narrator import Narrator
from stenograph_services.cli.demo.promises import must, until
from stenograph_services.cli.demo.stage import ACK_WAIT_SECONDS, Stage

DELTAS = 8  # heard before the kill: enough that a person sees the answer being written


class KillWhileStreaming:
    """`kill -9` of the orchestrator that holds the delivery, once our client has heard some of the last response."""

    def __init__(self, stage: Stage, narrator: Narrator, session: str) -> None:
        self._stage = stage
        self._narrator = narrator
        self._session = session
        self.after = 0
        """The number of the event that the interrupted response came after."""
        self._tool_ran = False

    async def __call__(self, item: Item) -> bool:
        self._tool_ran = self._tool_ran or isinstance(item, ToolRequested)
        if not (self._tool_ran and isinstance(item, TextDelta) and item.k >= DELTAS):
            return False
        self.after = item.after
        stage, victim = self._stage, self._stage.orchestrator
        held = await stage.held_by_orchestrators()
        must(held == 1, f"the one orchestrator must hold the one delivery, and {held} are held")
        await stage.processes.kill(victim)
        self._narrator.strike(f"kill -9 {victim.pid}: {victim.name} is dead in the middle of the response")
        await self._nothing_was_written()
        other = stage.start_orchestrator()
        self._narrator.say(
            f"{other.name} starts; the server hands it the delivery once it was silent {ACK_WAIT_SECONDS} s"
        )
        await other.ready()
        return True

    async def _nothing_was_written(self) -> None:
        last = len(await self._stage.logs.read(self._session))
        must(last == self.after, f"the response must not be in the log yet, which has {last} events, not {self.after}")
        self._narrator.say(f"the log stands at event {last}: the half response is nowhere, so nothing has to be undone")


class KillWhileToolRuns:
    """`kill -9` of the orchestrator once the worker has claimed the call and the orchestrator holds no delivery."""

    def __init__(self, stage: Stage, narrator: Narrator, session: str) -> None:
        self._stage = stage
        self._narrator = narrator
        self._session = session

    async def __call__(self, item: Item) -> bool:
        if not isinstance(item, ToolRequested):
            return False
        await until(lambda: self._stage.is_claimed(self._session, item.tool, item.call), "no worker claims the call")
        await until(self._nothing_held, "the orchestrator still holds a delivery while the tool runs", 2.0)
        self._narrator.say("the tool runs in the worker; no orchestrator holds anything: the log waits, not a process")
        victim = self._stage.orchestrator
        await self._stage.processes.kill(victim)
        self._narrator.strike(f"kill -9 {victim.pid}: {victim.name} is dead while the tool runs")
        other = self._stage.start_orchestrator()
        self._narrator.say(f"{other.name} starts; the tool's result will wake the session there")
        await other.ready()
        return True

    async def _nothing_held(self) -> bool:
        return await self._stage.held_by_orchestrators() == 0
