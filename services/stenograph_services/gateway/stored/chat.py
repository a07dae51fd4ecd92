"""The whole state of a session for an application: `GET /api/agent-sessions/{id}`.

    {"id":"2f01…","agentId":"0193…","input":{…},"variables":{…},"resources":{…},"messages":[
      {"id":"5b3f…","role":"assistant","content":"Let me look.","createdAt":"2026-11-22T10:00:01.000Z","parts":[
        {"type":"text","visible":true,"content":"Let me look."},
        {"type":"tool-call","visible":true,"toolCall":{"id":"7e1f…","name":"get-user-account","arguments":{…},…}}],…}]}

Every message of every thread is here, also those that only the model reads. Whether each response of a model is a
message of its own, or all of a turn are one, `wire.versions` says.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events.secrets import shown_json
from stenograph_events.values import ReasoningPart, TextPart
from stenograph_projections.session import Session
from stenograph_projections.transcript import BlockCall, ChildCall, Content, Entry, Message, Operation, Reply, standing
from stenograph_services.gateway.http.shapes import Shape, iso
from stenograph_services.gateway.stream import children
from stenograph_services.gateway.stream.callees import UNDECLARED, Callee, callees
from stenograph_services.gateway.stream.operations import Operations, operation, operations
from stenograph_services.gateway.stream.todos import todos_of
from stenograph_services.gateway.wire.chat_parts import (
    ChatCall,
    ChatMessage,
    ChatOperation,
    ChatPart,
    ChatTodo,
    ChatWorker,
    Step,
    is_visible,
    parts_of,
)
from stenograph_services.gateway.wire.ui_parts import NOTHING_NESTED, Nested, thread_of
from stenograph_services.gateway.wire.versions import Wire
from stenograph_services.protocol import Agent
from stenograph_services.protocol.builtin_tools import TODO_TOOL


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


def chat_session(
    session: Session,
    entries: Iterable[Entry],
    agent: Agent | None,
    agent_id: str,
    wire: Wire = Wire.FIRST,
    nested: Nested = NOTHING_NESTED,
) -> ChatSession:
    """Return all there is to say of `session`; `agent` is None if its version can no longer be read.

    `nested`: what its child agents said and did, by the calls that they answer.
    """
    return ChatSession(
        id=session.session,
        agent_id=agent_id,
        input=shown_json(session.input),
        variables=_defaults(agent.variables if agent else ()) | session.variables,
        resources=_defaults(agent.resources if agent else ()) | session.resources,
        messages=wire.messages(_steps(standing(entries), session, agent, nested)),
        created_at=iso(session.created_at),
        updated_at=iso(session.updated_at),
    )


def _defaults(fields: Iterable[Any]) -> dict[str, Any]:
    return {field.name: field.default for field in fields if field.default is not None}


def _steps(entries: list[Content], session: Session, agent: Agent | None, nested: Nested) -> list[Step]:
    calls, known = _Calls(entries, session, callees(agent), nested), operations(agent)
    steps: list[Step] = []
    early: list[Operation] = []  # before anything is answered
    seen: set[str] = set()  # a block's call that is tried again is one call
    for entry in entries:
        match entry:
            case Message():
                steps.append(Step(entry.turn, _message(entry, calls), begins=entry.role == "assistant"))
            case Operation() if not _is_answer(steps, entry.turn):
                early = [*(one for one in early if one.turn == entry.turn), entry]
            case Operation():
                steps[-1].message.parts.extend(_done(entry, known))
            case BlockCall() | ChildCall(by_model=False) if entry.call not in seen:
                seen.add(entry.call)
                made = children.as_call(entry) if isinstance(entry, ChildCall) else entry
                steps.append(Step(entry.turn, _assistant(made, calls)))
        if early and _is_answer(steps, early[-1].turn):
            steps[-1].message.parts[:0] = [part for one in early for part in _done(one, known)]
            early.clear()
    return steps


def _is_answer(steps: list[Step], turn: str) -> bool:
    """Return whether the last of `steps` is of the answer of `turn`."""
    return bool(steps) and steps[-1].turn == turn and steps[-1].message.role == "assistant"


def _done(one: Operation, known: Operations) -> Iterator[ChatPart]:
    """Yield what a block did, if people see it."""
    if part := operation(one.turn, one.trigger, one.block, known):
        did = ChatOperation(
            operation_id=part.operation_id, name=part.name, operation_type=part.operation_type, status=part.status
        )
        yield ChatPart(type="operation", visible=True, operation=did, thread=part.thread)


class _Calls:
    """The calls of a session, as parts of messages."""

    def __init__(
        self, entries: Iterable[Content], session: Session, known: Mapping[str, Callee], nested: Nested
    ) -> None:
        self._replies = {entry.call: entry for entry in entries if isinstance(entry, Reply)}
        calls = session.turn.calls if session.turn else ()
        self._running = frozenset(call.call for call in calls if call.status == "open")
        self._known = known
        self._nested = nested

    def parts(
        self, id: str, name: str, arguments: Raw, *, visible: bool = True, thread: str | None = None
    ) -> list[ChatPart]:
        """Return what there is to say of a call, and of the list that it wrote, if it did."""
        reply = None if id in self._running else self._replies.get(id)
        callee = self._known.get(name, UNDECLARED)
        asked = ChatCall(
            id=id,
            name=name,
            description=callee.description,
            arguments=arguments,
            status="streaming" if id in self._running else "pending",
        )
        call = _with_reply(asked, reply)
        worker = self._worker(call, callee, reply) if callee.is_child else None
        part = ChatPart(type="tool-call", visible=visible, tool_call=call, worker=worker, thread=thread)
        todos = todos_of(call.result) if name == TODO_TOOL else None
        if todos is None:
            return [part]
        todo = ChatTodo(todos=todos, status="done")
        return [part, ChatPart(type="todo", visible=visible, todo=todo, thread=thread)]

    def _worker(self, call: ChatCall, callee: Callee, reply: Reply | None) -> ChatWorker:
        ended = "cancelled" if reply and reply.outcome == "cancelled" else _WORKER_STATUSES.get(call.status, "running")
        return ChatWorker(
            worker_id=call.id,
            worker_slug=call.name,
            description=callee.title,
            input=call.arguments,
            parts=self._nested.get(call.id, []),
            output=call.result,
            error=call.error,
            status=ended,
        )


_WORKER_STATUSES = {"available": "done", "error": "error"}


def _message(entry: Message, calls: _Calls) -> ChatMessage:
    thread, visible = thread_of(entry.thread), is_visible(entry)
    thoughts = [part for part in entry.parts if isinstance(part, ReasoningPart)]
    asked = [
        part
        for call in entry.calls
        for part in calls.parts(call.call, call.tool, call.arguments, visible=visible, thread=thread)
    ]
    return ChatMessage(
        id=entry.id,
        role=entry.role,
        parts=[*parts_of(entry), *asked],
        created_at=iso(entry.at),
        content="".join(part.text for part in entry.parts if isinstance(part, TextPart)),
        visible=visible,
        tool_calls=[part.tool_call for part in asked if part.tool_call] or None,
        reasoning="".join(part.text for part in thoughts) or None,
        reasoning_signature=next((part.signature for part in reversed(thoughts) if part.signature), None),
        sender=entry.sender,
    )


def _assistant(made: BlockCall, calls: _Calls) -> ChatMessage:
    """A call that a block made stands alone, as if an assistant had asked for it."""
    parts = calls.parts(made.call, made.tool, made.arguments)
    return ChatMessage(
        id=made.call,
        role="assistant",
        parts=parts,
        created_at=iso(made.at),
        content="",
        visible=True,
        tool_calls=[part.tool_call for part in parts if part.tool_call],
    )


def _with_reply(asked: ChatCall, reply: Reply | None) -> ChatCall:
    if reply is None:
        return asked
    if reply.outcome == "succeeded":
        return msgspec.structs.replace(asked, status="available", result=reply.value)
    return msgspec.structs.replace(asked, status="error", error=msgspec.json.decode(reply.value, type=str))
