"""Expiry, restore, clear and rollback: the one event that each becomes, and the services that record it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from tests.support.agents import HANDLER, SAY_HELLO, SAY_SLOWLY, bundle
from tests.support.logs import rebuild
from tests.support.services import TENANT, Stage, Talk
from tests.support.wait import until

from stenograph_events import AnyEvent, Head, clear_id, decode, expiry_id, outcome_id, restore_id, rollback_id, turn_id
from stenograph_events.chain import digest
from stenograph_events.subjects import ControlVerb, control_subject, trigger_subject
from stenograph_events.testing import (
    START,
    assistant_message,
    log,
    messages_rolled_back,
    restored_message,
    session_cleared,
    session_created,
    session_expired,
    trigger_queued,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.types import (
    BlockFinished,
    MessageAdded,
    MessagesRolledBack,
    SessionCleared,
    SessionExpired,
    SessionRestored,
    TriggerRejected,
    TurnStarted,
)
from stenograph_events.wire import Clear, Expire, Restore, Rollback, RollbackTo, Trigger, message_id
from stenograph_projections.session import Session
from stenograph_projections.transcript import Entry, entry_of
from stenograph_services.orchestrator import lifecycle, triggers
from stenograph_services.orchestrator.decisions import Env
from stenograph_services.orchestrator.triggers import Wanted
from stenograph_services.protocol import load_bundle
from stenograph_services.runtime.jetstream import publish

AGENT = load_bundle(bundle("x", when_busy="enqueue"))
IDLE: list[AnyEvent] = [session_created()]
BUSY: list[AnyEvent] = [*IDLE, turn_started(), user_message(id="u1")]
DONE: list[AnyEvent] = [*BUSY, assistant_message("Hello", id="a1"), turn_finished()]
WAITING: list[AnyEvent] = [*BUSY, trigger_queued("t2"), assistant_message("Hello"), turn_finished()]
EXPIRED: list[AnyEvent] = [*DONE, session_expired()]
CLEARED: list[AnyEvent] = [*DONE, session_cleared()]
WRITE_DOWN = "Write down:\n  block: serialize-thread\n  output: ANSWER\n"
DAY = timedelta(days=1)
A_DAY_ON = Env(now=START + 2 * DAY)
KEPT = (restored_message("Hi"),)


def folded(*events: AnyEvent) -> Session:
    return rebuild(event for event, _ in log(*events))


def entries(*events: AnyEvent) -> list[Entry]:
    return [entry for event, _ in log(*events) if (entry := entry_of(event))]


def expired(*events: AnyEvent, n: int | None = None, env: Env = A_DAY_ON) -> SessionExpired | None:
    session = folded(*events)
    return lifecycle.expire(session, len(events), Expire(n or len(events), DAY.total_seconds()), env)


def answered(*events: AnyEvent, after: str | None = "a1", **wanted: Any) -> tuple[AnyEvent, ...]:
    """Return what a trigger with a rollback becomes in a session with this log."""
    session = folded(*events)
    trigger = Wanted("t9", "user-message", Raw(b'{"TEXT":"Hi"}'), RollbackTo(after))
    outcome = triggers.outcome(session, AGENT, trigger, A_DAY_ON)
    assert outcome is not None
    return lifecycle.with_rollback(session, entries(*events), trigger, outcome, A_DAY_ON)


# ---- what each becomes


def test_an_idle_session_expires():
    event = expired(*DONE)

    assert isinstance(event, SessionExpired)
    assert (event.id, event.idle_seconds) == (expiry_id(folded(*DONE).session, len(DONE)), 86_400)


@pytest.mark.parametrize("events", [BUSY, WAITING, EXPIRED, CLEARED], ids=["busy", "queued", "expired", "cleared"])
def test_only_an_idle_active_session_expires(events: list[AnyEvent]):
    assert expired(*events) is None


def test_a_session_that_moved_on_since_the_sweep_saw_it_does_not_expire():
    assert expired(*DONE, n=len(DONE) - 1) is None


def test_a_session_that_was_not_idle_for_so_long_does_not_expire():
    assert expired(*DONE, env=Env(now=START + DAY)) is None


@pytest.mark.parametrize(("events", "kept"), [(EXPIRED, ()), (CLEARED, KEPT)], ids=["expired", "cleared"])
def test_what_a_client_brings_back_counts_only_where_the_log_was_cleared(events: list[AnyEvent], kept: tuple[Any, ...]):
    session = folded(*events)

    event = lifecycle.restore(session, Restore("r1", submitted=1, differing=1, messages=KEPT), A_DAY_ON)

    assert isinstance(event, SessionRestored)
    assert (event.id, event.submitted, event.differing) == (restore_id(session.session, "r1"), 1, 1)
    assert event.messages == kept


def test_an_active_session_is_not_restored():
    assert lifecycle.restore(folded(*DONE), Restore("r1"), A_DAY_ON) is None


@pytest.mark.parametrize("events", [DONE, EXPIRED], ids=["active", "expired"])
def test_a_session_at_rest_is_cleared(events: list[AnyEvent]):
    event = lifecycle.clear(folded(*events), Clear("r1"), A_DAY_ON)

    assert isinstance(event, SessionCleared)
    assert event.id == clear_id(folded(*events).session, "r1")


@pytest.mark.parametrize("events", [BUSY, WAITING, CLEARED], ids=["busy", "queued", "cleared"])
def test_a_session_that_is_busy_or_cleared_is_not_cleared(events: list[AnyEvent]):
    assert lifecycle.clear(folded(*events), Clear("r1"), A_DAY_ON) is None


@pytest.mark.parametrize("events", [EXPIRED, CLEARED], ids=["expired", "cleared"])
def test_a_trigger_to_a_session_that_expired_is_rejected_for_that(events: list[AnyEvent]):
    event = triggers.outcome(folded(*events), AGENT, Wanted("t9", "user-message", Raw(b'{"TEXT":"Hi"}')), A_DAY_ON)

    assert isinstance(event, TriggerRejected)
    assert event.reason == "expired"
    assert "restore it" in event.detail


def test_a_rollback_by_itself_is_recorded_once():
    session = folded(*DONE)
    event = lifecycle.roll_back(session, entries(*DONE), Rollback("r1", "u1"), A_DAY_ON)

    assert isinstance(event, MessagesRolledBack)
    assert (event.id, event.through, event.turn) == (rollback_id(session.session, "r1"), 3, None)
    after = folded(*DONE, event)
    assert lifecycle.roll_back(after, entries(*DONE, event), Rollback("r1", "u1"), A_DAY_ON) is None


@pytest.mark.parametrize("events", [BUSY, EXPIRED], ids=["busy", "expired"])
def test_a_session_that_is_busy_or_expired_is_not_rolled_back(events: list[AnyEvent]):
    assert lifecycle.roll_back(folded(*events), entries(*events), Rollback("r1"), A_DAY_ON) is None


# ---- a trigger with a rollback


@pytest.mark.parametrize(("after", "through"), [(None, 0), ("u1", 3), ("a1", 4)])
def test_messages_are_rolled_back_right_before_the_turn_starts(after: str | None, through: int):
    rolled_back, started = answered(*DONE, after=after)

    assert isinstance(rolled_back, MessagesRolledBack)
    assert isinstance(started, TurnStarted)
    assert (rolled_back.through, rolled_back.turn) == (through, started.turn)
    assert started.id == outcome_id("t9")


def test_a_trigger_that_comes_again_between_the_two_only_starts_its_turn():
    first, _ = answered(*DONE)

    (started,) = answered(*DONE, first)

    assert isinstance(started, TurnStarted)


@pytest.mark.parametrize(
    ("events", "after", "reason"),
    [
        pytest.param(BUSY, "u1", "busy", id="busy"),
        pytest.param(WAITING, "u1", "busy", id="queued"),
        pytest.param(DONE, "nobody", "unknown-message", id="no such message"),
        pytest.param([*DONE, messages_rolled_back(0)], "a1", "unknown-message", id="rolled back already"),
        pytest.param(EXPIRED, "a1", "expired", id="expired"),
    ],
)
def test_a_rollback_that_cannot_be_is_rejected_and_takes_nothing(events: list[AnyEvent], after: str, reason: str):
    (rejected,) = answered(*events, after=after)

    assert isinstance(rejected, TriggerRejected)
    assert rejected.reason == reason


# ---- the service


async def control(talk: Talk, verb: ControlVerb, body: Any, times: int = 1) -> None:
    """Ask for `verb`, and wait until the orchestrator is done with it."""
    for i in range(times):
        subject, data = control_subject(TENANT, talk.id, verb), msgspec.json.encode(body)
        await publish(talk.stage.nc, subject, data, {"Nats-Msg-Id": f"{verb}:{talk.id}:{body}:{i}"})

    async def settled() -> bool:
        return await talk.stage.unsettled("TRIG", "orchestrator-control") == 0

    await until(settled, what=f"{verb} is settled")


async def rolled_back(talk: Talk, after: str | None, request: str = "again", times: int = 1) -> str:
    """Trigger a turn before which the conversation goes back; return the turn."""
    for i in range(times):
        body = msgspec.json.encode(Trigger(Raw(b'{"TEXT":"Again"}'), request, RollbackTo(after)))
        headers = {"Nats-Msg-Id": f"{message_id(TENANT, talk.id, request)}{i}"}
        await publish(talk.stage.nc, trigger_subject(TENANT, talk.id, "user-message"), body, headers)
    return turn_id(talk.id, request)


async def test_an_expired_session_takes_triggers_again_once_it_is_restored(stage: Stage):
    talk = await stage.session(SAY_HELLO)
    await talk.end_of(await talk.send("Hi"))

    await control(talk, "expire", Expire(len(await talk.events()), 0.0), times=2)
    rejection = await talk.rejection_of(await talk.send("Too late"))
    await control(talk, "restore", Restore("r1", 2), times=2)
    end = await talk.end_of(await talk.send("Better"))

    assert rejection.reason == "expired"
    assert end.outcome == "completed"
    assert len(await talk.all(SessionExpired)) == len(await talk.all(SessionRestored)) == 1
    await talk.check()


async def test_a_session_does_not_expire_while_its_turn_runs(stage: Stage):
    talk = await stage.session(SAY_SLOWLY)
    turn = await talk.send()
    asked = await talk.until(MessageAdded, turn)

    await control(talk, "expire", Expire(asked.n, 0.0))
    end = await talk.end_of(turn)

    assert end.outcome == "completed"
    assert await talk.all(SessionExpired) == []


async def test_a_session_is_cleared_once_however_often_it_is_asked_for(stage: Stage):
    talk = await stage.session(SAY_HELLO)
    await talk.end_of(await talk.send("Hi"))

    await control(talk, "clear", Clear("r1"), times=2)
    await control(talk, "clear", Clear("r2"))

    assert len(await talk.all(SessionCleared)) == 1
    await talk.check()


async def test_what_was_rolled_back_is_gone_before_the_turn_starts(stage: Stage):
    talk = await stage.session(SAY_HELLO, handler=HANDLER + WRITE_DOWN)
    first = await talk.send("One")
    await talk.end_of(first)
    *_, said = await talk.all(MessageAdded, first)
    await talk.end_of(await talk.send("Two"))

    third = await rolled_back(talk, said.id, times=2)
    await talk.end_of(third)

    (written,) = await talk.all(BlockFinished, third)
    thread = bytes(written.variables["ANSWER"])
    assert b"One" in thread
    assert b"Again" in thread
    assert b"Two" not in thread
    types = await talk.types()
    assert types.count("messages.rolled_back") == 1
    assert types[types.index("messages.rolled_back") + 1] == "turn.started"
    await talk.check()


async def test_whoever_takes_over_between_rollback_and_start_only_starts_the_turn(stage: Stage):
    talk = await stage.session(SAY_HELLO)
    await talk.end_of(await talk.send("Hi"))
    turn = turn_id(talk.id, "again")
    *_, last = await stage.log.read(TENANT, talk.id)
    head = Head(last.sequence, decode(last.data).n, digest(last.data))
    event = messages_rolled_back(0, session=talk.id, turn=turn, id=rollback_id(talk.id, turn), at=datetime.now(UTC))
    await stage.log.append(TENANT, talk.id, head, [event])

    await talk.end_of(await rolled_back(talk, None))

    types = await talk.types()
    assert types.count("messages.rolled_back") == 1
    assert types[types.index("messages.rolled_back") + 1] == "turn.started"


async def test_a_rollback_to_a_message_that_is_not_there_is_rejected(stage: Stage):
    talk = await stage.session(SAY_HELLO)
    await talk.end_of(await talk.send("Hi"))

    rejection = await talk.rejection_of(await rolled_back(talk, "nobody"))

    assert rejection.reason == "unknown-message"
    assert await talk.all(MessagesRolledBack) == []


async def test_a_rollback_by_itself_is_recorded_by_the_orchestrator(stage: Stage):
    talk = await stage.session(SAY_HELLO)
    await talk.end_of(await talk.send("Hi"))

    await control(talk, "rollback", Rollback("r1"), times=2)

    (event,) = await talk.all(MessagesRolledBack)
    assert (event.through, event.sizes) == (0, {})
    await talk.check()


async def test_a_control_that_is_none_is_parked_with_those_that_there_are(stage: Stage):
    talk = await stage.session(SAY_HELLO)

    await publish(stage.nc, control_subject(TENANT, talk.id, "expire"), b"{}")

    assert "the expire is not what docs/events.md describes" in await stage.parked(
        control_subject(TENANT, talk.id, "expire")
    )
