"""What a worker says of its progress is shown of a sealed session, too, and lies on no disk."""

from pathlib import Path

from tests.support.agents import CALL_THEN_SAY
from tests.support.services import Frames, Stage
from tests.support.wait import until

from stenograph_events.frames import ToolProgress
from stenograph_services.runtime.nats_server import NatsServer

CANARY = "CANARY-OF-PROGRESS"


async def test_progress_of_a_sealed_session_is_shown_and_stored_nowhere(
    server: NatsServer, tmp_path: Path, key_file: Path
):
    async with Stage(server.url, tmp_path / "data", sealing=True, sealing_key_file=key_file) as stage:
        talk = await stage.session(CALL_THEN_SAY)
        turn = await talk.send()
        request = await talk.request()
        async with Frames(stage.nc, talk.id) as frames:
            await talk.progress(request, CANARY)
            shown = await until(lambda: next((one for one in frames.heard if isinstance(one, ToolProgress)), None))
        await talk.answer(request, {"plan": "pro"})
        await talk.end_of(turn)

    stored = b"".join(path.read_bytes() for path in server.directory.rglob("*") if path.is_file())
    assert shown.text == CANARY
    assert request.call.encode() in stored
    assert CANARY.encode() not in stored
