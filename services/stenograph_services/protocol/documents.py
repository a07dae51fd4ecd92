"""The grammar of protocol.yaml and settings.json, as far as it is supported. `docs/protocol.md` explains each key.

`later` names the keys that the language knows and we do not yet: they get a better answer than a spelling mistake.
An empty value is the same as a key that is not there. Ours beyond the language: a tool's `retry`, `timeout` and
`result`, the agent's `whenBusy`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    PlainValidator,
    Tag,
    model_validator,
)
from pydantic.alias_generators import to_camel

from stenograph_events.types import Retry, Role
from stenograph_services.protocol.agent import Display, WhenBusy
from stenograph_services.protocol.problems import Path, shown
from stenograph_services.protocol.schemas import type_schema

MAX_TIMEOUT_SECONDS = 24 * 3600.0


class Document(BaseModel):
    """A mapping that a person wrote."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)
    later: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, value: Any) -> Any:
        if value is None:
            return {}
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


# ---- values


def _checked_type(expression: str) -> str:
    type_schema(expression)
    return expression


TypeExpression = Annotated[str, AfterValidator(_checked_type)]

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smh]?)")
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def _seconds(value: Any) -> float:
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    seconds = float(found[1]) * _UNIT_SECONDS[found[2]] if found else 0.0
    if not 0 < seconds <= MAX_TIMEOUT_SECONDS:
        raise ValueError(f'must be seconds, or text such as "30s", "2m" or "1h", up to 24 h, not {shown(value)}')
    return seconds


Seconds = Annotated[float, BeforeValidator(_seconds)]


class Mapped(NamedTuple):
    """A label that a prompt knows, the name that it is filled from, and where that is written."""

    label: str
    source: str
    at: Path


def _mapped(value: Any) -> tuple[Mapped, ...]:
    """Read `[A, B]`, `[A: B]` and `{A: B}`."""
    pairs: list[Mapped] = []
    for at, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
        if isinstance(item, str) and at is not None:
            pairs.append(Mapped(item, item, (at,)))
        elif isinstance(item, dict) and all(isinstance(source, str) for source in item.values()):
            pairs += [Mapped(label, source, (label,) if at is None else (at, label)) for label, source in item.items()]
        else:
            raise ValueError("must be a list of names, of `LABEL: NAME`, or a mapping of labels to names")
    return tuple(pairs)


InputMap = Annotated[tuple[Mapped, ...], PlainValidator(_mapped)]

# ---- settings.json


def _supported_format(value: str) -> str:
    if value == "worker":
        raise ValueError("'worker' is not supported yet; write 'interactive'")
    return value


class SettingsDoc(Document):
    slug: str
    name: str = Field(min_length=1, max_length=200)
    format: Annotated[Literal["interactive"], BeforeValidator(_supported_format)]
    description: str | None = None


# ---- declarations


class VariableDoc(Document):
    type: TypeExpression
    description: str | None = None
    default: JsonValue = None


class ResourceDoc(VariableDoc):
    type: TypeExpression = "unknown"
    later = frozenset({"readonly"})


class InputDoc(VariableDoc):
    optional: bool = False
    later = frozenset({"enum"})


class ParameterDoc(Document):
    type: TypeExpression
    description: str | None = None
    optional: bool = False


class TriggerDoc(Document):
    description: str | None = None
    input: dict[str, InputDoc] = {}


TYPE_FORM, FIELDS_FORM = "(type)", "(fields)"  # pydantic puts these into its error paths, so no key may look like them


def _result_form(value: Any) -> str:
    return TYPE_FORM if isinstance(value, str) else FIELDS_FORM


ResultDoc = Annotated[
    Annotated[TypeExpression, Tag(TYPE_FORM)] | Annotated[dict[str, ParameterDoc], Tag(FIELDS_FORM)],
    Discriminator(_result_form),
]


class ToolDoc(Document):
    description: str = Field(min_length=1)
    display: Display | None = None
    title: str | None = None
    parameters: dict[str, ParameterDoc] = {}
    retry: Retry | None = None
    timeout: Seconds | None = None
    result: ResultDoc | None = None


LATER_AGENT_KEYS = frozenset(
    {
        *("anthropic", "backupModel", "cache", "contextManagement", "imageModel", "loopGuard", "maxImageDimension"),
        *("maxOutputTokens", "maxToolOutputTokens", "mcpServers", "onDemandMcpServers", "onDemandSkills", "references"),
        *("sandboxTimeout", "skills", "speechModel", "speechVoice", "speed", "todoList", "transcriptionModel"),
        *("videoModel", "webSearch", "workers"),
    }
)


class AgentDoc(Document):
    model: str
    system: str
    input: InputMap = ()
    tools: list[str] = []
    agentic: bool = True
    max_steps: int = Field(default=10, ge=1, le=1000)
    temperature: float | None = Field(default=None, ge=0, le=2)
    thinking: Literal["low", "medium", "high"] | None = None
    when_busy: WhenBusy = "reject"
    later = LATER_AGENT_KEYS


# ---- blocks


class BlockDoc(Document):
    description: str | None = None
    display: Display | None = None


class AddMessageDoc(BlockDoc):
    block: Literal["add-message"]
    role: Role
    prompt: str
    input: InputMap = ()
    thread: str = "main"
    visible: bool = True
    later = frozenset({"title", "files", "uiContent"})


class NextMessageDoc(BlockDoc):
    block: Literal["next-message"]
    thread: str = "main"
    output: str | None = None
    later = frozenset({"title", "independent", "responseType"})


class ToolCallDoc(BlockDoc):
    block: Literal["tool-call"]
    tool: str
    input: dict[str, JsonValue] = {}
    output: str | None = None
    later = frozenset({"title"})


class SetResourceDoc(BlockDoc):
    block: Literal["set-resource"]
    resource: str
    value: str
    later = frozenset({"title"})


AnyBlockDoc = Annotated[AddMessageDoc | NextMessageDoc | ToolCallDoc | SetResourceDoc, Discriminator("block")]

BLOCKS: Mapping[str, type[BlockDoc]] = {
    "add-message": AddMessageDoc,
    "next-message": NextMessageDoc,
    "tool-call": ToolCallDoc,
    "set-resource": SetResourceDoc,
}
LATER_BLOCKS = frozenset(
    {
        *("generate-image", "generate-speech", "generate-video", "run-worker", "serialize-thread", "start-thread"),
        "transcribe-audio",
    }
)


class ProtocolDoc(Document):
    """protocol.yaml. `agent` is required too: who compiles says so, and says the rest as well."""

    input: dict[str, InputDoc] = {}
    variables: dict[str, VariableDoc] = {}
    resources: dict[str, ResourceDoc] = {}
    triggers: dict[str, TriggerDoc] = {}
    tools: dict[str, ToolDoc] = {}
    agent: AgentDoc | None = None
    handlers: dict[str, dict[str, AnyBlockDoc]] = {}
    later = frozenset(
        {"mcpServers", "onDemandMcpServers", "onDemandSkills", "output", "skills", "steps", "types", "workers"}
    )
