"""The conversations in which something dies: each asks for one call, in another situation of its life.

quick       answered at once                                       time for a redelivery
short       answered at once                                       no time for one
slow        answered after the timer of its deadline was stored
late        answered after its deadline
unheard     taken by a worker that does not begin, as one that hangs
cancelled   the turn is cancelled as soon as the call is requested
approved    a person has to agree first, and does

The second turn of each is plain talk: it shows that the session goes on.
"""

from typing import Literal, NamedTuple

from stenograph_events.values import Retry
from stenograph_services.protocol import Bundle

Scene = Literal["quick", "short", "slow", "late", "unheard", "cancelled", "approved"]

TOOLS: dict[Retry, str] = {"safe": "act-safely", "never": "act-once"}
UNHEARD: dict[Retry, str] = {"safe": "hang-safely", "never": "hang-once"}
"""Tools whose requests a worker takes, and does not begin."""


class Situation(NamedTuple):
    """How long a call may take, how long its tool lingers once it has taken effect, and whether a person is asked."""

    timeout_seconds: float
    lingers_seconds: float = 0.0
    approval: str = "never"


SITUATIONS: dict[Scene, Situation] = {
    "quick": Situation(7),
    "short": Situation(2),
    "slow": Situation(8, 2.2),
    "late": Situation(2, 2.6),
    "unheard": Situation(2),
    "cancelled": Situation(8, 1.5),
    "approved": Situation(7, approval="always"),
}

PROTOCOL = """\
triggers:
  ask:
    input:
      QUESTION: {{type: string}}
tools:
  {tool}:
    description: Take effect in the world
    parameters: {{lingers: {{type: number}}}}
    retry: {retry}
    timeout: {timeout:g}s
    approval: {approval}
agent:
  model: scripted/story
  system: system
  tools: [{tool}]
  agentic: true
handlers:
  ask:
    Add the question:
      block: add-message
      role: user
      prompt: question
      input: [QUESTION]
    Answer:
      block: next-message
"""
SCRIPT = """\
turns:
  - - text: Let me do that.
      calls:
        - tool: {tool}
          arguments: {{lingers: {lingers:g}}}
      chunks: 2
    - text: It is done, or it is not.
  - - text: I am still here.
"""


def slug(scene: Scene, retry: Retry) -> str:
    """Return the name of the agent that plays `scene` with a tool of this kind."""
    return f"{scene}-{retry}"


def agents() -> list[Bundle]:
    """Return the agents of all scenes."""
    return [_agent(scene, retry) for scene in SITUATIONS for retry in TOOLS]


def _agent(scene: Scene, retry: Retry) -> Bundle:
    tools = UNHEARD if scene == "unheard" else TOOLS
    name, tool, at = slug(scene, retry), tools[retry], SITUATIONS[scene]
    protocol = PROTOCOL.format(tool=tool, retry=retry, timeout=at.timeout_seconds, approval=at.approval)
    return Bundle(
        name,
        f'{{"slug": "{name}", "name": "{name}", "format": "interactive"}}',
        protocol,
        {"system": "You act.", "question": "{{QUESTION}}"},
        {"story": SCRIPT.format(tool=tool, lingers=at.lingers_seconds)},
    )
