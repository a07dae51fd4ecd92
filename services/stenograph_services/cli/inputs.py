"""What a command is given for a session or a trigger: as text, as JSON, or so that nobody reads it over a shoulder.

--input NAME=Ann        text
--input COUNT:=3        JSON
--input API_KEY         the environment variable API_KEY, or, at a terminal, what is typed unseen
"""

import os
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from stenograph_services.cli import output

if TYPE_CHECKING:
    from stenograph_services.protocol import Agent

HOW = "As text, as KEY:=JSON, or KEY alone: its environment variable, or asked for unseen."

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_MISSING = re.compile(r"([A-Z][A-Z0-9_]*) is missing")


def given_input(pairs: list[str], json_input: str | None = None) -> dict[str, Any]:
    """Return what `--input` says, over the object in `json_input`. No value is quoted: it may be a secret."""
    import msgspec

    values: dict[str, Any] = {}
    if json_input is not None:
        try:
            values = msgspec.json.decode(json_input, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise typer.BadParameter(f"not a JSON object: {error}", param_hint="--json-input") from error
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            values[pair] = _unseen(pair)
        elif not key.rstrip(":"):
            raise typer.BadParameter("an input has a name: KEY=VALUE, or KEY:=JSON", param_hint="--input")
        else:
            values[key.removesuffix(":")] = _json(key, value) if key.endswith(":") else value
    return values


def missing_secrets(agent: "Agent", values: dict[str, Any]) -> list[str]:
    """Return the secret inputs that a session of `agent` needs and `values` lacks."""
    return [field.name for field in agent.input if field.secret and field.required and field.name not in values]


def asked_for(names: Iterable[str]) -> dict[str, Any]:
    """Return what is typed, unseen, for each of `names`."""
    return {name: typer.prompt(f"{name} (not shown)", hide_input=True, err=True) for name in names}


def told_on_the_command_line(agent: "Agent | None", pairs: list[str]) -> None:
    """Say of each secret that stands in `pairs` that it does so in the shell's history, too."""
    for field in agent.input if agent else ():
        if field.secret and any(pair.startswith((f"{field.name}=", f"{field.name}:=")) for pair in pairs):
            mend = f"`--input {field.name}` takes the environment variable, or asks for it"
            output.note(f"{field.name} is secret, and now stands in this shell's history: {mend}")


def how_to_give(problem: str) -> str:
    """Return `problem` with how to give the inputs that it says are missing."""
    names = _MISSING.findall(problem)
    return f"{problem}; give it with `{' '.join(f'--input {name}=…' for name in names)}`" if names else problem


def _unseen(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise typer.BadParameter(f"{name!r} is not KEY=VALUE, nor KEY:=JSON, nor KEY", param_hint="--input")
    if (value := os.environ.get(name)) is not None:
        return value
    if not sys.stdin.isatty():
        mend = f"write {name}=VALUE, or {name}:=JSON"
        raise typer.BadParameter(f"there is no environment variable {name}; {mend}", param_hint="--input")
    return str(asked_for([name])[name])


def _json(key: str, value: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(value)
    except msgspec.MsgspecError as error:
        raise typer.BadParameter(f"what follows {key}= is not JSON: {error}", param_hint="--input") from error
