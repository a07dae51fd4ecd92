from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.projector.parts import QUESTION, Made, Written, one_turn, projector
from tests.support.wait import until

from stenograph_events import AnyEvent, new_session_id, shard_of
from stenograph_events.subjects import trigger_subject
from stenograph_events.testing import (
    messages_rolled_back,
    parent,
    session_cleared,
    session_created,
    session_expired,
    session_restored,
    turn_started,
    user_message,
)
from stenograph_events.wire import Expire, Nudge
from stenograph_services.projector.sweeping import Sweep
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.index import SessionIndex
from stenograph_services.runtime.jetstream import api
from stenograph_services.runtime.streams import log_stream

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
A_MINUTE_ON = START + timedelta(seconds=90)
LONG_AFTER = START + timedelta(hours=1)
A_DAY_ON = START + timedelta(hours=25)


@pytest.fixture
def sweep(nc: Client, settings: Settings) -> Sweep:
    return Sweep(nc, settings, SessionIndex(settings.index_url()))


async def running(log: Written, made: Made, settings: Settings) -> None:
    async with projector(settings):
        await log.append(session_created(), turn_started(), user_message())
        await made.row_at(log.session, 3)


async def answered(log: Written, made: Made, settings: Settings) -> None:
    """Bring the session to a tool result that nobody has acted on."""
    async with projector(settings):
        await log.append(session_created(), *one_turn()[:5])
        await made.row_at(log.session, 6)


async def held(nc: Client, settings: Settings, session: str) -> Msg:
    """Take the next wake delivery of the session's stream, as an orchestrator does."""
    stream = log_stream(settings, session)
    subscription = await nc.jetstream().pull_subscribe_bind("orchestrator-wake", stream)
    return (await subscription.fetch(1))[0]


async def asked(nc: Client, log: Written) -> list[str]:
    """Return what TRIG holds for the session: triggers and verbs."""
    subjects = f"trig.*.default.{log.session}.*"
    info = await api(nc, "STREAM.INFO.TRIG", {"subjects_filter": subjects})
    return [subject.rsplit(".", 1)[1] for subject in info["state"].get("subjects") or {}]


async def test_a_session_that_nobody_drives_is_nudged_once(
    nc: Client, log: Written, made: Made, settings: Settings, sweep: Sweep
):
    await running(log, made, settings)

    await sweep.sweep(A_MINUTE_ON)
    await sweep.sweep(A_MINUTE_ON)

    message = await nc.jetstream().get_last_msg("TRIG", f"trig.control.default.{log.session}.nudge")
    assert message.data is not None
    assert msgspec.json.decode(message.data, type=Nudge) == Nudge("t1.started", 3)
    assert message.headers == {"Nats-Msg-Id": f"nudge:{log.session}:3"}
    assert (await nc.jetstream().stream_info("TRIG")).state.messages == 1


async def test_a_session_that_spoke_a_minute_ago_is_left_alone(
    nc: Client, log: Written, made: Made, settings: Settings, sweep: Sweep
):
    await running(log, made, settings)

    await sweep.sweep(START + timedelta(seconds=50))

    assert not await asked(nc, log)


async def test_a_session_whose_trigger_is_held_is_left_alone_however_long_its_model_takes(
    nc: Client, log: Written, made: Made, settings: Settings, sweep: Sweep
):
    await running(log, made, settings)
    await nc.jetstream().publish(trigger_subject("default", log.session, "user-message"), b"{}")

    await sweep.sweep(LONG_AFTER)

    assert await asked(nc, log) == ["user-message"]


async def test_a_session_whose_tool_result_may_be_held_is_left_alone_for_long(
    nc: Client, log: Written, made: Made, settings: Settings, sweep: Sweep
):
    await answered(log, made, settings)
    await held(nc, settings, log.session)

    await sweep.sweep(A_MINUTE_ON)
    assert not await asked(nc, log)

    await sweep.sweep(LONG_AFTER)
    assert await asked(nc, log) == ["nudge"]


async def test_a_session_whose_tool_result_was_acked_is_nudged_though_another_one_is_held(
    nc: Client, log: Written, made: Made, settings: Settings, sweep: Sweep
):
    await answered(log, made, settings)
    await (await held(nc, settings, log.session)).ack_sync()
    other = Written(nc, settings, new_session_id(shard_of(log.session)))
    await answered(other, made, settings)
    await held(nc, settings, other.session)

    await sweep.sweep(A_MINUTE_ON)

    assert await asked(nc, log) == ["nudge"]
    assert not await asked(nc, other)


async def test_a_session_of_which_the_index_knows_only_the_past_is_left_alone(
    nc: Client, log: Written, made: Made, settings: Settings, sweep: Sweep
):
    await running(log, made, settings)
    await log.append(*one_turn()[2:4])

    await sweep.sweep(A_MINUTE_ON)

    assert not await asked(nc, log)


async def test_the_service_sweeps_by_itself(nc: Client, log: Written, made: Made, settings: Settings):
    async with projector(settings.model_copy(update={"sweep_seconds": 0.1})):
        old = datetime.now(UTC) - timedelta(minutes=5)
        await log.append(session_created(at=old), turn_started(at=old), user_message(at=old))
        await made.row_at(log.session, 3)
        await until(lambda: asked(nc, log))


# ---- expiry


async def test_a_session_that_was_idle_for_a_day_is_to_expire_and_is_asked_so_once(
    nc: Client, log: Written, made: Made, settings: Settings, sweep: Sweep
):
    async with projector(settings):
        await log.turn()
        await made.row_at(log.session, 8)

    await sweep.expire(A_DAY_ON)
    await sweep.expire(A_DAY_ON)

    message = await nc.jetstream().get_last_msg("TRIG", f"trig.control.default.{log.session}.expire")
    assert message.data is not None
    assert msgspec.json.decode(message.data, type=Expire) == Expire(8, 86_400)
    assert message.headers == {"Nats-Msg-Id": f"expire:{log.session}:8"}
    assert (await nc.jetstream().stream_info("TRIG")).state.messages == 1


async def test_a_session_that_has_something_to_do_does_not_expire(
    nc: Client, log: Written, made: Made, settings: Settings, sweep: Sweep
):
    await running(log, made, settings)

    await sweep.expire(A_DAY_ON)

    assert not await asked(nc, log)


@pytest.mark.parametrize("now", [LONG_AFTER, A_DAY_ON], ids=["idle for an hour", "a trigger is on its way"])
async def test_a_session_that_is_used_does_not_expire(
    nc: Client, log: Written, made: Made, settings: Settings, sweep: Sweep, now: datetime
):
    async with projector(settings):
        await log.turn()
        await made.row_at(log.session, 8)
    if now == A_DAY_ON:
        await nc.jetstream().publish(trigger_subject("default", log.session, "user-message"), b"{}")

    await sweep.expire(now)

    assert "expire" not in await asked(nc, log)


async def test_sessions_of_child_agents_do_not_expire(
    nc: Client, log: Written, made: Made, settings: Settings, sweep: Sweep
):
    async with projector(settings):
        await log.append(session_created(parent=parent()))
        await made.row_at(log.session, 1)

    await sweep.expire(A_DAY_ON)

    assert not await asked(nc, log)


async def test_nothing_expires_where_the_setting_is_zero(nc: Client, log: Written, made: Made, settings: Settings):
    async with projector(settings):
        await log.turn()
        await made.row_at(log.session, 8)

    never = settings.model_copy(update={"session_idle_seconds": 0})
    await Sweep(nc, never, SessionIndex(settings.index_url())).expire(A_DAY_ON)

    assert not await asked(nc, log)


async def test_the_service_expires_sessions_by_itself(nc: Client, log: Written, made: Made, settings: Settings):
    quick = {"sweep_seconds": 0.1, "session_idle_seconds": 0.1}
    async with projector(settings.model_copy(update=quick)):
        await log.append(session_created(at=datetime.now(UTC)))
        await made.row_at(log.session, 1)
        await until(lambda: asked(nc, log))


async def test_the_index_shows_a_session_as_expired_until_it_is_restored(log: Written, made: Made, settings: Settings):
    async with projector(settings):
        await log.turn()
        await log.append(session_expired())
        assert (await made.row_at(log.session, 9)).status == "expired"

        await log.append(session_restored())
        row = await made.row_at(log.session, 10)

    assert (row.status, row.title) == ("idle", QUESTION)


@pytest.mark.parametrize("gone", [session_cleared(), messages_rolled_back(0)], ids=["cleared", "rolled back"])
async def test_the_title_of_a_session_goes_with_its_messages(
    log: Written, made: Made, settings: Settings, gone: AnyEvent
):
    async with projector(settings):
        await log.turn()
        await log.append(gone)

        assert (await made.row_at(log.session, 9)).title is None
