"""The world of a rehearsal: who answers in the place of models and workers."""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from stenograph_events.types import ToolRequested
from stenograph_events.values import Part
from stenograph_events.wire import ToolAnswer
from stenograph_services.orchestrator.models.request import ModelError, ModelRequest, ModelResponse
from stenograph_services.tool_gateway.decide import Claim

if TYPE_CHECKING:
    from stenograph_services.cli.rehearsal.engine import Stage


class Spoken(NamedTuple):
    """What a model said when it was asked: its answer, or how it failed, and the parts that were heard before."""

    answer: ModelResponse | ModelError
    heard: tuple[Part, ...] = ()
    seconds: float = 0.0


class World(Protocol):
    """Whoever answers. It may act on the stage meanwhile: somebody may cancel while a model speaks."""

    def speak(self, stage: "Stage", request: ModelRequest) -> Spoken:
        """Answer as the model that `request` asks."""
        ...

    def serve(self, stage: "Stage", request: ToolRequested) -> ToolAnswer | Claim:
        """Answer as the worker of a tool; a claim instead says that the deadline passes, and who held the call."""
        ...
