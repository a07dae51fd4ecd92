"""What two versions of an agent differ in: the lines of their files, and what that means for sessions. Pure.

changes(old, new)   ["trigger `cancel-order` is gone: whoever sends it is rejected", "tool `refund` is new: …"]
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from stenograph_services.protocol import Agent, Bundle
from stenograph_services.protocol.agent import Field, StartThread, Tool


def files_of(bundle: Bundle) -> dict[str, str]:
    """Return the files of a stored version by their paths, as they lie in an agent's folder."""
    files = {"settings.json": bundle.settings, "protocol.yaml": bundle.protocol}
    for folder, suffix, texts in (
        ("prompts", ".md", bundle.prompts),
        ("references", ".md", bundle.references),
        ("scripts", ".yaml", bundle.scripts),
    ):
        files |= {f"{folder}/{name}{suffix}": text for name, text in sorted(texts.items())}
    return files


def models_of(agent: Agent) -> list[str]:
    """Return the models that an agent may ask, as its protocol names them: each `provider/model`, or what gives one."""
    started = [
        block.setup for handler in agent.handlers.values() for block in handler if isinstance(block, StartThread)
    ]
    setups = [*([agent.main] if agent.main else []), *started]
    named = [model for setup in setups for model in (setup.model, setup.backup_model) if model is not None]
    return list(dict.fromkeys(_name(model) for model in named))


def difference(old: Mapping[str, str], new: Mapping[str, str], names: tuple[str, str]) -> str:
    """Return a unified diff over files; `names` say which versions they are of."""
    lines: list[str] = []
    for path in sorted({*old, *new}):
        before, after = (files.get(path, "").splitlines() for files in (old, new))
        lines += difflib.unified_diff(before, after, f"{names[0]}/{path}", f"{names[1]}/{path}", lineterm="")
    return "\n".join(lines)


def changes(old: Agent, new: Agent) -> list[str]:
    """Return what changes for the sessions that begin with `new`, one sentence each."""
    return [
        *_of_input(old, new),
        *_of_triggers(old, new),
        *_of_tools(old, new),
        *_of_children(old, new),
        *_of_rest(old, new),
    ]


def _of_input(old: Agent, new: Agent) -> Iterator[str]:
    yield from _of_fields("sessions are", old.input, new.input)


def _of_triggers(old: Agent, new: Agent) -> Iterator[str]:
    for name in _gone(old.triggers, new.triggers):
        yield f"trigger `{name}` is gone: whoever sends it is rejected"
    for name in _gone(new.triggers, old.triggers):
        yield f"trigger `{name}` is new"
    for name, trigger in new.triggers.items():
        before = old.triggers.get(name, trigger)
        yield from _of_fields(f"trigger `{name}` is", before.input, trigger.input)
        if old.handlers.get(name, ()) and _shape(old.handlers[name]) != _shape(new.handlers.get(name)):
            yield f"trigger `{name}` is answered in another way: its handler changed"


def _of_fields(who: str, old: tuple[Field, ...], new: tuple[Field, ...]) -> Iterator[str]:
    before, after = ({field.name: field for field in fields} for fields in (old, new))
    for name in _gone(before, after):
        yield f"{who} no longer given `{name}`: whoever sends it is refused"
    for name, field in after.items():
        needed = field.required and field.default is None
        if name not in before:
            yield f"{who} given `{name}`, which {'must' if needed else 'may'} be sent"
        elif needed and not (before[name].required and before[name].default is None):
            yield f"{who} given `{name}`, which must be sent from now on"
        elif field.schema != before[name].schema:
            yield f"{who} given `{name}` of another type"


def _of_tools(old: Agent, new: Agent) -> Iterator[str]:
    for name in _gone(old.tools, new.tools):
        yield f"tool `{name}` is gone; workers go on serving it for older sessions"
    for name in _gone(new.tools, old.tools):
        yield f"tool `{name}` is new: a worker has to serve it"
    for name, tool in new.tools.items():
        if name in old.tools:
            yield from _of_tool(name, old.tools[name], tool)


def _of_tool(name: str, old: Tool, new: Tool) -> Iterator[str]:
    if old.parameters.json != new.parameters.json:
        yield f"tool `{name}` has other parameters: workers serve both while older sessions go on"
    if (old.result and old.result.json) != (new.result and new.result.json):
        yield f"tool `{name}` has another result"
    for what, before, after in (
        ("retry", old.retry, new.retry),
        ("timeout", _seconds(old.timeout_seconds), _seconds(new.timeout_seconds)),
        ("approval", old.approval, new.approval),
        ("maxResult", old.max_result_bytes, new.max_result_bytes),
        ("approvalTimeout", old.approval_timeout_seconds, new.approval_timeout_seconds),
    ):
        if before != after:
            yield f"tool `{name}` has {what} {after}, not {before}"


def _of_children(old: Agent, new: Agent) -> Iterator[str]:
    for name in _gone(old.children, new.children):
        yield f"child agent `{name}` is not run any more"
    for name in _gone(new.children, old.children):
        yield f"child agent `{name}` is new: it has to be stored"


def _of_rest(old: Agent, new: Agent) -> Iterator[str]:
    if old.main is not None and new.main is not None and old.main.model != new.main.model:
        yield f"the model is {_name(new.main.model)}, not {_name(old.main.model)}"
    if _shape(old.main) != _shape(new.main):
        yield "the model is asked in another way: its system prompt, tools or settings"
    if old.when_busy != new.when_busy:
        yield f"a trigger during a turn: {new.when_busy}, not {old.when_busy}"
    if (old.budget_of_turn, old.budget_of_session) != (new.budget_of_turn, new.budget_of_session):
        yield "the budgets are others"
    if old.scripts != new.scripts:
        yield "the scripts of models are others"


def _gone(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [name for name in old if name not in new]


def _name(model: Any) -> str:
    return str(getattr(model, "name", model))


def _shape(part: Any) -> bytes:
    """Return what can be compared of a part of an agent: validators are equal where their schemas are."""
    return msgspec.json.encode(part, enc_hook=lambda validator: None)


def _seconds(seconds: float | None) -> str:
    return "the usual one" if seconds is None else f"{seconds:g}s"
