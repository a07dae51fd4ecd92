"""Secrets: what a protocol declares as such, and the one way in which a value of one may go. Pure.

    input:    {API_KEY: {type: string, secret: true}}
    tools:    {charge: {parameters: {apiKey: {type: string, secret: true, from: API_KEY}}}}

A secret comes in as an input of a session or a trigger, is sealed before anything is stored, and fills a parameter that
is declared secret, or such an input of a child agent. Nothing else may name it (`secret_checks`): neither prompts nor
models see it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stenograph_events.secrets import SHOWN, is_token
from stenograph_services.protocol.agent import Agent, Field, Schema, Tool
from stenograph_services.protocol.schemas import closed, compiled, object_schema


def secret_names(fields: Iterable[Field]) -> frozenset[str]:
    """Return the names of the fields that are secret."""
    return frozenset(field.name for field in fields if field.secret)


def declares_secrets(agent: Agent) -> bool:
    """Return whether sessions of `agent` may be given a secret."""
    triggers = (trigger.input for trigger in agent.triggers.values())
    return any(secret_names(fields) for fields in (agent.input, *triggers))


def secrets_in(agent: Agent, trigger: str) -> frozenset[str]:
    """Return the names that stand for secrets in a turn of `trigger`."""
    declared = agent.triggers.get(trigger)
    return secret_names((*agent.input, *(declared.input if declared else ())))


def with_sealed(fields: Iterable[Field], values: Mapping[str, Any], seal: Callable[[str], str]) -> dict[str, Any]:
    """Return `values`, which fit their fields, with each secret sealed."""
    names = secret_names(fields)
    return {name: seal(value) if name in names else value for name, value in values.items()}


def without_secrets(fields: Iterable[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` but for the secret ones, of which it only says that they are there."""
    names = secret_names(fields)
    return {name: None if name in names else value for name, value in values.items()}


def in_clear(fields: Iterable[Field], values: Mapping[str, Any]) -> list[str]:
    """Return the names of the secrets among `values` that are not sealed."""
    names = secret_names(fields)
    return [name for name, value in values.items() if name in names and not is_token(value)]


def public(schema: Schema, secrets: Iterable[str]) -> Schema:
    """Return an object's schema without those of its properties that are secret: what a model is shown and may fill."""
    properties = schema.json.get("properties", {})
    required = [name for name in schema.json.get("required", ()) if name not in secrets]
    shown_ones = {name: value for name, value in properties.items() if name not in secrets}
    return compiled(closed(object_schema(shown_ones, required)))


# ---- what a call is given


def filled(tool: Tool, arguments: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments with the secrets that its tool takes from inputs, as far as those are given."""
    found = {
        name: values[source]
        for name, source in tool.secrets.items()
        if source is not None and name not in arguments and source in values
    }
    return {**arguments, **found}


def changed_secret(tool: Tool, ours: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """Return the secret parameter that `given` has another value for than `ours`, None if it leaves them as they are.

    What people are shown of a secret may stand in its place.
    """
    return next((name for name in tool.secrets if name in given and given[name] not in (SHOWN, ours.get(name))), None)


def for_all(tool: Tool, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments but for the secret ones."""
    return {name: value for name, value in arguments.items() if name not in tool.secrets}
