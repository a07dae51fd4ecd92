"""Agents for tests of what runs: a few lines of protocol, and a script that its model plays.

bundle("agent-1", SAY_HELLO, when_busy="enqueue")
"""

from textwrap import indent

import msgspec

from stenograph_services.protocol import Bundle

TOOLS = """\
get-account:
  description: Look it up
  parameters: {userId: {type: string}}
  retry: safe
  result: {plan: {type: string}}
send-mail:
  description: Send a mail
  parameters: {to: {type: string}}
  retry: never
"""

HANDLER = """\
Add:
  block: add-message
  role: user
  prompt: said
  input: [TEXT]
Ask:
  block: next-message
  output: ANSWER
"""

PROTOCOL = """\
{top}
resources:
  NOTE: {{type: string, default: ""}}
variables:
  ANSWER: {{type: string}}
  ACCOUNT: {{type: unknown}}
  PLAN: {{type: Plan}}
types:
  Plan:
    plan: {{type: string}}
triggers:
  user-message:
    input:
      TEXT: {{type: string}}
tools:
{tools}
agent:
  model: scripted/play
  system: system
  tools: [{offered}]
  maxSteps: {max_steps}
  whenBusy: {when_busy}
{agent}
handlers:
  user-message:
{handler}
"""

SAY_HELLO = """\
loop: true
turns:
  - - text: Hello!
"""

CALL_THEN_SAY = """\
loop: true
turns:
  - - calls: [{tool: get-account, arguments: {userId: u1}}]
    - text: "You have {{last_result}}"
"""

SAY_SLOWLY = """\
loop: true
turns:
  - - text: one two three four five six seven eight nine ten
      chunks: 40
      chunk_delay_ms: 50
"""


def bundle(
    slug: str,
    script: str = SAY_HELLO,
    *,
    handler: str = HANDLER,
    tools: str = TOOLS,
    offered: str = "get-account, send-mail",
    when_busy: str = "enqueue",
    max_steps: int = 5,
    agent: str = "",
    top: str = "",
    references: dict[str, str] | None = None,
) -> Bundle:
    """Return the files of an agent with the tools `get-account` (safe) and `send-mail` (never).

    `offered` names what its model may call, `agent` is more of its section of that name, `top` more of the top level.
    """
    protocol = PROTOCOL.format(
        tools=indent(tools, "  "),
        offered=offered,
        handler=indent(handler, "    "),
        when_busy=when_busy,
        max_steps=max_steps,
        agent=indent(agent, "  "),
        top=top,
    )
    settings = msgspec.json.encode({"slug": slug, "name": slug, "format": "interactive"}).decode()
    prompts = {"system": "You help.\n", "said": "{{TEXT}}"}
    return Bundle(slug, settings, protocol, prompts, {"play": script or SAY_HELLO}, references=references or {})
