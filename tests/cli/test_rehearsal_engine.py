"""The engine of rehearsals knows nothing of cases: any world may answer, and a stage may take over another's log."""

from typing import NamedTuple

import pytest
from msgspec import Raw
from tests.cli.rehearsing import WORKERS, agent, child

from stenograph_events import turn_id
from stenograph_events.subjects import CallSubject
from stenograph_events.types import ToolRequested
from stenograph_events.values import TextPart
from stenograph_events.wire import ToolAnswer
from stenograph_services.cli.rehearsal import Log, Spoken, Stage, checked, told
from stenograph_services.cli.rehearsal.engine import CallTool, Drive, StartChild
from stenograph_services.orchestrator.models.request import CallWanted, ModelRequest, ModelResponse
from stenograph_services.tool_gateway.decide import answer_of


class Eager(NamedTuple):
    """A world whose models ask for everything once and then are content, and whose workers succeed."""

    plan: Raw = Raw(b'{"plan":"pro"}')

    def speak(self, stage: Stage, request: ModelRequest) -> Spoken:
        if request.step > 0:
            return Spoken(ModelResponse(parts=(TextPart("Done."),)))
        wanted = [CallWanted(tool.name, _arguments(tool.name)) for tool in request.tools]
        return Spoken(ModelResponse(calls=tuple(wanted), finish_reason="tool-calls"))

    def serve(self, stage: Stage, request: ToolRequested) -> ToolAnswer:
        return ToolAnswer("succeeded", result=self.plan)


def _arguments(tool: str) -> str:
    return {"researcher": '{"TOPIC":"plans"}', "send-mail": '{"to":"a"}'}.get(tool, '{"userId":"u1"}')


def staged() -> Stage:
    return Stage(agent(top=WORKERS, agent="workers: [researcher]"), Eager(), {"researcher": child()})


def played(stage: Stage) -> Log:
    """Return the log once nothing moves any more."""
    while move := stage.next_move():
        stage.make(move)
    return stage.log


def begun() -> Stage:
    stage = staged()
    stage.trigger(stage.open({}), "user-message", {"TEXT": "Hello"}, "r-1")
    return stage


def test_any_world_answers_on_a_stage():
    log = played(begun())

    assert checked(log).broken == []
    assert told(log).count("turn.finished") == 2
    assert told(log).splitlines()[-1].endswith("turn-1 completed")


def test_a_stage_that_takes_over_a_log_after_any_event_goes_on_to_the_same_end():
    whole = [recorded.data for recorded in played(begun())]

    for cut in range(2, len(whole)):
        taken_over = staged()
        taken_over.replay(played(begun())[:cut])
        assert [recorded.data for recorded in played(taken_over)] == whole, f"cut after event {cut}"


@pytest.mark.parametrize("kind", [CallTool, StartChild])
def test_a_move_that_is_made_twice_changes_nothing_the_second_time(kind: type):
    stage = begun()
    while (move := stage.next_move()) and not isinstance(move, kind):
        stage.make(move)
    assert move is not None

    stage.make(move)
    before = len(stage.log)
    if kind is StartChild:
        stage.make(move)

    assert len(stage.log) == before
    assert checked(played(stage)).broken == []


def test_an_answer_that_comes_too_late_is_recorded_and_changes_nothing():
    stage = begun()
    while not isinstance(move := stage.next_move(), CallTool):
        assert isinstance(move, Drive)
        stage.make(move)
    request = move.request
    where = CallSubject(request.tenant, request.session, request.call, request.attempt)

    stage.overdue(where, "none")
    event = stage.answer(answer_of(request), ToolAnswer("succeeded", result=Raw(b"1")))

    assert type(event).__name__ == "ToolAnswerRejected"
    assert checked(played(stage)).broken == []


def test_several_events_of_one_decision_may_be_appended_at_once():
    stage = begun()
    scene = next(iter(stage.scenes.values()))

    appended = [event for _ in range(3) for event in stage.drive(scene)]

    assert [type(event).__name__ for event in appended] == ["MessageAdded", "MessageAdded", *["ToolRequested"] * 3]


def test_a_cancel_is_recorded_once():
    stage = begun()
    scene = next(iter(stage.scenes.values()))
    turn = turn_id(scene.id, "r-1")

    assert stage.cancel(scene, turn) is not None
    assert stage.cancel(scene, turn) is None
