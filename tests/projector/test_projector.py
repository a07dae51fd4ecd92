import shutil
from hashlib import sha256
from pathlib import Path

import msgspec
from nats.aio.client import Client
from tests.projector.parts import QUESTION, Made, Written, one_turn, projector
from tests.support.nats import connect
from tests.support.wait import until

from stenograph_events import new_session_id
from stenograph_events.testing import log as sealed
from stenograph_events.testing import session_created, trigger_queued, turn_started, user_message
from stenograph_projections.snapshot import SnapshotFold, decode
from stenograph_services.projector import forget, rebuild
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.nats_server import NatsServer
from stenograph_services.runtime.streams import declare


async def test_a_turn_becomes_a_row_and_a_snapshot(log: Written, made: Made, settings: Settings):
    async with projector(settings):
        await log.turn()
        row = await made.row_at(log.session, 8)
        await made.snapshot_at(log.session, 8)

    assert (row.agent, row.agent_version, row.status, row.turns) == ("support-chat", "v1", "idle", 1)
    assert (row.title, row.outcome, row.woken_by, row.problem) == (QUESTION, "completed", None, None)
    assert (row.input_tokens, row.output_tokens) == (24, 68)
    assert row.sequence == log.head.sequence
    assert row.created_at.tzinfo is not None


async def test_the_row_says_what_the_session_does(log: Written, made: Made, settings: Settings):
    async with projector(settings):
        await log.append(session_created(), turn_started(), user_message())
        running = await made.row_at(log.session, 3)
        await log.append(*one_turn()[2:4])
        waiting = await made.row_at(log.session, 5)
        await log.append(*one_turn()[4:6], trigger_queued(), one_turn()[6])
        queued = await made.row_at(log.session, 9)

    assert (running.status, running.woken_by) == ("running", "t1.started")
    assert (waiting.status, waiting.woken_by) == ("waiting", None)
    assert (queued.status, queued.outcome, queued.woken_by) == ("queued", "completed", "t1-c1.succeeded.1")


async def test_a_title_is_one_short_line(log: Written, made: Made, settings: Settings):
    async with projector(settings):
        await log.turn(text="  I\u0000\n" + "really " * 50)
        row = await made.row_at(log.session, 8)

    assert row.title is not None
    assert len(row.title) == 80
    assert row.title.startswith("I\N{REPLACEMENT CHARACTER} really really")


async def test_a_snapshot_is_what_a_fold_of_the_whole_log_gives(
    nc: Client, log: Written, made: Made, settings: Settings
):
    """However the events came: in one batch or many, over snapshots, and with a segment full in between."""
    often = settings.model_copy(update={"snapshot_events": 3})
    for turns in (range(2), range(2, 8), range(8, 9)):
        async with projector(often):
            for k in turns:
                await log.turn(f"t{k}", "word " * 6_000)
            await made.row_at(log.session, log.head.n)
    stored = await made.snapshot_at(log.session, 1 + 9 * 7)

    rebuilt = await rebuild(nc, settings)

    assert rebuilt == {log.session: sha256(stored).hexdigest()}
    assert await made.snapshot(log.session) == stored
    snapshot = decode(stored)
    assert snapshot is not None
    assert snapshot.segments, "the test shall cross a segment"


async def test_stopping_writes_the_snapshots_that_are_due_later(log: Written, made: Made, settings: Settings):
    async with projector(settings.model_copy(update={"snapshot_idle_seconds": 60.0})):
        await log.turn()
        await made.row_at(log.session, 8)
        assert await made.snapshot(log.session) is None

    await made.snapshot_at(log.session, 8)


async def test_a_busy_session_gets_its_snapshot_before_it_is_quiet(log: Written, made: Made, settings: Settings):
    async with projector(settings.model_copy(update={"snapshot_idle_seconds": 60.0, "snapshot_events": 8})):
        await log.turn()

        await made.snapshot_at(log.session, 8)


async def test_events_that_come_again_change_nothing(nc: Client, log: Written, made: Made, settings: Settings):
    """A consumer that is deleted by hand comes back by itself and delivers everything once more."""
    async with projector(settings):
        await log.turn()
        before = await made.row_at(log.session, 8)
        snapshot = await made.snapshot_at(log.session, 8)
        for k in range(settings.shards):
            await nc.jetstream().delete_consumer(f"EV_{k}", "projector")
        other = Written(nc, settings)
        await other.turn()
        await made.row_at(other.session, 8)

        assert made.row(log.session) == before
        assert await made.snapshot(log.session) == snapshot


async def test_a_new_projector_goes_on_where_the_snapshot_stands(log: Written, made: Made, settings: Settings):
    async with projector(settings):
        await log.turn()
        await made.row_at(log.session, 8)
    async with projector(settings):
        await log.turn("t2", "And now?")
        row = await made.row_at(log.session, 15)

    assert (row.title, row.turns, row.input_tokens) == (QUESTION, 2, 48)


async def test_a_session_whose_snapshot_and_row_are_gone_is_folded_from_its_log(
    nc: Client, log: Written, made: Made, settings: Settings
):
    other = Written(nc, settings)
    async with projector(settings):
        await log.turn()
        await made.row_at(log.session, 8)
    await forget(nc, settings)
    await other.turn()
    async with projector(settings):
        await log.turn("t2")
        row = await made.row_at(log.session, 15)
        await made.row_at(other.session, 8)

    assert (row.title, row.turns) == (QUESTION, 2)


async def test_a_damaged_snapshot_is_not_believed(nc: Client, log: Written, made: Made, settings: Settings):
    async with projector(settings):
        await log.turn()
        await made.snapshot_at(log.session, 8)
    other_log = SnapshotFold()
    for i, (event, data) in enumerate(sealed(session_created("other"), turn_started(), user_message()), 1):
        other_log.apply(event, data, i)
    await nc.jetstream().publish(f"$KV.SNAP.default.{log.session}", other_log.encode())
    async with projector(settings):
        await log.turn("t2")
        row = await made.row_at(log.session, 15)

    assert (row.agent, row.title, row.turns) == ("support-chat", QUESTION, 2)


async def test_a_deleted_index_comes_back_at_the_next_start(log: Written, made: Made, settings: Settings):
    async with projector(settings):
        await log.turn()
        before = await made.row_at(log.session, 8)
        await made.snapshot_at(log.session, 8)
    made.close()
    shutil.rmtree(settings.data_dir)

    async with projector(settings):
        assert made.row(log.session) == before


async def test_an_event_that_cannot_be_read_breaks_its_session_alone(
    nc: Client, log: Written, made: Made, settings: Settings
):
    sound = Written(nc, settings)
    async with projector(settings):
        await log.turn()
        await log.poison(b'{"type":"turn.started","n":')
        await log.poison(b"more")
        await sound.turn()
        row = await made.broken(log.session)
        await made.row_at(sound.session, 8)

    assert row.events == 8
    assert row.problem is not None
    assert "cannot be decoded" in row.problem
    assert row.title == QUESTION
    assert await made.parked() == 1
    async with projector(settings):
        await log.poison(b"after a restart")
        await sound.turn("t2")
        await made.row_at(sound.session, 15)
    assert await made.parked() == 1


async def test_an_event_out_of_the_chain_breaks_its_session(nc: Client, log: Written, made: Made, settings: Settings):
    (_, *_), (_, stray) = sealed(session_created(session=log.session), turn_started(session=log.session))
    async with projector(settings):
        await log.turn()
        await log.poison(stray)
        row = await made.broken(log.session)

    assert row.problem == f"session {log.session}: the log is broken at event 9: the stored event has the number 2"


async def test_an_event_of_another_session_breaks_the_one_whose_log_it_is_in(
    log: Written, made: Made, settings: Settings
):
    (_, stray), *_ = sealed(session_created(session=new_session_id()))
    async with projector(settings):
        await log.poison(stray)
        row = await made.broken(log.session)

    assert row.problem is not None
    assert "belongs to session" in row.problem


async def test_an_event_of_a_later_version_moves_the_session_on(log: Written, made: Made, settings: Settings):
    event = turn_started(session=log.session)
    async with projector(settings):
        await log.append(session_created())
        body = {
            "type": "session.invented", "id": "x", "n": 2, "prev": log.head.hash, "at": event.at,
            "tenant": "default", "session": log.session, "news": True,
        }  # fmt: skip
        await log.poison(msgspec.json.encode(body))
        row = await made.row_at(log.session, 2)

    assert row.status == "idle"
    assert await made.parked() == 0


async def test_what_lies_under_no_session_is_parked_and_blocks_nobody(
    nc: Client, log: Written, made: Made, settings: Settings
):
    async with projector(settings):
        for subject in ("ev.00.default", "ev.00.default.00*.turn", "ev.01.default.00abc.turn"):
            await nc.jetstream().publish(subject, b"{}")
        await log.turn()
        await made.row_at(log.session, 8)
        await until(lambda: _three(made))


async def _three(made: Made) -> bool:
    return await made.parked() == 3


async def test_the_projector_goes_on_when_its_server_comes_back(nats_server: NatsServer, tmp_path: Path):
    settings = Settings(nats_url=nats_server.url, data_dir=tmp_path / "data", snapshot_idle_seconds=0.1)
    nc = await connect(nats_server.url)
    await declare(nc, settings)
    log, made = Written(nc, settings), Made(nc, settings)
    async with projector(settings):
        await log.turn()
        await made.row_at(log.session, 8)
        await nats_server.kill()
        await nats_server.start()
        await log.turn("t2")
        await made.row_at(log.session, 15)
        await made.snapshot_at(log.session, 15)
    made.close()
    await nc.close()
