"""What may be written in a test case: `tests/NAME.yaml` in the folder of an agent.

about: The account is looked up, and the answer is remembered.
input: {COMPANY_NAME: Acme}                 # what the session is given
turns:
  - trigger: user-message
    input: {USER_MESSAGE: What plan am I on?}
    model:                                  # what the model answers, as in scripts/; without it, the script plays
      - calls: [{tool: get-user-account, arguments: {userId: user-123}}]
      - text: One two three four
        chunks: 4
        cancel_after_chunks: 2              # somebody cancels while it speaks
    offers:                                 # tools known only at run time, which the trigger brings
      - {name: files__search, description: Search, inputSchema: {type: object}}
    cancel_after: 3                         # somebody cancels after so many events of the turn
    approve: [grant, {deny: Too much}]      # each time a person is asked; also {edit: ARGUMENTS} and `timeout`
    resolve: {failed: No such bill}         # each time a person is asked what came of a call; see below
    raise_budget: {tokens: 1000}            # when it waits for a budget; a list: each time
    meanwhile:
      - after: 2                            # events of the turn above
        trigger: user-message
        input: {USER_MESSAGE: And seats?}
tools:                                      # one answer for each call, the last repeats
  get-user-account: [{result: {plan: pro}}, {error: The database is down}, {timeout: true}, {unknown: true}]
clients: [get-location]                     # tools that no worker serves: whoever follows the session answers
children:                                   # child agents: one turn for each call, the last repeats
  summarizer: {turns: [{model: [{text: It was about plans.}]}, {timeout: true}]}
# `resolve` is `unknown`, `timeout` (nobody says it in time), {succeeded: RESULT} or {failed: WHY}; a list: each time
models:                                     # what the rehearsal is told of models; nothing is known by itself
  openai/gpt-5: {window: 8000, price: {input: 1.25, output: 10}}      # US dollars for a million tokens
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, JsonValue, model_validator

from stenograph_events.values import OfferedTool
from stenograph_services.orchestrator.models.script import ScriptStep
from stenograph_services.protocol.offered import offered


class CasePart(BaseModel, extra="forbid", frozen=True): ...


class LineDoc(ScriptStep):
    """One response of a model, as in a script."""

    cancel_after_chunks: int | None = Field(default=None, ge=0)


class AnswerDoc(CasePart):
    """How one call of a tool ends: one of these. `unknown`: a worker began and never answered."""

    result: JsonValue = None
    error: str | None = None
    timeout: Literal[True] | None = None
    unknown: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> "AnswerDoc":
        if len(self.model_fields_set) != 1:
            raise ValueError("an answer has one of `result`, `error`, `timeout: true` and `unknown: true`")
        return self


class DecisionDoc(CasePart):
    """What a person decides on a call, other than to grant it: one of these."""

    deny: str | None = None
    edit: dict[str, JsonValue] | None = None

    @model_validator(mode="after")
    def _one(self) -> "DecisionDoc":
        if len(self.model_fields_set) != 1:
            raise ValueError("a decision is `grant`, `deny`, `timeout`, {deny: WHY} or {edit: ARGUMENTS}")
        return self


class ResolveDoc(CasePart):
    """What a person says came of a call whose outcome is unknown, other than that they do not know: one of these."""

    succeeded: JsonValue = None
    failed: str | None = None

    @model_validator(mode="after")
    def _one(self) -> "ResolveDoc":
        if len(self.model_fields_set) != 1:
            raise ValueError("a word is `unknown`, `timeout`, {succeeded: RESULT} or {failed: WHY}")
        return self


class RaiseDoc(CasePart):
    """So much more is allowed: `cost` in US dollars."""

    scope: Literal["turn", "session"] = "turn"
    tokens: int = Field(default=0, ge=0)
    cost: Decimal = Field(default=Decimal(0), ge=0)
    steps: int = Field(default=0, ge=0)
    seconds: float = Field(default=0, ge=0)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict | str) else value


class PlayDoc(CasePart):
    """What happens in a turn, beside what the agent does."""

    model: tuple[LineDoc, ...] | None = None
    approve: Annotated[tuple[Literal["grant", "deny", "timeout"] | DecisionDoc, ...], BeforeValidator(_listed)] = ()
    resolve: Annotated[tuple[Literal["unknown", "timeout"] | ResolveDoc, ...], BeforeValidator(_listed)] = ()
    raise_budget: Annotated[tuple[RaiseDoc, ...], BeforeValidator(_listed)] = ()


def _offers(value: list[JsonValue]) -> list[JsonValue]:
    offered(value, "offers")
    return value


class TurnDoc(PlayDoc):
    """A trigger, and what happens in its turn. An agent of format worker is triggered by its call alone."""

    trigger: str | None = None
    input: dict[str, JsonValue] = {}
    offers: Annotated[list[JsonValue], AfterValidator(_offers)] = []
    cancel_after: int | None = Field(default=None, ge=0)
    meanwhile: tuple["MeanwhileDoc", ...] = ()

    @property
    def tools(self) -> tuple[OfferedTool, ...]:
        """The tools that the trigger offers."""
        return offered(self.offers, "offers")


class MeanwhileDoc(TurnDoc):
    """A trigger that comes while another turn runs, after so many events of that one."""

    after: int = Field(default=1, ge=1)


TurnDoc.model_rebuild()  # it names the class that follows it


class ChildTurnDoc(PlayDoc):
    """What happens in the one turn of a child agent's session. `timeout`: its call's deadline passes before that."""

    timeout: Literal[True] | None = None


class ChildDoc(CasePart):
    turns: tuple[ChildTurnDoc, ...] = Field(min_length=1)


class PriceDoc(CasePart):
    """US dollars for a million tokens."""

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)


class ModelDoc(CasePart):
    """What is known of a model: how many tokens it reads at most, and its price."""

    window: int | None = Field(default=None, ge=1)
    price: PriceDoc | None = None


class CaseDoc(CasePart):
    """tests/NAME.yaml"""

    about: str = Field(min_length=1)
    turns: tuple[TurnDoc, ...] = Field(min_length=1)
    input: dict[str, JsonValue] = {}
    tools: dict[str, Annotated[tuple[AnswerDoc, ...], Field(min_length=1)]] = {}
    clients: tuple[str, ...] = ()
    children: dict[str, ChildDoc] = {}
    models: dict[str, ModelDoc] = {}
