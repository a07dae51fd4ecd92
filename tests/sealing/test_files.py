"""Files of clients in sealed sessions: a model reads what lies sealed, and nobody does once the key is gone."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from tests.support.agents import SAY_HELLO
from tests.support.services import TENANT, Stage

from stenograph_events.values import FilePart, TextPart
from stenograph_projections.transcript import Message
from stenograph_services.orchestrator.attachments import Attachments
from stenograph_services.runtime.file_links import File, FileLinks
from stenograph_services.runtime.files import Files
from stenograph_services.runtime.keys import KeyStore

BODY = b"a picture of a cat"


async def test_a_sealed_file_is_brought_to_a_model_until_its_key_is_deleted(stage: Stage):
    session = (await stage.session(SAY_HELLO)).id
    theirs = (await stage.session(SAY_HELLO)).id
    message = await message_with(stage, File(session, "f-1", "cat.png", len(BODY), "image/png"))
    attachments = Attachments(stage.nc, stage.settings, stage.log.seals)

    [before] = await attachments.brought(TENANT, session, [message])
    await stage.log.seals.keys.delete(TENANT, session)
    [after] = await attachments.brought(TENANT, theirs, [message])

    assert isinstance(before, Message)
    assert isinstance(after, Message)
    assert [part.url for part in before.parts if isinstance(part, FilePart)] == [
        f"data:image/png;base64,{base64.b64encode(BODY).decode()}"
    ]
    assert ["it is not stored any more" in part.text for part in after.parts if isinstance(part, TextPart)] == [True]


async def message_with(stage: Stage, file: File) -> Message:
    """Return a message that comes with `file`, which is uploaded."""

    async def body() -> AsyncIterator[bytes]:
        yield BODY

    await Files(stage.nc, TENANT, stage.log.seals).put(file, body())
    links = FileLinks(await KeyStore(stage.nc).secret(), TENANT)
    url = links.url("http://127.0.0.1:8420", "GET", file, datetime.now(UTC) + timedelta(hours=1))
    part = FilePart("f-1", "image/png", url, "cat.png", file.size)
    return Message(1, datetime.now(UTC), "t1", "m1", "main", "user", (part,))
