"""The blocks of a handler: one function for each, from a session that stands at the block to what comes next.

The position is data: `turn.block` is the block last touched, `turn.block_over` whether it is over, `turn.step` how many
responses a model gave in it. A block that is begun again after a crash finds the same position and says the same.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events import call_id, derived_id
from stenograph_events.types import BlockFinished, MessageAdded, Retry, TextPart, ToolRefused, ToolRequested
from stenograph_projections.session import PendingCall, Session, Turn
from stenograph_services.orchestrator.decisions import Append, Ask, Decision, Env, append, attempt_now, common
from stenograph_services.protocol.agent import AddMessage, Agent, Block, NextMessage, SetResource, Tool, ToolCall
from stenograph_services.protocol.problems import did_you_mean
from stenograph_services.protocol.prompts import render
from stenograph_services.protocol.schemas import problems


def decide_block(block: Block, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """Return what `block`, the `index`-th of its handler, asks for next."""
    return _BLOCKS[type(block)](block, index, session, turn, agent, env)


def add_message(block: AddMessage, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """The rendered prompt is a message of the thread."""
    text = render(block.prompt, Values(session, agent))
    return append(
        MessageAdded(
            **common(session, env, turn.started, f"block/{index}"),
            role=block.role,
            block=index,
            thread=block.thread,
            parts=(TextPart(text),),
            visible=block.visible,
        )
    )


def next_message(block: NextMessage, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """The model answers, and again after each step's calls, until it asks for none or has used its steps."""
    step = turn.step if turn.block == index and not turn.block_over else 0
    if step >= agent.max_steps:
        return append(
            BlockFinished(**common(session, env, turn.started, f"block/{index}"), block=index, reason="max-steps")
        )
    return Ask(turn.id, index, step, attempt_now(session, env, turn), block.thread, block.output)


def tool_call(block: ToolCall, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """The tool is called with what the mapping says; its result goes to the output variable."""
    values = Values(session, agent)
    arguments = {
        name: values[source] if kind == "variable" else source
        for name, (kind, source) in block.input
        if kind == "literal" or source in values
    }
    wanted = PendingCall(
        call_id(derived_id(turn.started, f"block/{index}"), 0),
        block.tool,
        "needed",
        Raw(msgspec.json.encode(arguments)),
        block=index,
        output=block.output,
    )
    return Append((request_or_refuse(session, turn, wanted, agent, env),))


def set_resource(block: SetResource, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """The resource takes the value of the variable, null if it has none."""
    value = Raw(msgspec.json.encode(Values(session, agent).get(block.value)))
    envelope = common(session, env, turn.started, f"block/{index}")
    return append(BlockFinished(**envelope, block=index, resources={block.resource: value}))


def request_or_refuse(
    session: Session, turn: Turn, call: PendingCall, agent: Agent, env: Env
) -> ToolRequested | ToolRefused:
    """Return the request of a call that may run, or its refusal: nothing is requested with arguments that are wrong."""
    if problem := _problem(call, agent):
        return ToolRefused(
            **common(session, env, turn.started, f"refused/{call.call}"),
            call=call.call,
            tool=call.tool,
            error=problem,
            arguments_text=call.malformed,
            block=call.block,
            output=call.output,
        )
    tool = agent.tools[call.tool]
    return ToolRequested(
        **common(session, env, turn.started, f"requested/{call.call}/1"),
        call=call.call,
        tool=call.tool,
        arguments=call.arguments,
        retry=_retry(tool, env),
        deadline_at=env.now + timedelta(seconds=tool.timeout_seconds),
        block=call.block,
        output=call.output,
    )


def _problem(call: PendingCall, agent: Agent) -> str | None:
    tool = agent.tools.get(call.tool)
    if tool is None or (call.block is None and call.tool not in agent.allowed):
        return f"no tool {call.tool[:80]!r}{did_you_mean(call.tool, agent.allowed)}"
    if call.malformed is not None:
        return "the arguments are not a JSON object"
    if problem := problems(tool.parameters, msgspec.json.decode(call.arguments)):
        return f"the arguments are wrong: {problem}"
    return None


def _retry(tool: Tool, env: Env) -> Retry:
    """The protocol decides; where it is silent the workers do; where both are, a call runs at most once."""
    return tool.retry or env.tools.get(tool.name, "never")


class Values(Mapping[str, Any]):
    """What a prompt or a mapping may name: trigger input, variables, resources, session input, in that order."""

    def __init__(self, session: Session, agent: Agent) -> None:
        self._session = session
        self._defaults = {
            field.name: field.default for field in (*agent.variables, *agent.resources) if field.default is not None
        }
        self._turn: dict[str, Any] = msgspec.json.decode(session.turn.input) if session.turn else {}
        self._input: dict[str, Any] = msgspec.json.decode(session.input)

    def __getitem__(self, name: str) -> Any:
        if name in self._turn:
            return self._turn[name]
        for stored in (self._session.variables, self._session.resources):
            if name in stored:
                return msgspec.json.decode(stored[name])
        return self._input[name] if name in self._input else self._defaults[name]

    def __iter__(self) -> Iterator[str]:
        session = self._session
        return iter({**self._turn, **session.variables, **session.resources, **self._input, **self._defaults})

    def __len__(self) -> int:
        return sum(1 for _ in self)


_BLOCKS: dict[type[Block], Callable[..., Decision]] = {
    AddMessage: add_message,
    NextMessage: next_message,
    ToolCall: tool_call,
    SetResource: set_resource,
}
