"""What clients send, as pydantic models. Fields that nobody declared are passed over: later clients send more.

POST /api/agent-sessions                {"agentId":"support-chat","input":{"COMPANY_NAME":"Acme"}}
POST /api/agent-sessions/{id}/trigger   {"triggerName":"user-message","input":{"USER_MESSAGE":"What plan am I on?"}}
"""

from typing import Any, TypeVar

import msgspec
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from stenograph_services.gateway.refusals import Refusal

Body = TypeVar("Body", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class CreateBody(_Body):
    """A new session of an agent, named by slug or id."""

    agent_id: str = Field(min_length=1)
    input: dict[str, Any] | None = None


class TriggerBody(_Body):
    """A trigger, or, with `executionId` or `toolResults`, the continuation of one."""

    trigger_name: str | None = None
    input: dict[str, Any] | None = None
    execution_id: str | None = None
    tool_results: list[Any] | None = None

    @property
    def is_continuation(self) -> bool:
        return self.execution_id is not None or self.tool_results is not None


async def read(request: Request, model: type[Body]) -> Body:
    """Return the body of `request`; raise `Refusal` with a sentence for each thing that is wrong with it.

    The content type must be JSON: a browser sends that to another origin only after asking, and we never say yes.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refusal(400, f"send the body as `Content-Type: application/json`, not {media_type or 'without a type'!r}")
    try:
        # Strict JSON: no NaN, no half surrogates, nothing that the log could not hold.
        return model.model_validate(msgspec.json.decode(await request.body()))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}") from error
    except ValidationError as error:
        raise Refusal(400, "; ".join(_sentence(problem) for problem in error.errors())[:1000]) from error


def _sentence(problem: Any) -> str:
    place = ".".join(str(step) for step in problem["loc"])
    return f"{place}: {problem['msg']}" if place else f"the body: {problem['msg']}"
