"""Makers of threads and requests, and a way to hear a whole answer."""

from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import msgspec

from stenograph_events.ids import CallId
from stenograph_events.values import Call, Part, TextPart
from stenograph_projections.transcript import Message, Outcome, Reply
from stenograph_services.orchestrator.models.request import Delta, Model, ModelRequest, ModelResponse
from stenograph_services.protocol.agent import Schema, Tool

AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)

USER_ID = {"type": "object", "properties": {"userId": {"type": "string"}}, "required": ["userId"]}
GET_ACCOUNT = Tool("get-user-account", "Look up an account.", Schema(USER_ID, None))


def said(role: str, *parts: str | Part, calls: tuple[Call, ...] = ()) -> Message:
    spoken = tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    return Message(1, AT, "t1", "m1", "main", role, spoken, calls)  # type: ignore[arg-type]


def call(name: str, tool: str = "get-user-account", arguments: str = '{"userId":"u1"}', **more: Any) -> Call:
    return Call(CallId(name), tool, msgspec.Raw(arguments.encode()), **more)


def reply(name: str, value: object, outcome: Outcome = "succeeded") -> Reply:
    return Reply(2, AT, "t1", name, outcome, msgspec.Raw(msgspec.json.encode(value)))


def question(*messages: Message | Reply, model: str = "openai/test-model", **fields: Any) -> ModelRequest:
    asked: dict[str, Any] = {
        "session": "s1",
        "turn": "t1",
        "block": 0,
        "turn_number": 1,
        "step": 0,
        "attempt": 1,
        "system": "Be kind.",
    }
    return ModelRequest(model=model, messages=messages or (said("user", "Hello"),), **asked | fields)


async def answer(model: Model, request: ModelRequest) -> tuple[list[Delta], ModelResponse]:
    """Return every delta and the answer of `model`; raise what it raises."""
    deltas: list[Delta] = []
    async with aclosing(model.ask(request)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            if isinstance(piece, ModelResponse):
                return deltas, piece
            deltas.append(piece)
    raise AssertionError("the model ended without an answer")
