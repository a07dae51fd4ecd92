"""Nothing that was said lies readable on any disk: neither in the streams nor in the index."""

from pathlib import Path

from tests.sealing.disk import CANARIES, converse, found_in, system
from tests.support.services import TENANT

from stenograph_projections.invariants import Stored, check
from stenograph_services.runtime.nats_server import NatsServer


async def test_of_a_sealed_conversation_nothing_is_readable_on_disk(server: NatsServer, tmp_path: Path, key_file: Path):
    data = tmp_path / "data"
    data.mkdir()
    async with system(server, data, sealing=True, sealing_key_file=key_file) as stage:
        session = await converse(stage, tmp_path)
        stored = await stage.log.read(TENANT, session)

    assert check([Stored(s.sequence, None, s.data, s.opened) for s in stored], complete=True).ok
    assert all(any(canary.encode() in one.plain for one in stored) for canary in said_in_one_log())
    assert (data / "index.db").stat().st_size > 0
    assert {**found_in(server.directory), **found_in(data)} == {}


async def test_of_one_that_is_not_sealed_everything_is(server: NatsServer, tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    async with system(server, data) as stage:
        await converse(stage, tmp_path)

    assert set(found_in(server.directory)) == set(CANARIES)
    assert set(found_in(data)) == {"message", "child's input"}  # the titles of both sessions


def said_in_one_log() -> list[str]:
    """The canaries that the parent's own log holds."""
    return [canary for what, canary in CANARIES.items() if what not in ("large result", "file", "file's type")]
