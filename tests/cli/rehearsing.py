"""Rehearsals for tests: a case of a few lines, and what it comes to.

happened(agent(), TURN + "tools: {get-account: [{error: down}]}")   →   ["session.created", "turn.started", …]
"""

from textwrap import indent
from typing import Any

import msgspec
from tests.support.agents import bundle

from stenograph_events import type_of
from stenograph_services.cli.rehearsal import Log, checked, parse_case, rehearse, told
from stenograph_services.protocol import Agent, Bundle, load_bundle

CHILD = """\
input:
  TOPIC: {type: string}
variables:
  FOUND: {type: string}
tools:
  search:
    description: Search
    parameters: {userId: {type: string}}
steps:
  Begin:
    block: start-thread
    thread: work
    model: scripted/play
    system: system
    tools: [search]
    maxSteps: 3
  Add:
    block: add-message
    thread: work
    role: user
    prompt: topic
    input: [TOPIC]
  Ask:
    block: next-message
    thread: work
    output: FOUND
output: FOUND
"""

WORKERS = """\
workers:
  researcher:
    description: Finds things out
    tools: {search: get-account}
"""

TURN = """\
about: a case
turns:
  - trigger: user-message
    input: {TEXT: Hello}
"""


def agent(**parts: Any) -> Agent:
    """Return an agent with the tools `get-account` (safe) and `send-mail` (never); see tests/support/agents.py."""
    return load_bundle(bundle("desk", **parts))


def child(protocol: str = CHILD) -> Agent:
    """Return the child agent `researcher`, whose tool `search` its parent's `get-account` serves."""
    settings = msgspec.json.encode({"slug": "researcher", "name": "R", "format": "worker"}).decode()
    script = "turns: [[{text: Found it.}]]"
    return load_bundle(
        Bundle("researcher", settings, protocol, {"system": "Find.", "topic": "{{TOPIC}}"}, {"play": script})
    )


def summarizer() -> Agent:
    """Return `researcher` as one that sums up conversations."""
    takes = "CONVERSATION: {type: string}\n  PREVIOUS_SUMMARY: {type: string}"
    return child(CHILD.replace("TOPIC: {type: string}", takes).replace("[TOPIC]", "[TOPIC: CONVERSATION]"))


def turn(more: str) -> str:
    """Return a case of one turn in which `more` happens."""
    return TURN + indent(more, "    ")


def log_of(one: Agent, case: str, *children: Agent) -> Log:
    """Return what `case` comes to, which keeps every rule of logs."""
    log = rehearse(one, parse_case(case, "tests/case.yaml"), {each.slug: each for each in children})
    assert checked(log).broken == []
    return log


def happened(one: Agent, case: str, *children: Agent) -> list[str]:
    """Return the types of the events that `case` comes to, those of all sessions in their order."""
    return [type_of(recorded.event) for recorded in log_of(one, case, *children)]


def lines(one: Agent, case: str, *children: Agent) -> list[str]:
    """Return the log that `case` comes to as text, each run of blanks as one."""
    return [" ".join(line.split()) for line in told(log_of(one, case, *children)).splitlines()]
