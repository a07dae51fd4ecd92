"""What a call to a child agent becomes: its session, its turn, and the answer that its end is. Pure.

tool.requested{call: c1, child: {session: 2f…, agent: researcher, …}}
    →  session.created{session: 2f…, input: the arguments, parent: {session, turn, call: c1, …}}
    →  its one turn, of the request `c1-1`
turn.finished{outcome: completed, output: "…", parent}
    →  {"outcome":"succeeded","result":"…","worker":"2f…"}
"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events import TurnId, child_request_id, derived_id, turn_id
from stenograph_events.subjects import CallSubject
from stenograph_events.types import SessionCreated, ToolRequested, TurnFinished
from stenograph_events.values import NULL, Child, Parent
from stenograph_events.wire import ToolAnswer
from stenograph_services.protocol import Agent
from stenograph_services.runtime.creating import encoded, session_input
from stenograph_services.runtime.errors import InvalidInput

ERROR_MAX = 4_000  # characters of an answer's sentence, as of a worker's


def call_of(request: ToolRequested) -> CallSubject:
    """Return which attempt of which call `request` is."""
    return CallSubject(request.tenant, request.session, request.call, request.attempt)


def request_id(where: CallSubject) -> str:
    """Return the id of the trigger that starts the child's turn: the same for the same attempt of the same call."""
    return child_request_id(where.call, where.attempt)


def child_turn(child: str, where: CallSubject) -> TurnId:
    """Return the id of the turn in which session `child` answers a call."""
    return turn_id(child, request_id(where))


def input_of(request: ToolRequested, agent: Agent, max_bytes: int) -> Raw:
    """Return the arguments of `request` as the input of a session of `agent`.

    Raises `InvalidInput` if it does not take them, or runs as no child at all, and `InputTooLarge`.
    """
    if agent.format != "worker":
        raise InvalidInput("its format is not worker, so it cannot run as a child")
    return encoded(session_input(agent, _decoded(request.arguments)), max_bytes)


def created(
    request: ToolRequested, child: Child, input: Raw, now: datetime, agent_id: str | None = None
) -> SessionCreated:
    """Return the first event of the child's session."""
    return SessionCreated(
        id=derived_id(child.session, "created"),
        at=now,
        tenant=request.tenant,
        session=child.session,
        agent=child.agent,
        agent_version=child.version,
        agent_id=agent_id,
        input=input,
        parent=Parent(
            session=request.session,
            turn=request.turn or TurnId(""),
            call=request.call,
            attempt=request.attempt,
            depth=child.depth,
            tools=child.tools,
            tool=request.tool,
            guards=child.guards,
        ),
    )


def refused(agent: str, problem: Exception) -> ToolAnswer:
    """Return the answer to a call whose child agent cannot start."""
    return ToolAnswer("failed", error=f"the child agent {agent!r} was not started: {problem}"[:ERROR_MAX])


def succeeded(end: TurnFinished) -> ToolAnswer:
    """Return the answer that a completed turn is: the child's output, null if it has none."""
    return ToolAnswer("succeeded", result=NULL if end.output is None else end.output, worker=end.session)


def failed(end: TurnFinished, agent: str) -> ToolAnswer:
    """Return the answer that another end is, with a sentence for the model of the parent."""
    what = "was cancelled" if end.outcome == "cancelled" else "failed"
    why = ": ".join(part for part in (end.reason, end.detail) if part)
    sentence = f"the child agent {agent!r} {what}" + (f": {why}" if why else "")
    return ToolAnswer("failed", error=sentence[:ERROR_MAX], worker=end.session)


def _decoded(arguments: Raw) -> Any:
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"its input cannot be read: {error}") from error
