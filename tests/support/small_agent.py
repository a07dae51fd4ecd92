"""A small agent, and ways to break it."""

import msgspec

from stenograph_services.protocol import Agent, AgentError, Bundle, load_bundle

SETTINGS = '{"slug": "x", "name": "X", "format": "interactive"}'

PROTOCOL = """\
input:
  COMPANY: {type: string}
  USER_ID: {type: string, optional: true}
resources:
  NOTE: {type: string, default: ""}
variables:
  ANSWER: {type: string}
  COUNT: {type: integer}
triggers:
  user-message:
    input:
      TEXT: {type: string}
tools:
  get-account:
    description: Look it up
    parameters:
      userId: {type: string}
      deep: {type: boolean, optional: true}
agent:
  model: openai/gpt-5
  system: system
  input: [COMPANY]
  tools: [get-account]
handlers:
  user-message:
    Add:
      block: add-message
      role: user
      prompt: said
      input: [TEXT]
    Look:
      block: tool-call
      tool: get-account
      input: {userId: USER_ID, deep: true}
      output: ANSWER
    Ask:
      block: next-message
      output: ANSWER
    Note:
      block: set-resource
      resource: NOTE
      value: ANSWER
"""

BUNDLE = Bundle("x", SETTINGS, PROTOCOL, {"system": "You are {{COMPANY}}.\n", "said": "{{TEXT}}"})


def with_change(old: str, new: str) -> Bundle:
    """Return the small agent with `old`, which must be there once, replaced by `new` in its protocol."""
    assert PROTOCOL.count(old) == 1, f"{old!r} is there {PROTOCOL.count(old)} times"
    return msgspec.structs.replace(BUNDLE, protocol=PROTOCOL.replace(old, new))


def compiled(old: str = "agent:", new: str = "agent:") -> Agent:
    return load_bundle(with_change(old, new))


def errors(bundle: Bundle) -> list[str]:
    """Return the printed problems of `bundle`, which must have some."""
    try:
        agent = load_bundle(bundle, folder="agents/x")
    except AgentError as error:
        return str(error).splitlines()
    raise AssertionError(f"no problem was found in {agent}")
