"""The blocks of a handler: one function for each, from a session that stands at the block to what comes next.

The position is data: `turn.block` is the block last touched, `turn.block_over` whether it is over, `turn.step` how many
responses a model gave in it. A block that is begun again after a crash finds the same position and says the same.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events import call_id, derived_id
from stenograph_events.types import (
    BlockFinished,
    BudgetExceeded,
    MessageAdded,
    ThreadCompacted,
    ThreadStarted,
)
from stenograph_events.values import FilePart, Part, TextPart
from stenograph_projections.session import PendingCall, Session, Summary, Turn
from stenograph_services.orchestrator.budgets import left
from stenograph_services.orchestrator.calls import outcome_of
from stenograph_services.orchestrator.compaction import compaction
from stenograph_services.orchestrator.decisions import (
    Append,
    Ask,
    Decision,
    Env,
    ThreadSettings,
    append,
    attempt_now,
    common,
)
from stenograph_services.orchestrator.endings import failed
from stenograph_services.orchestrator.serializing import as_json, as_markdown, within_limit
from stenograph_services.orchestrator.threads import InvalidSettings, resolved, settings_of
from stenograph_services.orchestrator.values import Values, arguments
from stenograph_services.protocol.agent import (
    AddMessage,
    Agent,
    Block,
    NextMessage,
    NotRun,
    Prompt,
    RunChild,
    SerializeThread,
    SetResource,
    StartThread,
    ToolCall,
)
from stenograph_services.protocol.prompts import render

TEXT_MAX_BYTES = 512 * 1024  # of one prompt: JSON may double it, and an event holds 1 MB


def decide_block(block: Block, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """Return what `block`, the `index`-th of its handler, asks for next."""
    try:
        return _BLOCKS[type(block)](block, index, session, turn, agent, env)
    except InvalidSettings as error:
        return failed(session, env, "invalid-settings", f"block {block.name!r}: {error}")
    except TooLarge as error:
        return failed(session, env, "too-large", f"block {block.name!r}: {error}")


def add_message(block: AddMessage, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """The rendered prompt is a message of the thread; people may see something else."""
    values = Values(session, agent)
    parts: tuple[Part, ...] = (TextPart(_rendered(block.prompt, values)), *_files(block, values))
    ui = Raw(msgspec.json.encode(values[block.ui])) if block.ui is not None and block.ui in values else None
    return append(
        MessageAdded(
            **common(session, env, turn.started, f"block/{index}"),
            role=block.role,
            block=index,
            thread=block.thread,
            parts=parts,
            visible=block.visible,
            ui=ui,
            sender=turn.sender if block.role == "user" and block.visible else None,
        )
    )


def next_message(block: NextMessage, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """The model answers, and again after each step's calls, until it asks for none or has used its steps."""
    step = turn.step if turn.block == index and not turn.block_over else 0
    settings = settings_of(session, agent, block.thread, env)
    if step >= settings.max_steps:
        return _out_of_steps(index, session, turn, env)
    if turn.summary is not None:
        return _compacted(turn.summary, index, session, turn, env)
    if summary := compaction(session, turn, index, block.thread, settings, agent, env):
        return append(summary)
    if turn.failures and not _may_ask_again(turn, settings, env):
        detail = turn.first_failure if turn.backup_failed else turn.last_failure
        return failed(session, env, "model-failed", detail)
    remaining = left(session, turn, index, block.thread, settings, agent, env)
    if isinstance(remaining, BudgetExceeded):
        return append(remaining)
    backup = _on_backup(turn, settings)
    limits = [most for most in (settings.max_output_tokens, remaining.output_tokens) if most is not None]
    return Ask(
        turn=turn.id,
        block=index,
        step=step,
        attempt=attempt_now(session, env, turn),
        thread=block.thread,
        settings=settings,
        model=settings.backup_model if backup and settings.backup_model else settings.model,
        backup=backup,
        max_output_tokens=min(limits, default=None),
        seconds=remaining.seconds,
        output=block.output,
        independent=block.independent,
        response_type=block.response_type,
        response=block.response,
    )


def tool_call(block: ToolCall, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """The tool is called with what the mapping says; its result goes to the output variable."""
    given = arguments(block.input, Values(session, agent))
    return _called(block.tool, given, block.output, index, session, turn, agent, env)


def run_child(block: RunChild, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """The child agent runs with what the mapping says; its output goes to the output variable."""
    given = arguments(block.input, Values(session, agent))
    return _called(block.agent, given, block.output, index, session, turn, agent, env)


def set_resource(block: SetResource, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """The resource takes the value of the variable, null if it has none."""
    value = Raw(msgspec.json.encode(Values(session, agent).get(block.value)))
    envelope = common(session, env, turn.started, f"block/{index}")
    return append(BlockFinished(**envelope, block=index, trigger=turn.trigger, resources={block.resource: value}))


def start_thread(block: StartThread, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """The thread begins anew, with the settings and the system prompt that the variables give now."""
    values = Values(session, agent)
    return append(
        ThreadStarted(
            **common(session, env, turn.started, f"block/{index}"),
            block=index,
            thread=block.thread,
            trigger=turn.trigger,
            system=_rendered(block.setup.system, values),
            settings=resolved(block.setup, values),
        )
    )


def serialize_thread(
    block: SerializeThread, index: int, session: Session, turn: Turn, agent: Agent, env: Env
) -> Decision:
    """The variable takes the conversation of the thread as text."""
    said = env.whole(block.thread)
    text = within_limit(as_markdown(said) if block.format == "markdown" else as_json(said))
    envelope = common(session, env, turn.started, f"block/{index}")
    value = Raw(msgspec.json.encode(text))
    return append(BlockFinished(**envelope, block=index, trigger=turn.trigger, variables={block.output: value}))


def not_run(block: NotRun, index: int, session: Session, turn: Turn, agent: Agent, env: Env) -> Decision:
    """What we do not run ends the turn where it is reached. A kind that is run one day leaves here."""
    return failed(session, env, "unsupported", f"block {block.name!r}: {block.kind} is not run here")


# ---- parts of blocks


class TooLarge(Exception):
    """What a block says does not fit into an event; the message says what and how large it is."""


def _rendered(prompt: Prompt, values: Values) -> str:
    text = render(prompt, values)
    if (size := len(text.encode())) > TEXT_MAX_BYTES:
        raise TooLarge(f"prompt {prompt.name!r} has {size} bytes once it is filled in; {TEXT_MAX_BYTES} fit")
    return text


def _called(
    tool: str,
    given: Raw,
    output: str | None,
    index: int,
    session: Session,
    turn: Turn,
    agent: Agent,
    env: Env,
) -> Append:
    call = call_id(derived_id(turn.started, f"block/{index}"), 0)
    wanted = PendingCall(call, tool, "needed", given, block=index, output=output)
    return append(outcome_of(session, turn, wanted, agent, env))


def _out_of_steps(index: int, session: Session, turn: Turn, env: Env) -> Append:
    if turn.rejected is not None:
        return failed(session, env, "invalid-response", turn.rejected)
    envelope = common(session, env, turn.started, f"block/{index}")
    return append(BlockFinished(**envelope, block=index, reason="max-steps"))


def _compacted(summary: Summary, index: int, session: Session, turn: Turn, env: Env) -> Append:
    return append(
        ThreadCompacted(
            **common(session, env, turn.started, f"compacted/{summary.call}"),
            block=index,
            thread=summary.of.thread,
            through=summary.of.through,
            summary=summary.text,
            call=summary.call,
        )
    )


def _may_ask_again(turn: Turn, settings: ThreadSettings, env: Env) -> bool:
    """After a failed attempt: the backup model once, if there is one; otherwise the same one, a few times."""
    if not turn.may_retry or turn.backup_failed:
        return False
    return _on_backup(turn, settings) or turn.failures < env.model_attempts


def _on_backup(turn: Turn, settings: ThreadSettings) -> bool:
    """The backup model answers only while nobody saw a piece of the answer that failed."""
    return bool(settings.backup_model) and turn.failures > 0 and not turn.streamed


def _files(block: AddMessage, values: Values) -> tuple[FilePart, ...]:
    found: list[Any] = []
    for name in block.files:
        value = values.get(name)
        found += value if isinstance(value, list) else [] if value is None else [value]
    return tuple(
        FilePart(file["id"], file["mediaType"], file["url"], file.get("filename"), file.get("size")) for file in found
    )


_BLOCKS: dict[type[Block], Callable[..., Decision]] = {
    AddMessage: add_message,
    NextMessage: next_message,
    ToolCall: tool_call,
    RunChild: run_child,
    SetResource: set_resource,
    StartThread: start_thread,
    SerializeThread: serialize_thread,
    NotRun: not_run,
}
