"""What the log must show after the kills. Each check returns the sentence that says what it found."""

from collections import Counter
from collections.abc import Sequence

from stenograph_events import Head, StoredEvent
from stenograph_events.types import (
    MessageAdded,
    ToolRequested,
    ToolSucceeded,
    TurnFinished,
)
from stenograph_projections.invariants import RULES, Stored, check
from stenograph_services.cli.demo.conversation import Heard, text_of
from stenograph_services.cli.demo.promises import must


def completed(heard: Heard) -> str:
    """The turn ended as it should."""
    outcome = heard.finished.outcome
    must(outcome == "completed", f"the turn must be completed, and it is {outcome}: {heard.finished.reason}")
    return "the turn is completed"


def one_message_for_each_step(heard: Heard) -> str:
    """Every model response is in the log exactly once, finished."""
    messages = [event for event in heard.events if isinstance(event, MessageAdded) and event.role == "assistant"]
    counts = Counter((message.block, message.step) for message in messages)
    must(len(counts) > 1, "the turn must have had a step with the tool and one after it")
    twice = [step for step, count in counts.items() if count != 1]
    must(not twice, f"exactly one message must be there for each step, and there are more for (block, step) {twice}")
    cut = [message.n for message in messages if message.finish_reason not in ("stop", "tool-calls")]
    must(not cut, f"every message must be finished, and these events are not: {cut}")
    return f"{len(messages)} model responses, each in the log exactly once, each finished"


def taken_over(heard: Heard, after: int) -> str:
    """The interrupted response was written again by another attempt, and what a screen shows is what the log holds."""
    attempts = sorted(attempt for event, attempt in heard.deltas if event == after)
    must(len(attempts) == 2, f"two attempts must have been heard after event {after}, and there were {attempts}")
    shown, logged = "".join(heard.deltas[after, attempts[-1]]), text_of(heard.answer())
    must(shown == logged, "the text that the second attempt streamed must be the message in the log")
    return f"attempt {attempts[-1]} streamed the whole text, and it is the message in the log"


def called_once(heard: Heard, worker_said: str) -> str:
    """The tool was requested once, ran once and was answered once."""
    requests = [event for event in heard.events if isinstance(event, ToolRequested)]
    results = [event for event in heard.events if isinstance(event, ToolSucceeded)]
    must(len(requests) == len(results) == 1, f"one request and one result, not {len(requests)} and {len(results)}")
    ran = sum(line.startswith("ticket ") for line in worker_said.splitlines())
    must(ran == 1, f"the worker must have opened one ticket, and it opened {ran}")
    return "one request, one run, one result: the customer has one ticket, not two"


def verified(stored: Sequence[Stored], known: Head) -> str:
    """The hash chain is whole and every invariant holds. `known` is where the first projector saw the log end."""
    report = check(stored, complete=True, known=known)
    if report.broken:
        first = report.broken[0]
        more = f" (and {len(report.broken) - 1} more)" if len(report.broken) > 1 else ""
        must(False, f"event {first.n} breaks the rule {first.rule!r}: {first.detail}{more}")
    must(report.ok, "there was nothing to verify")
    cases = sum(report.rules.values())
    return f"{report.events} events, {len(RULES)} rules, {cases} cases, none broken; the hash chain is whole"


def ended(events: Sequence[StoredEvent], turns: int) -> str:
    """Each turn has one end."""
    ends = sum(isinstance(event, TurnFinished) for event in events)
    must(ends == turns, f"{turns} turns must have {turns} ends, and there are {ends}")
    return f"{turns} turns, {turns} ends"
