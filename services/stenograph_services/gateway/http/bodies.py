"""What clients send, as pydantic models. Fields that nobody declared are passed over: later clients send more.

POST /api/agent-sessions                {"agentId":"support-chat","input":{"COMPANY_NAME":"Acme"}}
POST /api/agent-sessions/{id}/trigger   {"triggerName":"user-message","input":{"USER_MESSAGE":"What plan am I on?"}}
                                        {"executionId":"91d2…","toolResults":[{"toolCallId":"7e1f…","result":"pro"}]}
POST /api/agent-sessions/start          {"agentId":"…","trigger":{"triggerName":"…"},"idempotencyKey":"order-17"}
POST /api/agents/{id}/execute           {"type":"start","input":{"TOPIC":"tides"}}
"""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel

from stenograph_events.wire import RollbackTo
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.sentences import not_json, sentence
from stenograph_services.protocol.offered import MAX_TOOLS

Body = TypeVar("Body", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class CreateBody(_Body):
    """A new session of an agent, named by slug or id."""

    agent_id: str = Field(min_length=1)
    input: dict[str, Any] | None = None


class ToolResultBody(_Body):
    """What a client's tool came to: failed if there is an `error`; a result that is left out is null."""

    tool_call_id: str = Field(min_length=1)
    result: Any = None
    error: str | None = None


class SenderBody(_Body):
    """Who says what a trigger brings, as the application knows them."""

    id: str | None = Field(default=None, max_length=255)
    name: str | None = Field(default=None, max_length=255)
    image: str | None = Field(default=None, max_length=2_000)


_TOOL = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
        "description": {"type": "string"},
        "inputSchema": {"type": "object"},
        "outputSchema": {"type": "object"},
    },
    "required": ["name", "inputSchema"],
}
_TOOLS = {"type": "array", "items": _TOOL, "maxItems": MAX_TOOLS}
Tools = Annotated[Any, WithJsonSchema({"anyOf": [_TOOLS, {"type": "null"}]})]
"""Tools known only at run time; `brought` reads them, with a sentence for what is wrong."""


class TriggerBody(_Body):
    """A trigger, or, with `executionId` or `toolResults`, the continuation of one."""

    trigger_name: str | None = None
    input: dict[str, Any] | None = None
    execution_id: str | None = None
    tool_results: list[ToolResultBody] | None = None
    rollback_after_message_id: str | None = None
    sender: SenderBody | None = None
    dynamic_tool_schemas: Tools = None

    @property
    def is_continuation(self) -> bool:
        return self.execution_id is not None or self.tool_results is not None

    @property
    def rollback(self) -> RollbackTo | None:
        """Where the conversation goes back to first. Null is its beginning; left out, it goes on."""
        if "rollback_after_message_id" not in self.model_fields_set:
            return None
        return RollbackTo(self.rollback_after_message_id)


class FirstTrigger(_Body):
    """The trigger that a session is made for."""

    trigger_name: str = Field(min_length=1)
    input: dict[str, Any] | None = None
    sender: SenderBody | None = None
    dynamic_tool_schemas: Tools = None


class StartBody(_Body):
    """A session and its first trigger in one request. The same key is the same session."""

    agent_id: str = Field(min_length=1)
    input: dict[str, Any] | None = None
    trigger: FirstTrigger
    idempotency_key: str = Field(min_length=1, max_length=255)


class DecisionBody(_Body):
    """What a person decides on a call. `digest` is that of the arguments that they saw; `actor` says who they are."""

    decision: Literal["grant", "deny", "edit"]
    digest: str = Field(min_length=64, max_length=64)
    arguments: dict[str, Any] | None = None
    reason: str | None = Field(default=None, max_length=2_000)
    actor: str | None = Field(default=None, max_length=255)


class ResolutionBody(_Body):
    """What a person says came of a call that nobody knows the outcome of; `actor` says who they are."""

    outcome: Literal["succeeded", "failed", "unknown"]
    result: JsonValue = None
    error: str | None = Field(default=None, max_length=2_000)
    reason: str | None = Field(default=None, max_length=2_000)
    actor: str | None = Field(default=None, max_length=255)


class ExecuteBody(_Body):
    """A run of an agent of format worker, or its continuation."""

    type: Literal["start", "continue"]
    input: dict[str, Any] | None = None
    execution_id: str | None = None
    tool_results: list[ToolResultBody] | None = None
    dynamic_tool_schemas: Tools = None


async def read(request: Request, model: type[Body]) -> Body:
    """Return the body of `request`; raise `Refusal` with a sentence for each thing that is wrong with it.

    The content type must be JSON: a browser sends that to another origin only after asking, and we say yes only
    to the origins of STENOGRAPH_CORS_ORIGINS.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refusal(400, f"send the body as `Content-Type: application/json`, not {media_type or 'without a type'!r}")
    try:
        # Strict JSON: no NaN, no half surrogates, nothing that the log could not hold.
        return model.model_validate(msgspec.json.decode(body := await request.body()))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {not_json(body, error)}") from error
    except ValidationError as error:
        raise Refusal(400, "; ".join(sentence(problem, "the body") for problem in error.errors())[:1000]) from error
