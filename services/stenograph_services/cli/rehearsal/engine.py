"""The engine of rehearsals: sessions that live in memory, moved on by the very functions that the services use.

    stage = Stage(agent, world, children)
    scene = stage.open({"COMPANY_NAME": "Acme"})
    stage.trigger(scene, "user-message", {"USER_MESSAGE": "Hello"}, "r-1")
    while move := stage.next_move():
        stage.make(move)
    stage.log       [Recorded(1, SessionCreated(…), b"…"), Recorded(2, TurnStarted(…), b"…"), …]

No network, no waiting, no chance: ids are derived, and the clock moves on by `TICK` with each event, and by what the
world says that an answer took. So a stage that took over the first events of a log (`replay`) goes on to the same end.
Every move is safe to make twice, in any order: random worlds do so.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from stenograph_events import DEFAULT_TENANT, EMPTY, AnyEvent, child_session_id, decode, derived_id, seal, turn_id
from stenograph_events.secrets import token_of
from stenograph_events.subjects import AnswerSubject, CallSubject
from stenograph_events.types import SessionCreated, ToolRequested, TurnFinished
from stenograph_events.values import OfferedTool
from stenograph_events.wire import Approve, RaiseBudget, Resolve, ToolAnswer
from stenograph_projections.session import PendingCall, runnable
from stenograph_services.cli.rehearsal.hearing import heard
from stenograph_services.cli.rehearsal.scenes import Log, Recorded, Scene
from stenograph_services.cli.rehearsal.world import World
from stenograph_services.orchestrator import approvals, effects, triggers
from stenograph_services.orchestrator.children import version_of
from stenograph_services.orchestrator.decide import decide
from stenograph_services.orchestrator.decisions import Append, Ask, Env
from stenograph_services.orchestrator.driver import still_wants
from stenograph_services.orchestrator.models.request import ModelRequest
from stenograph_services.protocol.agent import CHILD_TRIGGER, Agent
from stenograph_services.protocol.secrets import with_sealed
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.creating import encoded, session_input
from stenograph_services.runtime.errors import InputTooLarge, InvalidInput
from stenograph_services.tool_gateway import child_decide
from stenograph_services.tool_gateway import decide as answers

START = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(milliseconds=10)
INPUT_MAX_BYTES: int = Settings.model_fields["trigger_max_bytes"].default


class Drive(NamedTuple):
    """An orchestrator appends what `decide` says, or asks a model."""

    session: str


class CallTool(NamedTuple):
    """A worker answers, or the deadline passes."""

    request: ToolRequested


class StartChild(NamedTuple):
    """The tool gateway makes the session of a child agent and triggers it."""

    request: ToolRequested


class ReturnChild(NamedTuple):
    """The tool gateway answers the parent's call with the end of a child's turn."""

    end: TurnFinished


class StopChild(NamedTuple):
    """The tool gateway cancels the turn of a child whose call is closed."""

    session: str


Move = Drive | CallTool | StartChild | ReturnChild | StopChild


class Stage:
    """All sessions of one rehearsal. `env` is what decisions are told of the world, but for what the stage knows."""

    def __init__(
        self, agent: Agent, world: World, children: Mapping[str, Agent] | None = None, env: Env | None = None
    ) -> None:
        self.agent = agent
        self.world = world
        self.children = dict(children or {})
        self.scenes: dict[str, Scene] = {}
        self.log: Log = []
        self.now = START
        self._env = env or Env(now=START)
        self._agents = {(each.slug, each.version): each for each in (*self.children.values(), agent)}

    # ---- what is asked from outside

    def open(self, given: Any, name: str = "") -> Scene:
        """Make the session; `name` tells it from others of the agent. Raises `InvalidInput` and `InputTooLarge`."""
        values = session_input(self.agent, given)
        encoded(values, INPUT_MAX_BYTES)
        input = Raw(msgspec.json.encode(with_sealed(self.agent.input, values, rehearsed_token)))
        session = child_session_id(f"rehearsal/{self.agent.slug}/{name}")
        return self.append(
            SessionCreated(
                id=derived_id(session, "created"),
                at=self.now,
                tenant=DEFAULT_TENANT,
                session=session,
                agent=self.agent.slug,
                agent_version=self.agent.version,
                input=input,
            )
        )

    def trigger(
        self,
        scene: Scene,
        name: str,
        given: Any,
        request: str,
        delivery: int = 1,
        tools: tuple[OfferedTool, ...] = (),
    ) -> AnyEvent | None:
        """Trigger the session; return the event that answers it, None if the log answers `request` already."""
        declared = scene.agent.triggers.get(name)
        if declared is not None and isinstance(given, dict):
            texts = {name: value for name, value in given.items() if isinstance(value, str)}
            given = {**given, **with_sealed(declared.input, texts, rehearsed_token)}
        input = Raw(msgspec.json.encode(given))
        wanted = triggers.Wanted(turn_id(scene.id, request), name, input, tools=tools)
        return self._append(triggers.outcome(scene.state, scene.agent, wanted, self.env(scene, delivery)))

    def cancel(self, scene: Scene, turn: str) -> AnyEvent | None:
        """Cancel a turn; return the event, None if it is over or being cancelled already."""
        return self._append(triggers.cancel(scene.state, turn, self.env(scene)))

    def raise_budget(self, scene: Scene, more: RaiseBudget) -> AnyEvent | None:
        """Allow more; return the event, None if it is recorded already, or means a turn and none runs."""
        return self._append(triggers.raise_budget(scene.state, more, self.env(scene)))

    def approve(self, scene: Scene, wanted: Approve) -> AnyEvent | None:
        """Record what a person decides on a call; return the event, None if it changes nothing."""
        try:
            return self._append(approvals.decision(scene.state, scene.agent, wanted, self.env(scene)))
        except approvals.NotDecided:
            return None

    def resolve(self, scene: Scene, wanted: Resolve) -> AnyEvent | None:
        """Record what a person says came of a call; return the event, None if it changes nothing."""
        try:
            return self._append(effects.said(scene.state, scene.agent, wanted, self.env(scene)))
        except effects.NotResolved:
            return None

    def answer(self, at: AnswerSubject, answer: ToolAnswer) -> AnyEvent | None:
        """Record an answer to a call, also one that nobody waits for any more."""
        scene = self.scenes[at.session]
        event = answers.answered(scene.state, scene.agent, at, answer, answer.result, self.now)
        return self._append(event)

    def overdue(self, where: CallSubject, claim: answers.Claim) -> AnyEvent | None:
        """Let the deadline of a call pass; return the event, None if it is answered."""
        scene = self.scenes[where.session]
        if call := answers.pending(scene.state, where):
            self.now = max(self.now, call.deadline_at or self.now)
        return self._append(answers.overdue(scene.state, where, claim, self.now))

    # ---- what the services would do

    def next_move(self) -> Move | None:
        """Return what happens next where nothing gets lost or late; None if every session waits or is done."""
        return next(self.moves(), None)

    def moves(self) -> Iterator[Move]:
        """Return everything that may happen next: what ends a turn first, and what a child does before its parent."""
        scenes = list(reversed(self.scenes.values()))
        ending = [scene for scene in scenes if _is_cancelling(scene)]
        yield from (Drive(scene.id) for scene in ending)
        yield from (StopChild(scene.id) for scene in scenes if self._is_abandoned(scene))
        for scene in scenes:
            if runnable(scene.state) and scene not in ending:
                yield Drive(scene.id)
            for call in scene.open_calls:
                yield from self._answers(scene, call)

    def make(self, move: Move) -> None:
        """Let `move` happen."""
        match move:
            case Drive(session):
                self.drive(self.scenes[session], most=1)
            case CallTool(request):
                self._call(request)
            case StartChild(request):
                self._start(request)
            case ReturnChild(end):
                self._return(end)
            case StopChild(session):
                scene = self.scenes[session]
                self.cancel(scene, scene.state.turn.id if scene.state.turn else "")

    def drive(self, scene: Scene, *, most: int | None = None, delivery: int = 1) -> Sequence[AnyEvent]:
        """Append what `decide` says, `most` events of it, or what a model answers; return what was appended."""
        match decide(scene.state, scene.agent, self.env(scene, delivery)):
            case Append(events):
                for event in events[:most]:
                    self.append(event)
                return events[:most]
            case Ask() as question:
                fact, asked = heard(self, scene, question)
                if fact is not None and still_wants(scene.state, question, fact):
                    self.append(fact, asked)
                    return (fact,)
        return ()

    def env(self, scene: Scene, delivery: int = 1) -> Env:
        """Return the world as it is now, for one decision on the session."""
        stored = {slug: version_of(self.children[slug]) for slug in scene.agent.children if slug in self.children}
        return msgspec.structs.replace(
            self._env,
            now=self.now,
            delivery=delivery,
            children={slug: version for slug, version in stored.items() if version},
            view=scene.threads.view,
            whole=scene.threads.whole,
        )

    # ---- the log

    def append(self, event: AnyEvent, asked: ModelRequest | None = None) -> Scene:
        """Store `event`, perhaps the answer to `asked`, as the next one of its session; return the session's scene."""
        found = self.scenes.get(event.session)
        _, data = seal(event, found.head if found else EMPTY)
        return self._take(Recorded(len(self.log) + 1, decode(data), data, asked))

    def replay(self, log: Log) -> None:
        """Take over what happened on another stage of the same agents, from its beginning."""
        for recorded in log:
            self._take(recorded)

    def _take(self, recorded: Recorded) -> Scene:
        event = recorded.event
        if isinstance(event, SessionCreated):
            self.scenes[event.session] = Scene(self._agents[event.agent, event.agent_version])
        scene = self.scenes[event.session]
        scene.fold(recorded)
        self.log.append(recorded)
        self.now = max(self.now, event.at) + TICK
        return scene

    def _append(self, event: AnyEvent | None) -> AnyEvent | None:
        if event is not None:
            self.append(event)
        return event

    # ---- calls and children

    def _answers(self, scene: Scene, call: PendingCall) -> Iterator[Move]:
        request = scene.requests[call.call]
        if request.child is None:
            yield CallTool(request)
        elif (child := self.scenes.get(request.child.session)) is None or not self._was_triggered(child, request):
            yield StartChild(request)
        elif child.end is not None:
            yield ReturnChild(child.end)

    def _was_triggered(self, child: Scene, request: ToolRequested) -> bool:
        return child_decide.child_turn(child.id, where_of(request)) in child.state.outcomes

    def _is_abandoned(self, scene: Scene) -> bool:
        parent = scene.state.parent
        if parent is None or scene.state.turn is None or _is_cancelling(scene):
            return False
        return answers.open_call(self.scenes[parent.session].state, parent.call) is None

    def _call(self, request: ToolRequested) -> None:
        answered = self.world.serve(self, request)
        if isinstance(answered, ToolAnswer):
            self.answer(answers.answer_of(request), answered)
        else:
            self.overdue(where_of(request), answered)

    def _start(self, request: ToolRequested) -> None:
        child = request.child
        assert child is not None, "only a call to a child agent starts one"
        agent = self._agents[child.agent, child.version]
        try:
            input = child_decide.input_of(request, agent, INPUT_MAX_BYTES)
        except (InvalidInput, InputTooLarge) as problem:
            self.answer(answers.answer_of(request), child_decide.refused(child.agent, problem))
            return
        if child.session not in self.scenes:
            self.append(child_decide.created(request, child, input, self.now))
        scene = self.scenes[child.session]
        self.trigger(scene, CHILD_TRIGGER, {}, child_decide.request_id(where_of(request)))

    def _return(self, end: TurnFinished) -> None:
        parent = end.parent
        assert parent is not None, "only the end of a child's turn is an answer"
        at = answers.answer_of(self.scenes[parent.session].requests[parent.call])._replace(attempt=parent.attempt)
        slug = self.scenes[end.session].agent.slug
        completed = end.outcome == "completed"
        self.answer(at, child_decide.succeeded(end) if completed else child_decide.failed(end, slug))


def _is_cancelling(scene: Scene) -> bool:
    return scene.state.turn is not None and scene.state.turn.cancelling


def rehearsed_token(value: str) -> str:
    """Return what stands for a secret: nobody opens it, and the same one is the same at every run."""
    return token_of(sha256(value.encode()).digest() * 3)


def where_of(request: ToolRequested) -> CallSubject:
    """Return which attempt of which call `request` is."""
    return CallSubject(request.tenant, request.session, request.call, request.attempt)
