"""Making a session: the one event that the gateway writes. Both doors, HTTP and NATS, lead here."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from msgspec import Raw
from nats.aio.client import Client

from stenograph_events import EMPTY, new_id, new_session_id
from stenograph_events.ids import SessionId, TenantId
from stenograph_events.types import SessionCreated
from stenograph_events.wire import CreateSession, Problem, SessionRef
from stenograph_projections.session import Session
from stenograph_services.gateway.http.refusals import refusal_of
from stenograph_services.protocol.secrets import without_secrets
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.creating import encoded, session_input
from stenograph_services.runtime.errors import NoKeys
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.secrets import Secrets

log = structlog.get_logger()

_wanted = msgspec.json.Decoder(CreateSession)


class Creator:
    """Makes sessions."""

    def __init__(self, nc: Client, settings: Settings, agents: Agents) -> None:
        self._log = EventLog(nc, settings)
        self._secrets = Secrets(self._log, agents)
        self._agents = agents
        self._input_max_bytes = settings.trigger_max_bytes

    async def create(self, tenant: str, agent: str, input: Any, *, session: SessionId | None = None) -> SessionRef:
        """Create a session of `agent`, a slug or an id, pinned to its current version; `session` is its id, if chosen.

        Raises `InvalidInput` if `input` is not what the agent declares, `InputTooLarge`, `UnknownAgent` if there
        is none, `NoKeys` if it declares secrets and nothing can seal them, and `SequenceConflict` if there is a session
        of that id.
        """
        entry = await self._agents.current(tenant, agent)
        declared = await self._agents.version(tenant, entry.slug, entry.version)
        session = session or new_session_id()
        values = session_input(declared, input)
        encoded(values, self._input_max_bytes)  # as it came: sealed, secrets take more room
        created = SessionCreated(
            id=new_id(),
            at=datetime.now(UTC),
            tenant=TenantId(tenant),
            session=session,
            agent=entry.slug,
            agent_version=entry.version,
            agent_id=entry.id,
            input=Raw(msgspec.json.encode(await self._secrets.new_input(tenant, session, declared, values))),
        )
        await self._log.append(tenant, created.session, EMPTY, [created])
        log.info("session.created", session=created.session, agent=entry.slug, version=entry.version)
        return SessionRef(created.session, entry.slug, entry.version)

    async def has_input(self, tenant: str, made: Session, input: Any) -> bool:
        """Return whether the agent of `made` makes it of `input`; raise `InvalidInput` if it makes nothing of that.

        Secrets are not compared: one may be another one each time that the same thing is asked for.
        """
        declared = await self._agents.version(tenant, made.agent, made.agent_version)
        wanted = session_input(declared, input)
        return without_secrets(declared.input, wanted) == without_secrets(
            declared.input, msgspec.json.decode(made.input)
        )

    async def answer(self, tenant: str, body: bytes) -> bytes:
        """Answer a `CreateSession` that came over NATS. What may pass raises: the asker asks again."""
        answer: SessionRef | Problem
        try:
            wanted = _wanted.decode(body)
            answer = await self.create(tenant, wanted.agent, msgspec.json.decode(wanted.input))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            answer = Problem("VALIDATION_ERROR", f"this is not a CreateSession: {error}")
        except Exception as error:
            refusal = refusal_of(error)
            if refusal.status >= 500 and not isinstance(error, NoKeys):  # which does not pass: somebody has to act
                raise
            answer = Problem(refusal.code, refusal.error)
        return msgspec.json.encode(answer)
