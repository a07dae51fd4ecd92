"""Compaction: when a thread gets too long for its model, a child agent sums up its older part.

    [ m1 m2 call reply m3 | m4 call reply m5 ]      the part left of the cut is summed up; the log keeps all of it

Only what models read changes. A cut never comes between a call and its reply.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events import call_id, derived_id
from stenograph_events.types import ToolRequested
from stenograph_events.values import Compaction
from stenograph_projections.session import PendingCall, Session, Turn
from stenograph_projections.threads import SUMMARY_HEADING
from stenograph_projections.transcript import Message, Reply
from stenograph_services.orchestrator.budgets import context_tokens
from stenograph_services.orchestrator.children import NoChild, child_request
from stenograph_services.orchestrator.decisions import Env, ThreadSettings
from stenograph_services.orchestrator.models.reading import message_text
from stenograph_services.orchestrator.serializing import as_markdown
from stenograph_services.protocol.agent import Agent

BYTES_PER_TOKEN = 4
CONVERSATION_CHARACTERS = 250_000  # of the older part, its end: it is the input of a session, which is one event
RESULT_CHARACTERS = 4_000  # of one tool result: a summary needs no more


def compaction(
    session: Session, turn: Turn, block: int, thread: str, settings: ThreadSettings, agent: Agent, env: Env
) -> ToolRequested | None:
    """Return the request of a summary if `thread` has become too long for its model and can be summed up."""
    how = settings.context
    window = env.window(settings.model)
    if how is None or not how.summarizer or how.recent is None or turn.not_compacted == block or not window:
        return None
    refused = (turn.last_failure or "").startswith("context-window") and turn.failures > 0
    if not refused and (how.threshold is None or context_tokens(session, thread, settings) < how.threshold * window):
        return None
    older = older_part(env.view(thread), int(how.recent * window))
    if not older:
        return None
    through = max(entry.n for entry in older)  # the last one stands where it was asked for, not where it came
    call = PendingCall(
        call_id(derived_id(turn.started, f"compaction/{thread}"), through), how.summarizer, "needed", block=block
    )
    given = _input(older)
    call = msgspec.structs.replace(call, arguments=Raw(msgspec.json.encode(given)))
    try:
        return child_request(session, turn, call, given, agent, env, Compaction(thread, through))
    except NoChild:
        return None  # the thread is read whole, as it would be without any compaction


def older_part(view: Sequence[Message | Reply], recent_tokens: int) -> Sequence[Message | Reply]:
    """Return what comes before the recent part of a thread: nothing, if there is less than two messages of it."""
    room = recent_tokens * BYTES_PER_TOKEN
    cut = len(view)
    for at in range(len(view) - 1, 0, -1):
        room -= _size(view[at])
        if isinstance(view[at], Message):
            if room < 0 and cut < len(view):
                break
            cut = at
    older = view[:cut] if cut < len(view) else ()
    return older if sum(isinstance(entry, Message) for entry in older) > 1 else ()


def _size(entry: Message | Reply) -> int:
    return len(msgspec.json.encode(entry))


def _input(older: Sequence[Message | Reply]) -> dict[str, Any]:
    """Return the input of a summariser: the summary so far, if there is one, and what came after it."""
    first = older[0]
    before = message_text(first) if isinstance(first, Message) and not first.id else ""
    text = as_markdown(older[1:] if before else older, result_limit=RESULT_CHARACTERS)
    summary = before.removeprefix(SUMMARY_HEADING)
    return {"PREVIOUS_SUMMARY": summary, "CONVERSATION": text[-CONVERSATION_CHARACTERS:]}
