"""Secrets of calls: which arguments are, where they come from, and that somebody can be handed them. Pure.

    the model asks for   charge {"amount":5}
    it becomes           charge {"amount":5,"apiKey":"stenograph-secret:Zm9v…"}, secrets {names: [apiKey]}

Here they are sealed, and stay so: `boxing` opens them, for the box to the tool's workers alone.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events.values import SecretArguments
from stenograph_projections.session import PendingCall, Session
from stenograph_services.orchestrator.values import Values
from stenograph_services.protocol.agent import Agent, Tool
from stenograph_services.protocol.secrets import filled, for_all


class NoSecret(Exception):
    """A call lacks a secret that it needs, or has one that it must not have; the message is for who asked for it."""


def with_secrets(session: Session, call: PendingCall, tool: Tool, agent: Agent) -> PendingCall:
    """Return `call` with the secrets that its tool takes from inputs; raise `NoSecret`.

    What a person has decided on has them already, and keeps those.
    """
    if not tool.secrets or call.malformed is not None:
        return call
    given = msgspec.json.decode(call.arguments)
    if call.block is None and call.decided is None and (own := [name for name in tool.secrets if name in given]):
        raise NoSecret(f"the arguments are wrong: {own[0]!r} is not asked for")
    arguments = filled(tool, given, Values(session, agent))
    for name in tool.parameters.json.get("required", ()):
        if name in tool.secrets and name not in arguments:
            source = tool.secrets[name]
            why = f"nobody gave {source!r}, which fills it" if source else "this call has none"
            raise NoSecret(f"{tool.name!r} needs {name!r}, which is secret, and {why}")
    return msgspec.structs.replace(call, arguments=Raw(msgspec.json.encode(arguments)))


def given_secrets(tool: Tool, arguments: Mapping[str, Any]) -> SecretArguments | None:
    """Return which of a call's arguments are secret, None if none is."""
    names = tuple(name for name in tool.secrets if name in arguments)
    return SecretArguments(names) if names else None


def told(call: PendingCall, tool: Tool) -> Raw:
    """Return the arguments of a call as another tool is told of them."""
    if not tool.secrets:
        return call.arguments
    return Raw(msgspec.json.encode(for_all(tool, msgspec.json.decode(call.arguments))))


def for_nobody(tool: str, *, is_served: bool) -> str:
    """Return why a call with secrets does not run: there is nobody that they can be sealed to."""
    if is_served:
        mend = "let them connect with a credential that `stenograph workers creds` made"
        return f"{tool!r} takes a secret, and its workers gave no key to seal it to: {mend}"
    return f"{tool!r} takes a secret, and no worker serves it: an application is not handed one"
