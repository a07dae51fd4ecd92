"""Approvals for clients: what waits for a person, and decisions, which an orchestrator records."""

from typing import Literal

import msgspec
from msgspec import Raw

from stenograph_events import ApprovalDecision, type_of
from stenograph_events.types import ApprovalEdited
from stenograph_events.values import Actor
from stenograph_projections.approvals import awaiting, waiting_calls
from stenograph_projections.session import Session
from stenograph_services.gateway.http.bodies import DecisionBody
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.shapes import Shape, iso
from stenograph_services.gateway.turns.streams import Streams
from stenograph_services.gateway.turns.words import AskedCall, Words
from stenograph_services.protocol.schemas import problems
from stenograph_services.protocol.secrets import changed_secret, for_all


class WaitingCall(Shape, frozen=True, kw_only=True):
    """A call that waits for a person. A decision on it names the `digest`, which is of these `arguments`.

    It is decided on in `session`. Where that is a child agent's, `parent` is the session that waits for its answer.
    """

    call: str
    session: str
    turn: str
    tool: str
    arguments: Raw
    digest: str
    deadline_at: str
    block: int | None = None
    parent: str | None = None


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

    def __init__(self, words: Words, streams: Streams) -> None:
        self._words = words
        self._streams = streams

    async def waiting(self, session: str) -> list[WaitingCall]:
        """Return the calls that wait for a person; raise `Refusal` if there is no such session."""
        return [_waiting(asked) for asked in await self._words.asked(session, waiting_calls)]

    async def decide(self, session: str, call: str, body: DecisionBody, actor: Actor) -> DecidedCall:
        """Decide on `call` and return what is recorded. Raises `Refusal` for a decision that changes nothing."""
        await self._check_fit(await self._words.state(session), call, body)
        decided = self._streams.session(session).decide(
            call, body.decision, body.digest, actor=actor, arguments=body.arguments, reason=body.reason
        )
        return _decided(await self._words.said(decided))

    async def _check_fit(self, state: Session, call: str, body: DecisionBody) -> None:
        """Raise `Refusal` for arguments that the tool does not take: nothing is stored then."""
        waits = awaiting(state, call)
        tool = await self._words.tool(state, waits)
        if tool is None or waits is None or body.decision != "edit" or body.arguments is None:
            return
        if name := changed_secret(tool, msgspec.json.decode(waits.arguments), body.arguments):
            raise Refusal(400, f"arguments: {name!r} is secret: leave it out, and the call keeps the one that it has")
        if problem := problems(tool.offered or tool.parameters, for_all(tool, body.arguments)):
            raise Refusal(400, f"arguments: {problem}")


def _waiting(asked: AskedCall) -> WaitingCall:
    call = asked.call
    return WaitingCall(
        call=call.call,
        session=asked.session,
        parent=asked.parent,
        turn=asked.turn.id,
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
