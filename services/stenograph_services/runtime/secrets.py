"""Secrets on their way in: sealed before anything that holds one is stored.

    session.created       input {"API_KEY":"stenograph-secret:Zm9v…"}
    trig.start.….charge   {"input":{"CARD_PIN":"stenograph-secret:YmFy…"},"request":"r-1"}

Whoever stores what comes from outside asks here: the gateway, for both of its doors, and commands that use the streams
themselves. A trigger that brings secrets is looked at first, and nothing is stored of one that its agent does not take:
a value under a name that is spelled wrong would lie in TRIG for everybody to read.
"""

from collections import OrderedDict
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events.subjects import parse_trigger
from stenograph_events.types import SessionCreated
from stenograph_events.wire import Trigger
from stenograph_services.protocol import Agent, check_fields
from stenograph_services.protocol.agent import Field
from stenograph_services.protocol.secrets import declares_secrets, secret_names, with_sealed
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.errors import InvalidInput, UnknownAgent
from stenograph_services.runtime.eventlog import EventLog

KEPT = 50_000  # sessions whose agent is remembered; it never changes

_STARTS = "trig.start."
_trigger = msgspec.json.Decoder(Trigger)


class Secrets:
    """Seals the secrets of sessions that are made, and of triggers that are sent."""

    def __init__(self, log: EventLog, agents: Agents) -> None:
        self._log = log
        self._agents = agents
        self._pinned: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()

    async def new_input(self, tenant: str, session: str, agent: Agent, values: dict[str, Any]) -> dict[str, Any]:
        """Return `values`, which fit the input of `agent`, as a new session takes them.

        Raises `NoKeys` for an agent that declares secrets, its triggers' too, where there are no keys to seal them.
        """
        if not declares_secrets(agent):
            return values
        key = await self._log.seals.for_secrets(tenant, session, 1)
        return with_sealed(agent.input, values, key.secret)

    async def closed_body(self, tenant: str, session: str, subject: str, data: bytes) -> bytes:
        """Return the body that goes to `subject` as it is stored there.

        Raises `InvalidInput` for a trigger with secrets that its agent does not take, `NoKeys` and `KeyMissing`.
        """
        if subject.startswith(_STARTS):
            data = await self._sealed_trigger(tenant, session, parse_trigger(subject).name, data)
        return await self._log.seals.closed_body(tenant, session, subject, data)

    async def _sealed_trigger(self, tenant: str, session: str, name: str, data: bytes) -> bytes:
        fields = await self._takes(tenant, session, name)
        if not secret_names(fields):
            return data
        trigger = _trigger.decode(data)
        values, wrong = check_fields(fields, _value(trigger.input))
        if wrong:
            raise InvalidInput("; ".join(wrong)[:1000])
        key = await self._log.seals.for_secrets(tenant, session, 0)
        sealed = msgspec.json.encode(with_sealed(fields, values, key.secret))
        return msgspec.json.encode(msgspec.structs.replace(trigger, input=Raw(sealed)))

    async def _takes(self, tenant: str, session: str, name: str) -> tuple[Field, ...]:
        """Return what trigger `name` of the session brings; nothing for one that nobody takes."""
        pinned = await self._pin(tenant, session)
        if pinned is None:
            return ()
        try:
            agent = await self._agents.version(tenant, *pinned)
        except UnknownAgent:  # whoever takes the trigger says so
            return ()
        declared = agent.triggers.get(name)
        return declared.input if declared else ()

    async def _pin(self, tenant: str, session: str) -> tuple[str, str] | None:
        """Return the agent and the version of a session, None if there is none."""
        if (known := self._pinned.get((tenant, session))) is not None:
            self._pinned.move_to_end((tenant, session))
            return known
        first = await self._log.next_event(tenant, session, 0)
        event = (await self._log.opened(first)).event if first else None
        if not isinstance(event, SessionCreated):
            return None
        self._pinned[tenant, session] = pinned = (event.agent, event.agent_version)
        if len(self._pinned) > KEPT:
            self._pinned.popitem(last=False)
        return pinned


def _value(input: Raw) -> Any:
    try:
        return msgspec.json.decode(input)
    except (msgspec.MsgspecError, RecursionError):
        return None  # which no declared input accepts
