from hashlib import sha256

import pytest
from nats.aio.client import Client
from tests.projector.parts import Made, Written, projector

from stenograph_events import SHARDS, new_session_id
from stenograph_events.testing import log as sealed
from stenograph_events.testing import session_created, turn_started
from stenograph_services.projector import forget, rebuild
from stenograph_services.runtime.config import Settings


@pytest.fixture
def logs(nc: Client, settings: Settings) -> list[Written]:
    """The logs of some sessions, two of them under one shard token."""
    return [Written(nc, settings, new_session_id(shard)) for shard in (SHARDS[0], SHARDS[0], SHARDS[9], SHARDS[63])]


async def test_what_was_forgotten_comes_back_byte_for_byte(
    nc: Client, logs: list[Written], made: Made, settings: Settings
):
    async with projector(settings):
        for log in logs:
            await log.turn()
        rows = [await made.row_at(log.session, 8) for log in logs]
        before = {log.session: sha256(await made.snapshot_at(log.session, 8)).hexdigest() for log in logs}

    await forget(nc, settings)
    assert [made.row(log.session) for log in logs] == [None] * 4
    assert [await made.snapshot(log.session) for log in logs] == [None] * 4

    assert await rebuild(nc, settings) == before
    assert [made.row(log.session) for log in logs] == rows
    assert {log.session: sha256(await made.snapshot_at(log.session, 8)).hexdigest() for log in logs} == before


async def test_some_sessions_are_rebuilt_alone(nc: Client, logs: list[Written], made: Made, settings: Settings):
    for log in logs:
        await log.turn()

    digests = await rebuild(nc, settings, sessions=[logs[0].session])

    assert list(digests) == [logs[0].session]
    assert made.row(logs[0].session)
    assert made.row(logs[1].session) is None


async def test_the_progress_ends_at_the_whole(nc: Client, logs: list[Written], settings: Settings):
    for log in logs:
        await log.turn()
    told: list[tuple[int, int]] = []

    await rebuild(nc, settings, progress=lambda done, total: told.append((done, total)))

    assert told[0] == (0, 32)
    assert told[-1] == (32, 32)


async def test_an_empty_log_is_rebuilt_into_nothing(nc: Client, settings: Settings):
    assert await rebuild(nc, settings) == {}
    assert await rebuild(nc, settings, sessions=[new_session_id()]) == {}


async def test_a_broken_session_is_named_and_the_others_are_rebuilt(
    nc: Client, logs: list[Written], made: Made, settings: Settings
):
    broken, *sound = logs
    for log in logs:
        await log.turn()
    _, (_, edited) = sealed(session_created(session=broken.session), turn_started(session=broken.session))
    await broken.poison(edited)

    digests = await rebuild(nc, settings)

    assert set(digests) == {log.session for log in sound}
    row = made.row(broken.session)
    assert row is not None
    assert (row.status, row.events) == ("broken", 8)
