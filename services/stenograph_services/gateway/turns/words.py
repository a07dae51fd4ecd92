"""What people say of calls, for clients: which ones wait for a word, and why one changed nothing."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from stenograph_events import InvalidId
from stenograph_projections.session import PendingCall, Session, Turn
from stenograph_sdk.errors import NotDecided
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.protocol import Tool

STATUS = {"unknown-call": 404, "not-waiting": 409, "digest": 409, "refused": 409, "unconfirmed": 503}

Said = TypeVar("Said")


class AskedCall(NamedTuple):
    """A call that waits for a word. `parent`: the session that waits for the answer of a child agent's."""

    session: str
    turn: Turn
    call: PendingCall
    parent: str | None


class Words:
    """Knows what the sessions of one tenant wait for."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def asked(self, session: str, which: Callable[[Turn], list[PendingCall]]) -> list[AskedCall]:
        """Return the calls that wait, in the session and in those of the child agents that it waits for.

        Raises `Refusal` if there is no such session.
        """
        state = await self.state(session)
        turn = state.turn
        if turn is None or turn.cancelling:
            return []
        parent = state.parent.session if state.parent else None
        found = [AskedCall(session, turn, call, parent) for call in which(turn)]
        for child in [call.child for call in turn.calls if call.child is not None and call.status == "open"]:
            if await self._reader.sessions.log.leader_sequence(state.tenant, child):  # else it is not made yet
                found += await self.asked(child, which)
        return found

    async def state(self, session: str) -> Session:
        """Return the session as it stands now."""
        loaded = await self._reader.session(session)
        await self._reader.sessions.at_head(loaded)
        return loaded.state

    async def tool(self, state: Session, call: PendingCall | None) -> Tool | None:
        """Return the tool of a call as the agent of its session declares it, if that can still be read."""
        agent = await self._reader.agent(state.agent, state.agent_version)
        return agent.tools.get(call.tool) if agent is not None and call is not None else None

    async def said(self, word: Awaitable[Said]) -> Said:
        """Return what became of a word; raise `Refusal` for one that changes nothing."""
        try:
            return await word
        except NotDecided as problem:
            raise Refusal(STATUS[problem.code], problem.reason) from problem
        except (ValueError, InvalidId) as error:
            raise Refusal(400, str(error)) from error
