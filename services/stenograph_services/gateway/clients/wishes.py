"""Wishes: what a client asks for, stored durably before it is answered.

The gateway, not the client, writes to the streams. Whoever publishes into a stream chooses the headers, and with them
the message id, of which all tenants share one space, and expectations, whose refusals tell of other subjects.
"""

from typing import TypeVar

import msgspec
from nats.aio.client import Client
from nats.errors import ConnectionClosedError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeout

from stenograph_events import checked_id
from stenograph_events.subjects import ClientSubject, ControlVerb, answer_subject, control_subject, trigger_subject
from stenograph_events.tracing import TRACEPARENT
from stenograph_events.values import Actor
from stenograph_events.wire import (
    Accepted,
    Approve,
    Cancel,
    ClientAnswer,
    CreateSession,
    RaiseBudget,
    Resolve,
    SessionRef,
    ToolAnswer,
    Trigger,
    message_id,
)
from stenograph_services.gateway.clients.asking import Asked, Denied
from stenograph_services.gateway.clients.readers import Readers
from stenograph_services.gateway.clients.standing import Standing
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stored.creating import Creator
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.jetstream import ALREADY_STORED, UNAVAILABLE, JetStreamError, publish
from stenograph_services.runtime.secrets import Secrets

STORE_SECONDS = 4.0  # the client waits a little longer for the answer
TOO_LARGE = 10054
MESSAGE_ID = "Nats-Msg-Id"
WORKER = "client"

Body = TypeVar("Body")

_create = msgspec.json.Decoder(CreateSession)
_trigger = msgspec.json.Decoder(Trigger)
_cancel = msgspec.json.Decoder(Cancel)
_budget = msgspec.json.Decoder(RaiseBudget)
_approve = msgspec.json.Decoder(Approve)
_resolve = msgspec.json.Decoder(Resolve)
_answer = msgspec.json.Decoder(ClientAnswer)


class Wishes:
    """Grants what clients ask for."""

    def __init__(
        self, nc: Client, agents: Agents, creator: Creator, standing: Standing, readers: Readers, secrets: Secrets
    ) -> None:
        self._nc = nc
        self._agents = agents
        self._creator = creator
        self._standing = standing
        self._readers = readers
        self._secrets = secrets

    async def grant(self, asked: Asked) -> SessionRef | Accepted:
        """Return the answer, once what is asked for is stored durably. Raises `Refusal`.

        One with the code UNCONFIRMED says that it may be stored or not: asked again it is stored once.
        """
        where = asked.where
        if where.verb == "create":
            return await self._made(where, _decoded(_create, asked.data))
        await self._standing.check(where)
        match where.verb:
            case "start":
                return await self._started(asked)
            case "answer":
                return await self._answered(where, _decoded(_answer, asked.data))
            case "cancel":
                turn = checked_id(_decoded(_cancel, asked.data).turn, "turn")
                return await self._controlled(where, "cancel", turn, asked.data)
            case "budget":
                request = checked_id(_decoded(_budget, asked.data).request, "request")
                return await self._controlled(where, "budget", request, asked.data)
            case "resolve":
                return await self._decided(where, "resolve", _decoded(_resolve, asked.data), asked.user)
            case _:
                return await self._decided(where, "approve", _decoded(_approve, asked.data), asked.user)

    async def _made(self, where: ClientSubject, wanted: CreateSession) -> SessionRef:
        if where.agent is not None:
            entry = await self._agents.current(where.tenant, wanted.agent)
            if entry.slug != where.agent:
                why = f"the credential is for agent {where.agent}"
                raise Denied(403, f"these credentials are for agent {where.agent!r} alone", why)
        return await self._creator.create(where.tenant, wanted.agent, msgspec.json.decode(wanted.input))

    async def _started(self, asked: Asked) -> Accepted:
        where = asked.where
        request = checked_id(_decoded(_trigger, asked.data).request, "request")
        headers = {MESSAGE_ID: message_id(where.tenant, where.session, request)}
        trace = {TRACEPARENT: asked.traceparent} if asked.traceparent else {}
        subject = trigger_subject(where.tenant, where.session, where.trigger)
        return await self._stored(where, subject, asked.data, headers | trace)

    async def _decided(
        self, where: ClientSubject, verb: ControlVerb, wanted: Approve | Resolve, user: str | None
    ) -> Accepted:
        """Say in it who decides or says so: the server knows which credential it was, the body may say any name."""
        actor = Actor("nats", credential=user, name=wanted.actor.name)
        data = msgspec.json.encode(msgspec.structs.replace(wanted, actor=actor))
        return await self._controlled(where, verb, checked_id(wanted.request, "request"), data)

    async def _controlled(self, where: ClientSubject, verb: ControlVerb, request: str, data: bytes) -> Accepted:
        subject = control_subject(where.tenant, where.session, verb)
        headers = {MESSAGE_ID: message_id(where.tenant, where.session, request, verb)}
        return await self._stored(where, subject, data, headers)

    async def _answered(self, where: ClientSubject, wanted: ClientAnswer) -> Accepted:
        """Store the answer to a call that was asked of clients; raise `Denied` for one that a worker was asked."""
        checked_id(wanted.call, "call")
        if not await self._readers.of(where.tenant).is_clients_call(where.session, wanted):
            why = f"no client was asked for call {wanted.call[:80]!r} of {wanted.tool[:80]!r}"
            raise Denied(404, why, why, code="UNKNOWN_CALL")
        subject = answer_subject(where.tenant, wanted.tool, where.session, wanted.call, wanted.attempt)
        answer = wanted.answer
        said = ToolAnswer(answer.outcome, answer.result, error=answer.error, worker=WORKER)  # its blobs are not its own
        return await self._stored(where, subject, msgspec.json.encode(said))

    async def _stored(
        self, where: ClientSubject, subject: str, data: bytes, headers: dict[str, str] | None = None
    ) -> Accepted:
        body = await self._secrets.closed_body(where.tenant, where.session, subject, data)
        try:
            ack = await publish(self._nc, subject, body, headers, timeout_seconds=STORE_SECONDS)
        except (NatsTimeout, NoRespondersError, ConnectionClosedError) as error:
            raise Refusal(503, "the server did not confirm: it may be stored or not", code="UNCONFIRMED") from error
        except JetStreamError as error:
            if error.code == ALREADY_STORED and headers is None:
                return Accepted(duplicate=True)  # the first answer stands
            if error.code == TOO_LARGE:
                raise Refusal(413, f"{len(data)} bytes are more than are taken") from error
            if error.status == UNAVAILABLE:
                raise Refusal(503, "it cannot be stored now; try again") from error
            raise
        return Accepted(ack.duplicate)


def _decoded(decoder: msgspec.json.Decoder[Body], data: bytes) -> Body:
    try:
        data.decode()  # msgspec hands raw values on without a look at their encoding
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is not what docs/events.md describes: {error}") from error
