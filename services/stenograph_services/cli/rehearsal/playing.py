"""The world that a test case describes: models that say its lines, workers that give its answers."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache

import msgspec
from msgspec import Raw

from stenograph_events import SessionId, turn_id
from stenograph_events.types import MessageAdded, ModelFailed, ToolRequested
from stenograph_events.values import Child, Retry, Usage
from stenograph_events.wire import ToolAnswer
from stenograph_services.cli.rehearsal.case import Case, CaseError
from stenograph_services.cli.rehearsal.documents import AnswerDoc, ChildTurnDoc, LineDoc, PlayDoc
from stenograph_services.cli.rehearsal.engine import START, Stage
from stenograph_services.cli.rehearsal.lines import Lines, Said
from stenograph_services.cli.rehearsal.scenes import Scene
from stenograph_services.cli.rehearsal.world import Spoken
from stenograph_services.cli.story import counted
from stenograph_services.orchestrator.decisions import Env
from stenograph_services.orchestrator.models.request import ModelError, ModelRequest, ModelResponse
from stenograph_services.orchestrator.models.script import ScriptError
from stenograph_services.protocol.problems import Path as Place
from stenograph_services.protocol.problems import Problem
from stenograph_services.tool_gateway.decide import Claim

SCRIPTED = "scripted/"
A_MILLION = Decimal(1_000_000)


_script = lru_cache(64)(Lines)
"""A script is played many times, and reading it takes longer than all the rest of a turn."""


class Played:
    """A turn of the case: what is said in it, and which of its lines were heard."""

    def __init__(self, place: Place, doc: PlayDoc, source: str) -> None:
        self.place = place
        self.doc = doc
        self.lines = Lines.of(doc.model, source) if doc.model else None
        self.heard = 0

    def line(self, step: int) -> LineDoc | None:
        """Return what the case says of the `step`-th answer; None if it leaves that to the agent's script."""
        return None if self.doc.model is None else self.doc.model[step]


class CaseWorld:
    """Answers as the case says; raises `CaseError` where it says nothing."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._played: dict[Place, Played] = {}
        self._turns: dict[str, Played] = {}

    def env(self, tools: Iterable[str]) -> Env:
        """Return what decisions are told: of models what the case says; workers serve `tools`, save its `clients`."""
        served: dict[str, Retry] = {name: "never" for name in tools if name not in self.case.doc.clients}
        return Env(now=START, tools=served, keyed=served, price=self._price, window=self._window)

    def play(self, session: str, request: str, place: Place, doc: PlayDoc) -> str:
        """Let `doc` be what happens in the turn that `request` starts in `session`; return the turn's id."""
        turn = turn_id(session, request)
        self._turns[turn] = self._play(place, doc)
        return turn

    def unheard(self) -> Iterator[Problem]:
        """Return a problem for each turn whose last lines no model was asked for."""
        for slug, child in self.case.doc.children.items():
            for at, doc in enumerate(child.turns):
                self._play(("children", slug, "turns", at), doc)
        for played in self._played.values():
            lines = played.doc.model or ()
            if played.heard < len(lines):
                message = f"the model was asked for {played.heard} of these {len(lines)} answers; take out the others"
                yield self.case.problem((*played.place, "model", played.heard), "unused", message)

    # ---- models

    def speak(self, stage: Stage, request: ModelRequest) -> Spoken:
        """Say the line of this turn and step; somebody cancels in the middle if the case says so."""
        scene = stage.scenes[request.session]
        played = self._turns.get(request.turn) or self._of_child(stage, scene, request.turn)
        lines, question = self._lines(scene, played, msgspec.structs.replace(request, attempt=_tries(stage, request)))
        seconds = lines.seconds(question)
        line = played.line(request.step) if played else None
        if played and line and line.cancel_after_chunks is not None:
            said = self._heard(lines, question, line, (*played.place, "model", request.step))
            stage.cancel(scene, request.turn)
        else:
            *_, said = lines.say(question)
        if request.seconds is not None and seconds > request.seconds:  # a budget of time, which providers are told
            late = ModelError("timeout", f"no answer within {request.seconds:g} s", retryable=True)
            return Spoken(late, said.heard, request.seconds)
        return Spoken(self._answer(said, request), said.heard, seconds)

    def _heard(self, lines: Lines, question: ModelRequest, line: LineDoc, place: Place) -> Said:
        """Return what is said of the answer until somebody cancels."""
        pieces = [Said(()), *(said for said in lines.say(question) if said.answer is None)]
        if line.cancel_after_chunks is not None and line.cancel_after_chunks < len(pieces):
            return pieces[line.cancel_after_chunks]
        message = (
            f"the answer comes in {counted(len(pieces) - 1, 'piece')}, so nobody cancels it; give it more `chunks`"
        )
        raise CaseError([self.case.problem((*place, "cancel_after_chunks"), "unused", message)])

    def _lines(self, scene: Scene, played: Played | None, request: ModelRequest) -> tuple[Lines, ModelRequest]:
        if played is None or played.doc.model is None:
            return self._script(scene, played, request), request
        if played.lines is None or request.step >= len(played.doc.model):
            message = f"the model is asked for answer {request.step + 1}, and here are {len(played.doc.model)}"
            raise CaseError([self.case.problem((*played.place, "model"), "missing", message)])
        played.heard = max(played.heard, request.step + 1)
        return played.lines, msgspec.structs.replace(request, turn_number=1)

    def _script(self, scene: Scene, played: Played | None, request: ModelRequest) -> Lines:
        name = request.model.removeprefix(SCRIPTED)
        place = played.place if played else ("children",)
        if not request.model.startswith(SCRIPTED) or name not in scene.agent.scripts:
            message = f"{scene.agent.slug} asks {request.model}; say in `model` what it answers"
            raise CaseError([self.case.problem(place, "missing", message)])
        try:
            return _script(scene.agent.scripts[name], f"scripts/{name}.yaml")
        except ScriptError as error:
            raise CaseError([self.case.problem(place, "invalid", str(error))]) from error

    def _answer(self, said: Said, request: ModelRequest) -> ModelResponse | ModelError:
        if not isinstance(said.answer, ModelResponse):
            return said.answer or ModelError("cut-off", "somebody cancelled meanwhile")
        cost = self._price(request.model, said.answer.usage) if said.answer.usage else None
        return msgspec.structs.replace(said.answer, model=request.model, cost_usd=cost)

    def _price(self, model: str, usage: Usage) -> Decimal | None:
        known = self.case.doc.models.get(model)
        if known is None or known.price is None:
            return None
        return (usage.input_tokens * known.price.input + usage.output_tokens * known.price.output) / A_MILLION

    def _window(self, model: str) -> int | None:
        known = self.case.doc.models.get(model)
        return known.window if known else None

    # ---- child agents

    def _of_child(self, stage: Stage, scene: Scene, turn: str) -> Played | None:
        found = self._child_turn(stage, scene.agent.slug, scene.id)
        return None if found is None else self._turns.setdefault(turn, self._play(*found))

    def _child_turn(self, stage: Stage, slug: str, session: str) -> tuple[Place, ChildTurnDoc] | None:
        """Return what is said of a child's turn: of the first call of its agent, the second, …; the last repeats."""
        said = self.case.doc.children.get(slug)
        if said is None:
            return None
        requests = [one.event for one in stage.log if isinstance(one.event, ToolRequested)]
        sessions = [each.child.session for each in requests if each.child and each.child.agent == slug]
        at = min(sessions.index(SessionId(session)), len(said.turns) - 1)
        return ("children", slug, "turns", at), said.turns[at]

    def never_begins(self, stage: Stage, child: Child) -> bool:
        """Return whether the deadline of the call that `child` is to answer passes before its turn begins."""
        found = self._child_turn(stage, child.agent, child.session)
        return found is not None and found[1].timeout is True

    def _play(self, place: Place, doc: PlayDoc) -> Played:
        if place not in self._played:
            self._played[place] = Played(place, doc, self.case.source.file)
        return self._played[place]

    def doc_of(self, stage: Stage, scene: Scene) -> PlayDoc | None:
        """Return what the case says of the turn that runs in `scene`."""
        turn = scene.state.turn
        if turn is None:
            return None
        played = self._turns.get(turn.id) or (self._of_child(stage, scene, turn.id) if scene.state.parent else None)
        return played.doc if played else None

    # ---- tools

    def serve(self, stage: Stage, request: ToolRequested) -> ToolAnswer | Claim:
        """Answer the call as the case says of it: of the first call of its tool, the second, …, the last repeats."""
        said = self.case.doc.tools.get(request.tool)
        if said is None:
            message = f"{request.tool} is called, and `tools` does not say what it answers"
            raise CaseError([self.case.problem(("tools",), "missing", message)])
        calls = [one.event.id for one in stage.log if _is_call(one.event, request.tool)]
        at = min(calls.index(request.id), len(said) - 1)
        if said[at].unknown and request.retry == "safe":
            message = f"a call of {request.tool} may run again, so none is left unknown; write `timeout: true`"
            raise CaseError([self.case.problem(("tools", request.tool, at, "unknown"), "invalid", message)])
        return _given(said[at])


def _tries(stage: Stage, request: ModelRequest) -> int:
    """Return which try of an answer this is. The attempts in a log begin anew once its thread is summed up."""
    tries = 1
    for event in (one.event for one in reversed(stage.log) if one.event.turn == request.turn):
        if isinstance(event, MessageAdded):
            break
        tries += isinstance(event, ModelFailed)
    return tries


def _is_call(event: object, tool: str) -> bool:
    return isinstance(event, ToolRequested) and event.child is None and event.tool == tool


def _given(said: AnswerDoc) -> ToolAnswer | Claim:
    if said.error is not None:
        return ToolAnswer("failed", error=said.error)
    if said.timeout:
        return "none"
    if said.unknown:
        return "taken"
    return ToolAnswer("succeeded", result=Raw(msgspec.json.encode(said.result)))
