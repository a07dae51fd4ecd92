from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.projector.parts import Made, Written, one_turn, projector
from tests.support.wait import until

from stenograph_events import new_session_id, shard_of
from stenograph_events.subjects import trigger_subject
from stenograph_events.testing import session_created, turn_started, user_message
from stenograph_events.wire import Nudge
from stenograph_services.projector.sweeping import Sweep
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.index import SessionIndex
from stenograph_services.runtime.jetstream import api
from stenograph_services.runtime.streams import log_stream

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
A_MINUTE_ON = START + timedelta(seconds=90)
LONG_AFTER = START + timedelta(hours=1)


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
