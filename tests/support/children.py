"""Child agents for tests: files of an agent that runs in a session of its own, and of a parent that runs it.

    child = child_bundle("researcher", SAY_HELLO)      # answers with what its model says

And a parent that no orchestrator drives: its events are written by hand, to see what the tool gateway makes of them.

    parent = await Parent.begun(stage)
    request = await parent.asks(agent.slug, agent.version, {"TOPIC": "tides"})
"""

import base64
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from tests.support.services import TENANT, Stage, Talk
from tests.support.wait import until

from stenograph_events import AnyEvent, CallId, SessionId, TurnId, child_session_id, new_session_id
from stenograph_events.subjects import control_subject, trigger_filter
from stenograph_events.testing import raw, session_created, tool_requested, turn_finished, turn_started
from stenograph_events.types import ToolRequested
from stenograph_events.values import Child
from stenograph_events.values import Parent as ParentCall
from stenograph_services.protocol import Bundle
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.jetstream import NOT_FOUND, JetStreamError, api
from stenograph_services.runtime.sessions import Sessions
from stenograph_services.runtime.streams import log_stream
from stenograph_services.tool_gateway import child_decide
from stenograph_services.tool_gateway.children import Children
from stenograph_services.tool_gateway.recording import Records

STEPS = """\
input:
  TOPIC: {type: string}
  STYLE: {type: string, default: plain}
variables:
  ANSWER: {type: string}
output: ANSWER
steps:
  Begin:
    block: start-thread
    thread: main
    model: scripted/play
    system: system
  Say:
    block: add-message
    role: user
    prompt: said
    input: [TOPIC]
  Ask:
    block: next-message
    output: ANSWER
"""


def child_bundle(slug: str, script: str, protocol: str = STEPS) -> Bundle:
    """Return the files of an agent that can run as a child: it asks its model for a TOPIC."""
    settings = msgspec.json.encode({"slug": slug, "name": slug, "format": "worker"}).decode()
    return Bundle(slug, settings, protocol, {"system": "You help.\n", "said": "{{TOPIC}}"}, {"play": script})


class Asked(msgspec.Struct):
    """A message that waits in TRIG."""

    subject: str
    body: dict[str, Any]
    message_id: str
    traceparent: str | None = None


async def asked_of(stage: Stage, session: str) -> list[Asked]:
    """Return what is asked of a session and was not taken by an orchestrator yet, in order."""
    found: list[Asked] = []
    sequence = 1
    while True:
        wanted = {"seq": sequence, "next_by_subj": trigger_filter(TENANT, session)}
        try:
            message = (await api(stage.nc, "STREAM.MSG.GET.TRIG", wanted))["message"]
        except JetStreamError as error:
            if error.code not in NOT_FOUND:
                raise
            return found
        sequence = message["seq"] + 1
        headers = base64.b64decode(message["hdrs"]).decode().splitlines()
        said = dict(line.split(": ", 1) for line in headers if ": " in line)
        body = msgspec.json.decode(base64.b64decode(message["data"]))
        found.append(Asked(message["subject"], body, said["Nats-Msg-Id"], said.get("traceparent")))


class Parent:
    """A session whose turn runs, with a log that the test writes."""

    def __init__(self, stage: Stage) -> None:
        self.id = new_session_id()
        self.talk = Talk(stage, self.id)
        self.turn = TurnId("t1")
        self._stage = stage

    @classmethod
    async def begun(cls, stage: Stage) -> "Parent":
        """Return a parent whose turn has started."""
        parent = cls(stage)
        await parent.happens(session_created(session=parent.id), turn_started(session=parent.id))
        return parent

    async def happens(self, *events: AnyEvent) -> None:
        """Append to the log of the parent."""
        await happens(self._stage, self.id, *events)

    def request(
        self, agent: str, version: str, arguments: Any, *, seconds: float = 60, depth: int = 1
    ) -> ToolRequested:
        """Return the event with which a block asks a child agent; it has to answer within `seconds`."""
        call = CallId(uuid.uuid4().hex)
        child = Child(child_session_id(call), agent, version, 1, {"find": "search"})
        deadline = datetime.now(UTC) + timedelta(seconds=seconds)
        where: dict[str, Any] = {"session": self.id, "tool": agent, "block": 0}
        return tool_requested(call, **where, arguments=raw(arguments), deadline_at=deadline, child=child)

    async def asks(self, agent: str, version: str, arguments: Any, **more: Any) -> ToolRequested:
        """Append such a request, and return it."""
        request = self.request(agent, version, arguments, **more)
        await self.happens(request)
        return request


def parent_of(request: ToolRequested) -> ParentCall:
    """Return what the session of the child says of the call that it answers."""
    assert request.child is not None
    assert request.turn is not None
    return ParentCall(
        request.session,
        request.turn,
        request.call,
        request.attempt,
        request.child.depth,
        request.child.tools,
        request.tool,
    )


async def happens(stage: Stage, session: SessionId, *events: AnyEvent) -> None:
    """Append `events` to a log, wherever it stands."""
    sessions = Sessions(stage.nc, stage.settings)
    loaded = await sessions.get(TENANT, session)
    await sessions.append(loaded, events, loaded.head)


def child_of(request: ToolRequested) -> SessionId:
    """Return the session of the child that `request` asks for."""
    assert request.child is not None
    return request.child.session


def turn_of(request: ToolRequested) -> TurnId:
    """Return the turn in which that child answers."""
    return child_decide.child_turn(child_of(request), child_decide.call_of(request))


def by_another_process(stage: Stage, agents: Agents | None = None) -> Children:
    """Return what another tool gateway, or this one after its death, does with the same deliveries."""
    sessions = Sessions(stage.nc, stage.settings, transcript=False)
    return Children(stage.nc, stage.settings, sessions.log, Records(sessions), agents or Agents(stage.nc))


async def started(stage: Stage, request: ToolRequested) -> Asked:
    """Return the trigger of the child that `request` asks for, as soon as it is there."""

    async def trigger() -> Asked | None:
        return next(iter(await asked_of(stage, child_of(request))), None)

    return await until(trigger, what="the child's trigger")


async def cancelled(stage: Stage, request: ToolRequested) -> Asked:
    """Return the cancel of the child that `request` asks for, as soon as it is there."""
    subject = control_subject(TENANT, child_of(request), "cancel")

    async def cancel() -> Asked | None:
        return next((one for one in await asked_of(stage, child_of(request)) if one.subject == subject), None)

    return await until(cancel, what="the child's cancel")


async def settled(stage: Stage, session: str, consumer: str) -> None:
    """Return when a consumer of the stream that holds `session` has nothing more to do."""
    stream = log_stream(stage.settings, session)

    async def nothing_left() -> bool:
        return not await stage.unsettled(stream, consumer)

    await until(nothing_left, what=f"{consumer} has done everything")


async def ends(stage: Stage, request: ToolRequested, outcome: str = "completed", **more: Any) -> None:
    """Run the child's turn to its end, as an orchestrator would."""
    await started(stage, request)
    child, turn = child_of(request), turn_of(request)
    end = turn_finished(turn, outcome, session=child, parent=parent_of(request), **more)
    await happens(stage, child, turn_started(turn, "run", session=child), end)
