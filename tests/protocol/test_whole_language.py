"""Every key and every block of the language is read, and is what the compiled agent holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from stenograph_services.protocol import Agent, check_bundle, load_folder, read_folder
from stenograph_services.protocol.agent import (
    CHILD_TRIGGER,
    AddMessage,
    ChildAgent,
    ContextManagement,
    NotRun,
    Ref,
    RunChild,
    SerializeThread,
    StartThread,
    ToolCall,
    Trigger,
)
from stenograph_services.protocol.block_documents import BLOCKS
from stenograph_services.protocol.documents import ProtocolDoc
from stenograph_services.protocol.source import read_yaml

AGENTS = Path(__file__).parent / "agents"
WHOLE = load_folder(AGENTS / "whole")
CHILD = load_folder(AGENTS / "researcher")


def _documents(value: Any) -> Iterator[BaseModel]:
    """Yield each document inside `value`."""
    if isinstance(value, BaseModel):
        yield value
        value = {name: getattr(value, name) for name in type(value).model_fields}
    for inside in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _documents(inside)


def test_no_key_of_the_language_is_without_an_example():
    used: dict[type[BaseModel], set[str]] = {}
    for name in ("whole", "researcher"):
        text = (AGENTS / name / "protocol.yaml").read_text()
        for document in _documents(ProtocolDoc.model_validate(read_yaml(name, text).root)):
            used.setdefault(type(document), set()).update(document.model_fields_set)

    agents_own = {"agentic", "context_management", "budget", "when_busy"}
    everywhere = {"display", "description", "title", "thread", "output"}
    as_in_agent = used[next(model for model in used if model.__name__ == "AgentDoc")] - agents_own
    for model, keys in used.items():
        known = everywhere | (as_in_agent if model.__name__ == "StartThreadDoc" else set())
        missing = set(model.model_fields) - keys - known
        assert missing == set(), f"{model.__name__} has keys that no agent in agents/ uses"
    assert set(BLOCKS.values()) <= set(used)


def test_a_block_compiles_to_what_it_says():
    blocks = {block.name: block for block in WHOLE.handlers["user-message"]}

    add, find, keep, run = (blocks[name] for name in ("Add the message", "Find", "Write down", "Research"))
    assert isinstance(add, AddMessage)
    assert (add.files, add.ui, add.title, add.prompt.input) == (
        ("FILES",),
        "MESSAGE",
        "Reading",
        (("SAID", "MESSAGE"),),
    )
    assert isinstance(find, ToolCall)
    assert find.input == (
        ("customer", ("variable", "COMPANY")),
        ("filters", ("literal", {"amount": 5, "currency": "EUR"})),
    )
    assert isinstance(keep, SerializeThread)
    assert (keep.thread, keep.format, keep.output, keep.display) == ("main", "json", "TEXT", "name")
    assert isinstance(run, RunChild)
    assert (run.agent, run.output, run.display) == ("researcher", "RESULT", "stream")
    assert run.input == (("TOPIC", ("variable", "TEXT")), ("DEPTH", ("literal", "deep")))


def test_a_thread_has_settings_of_its_own_and_inherits_none():
    begin = next(block for block in WHOLE.handlers["user-message"] if isinstance(block, StartThread))

    assert begin.thread == "summary"
    assert (begin.setup.model, begin.setup.max_steps, begin.setup.thinking) == ("scripted/whole", 1, "max")
    assert (begin.setup.temperature, begin.setup.cache, begin.setup.tools, begin.setup.context) == (
        None,
        "off",
        (),
        None,
    )


def test_the_main_thread_takes_its_settings_from_the_agent():
    main = WHOLE.main

    assert main is not None
    assert (main.model, main.max_steps, main.temperature) == (Ref("MODEL"), Ref("LIMIT"), Ref("WARMTH"))
    assert (main.tools, main.children, main.references) == (("find-orders", "send-mail"), ("researcher",), ("refunds",))
    assert main.context == ContextManagement("summarizer", 0.8, 0.3)
    assert WHOLE.when_busy == "interrupt"
    assert WHOLE.references["refunds"].text == "# Refunds\n\nThirty days."


def test_a_child_agent_is_declared_with_the_tools_that_serve_it():
    assert WHOLE.children["researcher"] == ChildAgent(
        slug="researcher",
        description="Looks something up",
        tools={"search": "find-orders"},
        timeout_seconds=600.0,
        display="description",
        title="Research",
    )
    assert WHOLE.children["summarizer"].display == "stream"
    assert WHOLE.children["summarizer"].timeout_seconds == 900.0


def test_what_is_not_run_is_kept_as_such_and_warned_of():
    _, problems = check_bundle(read_folder(AGENTS / "whole"))
    blocks = WHOLE.handlers["closed"]

    assert all(isinstance(block, NotRun) for block in blocks)
    assert [block.kind for block in blocks if isinstance(block, NotRun)] == [
        "generate-image",
        "generate-video",
        "generate-speech",
        "transcribe-audio",
    ]
    assert WHOLE.main is not None
    warned = [problem.path for problem in problems if problem.code == "not-run"]
    assert warned == [
        *(f"agent.{key}" for key in WHOLE.main.not_run),
        *(f"handlers.closed.{block.name}.block" for block in blocks),
    ]


def test_a_child_agent_has_one_handler_and_answers_with_its_output():
    start, *_ = CHILD.handlers[CHILD_TRIGGER]

    assert (CHILD.format, CHILD.main, CHILD.output) == ("worker", None, "ANSWER")
    assert CHILD.triggers == {CHILD_TRIGGER: Trigger(CHILD_TRIGGER)}
    assert [field.name for field in CHILD.input] == ["TOPIC", "DEPTH"]
    assert isinstance(start, StartThread)
    assert start.thread == "Begin the research"
    assert start.setup.children == ("checker",)


@pytest.mark.parametrize("agent", [WHOLE, CHILD], ids=["interactive", "worker"])
def test_an_agent_that_is_read_twice_is_the_same_agent(agent: Agent):
    again = load_folder(AGENTS / agent.slug)

    assert again.version == agent.version
    assert again.handlers == agent.handlers
