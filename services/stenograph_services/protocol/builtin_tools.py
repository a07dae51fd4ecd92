"""The tools that we answer ourselves: a model reads the agent's references, and keeps a list of things to do.

octavus_reference_read {"name": "refunds"}                                       →  "# Refunds …"
octavus_todo_write {"todos": [{"id": "1", "content": "Ask"}], "merge": false}    →  {"todos": [{"id": "1", …}]}

All of it is pure: what a call answers depends on the agent, the arguments and the list as it was.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from stenograph_services.protocol.agent import Agent, Reference, Tool
from stenograph_services.protocol.problems import did_you_mean, shown
from stenograph_services.protocol.schemas import compiled, problems

REFERENCE_LIST = "octavus_reference_list"
REFERENCE_READ = "octavus_reference_read"
TODO_TOOL = "octavus_todo_write"

MAX_DESCRIPTION = 1000  # characters; several OpenAI-compatible providers refuse a tool with more than 1,024
MIN_LINE = 80  # characters of it for each reference: a name has up to 64
MAX_TODOS = 100  # with MAX_CONTENT a list of at most 200 KB, which an event carries twice
MAX_CONTENT = 500  # characters of one thing to do, or of its id

_STATUSES = ["pending", "in_progress", "completed", "cancelled"]


def reference_tool(references: Sequence[Reference]) -> Tool:
    """Return the tool with which a model reads one of `references`. Its description tells what each is about."""
    name = {"type": "string", "enum": [reference.name for reference in references]}
    return Tool(
        name=REFERENCE_READ,
        description=_described(references),
        parameters=compiled(_object({"name": name}, "name")),
        title="Read a reference",
    )


@cache
def reference_list_tool() -> Tool:
    """Return the tool that tells a model the whole descriptions of its references."""
    return Tool(
        name=REFERENCE_LIST,
        description=f"List the texts that {REFERENCE_READ} can read, each with its whole description.",
        parameters=compiled(_object({})),
        title="List references",
    )


@cache
def todo_tool() -> Tool:
    """Return the tool with which a model writes its list of things to do."""
    todo = _object(
        {
            "id": {"type": "string", "description": "Yours to choose; the same id means the same thing to do."},
            "content": {"type": "string", "description": "What is to be done. May be left out where it stays."},
            "status": {"type": "string", "enum": _STATUSES, "description": "Left out: as it was, or pending."},
        },
        "id",
    )
    merge = {"type": "boolean", "description": "true: change these and keep the others. false: the list is these."}
    todos = {"type": "array", "items": todo}
    return Tool(
        name=TODO_TOOL,
        description="Write your list of things to do, which the user sees. Keep it up to date while you work: "
        "one is in_progress at a time, and what is done is completed at once. Answers the whole list.",
        parameters=compiled(_object({"todos": todos, "merge": merge}, "todos")),
        display="hidden",  # people see the list, not the calls that write it
    )


def answer_builtin(
    agent: Agent,
    name: str,
    arguments: dict[str, Any],
    todos_before: list[dict[str, Any]],
    references: Collection[str] | None = None,
) -> Any:
    """Return what the tool `name` of ours answers, a JSON value. Raises `ValueError` with a sentence for the model.

    `references` are those that the asking thread may read; None: all of the agent.
    """
    known = {one.name: one for one in agent.references.values() if references is None or one.name in references}
    if name == REFERENCE_READ:
        return _reference(known, arguments)
    if name == REFERENCE_LIST:
        return [{"name": one.name, "description": one.description} for one in known.values()]
    if name == TODO_TOOL:
        return {"todos": todos_after(todos_before, arguments)}
    raise ValueError(f"{shown(name)} is not a tool that is answered here")


def todos_after(before: Iterable[Mapping[str, Any]], arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the list of things to do as a call with `arguments` leaves it: those that stay first, in their order.

    Raises `ValueError` with a sentence if the call cannot be followed; the list is then as it was.
    """
    if wrong := problems(todo_tool().parameters, arguments):
        raise ValueError(f"the arguments are wrong: {wrong}")
    todos: dict[str, dict[str, Any]] = {todo["id"]: dict(todo) for todo in before} if arguments.get("merge") else {}
    for todo in arguments["todos"]:
        todos[todo["id"]] = _changed(todos.get(todo["id"]), todo)
    if len(todos) > MAX_TODOS:
        raise ValueError(f"the list would hold {len(todos)} things to do; it holds at most {MAX_TODOS}")
    return list(todos.values())


def _changed(before: dict[str, Any] | None, todo: dict[str, Any]) -> dict[str, Any]:
    changed = {"id": todo["id"], "content": "", "status": "pending", **(before or {}), **todo}
    if not changed["content"].strip():
        raise ValueError(
            f"{shown(todo['id'])} is not on the list yet and needs `content`; to change one, `merge` is true"
        )
    if len(todo["id"]) > MAX_CONTENT or len(changed["content"]) > MAX_CONTENT:
        raise ValueError(f"{shown(todo['id'])} is too long: `id` and `content` have at most {MAX_CONTENT} characters")
    return changed


def _reference(references: Mapping[str, Reference], arguments: dict[str, Any]) -> str:
    name = arguments.get("name")
    if not isinstance(name, str) or name not in references:
        raise ValueError(f"no reference {shown(name)}{did_you_mean(str(name), references)}")
    return references[name].text


def _described(references: Sequence[Reference]) -> str:
    """Return what the tool does and a line for each of `references`, shortened so that all fit."""
    lines = ["Read one of these texts in full, when it can help:"]
    left = MAX_DESCRIPTION - len(lines[0])
    if left < MIN_LINE * len(references):
        return f"Read one of the texts of this agent in full. {REFERENCE_LIST} tells what each of them holds."
    for at, reference in enumerate(references):
        share = left // (len(references) - at) - 1  # what a short line leaves is for those after it
        line = f"- {reference.name}: {reference.description}"
        lines.append(line if len(line) <= share else f"{line[: share - 1]}…")
        left -= len(lines[-1]) + 1
    return "\n".join(lines)


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return the JSON Schema of an object with these properties and no others."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
