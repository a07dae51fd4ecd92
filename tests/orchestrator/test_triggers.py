"""Triggers and cancels: the one event that each becomes, given what the log says already."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw
from tests.support.agents import bundle
from tests.support.logs import rebuild

from stenograph_events import AnyEvent, cancel_id, outcome_id
from stenograph_events.testing import (
    START,
    assistant_message,
    log,
    raw,
    session_created,
    trigger_queued,
    trigger_rejected,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.types import (
    TriggerQueued,
    TriggerRejected,
    TurnCancelRequested,
    TurnStarted,
)
from stenograph_projections.session import Session
from stenograph_services.orchestrator import triggers
from stenograph_services.orchestrator.decisions import Env
from stenograph_services.orchestrator.triggers import Wanted
from stenograph_services.protocol import load_bundle

AGENTS = {policy: load_bundle(bundle("x", when_busy=policy)) for policy in ("enqueue", "reject", "interrupt")}
WANTED = Wanted("t9", "user-message", Raw(b'{"TEXT":"Hi"}'))

IDLE: list[AnyEvent] = [session_created()]
BUSY: list[AnyEvent] = [*IDLE, turn_started("t1"), user_message()]


def given_log(*events: AnyEvent) -> Session:
    return rebuild(event for event, _ in log(*events))


def outcome(*events: AnyEvent, agent: str | None = "enqueue", wanted: Wanted = WANTED, **env: Any) -> Any:
    policy = AGENTS[agent] if agent else None
    return triggers.outcome(given_log(*events), policy, wanted, Env(now=START, **env))


def wanting(**changes: Any) -> Wanted:
    return msgspec.structs.replace(WANTED, **changes)


def test_an_idle_session_starts_the_turn():
    started = outcome(*IDLE, delivery=3)

    assert isinstance(started, TurnStarted)
    assert (started.id, started.turn, started.input) == (outcome_id("t9"), "t9", raw({"TEXT": "Hi"}))
    assert started.delivery == 2


@pytest.mark.parametrize(("policy", "interrupts"), [("enqueue", False), ("interrupt", True)])
def test_a_busy_session_lets_it_wait(policy: str, interrupts: bool):
    queued = outcome(*BUSY, agent=policy)

    assert isinstance(queued, TriggerQueued)
    assert (queued.id, queued.turn, queued.interrupts) == (outcome_id("t9"), "t9", interrupts)


def test_a_queue_is_busy_too_though_no_turn_runs():
    between = [*BUSY, trigger_queued("t2"), assistant_message("Hello"), turn_finished("t1")]

    assert isinstance(outcome(*between), TriggerQueued)
    assert outcome(*between, agent="reject").detail == "turn t2 is running"


def test_a_busy_session_may_reject():
    rejected = outcome(*BUSY, agent="reject")

    assert isinstance(rejected, TriggerRejected)
    assert (rejected.reason, rejected.detail) == ("busy", "turn t1 is running")


def test_a_full_queue_rejects():
    waiting = [trigger_queued("t2"), trigger_queued("t3")]

    assert outcome(*BUSY, *waiting, queue_max=2).reason == "queue-full"
    assert isinstance(outcome(*BUSY, *waiting, queue_max=3), TriggerQueued)


@pytest.mark.parametrize(
    "answered",
    [
        [turn_started("t9")],
        [turn_started("t9"), user_message(turn="t9"), turn_finished("t9")],
        [turn_started("t1"), trigger_queued("t9")],
        [turn_started("t1"), trigger_queued("t9"), turn_cancel_requested("t9")],
        [turn_started("t1"), trigger_rejected("t9")],
    ],
)
def test_a_trigger_that_the_log_has_answered_becomes_nothing(answered: list[AnyEvent]):
    assert outcome(*IDLE, *answered) is None


def test_a_trigger_whose_turn_was_cancelled_before_is_rejected():
    assert outcome(*IDLE, turn_cancel_requested("t9")).reason == "cancelled"


@pytest.mark.parametrize(
    ("input", "detail"),
    [
        (b"{}", "TEXT is missing"),
        (b'{"TEXT":5}', '/TEXT: 5 is not of type "string"'),
        (b"[]", "must be an object, not a list"),
        (b'{"TEXT":"Hi","TEXTS":1}', "unknown name 'TEXTS'; did you mean 'TEXT'?"),
    ],
)
def test_input_that_is_not_what_the_trigger_declares_is_rejected(input: bytes, detail: str):
    rejected = outcome(*IDLE, wanted=wanting(input=Raw(input)))

    assert (rejected.reason, rejected.detail) == ("invalid-input", detail)


@pytest.mark.parametrize("input", [b'{"TEXT":1e999}', b"[" * 5_000 + b"]" * 5_000])
def test_input_that_cannot_be_read_is_rejected(input: bytes):
    assert outcome(*IDLE, wanted=wanting(input=Raw(input))).reason == "invalid-input"


def test_an_unknown_trigger_is_rejected_with_the_nearest_name():
    rejected = outcome(*IDLE, wanted=wanting(name="user-mesage"))

    assert rejected.reason == "unknown-trigger"
    assert rejected.detail == "no trigger 'user-mesage'; did you mean 'user-message'?"


def test_without_the_agent_it_is_rejected():
    assert outcome(*IDLE, agent=None).reason == "unknown-agent"


def test_what_came_too_often_without_an_outcome_is_rejected():
    assert isinstance(outcome(*IDLE, delivery=5, crash_limit=5), TurnStarted)
    assert outcome(*IDLE, delivery=6, crash_limit=5).reason == "crash-loop"


# ---- cancels


def cancelled(*events: AnyEvent, turn: str = "t1") -> TurnCancelRequested | None:
    return triggers.cancel(given_log(*events), turn, Env(now=START))


@pytest.mark.parametrize(
    ("events", "turn"),
    [(BUSY, "t1"), ([*BUSY, trigger_queued("t2")], "t2"), (IDLE, "t1")],
    ids=["runs", "waits", "unseen"],
)
def test_a_turn_that_runs_waits_or_was_not_seen_is_cancelled(events: list[AnyEvent], turn: str):
    event = cancelled(*events, turn=turn)

    assert event is not None
    assert (event.id, event.turn) == (cancel_id(turn), turn)


@pytest.mark.parametrize(
    ("events", "turn"),
    [
        ([*BUSY, turn_finished("t1")], "t1"),
        ([*BUSY, turn_cancel_requested("t1")], "t1"),
        ([*BUSY, trigger_queued("t2"), turn_cancel_requested("t2")], "t2"),
        ([*BUSY, trigger_queued("t2", interrupts=True)], "t1"),
        ([*IDLE, turn_cancel_requested("t1")], "t1"),
        ([*IDLE, trigger_rejected("t1")], "t1"),
    ],
    ids=["over", "being cancelled", "left the queue", "interrupted", "withdrawn", "rejected"],
)
def test_a_turn_that_is_over_or_on_its_way_there_is_not_cancelled_again(events: list[AnyEvent], turn: str):
    assert cancelled(*events, turn=turn) is None
