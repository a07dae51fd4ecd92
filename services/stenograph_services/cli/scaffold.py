"""The agent that `stenograph agents new` writes: small, complete, and running at once.

agents/order-desk/
  settings.json  protocol.yaml  prompts/system.md  prompts/user-message.md
  scripts/order-desk.yaml     what its model says, until a real one is named in protocol.yaml
  tools.py                    its tool, served by `stenograph worker agents/order-desk/tools.py`
"""

import json
from pathlib import Path

import typer

from stenograph_services.cli.output import Failure

PROTOCOL = """\
# What the language knows is in docs/protocol.md. Check this file with: stenograph agents validate {folder}

# What a session is given when it is created.
input:
  COMPANY_NAME:
    type: string
    optional: true
    default: Acme

# What may be sent to a session, and with what.
triggers:
  user-message:
    input:
      USER_MESSAGE:
        type: string

# What the model may call. Workers serve them: stenograph worker {folder}/tools.py
tools:
  look-up-order:
    description: Look up where an order is
    parameters:
      orderId:
        type: string
    retry: safe # it may run twice; write `never` for what must not
    timeout: 10s

agent:
  model: scripted/{slug} # plays scripts/{slug}.yaml; with a key in the environment: openai/… or anthropic/…
  system: system
  input: [COMPANY_NAME]
  tools: [look-up-order]
  whenBusy: enqueue # a second message waits; or `reject`, or `interrupt`

# What happens when a trigger comes, block by block.
handlers:
  user-message:
    Add the message:
      block: add-message
      role: user
      prompt: user-message
      input: [USER_MESSAGE]
    Answer:
      block: next-message
"""

SYSTEM = "You answer questions about orders for {{COMPANY_NAME}}. Look an order up before you say where it is.\n"

SCRIPT = """\
# What `scripted/{slug}` answers: a list of turns, each a list of responses.
loop: true
turns:
  - - text: >-
        You said: {{{{last_user}}}}. I am a script, so I need no account. Write again, and I look up an order.
      chunks: 12
      chunk_delay_ms: 30
  - - text: Let me look up order 1001.
      calls:
        - tool: look-up-order
          arguments: {{orderId: "1001"}}
      chunks: 4
      chunk_delay_ms: 30
    - text: "The tool said: {{{{last_result}}}}"
      chunks: 4
      chunk_delay_ms: 30
"""

TOOLS = '''\
"""The tools of {slug}: stenograph worker {folder}/tools.py"""

from stenograph_sdk import tool


@tool("look-up-order", retry="safe")
async def look_up_order(orderId: str) -> dict[str, str]:
    return {{"order": orderId, "status": "on its way"}}
'''


def write_agent(folder: Path) -> list[Path]:
    """Write the agent into `folder`, named after it, and return its files. Nothing that exists is written over."""
    from stenograph_services.protocol.names import broken_name

    slug = folder.name
    if wrong := broken_name("slug", slug) or broken_name("script", slug):
        raise typer.BadParameter(f"{slug!r}: {wrong}", param_hint="NAME")
    if folder.exists():
        raise Failure(f"{folder} exists already, and nothing is written over: choose another name, or remove it")
    files = {
        "settings.json": json.dumps({"slug": slug, "name": _title(slug), "format": "interactive"}, indent=2) + "\n",
        "protocol.yaml": PROTOCOL.format(slug=slug, folder=folder),
        "prompts/system.md": SYSTEM,
        "prompts/user-message.md": "{{USER_MESSAGE}}",  # without a line end, which would be part of each message
        f"scripts/{slug}.yaml": SCRIPT.format(slug=slug),
        "tools.py": TOOLS.format(slug=slug, folder=folder),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def _title(slug: str) -> str:
    return slug.replace("-", " ").capitalize()
