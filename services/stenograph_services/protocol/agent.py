"""The compiled agent: a protocol as `decide` reads it. Frozen, validated, with nothing left to look up or to parse.

`compile.py` makes one from a folder or a stored bundle; an `Agent` is the same for ever under its version.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from stenograph_events.values import OnUnknown, Retry, Role

WhenBusy = Literal["reject", "enqueue", "interrupt"]
WhenBroken = Literal["refuse", "ask"]
Display = Literal["hidden", "name", "description", "stream", "title"]
Argument = tuple[Literal["variable", "literal"], Any]

CHILD_TRIGGER = "run"


class Field(msgspec.Struct, frozen=True):
    """An input, variable, resource or parameter: its JSON Schema, and what it is when nobody gives it."""

    name: str
    schema: dict[str, Any]
    required: bool = True
    default: Any = None
    description: str | None = None
    secret: bool = False


class Schema(msgspec.Struct, frozen=True):
    """A JSON Schema with its validator. `problems(value)` is in protocol/schemas.py."""

    json: dict[str, Any]
    validator: Any


class Tool(msgspec.Struct, frozen=True):
    """A tool as the protocol declares it. `retry` is None where the protocol leaves it to the worker."""

    name: str
    description: str
    parameters: Schema
    result: Schema | None = None
    retry: Retry | None = None
    timeout_seconds: float | None = None
    """How long a call may take. None: as long as is usual for whoever answers it."""
    max_result_bytes: int | None = None
    """How large a result may be. None: as large as the operator allows, and never larger."""
    display: Display = "description"
    title: str | None = None
    approval: str = "never"
    """When a person has to agree first: `never`, `always`, or an expression in CEL (`protocol/approvals.py`)."""
    approval_timeout_seconds: float = 7 * 24 * 3600.0
    """How long a person may take, to agree or to say what came of a call."""
    on_unknown: OnUnknown | None = None
    """What follows if nobody knows whether a call took effect. None: the model is told so."""
    reconcile: str | None = None
    """The tool that finds out, where that follows."""
    attempts: int = 1
    """How often a call is tried at most, where it fails or is late."""
    backoff_seconds: float = 1.0
    """The pause before the second attempt; it doubles with each."""
    when_broken: WhenBroken = "refuse"
    """What becomes of a call while the tool's breaker is open."""
    secrets: Mapping[str, str | None] = {}
    """The parameters that are secret, and the input that fills each; None: only what a block gives."""
    offered: Schema | None = None
    """What a model is shown of the parameters, where some are secret."""


class Trigger(msgspec.Struct, frozen=True):
    name: str
    input: tuple[Field, ...] = ()
    description: str | None = None


class Ref(msgspec.Struct, frozen=True):
    """The name of an input or variable that gives a setting its value at run time."""

    name: str


# ---- prompts


class Say(msgspec.Struct, frozen=True):
    """A placeholder: the value of `label`. `otherwise` is what stands there when it has none; None: it stays."""

    label: str
    otherwise: str | None = None


class Condition(msgspec.Struct, frozen=True):
    """`LABEL`, `!LABEL`, `LABEL == "text"` or `LABEL != "text"`; `equals` None asks whether the value is there."""

    label: str
    negated: bool = False
    equals: str | None = None


class Choose(msgspec.Struct, frozen=True):
    """`{{#if}} … {{else if}} … {{else}} … {{/if}}`: the pieces of the first branch whose condition holds."""

    branches: tuple[tuple[Condition, tuple["Piece", ...]], ...]
    otherwise: tuple["Piece", ...] = ()


Piece = str | Say | Choose


class Prompt(msgspec.Struct, frozen=True):
    """A prompt, its includes in place, and what may appear in it: `input` maps each label to the name it comes from."""

    name: str
    pieces: tuple[Piece, ...] = ()
    input: tuple[tuple[str, str], ...] = ()


class Reference(msgspec.Struct, frozen=True):
    """A text of the agent that its model may read when it needs it."""

    name: str
    description: str
    text: str


# ---- threads


class ContextManagement(msgspec.Struct, frozen=True):
    """When a thread fills the part `threshold` of its model's window, all but the last part `recent` is summed up.

    Both are fractions of the window. Without `threshold` it happens when a provider refuses a thread as too long,
    without `recent` or a `summarizer`, which is a child agent, never.
    """

    summarizer: str | None = None
    threshold: float | None = None
    recent: float | None = None


class ThreadSetup(msgspec.Struct, frozen=True):
    """How a thread asks its model: the `agent` section, or a block `start-thread`. A `Ref` is resolved at run time."""

    model: str | Ref
    system: Prompt
    tools: tuple[str, ...] = ()
    """The tools that the model may call, in the order in which it is told of them."""
    children: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    todo_list: bool = False
    max_steps: int | Ref = 10
    temperature: float | Ref | None = None
    thinking: str | Ref | None = None
    backup_model: str | Ref | None = None
    max_output_tokens: int | None = None
    max_tool_output_tokens: int | None = None
    loop_guard: bool = False
    cache: Literal["auto", "extended", "off"] = "auto"
    speed: str | Ref | None = None
    context: ContextManagement | None = None
    not_run: tuple[str, ...] = ()
    """Keys of the language that ask for something that we do not run: `webSearch`, `skills` …"""


class Budget(msgspec.Struct, frozen=True):
    """The most that models may consume; None is no limit. `cost_usd` in US dollars."""

    tokens: int | None = None
    cost_usd: Decimal | None = None
    steps: int | None = None
    seconds: float | None = None


class ChildAgent(msgspec.Struct, frozen=True):
    """An agent that this one may run. `tools` maps its tools to ours that serve them."""

    slug: str
    description: str
    tools: Mapping[str, str] = {}
    timeout_seconds: float = 900.0
    display: Display = "stream"
    title: str | None = None


# ---- blocks


class BlockOf(msgspec.Struct, frozen=True, kw_only=True):
    """What every block has: its name as a person wrote it, and how screens show it."""

    name: str
    display: Display = "hidden"
    description: str | None = None
    title: str | None = None


class AddMessage(BlockOf, frozen=True, kw_only=True, tag="add-message"):
    """`files` and `ui` name variables."""

    role: Role
    prompt: Prompt
    thread: str = "main"
    visible: bool = True
    files: tuple[str, ...] = ()
    ui: str | None = None


class NextMessage(BlockOf, frozen=True, kw_only=True, tag="next-message"):
    """`response`: the model has to answer with JSON of the type `response_type`."""

    thread: str = "main"
    output: str | None = None
    independent: bool = False
    response_type: str | None = None
    response: Schema | None = None
    display: Display = "stream"


class ToolCall(BlockOf, frozen=True, kw_only=True, tag="tool-call"):
    """`input` maps each parameter to ("variable", NAME) or ("literal", value).

    `timeout_seconds` is how long a call may take here; None: as its tool says.
    """

    tool: str
    input: tuple[tuple[str, Argument], ...] = ()
    output: str | None = None
    timeout_seconds: float | None = None
    display: Display = "description"


class RunChild(BlockOf, frozen=True, kw_only=True, tag="run-worker"):
    """`input` maps each input of the child agent like the parameters of a tool."""

    agent: str
    input: tuple[tuple[str, Argument], ...] = ()
    output: str | None = None
    display: Display = "stream"


class SetResource(BlockOf, frozen=True, kw_only=True, tag="set-resource"):
    resource: str
    value: str
    display: Display = "name"


class StartThread(BlockOf, frozen=True, kw_only=True, tag="start-thread"):
    thread: str
    setup: ThreadSetup


class SerializeThread(BlockOf, frozen=True, kw_only=True, tag="serialize-thread"):
    output: str
    thread: str = "main"
    format: Literal["markdown", "json"] = "markdown"
    display: Display = "name"


class NotRun(BlockOf, frozen=True, kw_only=True, tag="not-run"):
    """A block of the language that we do not run, such as `generate-image`: the turn ends when it is reached."""

    kind: str


Block = AddMessage | NextMessage | ToolCall | RunChild | SetResource | StartThread | SerializeThread | NotRun


class Agent(msgspec.Struct, frozen=True):
    """One version of one agent.

    A child agent (`format` worker) has no `main` thread: its steps are the one handler, `CHILD_TRIGGER`, and `output`
    names the variable that it answers with.
    """

    slug: str
    name: str
    version: str
    main: ThreadSetup | None
    tools: Mapping[str, Tool]
    triggers: Mapping[str, Trigger]
    handlers: Mapping[str, tuple[Block, ...]]
    format: Literal["interactive", "worker"] = "interactive"
    output: str | None = None
    children: Mapping[str, ChildAgent] = {}
    references: Mapping[str, Reference] = {}
    types: Mapping[str, dict[str, Any]] = {}
    """The JSON Schemas of the declared types."""
    input: tuple[Field, ...] = ()
    variables: tuple[Field, ...] = ()
    resources: tuple[Field, ...] = ()
    budget_of_turn: Budget = Budget()
    budget_of_session: Budget = Budget()
    when_busy: WhenBusy = "reject"
    description: str | None = None
    scripts: Mapping[str, str] = {}
    """What a `scripted/NAME` model plays: the texts of scripts/NAME.yaml, pinned with the version like all else."""
