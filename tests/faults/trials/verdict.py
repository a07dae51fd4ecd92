"""What must hold after a trial: the log against its rules, and against what the tool itself says that it did.

safe, never   every effect has its request in the log; what succeeded has taken effect
never         at most one effect for each call; an effect is never made out to be a failure or a timeout
              claimed and unanswered ⇔ the outcome is unknown (or the turn was cancelled)
safe          one more effect of the same attempt only where a worker, or the server, died after the one before
all           each trigger has its outcome, each call its answer, each turn its end, in time
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from tests.faults.trials.ground import Death, Ground, answered
from tests.faults.trials.ledger import Effect
from tests.faults.trials.points import Plan
from tests.faults.trials.trial import Tried

from stenograph_events import DEFAULT_TENANT, SessionId, StoredEvent, ToolOutcome, decode, type_of
from stenograph_events.subjects import answer_subject, claim_subject
from stenograph_events.types import ToolRequested, TurnFinished
from stenograph_projections.invariants import Report, check
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.streams import RES
from stenograph_services.tool_gateway.claims import CLOSED

PAST_DEADLINE_SECONDS = 10.0
"""How long after its deadline a call may stay open, or after its calls a turn: two redeliveries, and two deaths."""

TOOK_EFFECT = ("tool.succeeded", "tool.outcome_unknown", "tool.cancelled")
"""How a call that took effect may end. Nothing else may be said of it."""


class Verdict(NamedTuple):
    """What one trial showed."""

    tried: Tried
    wrong: list[str]
    effects: int
    repeated: int
    """Effects of an attempt beyond its first."""
    unknown: int
    recovery_seconds: float | None
    """From the death until the log went on, None if it had nothing more to say in this turn."""
    past_deadline_seconds: float
    report: Report


class Facts(NamedTuple):
    """All that is known of one trial. `results`: what lies in RES, by subject."""

    tried: Tried
    events: Sequence[StoredEvent]
    effects: Sequence[Effect]
    results: dict[str, bytes]
    deaths: Sequence[Death]


async def judge(ground: Ground, tried: Tried, effects: Sequence[Effect]) -> Verdict:
    """Return the verdict on a trial whose ground is quiet."""
    stored = await answered(lambda: ground.log.read(DEFAULT_TENANT, tried.session))
    events = [decode(one.data) for one in stored]
    requests = [event for event in events if isinstance(event, ToolRequested)]
    subjects = [subject(*_cell(request)) for request in requests for subject in (claim_subject, answer_subject)]
    reader = BatchReader(ground.nc)
    results = await answered(lambda: reader.read_last(RES, subjects)) if subjects else {}
    report = check([(one.sequence, None, one.data) for one in stored], complete=True)
    facts = Facts(tried, events, effects, results, ground.deaths)
    wrong = [f"{one.rule} at {one.n}: {one.detail}" for one in report.broken] + wrong_in(facts)
    return Verdict(
        tried,
        wrong,
        effects=len(effects),
        repeated=len(effects) - len({(effect.call, effect.attempt) for effect in effects}),
        unknown=sum(type_of(event) == "tool.outcome_unknown" for event in events),
        recovery_seconds=_recovery(facts),
        past_deadline_seconds=max((_late(facts, request) for request in requests), default=0.0),
        report=report,
    )


def stuck(plan: Plan, why: str) -> Verdict:
    """Return the verdict on a trial that did not come to its end."""
    return Verdict(Tried(plan, SessionId(""), (), None), [why], 0, 0, 0, None, 0.0, Report())


def wrong_in(facts: Facts) -> list[str]:
    """Return what must not be, beside what breaks a rule of the log itself."""
    wrong = []
    ends = {event.turn: event.outcome for event in facts.events if isinstance(event, TurnFinished)}
    for turn in facts.tried.turns:
        if ends.get(turn) not in ("completed", "cancelled"):
            wrong.append(f"turn {turn} ended {ends.get(turn)}")
    requests = {(e.call, e.attempt): e for e in facts.events if isinstance(e, ToolRequested)}
    by_attempt: dict[tuple[str, int], list[Effect]] = defaultdict(list)
    for effect in facts.effects:
        by_attempt[effect.call, effect.attempt].append(effect)
    for attempt in by_attempt.keys() - requests.keys():
        wrong.append(f"an effect of attempt {attempt}, and the log has no such request")
    for attempt, request in requests.items():
        wrong += _wrong_attempt(facts, request, by_attempt.get(attempt, []))
    for call in {request.call for request in requests.values() if request.retry == "never"}:
        if (times := sum(effect.call == call for effect in facts.effects)) > 1:
            wrong.append(f"call {call}, to run at most once, took effect {times} times")
    return wrong


def _wrong_attempt(facts: Facts, request: ToolRequested, effects: list[Effect]) -> list[str]:
    outcome = next((e for e in facts.events if isinstance(e, ToolOutcome) and e.call == request.call), None)
    if outcome is None:
        return [f"call {request.call} has no outcome"]
    wrong, kind = [], type_of(outcome)
    if kind == "tool.succeeded" and not effects:
        wrong.append(f"call {request.call} succeeded without an effect")
    if (late := _late(facts, request)) > PAST_DEADLINE_SECONDS:
        wrong.append(f"call {request.call} was open for {late:.1f} s after its deadline")
    if request.retry == "never":
        return wrong + _wrong_once(facts, request, effects, kind)
    asked_at = request.at.timestamp()
    for before, after in pairwise(effects):
        if not any(asked_at <= death.at <= after.at and _redelivers(death) for death in facts.deaths):
            times = f"{before.at - asked_at:.2f} and {after.at - asked_at:.2f} s after its request"
            wrong.append(f"call {request.call} took effect {times}, and nobody had died")
    return wrong


def _wrong_once(facts: Facts, request: ToolRequested, effects: list[Effect], kind: str) -> list[str]:
    wrong = []
    if effects and kind not in TOOK_EFFECT:
        wrong.append(f"call {request.call} took effect, and the log says {kind}")
    claim, answer = facts.results.get(claim_subject(*_cell(request))), answer_subject(*_cell(request)) in facts.results
    claimed = claim is not None and claim != CLOSED
    if effects and not claimed:
        wrong.append(f"call {request.call} took effect without a claim")
    if claimed and not answer and kind not in ("tool.outcome_unknown", "tool.cancelled"):
        wrong.append(f"call {request.call} was begun and never answered, and the log says {kind}")
    if kind == "tool.outcome_unknown" and not claimed:
        wrong.append(f"call {request.call} is said to be unknown, and nobody had begun it")
    return wrong


def _late(facts: Facts, request: ToolRequested) -> float:
    """Return how long after its deadline a call was open, or after its outcome its turn, whichever is more."""
    outcome = next((e for e in facts.events if isinstance(e, ToolOutcome) and e.call == request.call), None)
    end = next((e for e in facts.events if isinstance(e, TurnFinished) and e.turn == request.turn), None)
    if outcome is None or end is None:
        return float("inf")
    return max(0.0, (outcome.at - request.deadline_at).total_seconds(), (end.at - outcome.at).total_seconds())


def _recovery(facts: Facts) -> float | None:
    first, died_at = facts.tried.turns[0], facts.tried.struck_at
    if died_at is None:
        return None
    later = (e.at.timestamp() - died_at for e in facts.events if e.turn == first and e.at.timestamp() > died_at)
    return next(later, None)


def _redelivers(death: Death) -> bool:
    return death.who in ("worker", "nats-server")


def _cell(request: ToolRequested) -> tuple[str, str, str, str, int]:
    return request.tenant, request.tool, request.session, request.call, request.attempt
