"""Approvals for clients: what waits for a person, and decisions, which an orchestrator records."""

from typing import Literal

import msgspec
from msgspec import Raw

from stenograph_events import ApprovalDecision, InvalidId, type_of
from stenograph_events.types import ApprovalEdited
from stenograph_events.values import Actor
from stenograph_projections.approvals import awaiting, waiting_calls
from stenograph_projections.session import PendingCall, Session, Turn
from stenograph_sdk.errors import NotDecided
from stenograph_services.gateway.http.bodies import DecisionBody
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.shapes import Shape, iso
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.turns.streams import Streams
from stenograph_services.protocol.schemas import problems

STATUS = {"unknown-call": 404, "not-waiting": 409, "digest": 409, "refused": 409, "unconfirmed": 503}


class WaitingCall(Shape, frozen=True, kw_only=True):
    """A call that waits for a person. A decision on it names the `digest`, which is of these `arguments`."""

    call: str
    turn: str
    tool: str
    arguments: Raw
    digest: str
    deadline_at: str
    block: int | None = None


class WaitingCalls(Shape, frozen=True, kw_only=True, omit_defaults=False):
    approvals: list[WaitingCall]


class DecidedCall(Shape, frozen=True, kw_only=True):
    """What was decided on a call, by whom, and which event records it. `arguments`: those of an edit."""

    call: str
    decision: Literal["granted", "denied", "edited"]
    digest: str
    actor: Actor
    n: int
    at: str
    reason: str | None = None
    arguments: Raw | None = None


class Approvals:
    """Shows and decides the approvals of one tenant's sessions."""

    def __init__(self, reader: Reader, streams: Streams) -> None:
        self._reader = reader
        self._streams = streams

    async def waiting(self, session: str) -> list[WaitingCall]:
        """Return the calls that wait for a person; raise `Refusal` if there is no such session."""
        turn = (await self._state(session)).turn
        return [_waiting(turn, call) for call in waiting_calls(turn)] if turn and not turn.cancelling else []

    async def decide(self, session: str, call: str, body: DecisionBody, actor: Actor) -> DecidedCall:
        """Decide on `call` and return what is recorded. Raises `Refusal` for a decision that changes nothing."""
        await self._check_fit(await self._state(session), call, body)
        try:
            decided = await self._streams.session(session).decide(
                call, body.decision, body.digest, actor=actor, arguments=body.arguments, reason=body.reason
            )
        except NotDecided as problem:
            raise Refusal(STATUS[problem.code], problem.reason) from problem
        except (ValueError, InvalidId) as error:
            raise Refusal(400, str(error)) from error
        return _decided(decided)

    async def _state(self, session: str) -> Session:
        loaded = await self._reader.session(session)
        await self._reader.sessions.at_head(loaded)
        return loaded.state

    async def _check_fit(self, state: Session, call: str, body: DecisionBody) -> None:
        """Raise `Refusal` for arguments that the tool does not take: nothing is stored then."""
        waits, agent = awaiting(state, call), await self._reader.agent(state.agent, state.agent_version)
        tool = agent.tools.get(waits.tool) if agent is not None and waits is not None else None
        if tool is None or body.decision != "edit" or body.arguments is None:
            return
        if problem := problems(tool.parameters, body.arguments):
            raise Refusal(400, f"arguments: {problem}")


def _waiting(turn: Turn, call: PendingCall) -> WaitingCall:
    return WaitingCall(
        call=call.call,
        turn=turn.id,
        tool=call.tool,
        arguments=call.arguments,
        digest=call.digest or "",
        deadline_at=iso(call.deadline_at) if call.deadline_at else "",
        block=call.block,
    )


def _decided(event: ApprovalDecision) -> DecidedCall:
    verb = type_of(event).removeprefix("approval.")
    return DecidedCall(
        call=event.call,
        decision=msgspec.convert(verb, Literal["granted", "denied", "edited"]),
        digest=event.digest,
        actor=event.actor,
        n=event.n,
        at=iso(event.at),
        reason=event.reason,
        arguments=event.arguments if isinstance(event, ApprovalEdited) else None,
    )
