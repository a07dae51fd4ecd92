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

from stenograph_events.types import ReasoningPart, TextPart
from stenograph_projections.session import Session
from stenograph_projections.transcript import BlockCall, Entry, Message, Reply
from stenograph_services.gateway.shapes import Shape, iso
from stenograph_services.protocol import Agent, Tool


class ChatCall(Shape, frozen=True, kw_only=True):
    id: str
    name: str
    description: str | None = None
    arguments: Raw
    status: str
    result: Raw | None = None
    error: str | None = None


class ChatPart(Shape, frozen=True, kw_only=True):
    type: str
    visible: bool
    content: str | None = None
    tool_call: ChatCall | None = None
    thread: str | None = None


class ChatMessage(Shape, frozen=True, kw_only=True):
    id: str
    role: str
    parts: list[ChatPart]
    created_at: str
    content: str
    visible: bool | None = None
    tool_calls: list[ChatCall] | None = None
    reasoning: str | None = None
    reasoning_signature: str | None = None


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
        messages=_messages(list(entries), session, agent.tools if agent else {}),
        created_at=iso(session.created_at),
        updated_at=iso(session.updated_at),
    )


def _defaults(fields: Iterable[Any]) -> dict[str, Any]:
    return {field.name: field.default for field in fields if field.default is not None}


def _messages(entries: list[Entry], session: Session, tools: Mapping[str, Tool]) -> list[ChatMessage]:
    replies = {entry.call: entry for entry in entries if isinstance(entry, Reply)}
    calls = session.turn.calls if session.turn else ()
    running = frozenset(call.call for call in calls if call.status == "open")

    def call(id: str, tool: str, arguments: Raw) -> ChatCall:
        return _call(id, tool, arguments, None if id in running else replies.get(id), running, tools.get(tool))

    messages: list[ChatMessage] = []
    seen: set[str] = set()  # a block's call that is tried again is one call
    for entry in entries:
        match entry:
            case Message():
                messages.append(_message(entry, [call(c.call, c.tool, c.arguments) for c in entry.calls]))
            case BlockCall() if entry.call not in seen:
                seen.add(entry.call)
                asked = call(entry.call, entry.tool, entry.arguments)
                messages.append(_assistant(entry.call, entry.at, asked))
    return messages


def _message(entry: Message, calls: list[ChatCall]) -> ChatMessage:
    thread = None if entry.thread == "main" else entry.thread
    thoughts = [part for part in entry.parts if isinstance(part, ReasoningPart)]
    return ChatMessage(
        id=entry.id,
        role=entry.role,
        parts=[
            *(
                ChatPart(
                    type="text" if isinstance(part, TextPart) else "reasoning",
                    visible=entry.visible,
                    content=part.text,
                    thread=thread,
                )
                for part in entry.parts
            ),
            *(ChatPart(type="tool-call", visible=entry.visible, tool_call=call, thread=thread) for call in calls),
        ],
        created_at=iso(entry.at),
        content="".join(part.text for part in entry.parts if isinstance(part, TextPart)),
        visible=entry.visible,
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


def _call(
    id: str, name: str, arguments: Raw, reply: Reply | None, running: frozenset[str], tool: Tool | None
) -> ChatCall:
    description = tool.description if tool else None
    asked = ChatCall(id=id, name=name, description=description, arguments=arguments, status="pending")
    if reply is None:
        return msgspec.structs.replace(asked, status="streaming") if id in running else asked
    if reply.outcome == "succeeded":
        return msgspec.structs.replace(asked, status="available", result=reply.value)
    return msgspec.structs.replace(asked, status="error", error=msgspec.json.decode(reply.value, type=str))
