"""The settings of a thread as they are written: the section `agent`, and the block `start-thread`."""

from typing import Literal

from pydantic import Field, JsonValue

from stenograph_services.protocol.agent import Display, WhenBusy
from stenograph_services.protocol.forms import (
    Document,
    Dollars,
    InputMap,
    ModelSetting,
    Part,
    Seconds,
    SpeedSetting,
    StepsSetting,
    TemperatureSetting,
    ThinkingSetting,
)

MAX_SANDBOX_MILLISECONDS = 3_600_000  # an hour, which the language sets


class AnthropicToolDoc(Document):
    """How a tool that Anthropic runs is shown."""

    display: Display | None = Field(default=None, description="How a screen shows its calls.")
    title: str | None = Field(default=None, description="The label where `display` is `title`.")
    description: str | None = Field(default=None, description="What people read while it runs.")


class AnthropicSkillDoc(AnthropicToolDoc):
    """A skill that Anthropic runs."""

    type: Literal["anthropic", "custom"] = Field(description="Whose skill it is.")
    version: str | None = Field(default=None, description="Its version; the latest if left out.")


class AnthropicToolsDoc(Document):
    """The tools that Anthropic runs."""

    web_search: AnthropicToolDoc | None = Field(default=None, alias="web-search", description="Searching the web.")
    code_execution: AnthropicToolDoc | None = Field(default=None, alias="code-execution", description="Running code.")


class AnthropicDoc(Document):
    """What only Anthropic's models can do."""

    tools: AnthropicToolsDoc | None = Field(default=None, description="Tools that Anthropic runs.")
    skills: dict[str, AnthropicSkillDoc] = Field(default={}, description="Skills that Anthropic runs.")


class ThreadDoc(Document):
    """What `agent` and `start-thread` have in common."""

    model: ModelSetting = Field(
        description="`provider/model`, `scripted/NAME` for scripts/NAME.yaml, or the NAME of a variable."
    )
    system: str = Field(description="The prompt that stands before the conversation.")
    input: InputMap = Field(default=(), description="What the system prompt is filled from.")
    tools: list[str] = Field(
        default=[], description="The tools that the model may call, in the order in which it is told of them."
    )
    workers: list[str] = Field(
        default=[], description="The child agents that the model may run, as if they were tools."
    )
    references: list[str] = Field(default=[], description="The texts of references/ that the model may read.")
    max_steps: StepsSetting = Field(
        default=10,
        description="The most model responses in a row; a response that asks for tools is followed by another.",
    )
    temperature: TemperatureSetting = Field(
        default=None,
        description="How freely the model chooses its words. `off`, as by default: what the provider does.",
    )
    thinking: ThinkingSetting | None = Field(default=None, description="How much the model reasons before it answers.")
    backup_model: ModelSetting | None = Field(
        default=None, description="Asked once when the model fails for a reason that may pass, if nothing was said yet."
    )
    speed: SpeedSetting | None = Field(
        default=None, description="`fast` where a model can; elsewhere it changes nothing."
    )
    cache: Literal["auto", "extended", "off"] = Field(
        default="auto", description="How long the provider keeps the beginning of the conversation."
    )
    todo_list: bool = Field(default=False, description="Gives the model a tool to keep a plan that people see.")
    max_output_tokens: int | None = Field(default=None, ge=1, description="The most tokens of one response.")
    max_tool_output_tokens: int | None = Field(
        default=None,
        ge=1,
        description="A longer tool result is shortened in the model's view, not in the log. Default 50000.",
    )
    loop_guard: bool = Field(default=False, description="Ends a response that repeats itself without end.")
    skills: list[str] = Field(default=[], description="Declared skills. Not run here.")
    on_demand_skills: JsonValue = Field(default=None, description="Skills that are attached later. Not run here.")
    mcp_servers: list[str] = Field(default=[], description="Declared MCP servers. Not run here.")
    on_demand_mcp_servers: list[str] = Field(default=[], description="Sources of MCP servers. Not run here.")
    web_search: bool = Field(default=False, description="A tool that searches the web. Not run here.")
    image_model: ModelSetting | None = Field(default=None, description="A tool that makes images. Not run here.")
    video_model: ModelSetting | None = Field(default=None, description="A tool that makes videos. Not run here.")
    speech_model: ModelSetting | None = Field(default=None, description="A tool that speaks. Not run here.")
    speech_voice: str | None = Field(default=None, description="The voice of `speechModel`. Not run here.")
    transcription_model: ModelSetting | None = Field(
        default=None, description="A tool that writes down what is said. Not run here."
    )
    sandbox_timeout: int | None = Field(
        default=None, ge=1, le=MAX_SANDBOX_MILLISECONDS, description="Milliseconds that skills may take. Not run here."
    )
    max_image_dimension: int | None = Field(
        default=None, ge=1, description="Pixels of the longer side of an image in the model's view. Not run here."
    )
    anthropic: AnthropicDoc | None = Field(
        default=None, description="What only Anthropic's models can do. Not run here."
    )


class ContextDoc(Document):
    """When the beginning of a long conversation is summed up for the model. What is stored stays whole."""

    summarizer_worker: str | None = Field(default=None, description="The child agent that writes the summary.")
    threshold_percent: Part | None = Field(
        default=None, description="The part of the model's window at which it happens, such as 0.8."
    )
    recent_percent: Part | None = Field(
        default=None, description="The part of the window that stays word for word, such as 0.3."
    )
    recent_window: int | None = Field(default=None, description="Has no effect; `recentPercent` took its place.")


class LimitsDoc(Document):
    """The most that models may consume."""

    tokens: int | None = Field(default=None, ge=1, description="Tokens that models read and write.")
    cost: Dollars | None = Field(default=None, description="What models cost, in US dollars.")
    steps: int | None = Field(default=None, ge=1, description="Responses of models.")
    seconds: Seconds | None = Field(default=None, description="How long it may take, without waits for a budget.")


class BudgetDoc(Document):
    """What a turn, and a session as a whole, may consume before it pauses."""

    turn: LimitsDoc | None = Field(default=None, description="Of each turn.")
    session: LimitsDoc | None = Field(default=None, description="Of all turns together.")


class AgentDoc(ThreadDoc):
    """The model and how it is asked."""

    agentic: bool = Field(default=True, description="`false`: the model may ask for tools once, then it answers.")
    context_management: ContextDoc | None = Field(
        default=None, description="Sums up the beginning of a conversation that grows too long for the model."
    )
    budget: BudgetDoc | None = Field(default=None, description="Limits at which a turn pauses until they are raised.")
    when_busy: WhenBusy = Field(
        default="reject",
        description="What becomes of a trigger while a turn runs: it is refused, waits, or cancels the turn.",
    )
