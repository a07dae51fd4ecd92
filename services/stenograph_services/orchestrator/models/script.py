"""The script format: what a scripted model answers, turn by turn. A file `scripts/<name>.yaml` of the agent.

    loop: true                      # after the last turn begin again; without it, one turn more is an error
    turns:
      - - reasoning: They ask about their plan.          # turn 1, first response
          text: Let me look that up.
          calls:
            - tool: get-user-account
              arguments: {userId: user-123}              # a text instead of an object is sent as it stands
        - text: "You are on the Pro plan: {{last_result}}"    # turn 1, after the results of the calls
          delay_ms: 300                                  # before the first delta
          chunks: 20                                     # the text comes in so many pieces …
          chunk_delay_ms: 100                            # … with so long before each further one
      - - error: {kind: overloaded, retryable: true, times: 2}    # the first two attempts fail
          text: Here I am again.
          finish_reason: length                          # unless it is tool-calls with calls, stop without
          usage: {input_tokens: 120, output_tokens: 8}

`{{last_user}}` stands for the last thing the user said, `{{last_result}}` for the last tool result.
"""

import re
from typing import Any, Literal

from pydantic import BaseModel, Field, JsonValue, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase
from ruamel.yaml.error import MarkedYAMLError, YAMLError

PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
PLACEHOLDERS = ("last_user", "last_result")


class ScriptError(ValueError):
    """A script cannot be played. The message names the file, the line and what to write instead."""


class ScriptPart(BaseModel, extra="forbid", frozen=True): ...


class ScriptCall(ScriptPart):
    """A tool call; `arguments` given as text are sent as they stand, JSON or not."""

    tool: str = Field(min_length=1)
    arguments: dict[str, JsonValue] | str = {}


class ScriptFailure(ScriptPart):
    """How an attempt fails: the first `times` of each response, or every one; after `after_chunks` deltas of it."""

    kind: str = Field(min_length=1)
    detail: str = "The script says so."
    retryable: bool = False
    retry_after_seconds: float | None = Field(default=None, ge=0)
    times: int | None = Field(default=None, ge=1)
    after_chunks: int = Field(default=0, ge=0)


class ScriptUsage(ScriptPart):
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cache_read_tokens: int = Field(default=0, ge=0)
    cache_write_tokens: int = Field(default=0, ge=0)


class ScriptStep(ScriptPart):
    """One response of the model."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[ScriptCall, ...] = ()
    delay_ms: float = Field(default=0, ge=0)
    chunks: int = Field(default=1, ge=1)
    chunk_delay_ms: float = Field(default=0, ge=0)
    error: ScriptFailure | None = None
    finish_reason: Literal["stop", "tool-calls", "length", "content-filter", "other"] | None = None
    usage: ScriptUsage | None = None

    @field_validator("text", "reasoning")
    @classmethod
    def _known_placeholders(cls, text: str) -> str:
        for name in PLACEHOLDER.findall(text):
            if name not in PLACEHOLDERS:
                raise ValueError(f"there is no placeholder {name!r}, only {' and '.join(PLACEHOLDERS)}")
        return text

    @model_validator(mode="after")
    def _says_something(self) -> "ScriptStep":
        if not self.model_fields_set & {"text", "reasoning", "calls", "error"}:
            raise ValueError("a step needs a text, reasoning, calls or an error")
        return self


class Script(ScriptPart):
    """What the model answers: a list of turns, each a list of responses."""

    turns: tuple[tuple[ScriptStep, ...], ...] = Field(min_length=1)
    loop: bool = False

    @field_validator("turns")
    @classmethod
    def _no_empty_turn(cls, turns: tuple[tuple[ScriptStep, ...], ...]) -> tuple[tuple[ScriptStep, ...], ...]:
        if not all(turns):
            raise ValueError(f"turn {turns.index(()) + 1} has no steps")
        return turns


def parse_script(text: str, source: str) -> Script:
    """Return the script in `text`. Raises `ScriptError` that names `source`, the line and the first mistake."""
    try:
        document = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ScriptError(f"{source}:{line}: this is not YAML: {error.problem or error.context}") from error
    except YAMLError as error:
        raise ScriptError(f"{source}:1: this is not YAML: {str(error).splitlines()[0]}") from error
    try:
        return Script.model_validate(document)
    except ValidationError as error:
        raise ScriptError(_first_mistake(error, document, source)) from error


def _first_mistake(error: ValidationError, document: object, source: str) -> str:
    first, *others = error.errors(include_url=False, include_input=False, include_context=False)
    line, path = _place(document, first["loc"])
    more = f" (and {len(others)} more)" if others else ""
    return f"{source}:{line}: {path or 'the script'}: {first['msg'].removeprefix('Value error, ')}{more}"


def _place(document: object, location: tuple[int | str, ...]) -> tuple[int, str]:
    """Return the line, from 1, and the path of what stands at `location`, as far as the document goes."""
    line, path, node = 0, "", document
    for step in location:
        if not isinstance(node, CommentedBase):
            break
        found, line_of_step, node = _child(node, step, line)
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
        if not found:
            break
        line = line_of_step
    return line + 1, path.removeprefix(".")


def _child(node: Any, step: int | str, line: int) -> tuple[bool, int, object]:
    try:
        mark = node.lc.item(step) if isinstance(step, int) else node.lc.key(step)
        return True, mark[0], node[step]
    except (KeyError, IndexError, TypeError):
        return False, line, None
