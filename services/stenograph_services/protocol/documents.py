"""The grammar of settings.json and protocol.yaml: what may be written where. `docs/protocol.md` explains each key.

What is meant is looked at later (`compile.py`): here a name is just text. Ours beyond the language: a tool's `retry`,
`attempts`, `backoff`, `timeout`, `whenBroken`, `approval`, `approvalTimeout`, `onUnknown`, `maxResult` and `result`,
the `timeout` of a child agent and of the block `tool-call`, the agent's `budget` and `whenBusy`, `missingValues`;
`secret` of an input and a parameter, and `from`.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, JsonValue, Tag

from stenograph_events.values import Retry
from stenograph_services.protocol.agent import Display, WhenBroken
from stenograph_services.protocol.block_documents import AnyBlockDoc
from stenograph_services.protocol.forms import Document, LongSeconds, Seconds, Size, UnknownForm
from stenograph_services.protocol.thread_documents import AgentDoc
from stenograph_services.protocol.type_documents import TypeDoc

TYPE_FORM, FIELDS_FORM = "(type)", "(fields)"  # pydantic puts these into its error paths, so no key may look like them

# ---- settings.json


class SettingsDoc(Document):
    """settings.json"""

    slug: str = Field(description="The name of the agent in addresses: lower-case-with-dashes.")
    name: str = Field(min_length=1, max_length=200, description="The name of the agent for people.")
    format: Literal["interactive", "worker"] = Field(
        description="`interactive` answers triggers; `worker` is a child agent that other agents run."
    )
    description: str | None = Field(default=None, description="What the agent is for.")


# ---- values


class VariableDoc(Document):
    """A variable: kept between turns, set by blocks."""

    type: str = Field(description="A built-in type, a type of this protocol, or `T[]`.")
    description: str | None = Field(default=None, description="What it is, for people.")
    default: JsonValue = Field(default=None, description="Its value while none is given; must fit the type.")


class ResourceDoc(VariableDoc):
    """A resource: kept between turns, set by `set-resource`, shown to whoever follows the session."""

    type: str = Field(default="unknown", description="A built-in type, a type of this protocol, or `T[]`.")
    readonly: bool = Field(default=False, description="`true`: no block may write it.")


class InputDoc(VariableDoc):
    """What a session, a trigger or a child agent is given."""

    optional: bool = Field(default=False, description="Whether it may be left out; a prompt then shows `NONE`.")
    enum: list[str] | None = Field(default=None, min_length=1, description="The texts that a `string` may be.")
    secret: bool = Field(default=False, description="`true`: a text that only tools get; it is sealed and never shown.")


class TriggerDoc(Document):
    """What can start a turn. Each trigger needs a handler of its name."""

    description: str | None = Field(default=None, description="When it happens, for people.")
    input: dict[str, InputDoc] = Field(default={}, description="What it brings.")


# ---- what the agent may use


class ParameterDoc(Document):
    """A parameter of a tool, or a property of its result."""

    type: str = Field(description="A built-in type, a type of this protocol, or `T[]`.")
    description: str | None = Field(default=None, description="What it is; the model reads it.")
    optional: bool = Field(default=False, description="Whether it may be left out.")
    secret: bool = Field(default=False, description="`true`: a text that no model is shown or asked for; see `from`.")
    source: str | None = Field(
        default=None, alias="from", description="The secret input that fills it, whoever makes the call."
    )


def _result_form(value: Any) -> str:
    return TYPE_FORM if isinstance(value, str) else FIELDS_FORM


ResultDoc = Annotated[
    Annotated[str, Tag(TYPE_FORM)] | Annotated[dict[str, ParameterDoc], Tag(FIELDS_FORM)],
    Discriminator(_result_form),
]


class ToolDoc(Document):
    """A tool: what a worker, or the application, does for the agent."""

    description: str = Field(min_length=1, description="What it does; the model reads it.")
    display: Display | None = Field(default=None, description="How a screen shows its calls. Default `description`.")
    title: str | None = Field(default=None, description="The label where `display` is `title`.")
    parameters: dict[str, ParameterDoc] = Field(default={}, description="What it is called with.")
    retry: Retry | None = Field(
        default=None, description="`safe`: may run again. `never`: runs at most once. Left out, the worker decides."
    )
    attempts: int | None = Field(
        default=None, ge=1, le=10, description="How often a call is tried that fails or is late. Needs `retry: safe`."
    )
    backoff: Seconds | None = Field(
        default=None, description="The pause before the second attempt; it doubles with each. Default 1 s."
    )
    timeout: Seconds | None = Field(default=None, description="How long a call may take. Default 60 s.")
    when_broken: WhenBroken = Field(
        default="refuse",
        description="After several failures in a row: `refuse` further calls for a while, or `ask` all the same.",
    )
    approval: str = Field(
        default="never",
        description="`never`, `always`, or when a person has to agree, in CEL: `arguments.amount > 100`.",
    )
    approval_timeout: LongSeconds | None = Field(default=None, description="How long a person may take. Default 7 d.")
    on_unknown: UnknownForm = Field(
        default="tell-model",
        description="Where nobody knows whether a call took effect: `tell-model`, `ask-person` or `{reconcile: TOOL}`.",
    )
    max_result: Size | None = Field(default=None, description="How large a result may be. Default 64 MiB.")
    result: ResultDoc | None = Field(
        default=None, description="A type, or a mapping of properties, that results are checked against."
    )


class WorkerDoc(Document):
    """A child agent that this one may run."""

    description: str = Field(min_length=1, description="What it does; the model reads it.")
    display: Display | None = Field(default=None, description="How a screen shows its run. Default `stream`.")
    title: str | None = Field(default=None, description="The label where `display` is `title`.")
    tools: dict[str, str] = Field(default={}, description="For each of its tools, ours that serves it.")
    timeout: Seconds | None = Field(default=None, description="How long a run may take. Default 15 min.")


class SkillDoc(Document):
    """A skill: code that runs in a sandbox. Not run here."""

    display: Display | None = Field(default=None, description="How a screen shows its use.")
    title: str | None = Field(default=None, description="The label where `display` is `title`.")
    description: str | None = Field(default=None, description="What people read while it runs.")
    execution: Literal["sandbox", "device"] | None = Field(default=None, description="Where it runs.")


class RetainDoc(Document):
    """How many tool results stay in the model's view."""

    retain_last: int | None = Field(default=None, ge=0, description="The last so many stay.")


class RetentionDoc(Document):
    """What stays in the model's view."""

    tool_results: RetainDoc | None = Field(default=None, description="Of the results of tools.")


class OnDemandServerDoc(Document):
    """MCP servers of one source that are connected later. Not run here."""

    description: str | None = Field(default=None, description="What it offers.")
    display: Display | None = Field(default=None, description="How a screen shows calls of their tools.")
    title: str | None = Field(default=None, description="The label where `display` is `title`.")
    execution: Literal["sandbox", "device"] | None = Field(default=None, description="Where they run.")
    context_retention: RetentionDoc | None = Field(default=None, description="What stays in the model's view.")


class ServerDoc(OnDemandServerDoc):
    """An MCP server; its tools are called NAME__tool. Not run here."""

    description: str = Field(min_length=1, description="What it offers.")
    source: Literal["remote", "device", "consumer"] = Field(description="Who runs it.")
    connection: Literal["lazy", "eager"] | None = Field(default=None, description="When it is connected.")


# ---- protocol.yaml


class ProtocolDoc(Document):
    """protocol.yaml. Which keys an agent must have depends on its format: who compiles says so."""

    input: dict[str, InputDoc] = Field(default={}, description="What a session is given; it never changes.")
    resources: dict[str, ResourceDoc] = Field(
        default={}, description="Kept between turns; whoever follows the session sees each change. Use tools instead."
    )
    variables: dict[str, VariableDoc] = Field(default={}, description="Kept between turns, set by blocks.")
    types: dict[str, TypeDoc] = Field(default={}, description="Types of this protocol.")
    triggers: dict[str, TriggerDoc] = Field(default={}, description="What can start a turn.")
    tools: dict[str, ToolDoc] = Field(default={}, description="What workers and the application do for the agent.")
    workers: dict[str, WorkerDoc] = Field(default={}, description="Child agents that this one may run.")
    skills: dict[str, SkillDoc] = Field(default={}, description="Code that runs in a sandbox. Not run here.")
    on_demand_skills: SkillDoc | None = Field(
        default=None, description="How skills that are attached later are shown. Not run here."
    )
    mcp_servers: dict[str, ServerDoc] = Field(default={}, description="MCP servers. Not run here.")
    on_demand_mcp_servers: dict[Literal["remote", "device", "consumer"], OnDemandServerDoc] = Field(
        default={}, description="MCP servers that are connected later, by source. Not run here."
    )
    missing_values: Literal["keep", "empty"] = Field(
        default="keep", description="A placeholder without a value stays as it is (`keep`), or is left out (`empty`)."
    )
    agent: AgentDoc | None = Field(default=None, description="The model and how it is asked. Interactive agents only.")
    handlers: dict[str, dict[str, AnyBlockDoc]] = Field(
        default={}, description="For each trigger its blocks, in their order. Interactive agents only."
    )
    steps: dict[str, AnyBlockDoc] = Field(default={}, description="The blocks, in their order. Child agents only.")
    output: str | None = Field(default=None, description="The variable that is the answer. Child agents only.")
