"""Unknown outcomes for clients: what a person is asked about, and what they say, which an orchestrator records."""

from msgspec import Raw

from stenograph_events import InvalidId
from stenograph_events.types import ToolResolved
from stenograph_events.values import Actor, Resolution
from stenograph_projections.effects import awaiting_resolution, unresolved_calls
from stenograph_projections.session import PendingCall, Session, Turn
from stenograph_sdk.errors import NotDecided
from stenograph_services.gateway.http.bodies import ResolutionBody
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.shapes import Shape, iso
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.turns.approvals import STATUS
from stenograph_services.gateway.turns.streams import Streams
from stenograph_services.protocol.schemas import problems


class UnresolvedCall(Shape, frozen=True, kw_only=True):
    """A call of which a person is asked whether it took effect."""

    call: str
    turn: str
    tool: str
    attempt: int
    arguments: Raw
    deadline_at: str
    block: int | None = None


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

    def __init__(self, reader: Reader, streams: Streams) -> None:
        self._reader = reader
        self._streams = streams

    async def waiting(self, session: str) -> list[UnresolvedCall]:
        """Return the calls that a person is asked about; raise `Refusal` if there is no such session."""
        turn = (await self._state(session)).turn
        return [_unresolved(turn, call) for call in unresolved_calls(turn)] if turn and not turn.cancelling else []

    async def resolve(self, session: str, call: str, body: ResolutionBody, actor: Actor) -> ResolvedCall:
        """Say what came of `call` and return what is recorded. Raises `Refusal` for a word that changes nothing."""
        await self._check_fit(await self._state(session), call, body)
        try:
            event = await self._streams.session(session).resolve(
                call, body.outcome, result=body.result, error=body.error, reason=body.reason, actor=actor
            )
        except NotDecided as problem:
            raise Refusal(STATUS[problem.code], problem.reason) from problem
        except (ValueError, InvalidId) as error:
            raise Refusal(400, str(error)) from error
        return _resolved(event)

    async def _state(self, session: str) -> Session:
        loaded = await self._reader.session(session)
        await self._reader.sessions.at_head(loaded)
        return loaded.state

    async def _check_fit(self, state: Session, call: str, body: ResolutionBody) -> None:
        """Raise `Refusal` for a result that the tool does not declare: nothing is stored then."""
        waits, agent = awaiting_resolution(state, call), await self._reader.agent(state.agent, state.agent_version)
        tool = agent.tools.get(waits.tool) if agent is not None and waits is not None else None
        if tool is None or tool.result is None or body.outcome != "succeeded":
            return
        if problem := problems(tool.result, body.result):
            raise Refusal(400, f"result: {problem}")


def _unresolved(turn: Turn, call: PendingCall) -> UnresolvedCall:
    return UnresolvedCall(
        call=call.call,
        turn=turn.id,
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
