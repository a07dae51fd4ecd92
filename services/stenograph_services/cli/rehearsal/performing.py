"""A rehearsal: the triggers of a case, one after the other, each with what the case says that happens meanwhile.

log = rehearse(agent, read_case(Path("agents/support-chat/tests/plan.yaml")), children={})
"""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from stenograph_events.subjects import CallSubject
from stenograph_events.values import Actor
from stenograph_events.wire import Approve, RaiseBudget, Resolve
from stenograph_projections.approvals import waiting_calls
from stenograph_projections.effects import unresolved_calls
from stenograph_projections.session import PendingCall
from stenograph_services.cli.rehearsal.case import Case, CaseError
from stenograph_services.cli.rehearsal.documents import DecisionDoc, ResolveDoc, TurnDoc
from stenograph_services.cli.rehearsal.engine import Move, Stage, StartChild, where_of
from stenograph_services.cli.rehearsal.playing import CaseWorld
from stenograph_services.cli.rehearsal.scenes import Log, Scene
from stenograph_services.protocol.agent import CHILD_TRIGGER, Agent
from stenograph_services.protocol.problems import Path as Place
from stenograph_services.protocol.problems import Problem
from stenograph_services.runtime.errors import InputTooLarge, InvalidInput
from stenograph_services.tool_gateway.decide import APPROVAL, RESOLUTION

MOST_MOVES = 10_000  # of one case; a turn of a thousand steps takes four thousand


def rehearse(agent: Agent, case: Case, children: Mapping[str, Agent] | None = None) -> Log:
    """Run `agent` through `case` and return what happened. The same agent and case give the same log.

    `children` are the child agents that are stored, by slug. Raises `CaseError` where the case does not say what the
    world answers, or says what never happens.
    """
    return _Rehearsal(agent, case, children or {}).log()


class _Sent:
    """A trigger of the case that was sent, and what is still to happen in its turn."""

    def __init__(self, place: Place, doc: TurnDoc, turn: str) -> None:
        self.place = place
        self.doc = doc
        self.turn = turn
        self.cancelled = doc.cancel_after is None
        self.waiting = list(enumerate(doc.meanwhile))


class _Rehearsal:
    def __init__(self, agent: Agent, case: Case, children: Mapping[str, Agent]) -> None:
        self.case = case
        self.world = CaseWorld(case)
        tools = [name for each in (agent, *children.values()) for name in each.tools]
        self.stage = Stage(agent, self.world, children, self.world.env(tools))
        self.sent: list[_Sent] = []
        self.raised: dict[str, int] = {}
        self.decided: dict[str, int] = {}
        self.resolved: dict[str, int] = {}
        self.moves = 0

    def log(self) -> Log:
        root = self.root()
        for i, turn in enumerate(self.case.doc.turns):
            self.send(root, ("turns", i), turn)
            self.settle(root)
        if left := [*self.never_came(), *self.world.unheard()]:
            raise CaseError(left)
        return self.stage.log

    def root(self) -> Scene:
        try:
            return self.stage.open(self.case.doc.input, self.case.name)
        except (InvalidInput, InputTooLarge) as error:
            raise CaseError([self.case.problem(("input",), "invalid", str(error))]) from error

    def send(self, root: Scene, place: Place, doc: TurnDoc) -> None:
        request = f"r-{len(self.sent) + 1}"
        sent = _Sent(place, doc, self.world.play(root.id, request, place, doc))
        self.sent.append(sent)
        self.cancel(root, sent)  # a trigger may be cancelled before it is seen
        self.stage.trigger(root, doc.trigger or CHILD_TRIGGER, doc.input, request, tools=doc.tools)

    def settle(self, root: Scene) -> None:
        """Let everything happen until every session waits, or is done."""
        while True:
            if self.cue(root) or self.raise_budget():
                continue
            move = self.stage.next_move()
            if move is None:
                if self.approve() or self.resolve():  # a person takes their time: everything else has happened by then
                    continue
                return
            self.make(move)
            self.moves += 1
            if self.moves > MOST_MOVES:
                message = f"the agent does not come to rest within {MOST_MOVES} events"
                raise CaseError([self.case.problem(("turns",), "invalid", message)])

    def make(self, move: Move) -> None:
        """Let `move` happen, unless the case says that a child agent does not begin in time."""
        if (
            isinstance(move, StartChild)
            and (child := move.request.child)
            and self.world.never_begins(self.stage, child)
        ):
            self.stage.overdue(where_of(move.request), "none")
        else:
            self.stage.make(move)

    def cue(self, root: Scene) -> bool:
        """Do the next thing that the case wants now: cancel a turn, or send what comes meanwhile."""
        for sent in self.sent:
            if self.cancel(root, sent):
                return True
            events = self.events(sent) if sent.waiting else 0
            for i, other in sent.waiting:
                if events >= other.after:
                    sent.waiting.remove((i, other))
                    self.send(root, (*sent.place, "meanwhile", i), other)
                    return True
        return False

    def cancel(self, root: Scene, sent: _Sent) -> bool:
        """Cancel the turn if it is time to; return whether it was."""
        if sent.cancelled or sent.doc.cancel_after is None or self.events(sent) < sent.doc.cancel_after:
            return False
        sent.cancelled = True
        self.stage.cancel(root, sent.turn)
        return True

    def raise_budget(self) -> bool:
        """Allow the first turn that waits for a budget what the case says; return whether there was one."""
        for scene in self.stage.scenes.values():
            turn = scene.state.turn
            doc = self.world.doc_of(self.stage, scene) if turn and turn.exceeded else None
            at = self.raised.get(turn.id, 0) if turn else 0
            if turn is None or doc is None or at >= len(doc.raise_budget):
                continue
            more = doc.raise_budget[at]
            self.raised[turn.id] = at + 1
            self.stage.raise_budget(scene, RaiseBudget(f"{turn.id}/{at}", **more.model_dump()))
            return True
        return False

    def approve(self) -> bool:
        """Decide, as the case says, on the first call that waits for a person; return whether there was one."""
        for scene in self.stage.scenes.values():
            turn, doc = scene.state.turn, self.world.doc_of(self.stage, scene)
            at = self.decided.get(turn.id, 0) if turn else 0
            if turn is None or turn.cancelling or doc is None or at >= len(doc.approve):
                continue
            for call in waiting_calls(turn)[:1]:
                self.decided[turn.id] = at + 1
                self.decide(scene, call, doc.approve[at], f"{turn.id}/{at}")
                return True
        return False

    def decide(self, scene: Scene, call: PendingCall, said: str | DecisionDoc, request: str) -> None:
        if said == "timeout":
            self.stage.overdue(CallSubject(scene.state.tenant, scene.id, call.call, APPROVAL), "none")
            return
        wanted = Approve(request, call.call, "grant", call.digest or "", Actor("cli", name="rehearsal"))
        if isinstance(said, DecisionDoc) and said.edit is not None:
            wanted = replace(wanted, decision="edit", arguments=Raw(msgspec.json.encode(said.edit)))
        elif said != "grant":
            reason = said.deny if isinstance(said, DecisionDoc) else None
            wanted = replace(wanted, decision="deny", reason=reason)
        if self.stage.approve(scene, wanted) is None:
            message = f"this edit does not fit the parameters of {call.tool}"
            raise CaseError([self.case.problem(("turns",), "invalid", message)])

    def resolve(self) -> bool:
        """Say, as the case does, what came of the first call that a person is asked about; return whether one was."""
        for scene in self.stage.scenes.values():
            turn, doc = scene.state.turn, self.world.doc_of(self.stage, scene)
            at = self.resolved.get(turn.id, 0) if turn else 0
            if turn is None or turn.cancelling or doc is None or at >= len(doc.resolve):
                continue
            for call in unresolved_calls(turn)[:1]:
                self.resolved[turn.id] = at + 1
                self.say(scene, call, doc.resolve[at], f"{turn.id}/{at}")
                return True
        return False

    def say(self, scene: Scene, call: PendingCall, said: str | ResolveDoc, request: str) -> None:
        if said == "timeout":
            self.stage.overdue(CallSubject(scene.state.tenant, scene.id, call.call, RESOLUTION), "none")
            return
        wanted = Resolve(request, call.call, "unknown", Actor("cli", name="rehearsal"))
        if isinstance(said, ResolveDoc) and said.failed is not None:
            wanted = replace(wanted, outcome="failed", error=said.failed)
        elif isinstance(said, ResolveDoc):
            wanted = replace(wanted, outcome="succeeded", result=Raw(msgspec.json.encode(said.succeeded)))
        if self.stage.resolve(scene, wanted) is None:
            message = f"this is no result of {call.tool}"
            raise CaseError([self.case.problem(("turns",), "invalid", message)])

    def never_came(self) -> Iterator[Problem]:
        """Return a problem for each cue that did not come."""
        for sent in self.sent:
            has = f"the turn has {self.events(sent)} events"
            if len(sent.doc.approve) > (asked := self.decided.get(sent.turn, 0)):
                yield self.unused((*sent.place, "approve", asked), f"a person was asked {asked} times in this turn")
            if len(sent.doc.resolve) > (asked := self.resolved.get(sent.turn, 0)):
                message = f"a person was asked {asked} times in this turn what came of a call"
                yield self.unused((*sent.place, "resolve", asked), message)
            if not sent.cancelled:
                yield self.unused((*sent.place, "cancel_after"), f"{has}, so nobody cancels it")
            for i, other in sent.waiting:
                yield self.unused((*sent.place, "meanwhile", i), f"{has}, so this never comes after {other.after}")

    def events(self, sent: _Sent) -> int:
        """Return how many events the turn has until now, those of its child agents' sessions with them."""
        events = [one.event for one in self.stage.log]
        first = next((at for at, event in enumerate(events) if event.turn == sent.turn), len(events))
        root = events[0].session
        return sum(event.turn == sent.turn or event.session != root for event in events[first:])

    def unused(self, place: Place, message: str) -> Problem:
        return self.case.problem(place, "unused", message)
