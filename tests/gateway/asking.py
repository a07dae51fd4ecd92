"""Sessions that ask their clients: `ask-user` and `pick-color` are tools that no worker serves."""

from typing import Any

from tests.support.agents import TOOLS
from tests.support.services import Stage, Talk

CLIENT_TOOLS = (
    TOOLS
    + """\
ask-user:
  description: Ask the person in front of the screen
  parameters: {question: {type: string}}
pick-color:
  description: Let the person pick a color
  display: hidden
"""
)

ASK = """\
loop: true
turns:
  - - text: Let me ask.
      calls: [{tool: ask-user, arguments: {question: Sure?}}]
    - text: "You said {{last_result}}"
"""

ASK_TWO = """\
loop: true
turns:
  - - calls: [{tool: ask-user, arguments: {question: Sure?}}, {tool: pick-color, arguments: {}}]
    - text: "You picked {{last_result}}"
"""

ASK_TWICE = """\
loop: true
turns:
  - - calls: [{tool: ask-user, arguments: {question: Sure?}}]
    - calls: [{tool: ask-user, arguments: {question: Really?}}]
    - text: "You said {{last_result}}"
"""

ASK_AND_LOOK = """\
loop: true
turns:
  - - calls: [{tool: get-account, arguments: {userId: u1}}, {tool: ask-user, arguments: {question: Sure?}}]
    - text: "You said {{last_result}}"
"""

ASK_AND_THANK = ASK.replace("You said {{last_result}}", "Thank you")

LOOK_THEN_MAIL = ASK_AND_LOOK.replace("- text", "- calls: [{tool: send-mail, arguments: {to: a}}]\n    - text")

BLOCK = """\
Ask:
  block: tool-call
  tool: ask-user
  input: {question: TEXT}
  output: ACCOUNT
Add:
  block: add-message
  role: user
  prompt: said
  input: [{TEXT: ACCOUNT}]
Answer:
  block: next-message
"""


async def asking(stage: Stage, script: str, **protocol: Any) -> Talk:
    """Return a session whose tools `ask-user` and `pick-color` nobody serves."""
    offered = "get-account, send-mail, ask-user, pick-color"
    return await stage.session(script, tools=CLIENT_TOOLS, offered=offered, **protocol)


def result_of(call: dict[str, Any], result: Any) -> dict[str, Any]:
    return {"toolCallId": call["toolCallId"], "toolName": call["toolName"], "result": result}
