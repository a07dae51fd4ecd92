"""Unknown outcomes for clients: what a person is asked about, and what they say, which an orchestrator records."""

from msgspec import Raw

from stenograph_events.types import ToolResolved
from stenograph_events.values import Actor, Resolution
from stenograph_projections.effects import awaiting_resolution, unresolved_calls
from stenograph_projections.session import Session
from stenograph_services.gateway.http.bodies import ResolutionBody
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.shapes import Shape, iso
from stenograph_services.gateway.turns.streams import Streams
from stenograph_services.gateway.turns.words import AskedCall, Words
from stenograph_services.protocol.schemas import problems


class UnresolvedCall(Shape, frozen=True, kw_only=True):
    """A call of which a person is asked whether it took effect; `session` and `parent` as of one to be approved."""

    call: str
    session: str
    turn: str
    tool: str
    attempt: int
    arguments: Raw
    deadline_at: str
    block: int | None = None
    parent: str | None = None


class UnresolvedCalls(Shape, frozen=True, kw_only=True, omit_defaults=False):
    resolutions: list[UnresolvedCall]


class ResolvedCall(Shape, frozen=True, kw_only=True):
    """What came of a call, who says so, and which event records it."""

    call: str
    attempt: int
    outcome: Resolution
    actor: Actor | None
    n: int
    at: str
    result: Raw | None = None
    error: str | None = None
    reason: str | None = None


class Resolutions:
    """Shows and resolves the unknown outcomes of one tenant's sessions."""

    def __init__(self, words: Words, streams: Streams) -> None:
        self._words = words
        self._streams = streams

    async def waiting(self, session: str) -> list[UnresolvedCall]:
        """Return the calls that a person is asked about; raise `Refusal` if there is no such session."""
        return [_unresolved(asked) for asked in await self._words.asked(session, unresolved_calls)]

    async def resolve(self, session: str, call: str, body: ResolutionBody, actor: Actor) -> ResolvedCall:
        """Say what came of `call` and return what is recorded. Raises `Refusal` for a word that changes nothing."""
        await self._check_fit(await self._words.state(session), call, body)
        resolved = self._streams.session(session).resolve(
            call, body.outcome, result=body.result, error=body.error, reason=body.reason, actor=actor
        )
        return _resolved(await self._words.said(resolved))

    async def _check_fit(self, state: Session, call: str, body: ResolutionBody) -> None:
        """Raise `Refusal` for a result that the tool does not declare: nothing is stored then."""
        tool = await self._words.tool(state, awaiting_resolution(state, call))
        if tool is None or tool.result is None or body.outcome != "succeeded":
            return
        if problem := problems(tool.result, body.result):
            raise Refusal(400, f"result: {problem}")


def _unresolved(asked: AskedCall) -> UnresolvedCall:
    call = asked.call
    return UnresolvedCall(
        call=call.call,
        session=asked.session,
        parent=asked.parent,
        turn=asked.turn.id,
        tool=call.tool,
        attempt=call.attempt,
        arguments=call.arguments,
        deadline_at=iso(call.deadline_at) if call.deadline_at else "",
        block=call.block,
    )


def _resolved(event: ToolResolved) -> ResolvedCall:
    return ResolvedCall(
        call=event.call,
        attempt=event.attempt,
        outcome=event.outcome,
        actor=event.actor,
        n=event.n,
        at=iso(event.at),
        result=event.result if event.outcome == "succeeded" else None,
        error=event.error,
        reason=event.reason,
    )
