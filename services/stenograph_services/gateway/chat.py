"""The whole state of a session for an application: `GET /api/agent-sessions/{id}`.

    {"id":"2f01…","agentId":"0193…","input":{…},"variables":{…},"resources":{…},"messages":[
      {"id":"5b3f…","role":"assistant","content":"Let me look.","createdAt":"2026-11-22T10:00:01.000Z","parts":[
        {"type":"text","visible":true,"content":"Let me look."},
        {"type":"tool-call","visible":true,"toolCall":{"id":"7e1f…","name":"get-user-account","arguments":{…},…}}],…}]}

Every message of every thread is here, also those that only the model reads; each model response is one message.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events.values import ReasoningPart, TextPart
from stenograph_projections.session import Session
from stenograph_projections.transcript import BlockCall, ChildCall, Content, Entry, Message, Reply, standing
from stenograph_services.gateway import children
from stenograph_services.gateway.callees import UNDECLARED, Callee, callees
from stenograph_services.gateway.chat_parts import ChatCall, ChatMessage, ChatPart, is_visible, parts_of
from stenograph_services.gateway.shapes import Shape, iso
from stenograph_services.gateway.ui_parts import thread_of
from stenograph_services.protocol import Agent


class ChatSession(Shape, frozen=True, kw_only=True, omit_defaults=False):
    id: str
    agent_id: str
    input: Raw
    variables: dict[str, Any]
    resources: dict[str, Any]
    messages: list[ChatMessage]
    created_at: str
    updated_at: str
    status: str = "active"


def chat_session(session: Session, entries: Iterable[Entry], agent: Agent | None, agent_id: str) -> ChatSession:
    """Return all there is to say of `session`; `agent` is None if its version can no longer be read."""
    return ChatSession(
        id=session.session,
        agent_id=agent_id,
        input=session.input,
        variables=_defaults(agent.variables if agent else ()) | session.variables,
        resources=_defaults(agent.resources if agent else ()) | session.resources,
        messages=_messages(standing(entries), session, callees(agent)),
        created_at=iso(session.created_at),
        updated_at=iso(session.updated_at),
    )


def _defaults(fields: Iterable[Any]) -> dict[str, Any]:
    return {field.name: field.default for field in fields if field.default is not None}


def _messages(entries: list[Content], session: Session, known: Mapping[str, Callee]) -> list[ChatMessage]:
    replies = {entry.call: entry for entry in entries if isinstance(entry, Reply)}
    calls = session.turn.calls if session.turn else ()
    running = frozenset(call.call for call in calls if call.status == "open")

    def call(id: str, name: str, arguments: Raw) -> ChatCall:
        asked = ChatCall(
            id=id,
            name=name,
            description=known.get(name, UNDECLARED).description,
            arguments=arguments,
            status="streaming" if id in running else "pending",
        )
        return asked if id in running else _with_reply(asked, replies.get(id))

    messages: list[ChatMessage] = []
    seen: set[str] = set()  # a block's call that is tried again is one call
    for entry in entries:
        match entry:
            case Message():
                messages.append(_message(entry, [call(c.call, c.tool, c.arguments) for c in entry.calls]))
            case BlockCall() | ChildCall(by_model=False) if entry.call not in seen:
                seen.add(entry.call)
                made = children.as_call(entry) if isinstance(entry, ChildCall) else entry
                messages.append(_assistant(made.call, made.at, call(made.call, made.tool, made.arguments)))
    return messages


def _message(entry: Message, calls: list[ChatCall]) -> ChatMessage:
    thread, visible = thread_of(entry.thread), is_visible(entry)
    thoughts = [part for part in entry.parts if isinstance(part, ReasoningPart)]
    asked = [ChatPart(type="tool-call", visible=visible, tool_call=call, thread=thread) for call in calls]
    return ChatMessage(
        id=entry.id,
        role=entry.role,
        parts=[*parts_of(entry), *asked],
        created_at=iso(entry.at),
        content="".join(part.text for part in entry.parts if isinstance(part, TextPart)),
        visible=visible,
        tool_calls=calls or None,
        reasoning="".join(part.text for part in thoughts) or None,
        reasoning_signature=next((part.signature for part in reversed(thoughts) if part.signature), None),
    )


def _assistant(id: str, at: datetime, call: ChatCall) -> ChatMessage:
    """A call that a block made stands alone, as if an assistant had asked for it."""
    return ChatMessage(
        id=id,
        role="assistant",
        parts=[ChatPart(type="tool-call", visible=True, tool_call=call)],
        created_at=iso(at),
        content="",
        visible=True,
        tool_calls=[call],
    )


def _with_reply(asked: ChatCall, reply: Reply | None) -> ChatCall:
    if reply is None:
        return asked
    if reply.outcome == "succeeded":
        return msgspec.structs.replace(asked, status="available", result=reply.value)
    return msgspec.structs.replace(asked, status="error", error=msgspec.json.decode(reply.value, type=str))
