"""Threads: from what a protocol says of one to the settings with which its model is asked now.

setup      model: MODEL, system: prompt "support", tools: [get-user-account]        (the compiled protocol)
settings   model: "openai/gpt-5", system: "You are …", tools: [Tool(…)]             (nothing left to look up)
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_projections.session import Session, StartedThread
from stenograph_services.orchestrator.decisions import Env, ThreadSettings
from stenograph_services.orchestrator.values import Values
from stenograph_services.protocol.agent import Agent, Ref, StartThread, ThreadSetup, Tool
from stenograph_services.protocol.builtin_tools import reference_list_tool, reference_tool, todo_tool
from stenograph_services.protocol.offered import as_tools
from stenograph_services.protocol.problems import shown
from stenograph_services.protocol.prompts import render
from stenograph_services.protocol.secrets import public

PLAIN = ("max_output_tokens", "max_tool_output_tokens", "loop_guard", "cache", "context")
MAX_STEPS = 1_000


class InvalidSettings(Exception):
    """A thread cannot ask its model: what a variable gave is no such setting. The message names both."""


def setup_of(session: Session, agent: Agent, thread: str) -> ThreadSetup:
    """Return how `thread` asks its model: as the block that started it says, else as the agent does."""
    if started := session.threads.get(thread):
        return _started_by(agent, started).setup
    if agent.main is None:
        raise InvalidSettings(f"thread {thread!r} was not started; a worker starts each thread with `start-thread`")
    return agent.main


def settings_of(session: Session, agent: Agent, thread: str, env: Env) -> ThreadSettings:
    """Return the settings of `thread` as they stand; raise `InvalidSettings` if a variable gives a bad one."""
    setup = setup_of(session, agent, thread)
    if started := session.threads.get(thread):
        system, given = started.system, {name: msgspec.json.decode(raw) for name, raw in started.settings.items()}
    else:
        values = Values(session, agent)
        system, given = render(setup.system, values), _given(setup, values)
    return ThreadSettings(
        system=system,
        tools=(*_tools(setup, agent, env), *offered_tools(session, agent, thread)),
        **{name: _checked(name, getattr(setup, name), given) for name in _SETTINGS},
        **{name: getattr(setup, name) for name in PLAIN},
    )


def resolved(setup: ThreadSetup, values: Values) -> dict[str, Raw]:
    """Return the settings that `setup` leaves to variables, as these stand. Raises `InvalidSettings`."""
    given = _given(setup, values)
    for name in _SETTINGS:
        _checked(name, getattr(setup, name), given)
    return {name: Raw(msgspec.json.encode(value)) for name, value in given.items()}


def callable_names(setup: ThreadSetup, agent: Agent) -> tuple[str, ...]:
    """Return the names of all that a thread's model may call."""
    return (*setup.tools, *setup.children, *(tool.name for tool in own_tools(setup, agent)))


def own_tools(setup: ThreadSetup, agent: Agent) -> Iterator[Tool]:
    """Return the tools that we answer ourselves: reading a reference, keeping a list of things to do."""
    if setup.references:
        yield reference_tool([agent.references[name] for name in setup.references])
        yield reference_list_tool()
    if setup.todo_list:
        yield todo_tool()


def offered_tools(session: Session, agent: Agent, thread: str) -> tuple[Tool, ...]:
    """Return what the trigger of the running turn offers to the model of `thread`.

    They are for the conversation with whoever triggers: `main`, or, in an agent of format worker, each of its threads.
    """
    if session.turn is None or (thread != "main" and agent.format != "worker"):
        return ()
    return as_tools(session.turn.tools)


def _started_by(agent: Agent, started: StartedThread) -> StartThread:
    block = agent.handlers[started.trigger][started.block]
    assert isinstance(block, StartThread), "a version of an agent never changes"
    return block


def _tools(setup: ThreadSetup, agent: Agent, env: Env) -> Iterator[Tool]:
    """A model is told of no secrets: whoever is to get them gets them beside what it says."""
    for name in setup.tools:
        tool = agent.tools[name]
        yield tool if tool.offered is None else msgspec.structs.replace(tool, parameters=tool.offered)
    for slug in setup.children:
        if version := env.children.get(slug):
            child = agent.children[slug]
            parameters = public(version.parameters, version.secrets) if version.secrets else version.parameters
            yield Tool(slug, child.description, parameters, display=child.display, title=child.title)
    yield from own_tools(setup, agent)


# ---- settings that variables give


def _given(setup: ThreadSetup, values: Values) -> dict[str, Any]:
    references = {name: getattr(setup, name) for name in _SETTINGS}
    return {name: values.get(ref.name) for name, ref in references.items() if isinstance(ref, Ref)}


def _checked(name: str, written: Any, given: Mapping[str, Any]) -> Any:
    if not isinstance(written, Ref):
        return _SETTINGS[name](written)
    try:
        return _SETTINGS[name](given.get(name))
    except ValueError as error:
        raise InvalidSettings(f"{written.name} gives {name.replace('_', ' ')}, and {error}") from error


def _model(value: Any) -> str:
    if not isinstance(value, str) or not value.partition("/")[2]:
        raise ValueError(f"a model is provider/model, such as openai/gpt-5, not {shown(value)}")
    return value


def _backup_model(value: Any) -> str | None:
    return None if value in (None, "") else _model(value)


def _max_steps(value: Any) -> int:
    if value is None:
        return 10
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal() or not 1 <= int(text) <= MAX_STEPS:
        raise ValueError(f"steps are a whole number from 1 to {MAX_STEPS}, not {shown(value)}")
    return int(text)


def _temperature(value: Any) -> float | None:
    if value in (None, "off"):
        return None
    try:
        number = float("x" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 2:
        raise ValueError(f"a temperature is a number from 0 to 2, or 'off', not {shown(value)}")
    return number


def _thinking(value: Any) -> str | None:
    if value not in (None, "low", "medium", "high", "max", "off"):
        raise ValueError(f"thinking is low, medium, high, max or off, not {shown(value)}")
    return value if value is None else str(value)


def _speed(value: Any) -> str | None:
    if value not in (None, "fast", "standard"):
        raise ValueError(f"speed is fast or standard, not {shown(value)}")
    return value if value is None else str(value)


_SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "model": _model,
    "backup_model": _backup_model,
    "max_steps": _max_steps,
    "temperature": _temperature,
    "thinking": _thinking,
    "speed": _speed,
}
