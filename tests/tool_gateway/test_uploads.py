"""What workers upload: in BLOB once the log refers to it, gone when nothing does, and bounded for each tenant."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from tests.support.agents import CALL_THEN_SAY
from tests.support.services import TENANT, Stage, Talk
from tests.support.wait import until

from stenograph_events.subjects import AnswerSubject, upload_subject
from stenograph_events.types import ToolAnswerRejected, ToolFailed, ToolRequested, ToolSucceeded
from stenograph_events.values import BlobRef
from stenograph_events.wire import ToolAnswer
from stenograph_services.runtime.blobs import CHUNK_BYTES, Blobs
from stenograph_services.runtime.jetstream import ALREADY_STORED, NO_ROOM, JetStreamError, api, publish
from stenograph_services.runtime.uploads import Quota, declare_uploads, quota_of, set_quota

RESULT = msgspec.json.encode({"plan": "x" * 1_200_000})  # three chunks


@pytest.fixture(autouse=True)
async def room(stage: Stage) -> None:
    """The tenant's uploads, with the quota of the settings and nothing in it."""
    await set_quota(stage.nc, stage.settings, TENANT, None)
    await api(stage.nc, f"STREAM.PURGE.UPLOADS_{TENANT}")


async def test_a_recorded_result_lies_in_blob_and_gives_its_room_back(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    request = await talk.request()
    await answer_with(talk, request, await upload(stage, request))
    await talk.end_of(turn)

    (succeeded,) = await talk.all(ToolSucceeded)
    assert succeeded.result_ref is not None
    assert await Blobs(stage.nc).get(TENANT, [succeeded.result_ref]) == [RESULT]
    await until(nothing_in("UPLOADS_default", stage), what="the room is given back")


async def test_of_a_result_that_comes_too_late_nothing_is_kept(stage: Stage):
    """A worker could have filled BLOB with answers that nobody waits for."""
    talk = await stage.session(CALL_THEN_SAY)
    turn = await talk.send()
    request = await talk.request()
    await talk.cancel(turn)
    await talk.end_of(turn)
    before = await messages_in("BLOB", stage)

    await answer_with(talk, request, await upload(stage, request))
    await talk.until(ToolAnswerRejected)

    await until(nothing_in("UPLOADS_default", stage), what="the room is given back")
    assert await messages_in("BLOB", stage) == before


async def test_a_failed_call_gives_back_what_was_uploaded_of_its_result(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    request = await talk.request()
    await upload(stage, request, chunks=2)
    await talk.answer(request, outcome="failed", error="no room")
    await talk.end_of(turn)

    assert [failed.error for failed in await talk.all(ToolFailed)] == ["no room"]
    await until(nothing_in("UPLOADS_default", stage), what="the room is given back")


@pytest.mark.parametrize("chunks", [0, 2])
async def test_a_result_of_which_something_is_missing_fails_its_call(stage: Stage, chunks: int):
    talk = await stage.session(CALL_THEN_SAY)
    body = msgspec.json.encode({"plan": f"{chunks}" * 1_200_000})

    turn = await talk.send()
    request = await talk.request()
    await answer_with(talk, request, await upload(stage, request, body, chunks))
    await talk.end_of(turn)

    (failed,) = await talk.all(ToolFailed)
    assert failed.error == "the result is not in BLOB under the reference"


async def test_what_was_uploaded_for_another_call_is_no_result_of_this_one(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)
    body = msgspec.json.encode({"plan": "y" * 600_000})

    turn = await talk.send()
    request = await talk.request()
    theirs = msgspec.structs.replace(request, call="another")
    await answer_with(talk, request, await upload(stage, theirs, body))
    await talk.end_of(turn)

    assert await talk.all(ToolSucceeded) == []


async def test_an_answer_that_is_delivered_again_after_its_room_was_given_back_changes_nothing(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)
    turn = await talk.send()
    request = await talk.request()
    await answer_with(talk, request, await upload(stage, request))
    await talk.end_of(turn)
    before = await talk.types()

    await api(stage.nc, "CONSUMER.DELETE.RES.tool-gateway-answers")
    await until(all_delivered(stage), what="the consumer is back and has delivered everything")

    assert await talk.types() == before


async def test_a_tenant_that_uses_up_its_quota_harms_no_other(stage: Stage):
    at = AnswerSubject(TENANT, "get-account", "s1", "c1", 1)
    theirs = at._replace(tenant="other")
    await set_quota(stage.nc, stage.settings, TENANT, 1_000_000)
    await declare_uploads(stage.nc, stage.settings, "other")
    await publish(stage.nc, upload_subject(at, "a" * 64, 0), b"x" * 500_000)

    with pytest.raises(JetStreamError, match="maximum bytes exceeded") as refused:
        await publish(stage.nc, upload_subject(at, "a" * 64, 1), b"x" * 500_000)
    await publish(stage.nc, upload_subject(theirs, "a" * 64, 1), b"x" * 500_000)

    assert refused.value.code == NO_ROOM
    assert (await quota_of(stage.nc, "other") or Quota(0, True, 0)).used > 500_000


async def test_a_tenant_cannot_fill_the_servers_memory_with_small_uploads(stage: Stage):
    at = AnswerSubject(TENANT, "get-account", "s1", "c1", 1)
    await set_quota(stage.nc, stage.settings, TENANT, 1_000_000)
    for i in range(1_000):
        await publish(stage.nc, upload_subject(at, "a" * 64, i), b"x")

    with pytest.raises(JetStreamError, match="maximum messages exceeded"):
        await publish(stage.nc, upload_subject(at, "b" * 64, 0), b"x")


async def test_uploads_are_write_once(stage: Stage):
    where = upload_subject(AnswerSubject(TENANT, "get-account", "s1", "c1", 1), "a" * 64, 0)
    await publish(stage.nc, where, b"first")

    with pytest.raises(JetStreamError, match="per subject") as refused:
        await publish(stage.nc, where, b"second")

    assert refused.value.code == ALREADY_STORED


async def test_what_nothing_ever_refers_to_goes_with_its_age(stage: Stage):
    aged = stage.settings.model_copy(update={"uploads_max_age_seconds": 0.2})
    await declare_uploads(stage.nc, aged, TENANT)

    await publish(stage.nc, upload_subject(AnswerSubject(TENANT, "find", "s1", "c1", 1), "a" * 64, 0), b"x")

    await until(nothing_in("UPLOADS_default", stage), what="it is gone")


async def test_a_quota_of_a_tenants_own_stays_when_its_workers_register(stage: Stage):
    await set_quota(stage.nc, stage.settings, TENANT, 5_000_000)

    own = await declare_uploads(stage.nc, stage.settings, TENANT)
    await set_quota(stage.nc, stage.settings, TENANT, None)
    again = await declare_uploads(stage.nc, stage.settings, TENANT)

    assert (own, again) == (5_000_000, stage.settings.upload_quota_bytes)


async def test_a_smaller_quota_drops_nothing_of_what_is_there(stage: Stage):
    at = AnswerSubject(TENANT, "get-account", "s1", "c1", 1)
    for i in range(4):
        await publish(stage.nc, upload_subject(at, "a" * 64, i), b"x" * 500_000)

    await set_quota(stage.nc, stage.settings, TENANT, 1_000_000)

    assert await messages_in("UPLOADS_default", stage) == 4


async def test_a_quota_that_the_server_has_no_room_for_is_told_to_the_worker(stage: Stage):
    """The server reserves what a stream may take; without an answer a worker would ask for ever."""
    service: Any = stage.running("tool-gateway").service
    registrations = service._registrations
    vast = stage.settings.model_copy(update={"upload_quota_bytes": 10**15})
    registrations._settings = vast
    offer = b'{"tool":"find","worker":"w-1","retry":"safe"}'

    try:
        reply = await stage.nc.request("api.newcomer.tools.register.find", offer, timeout=5)
    finally:
        registrations._settings = stage.settings

    assert b'"code":"UNAVAILABLE"' in reply.data
    assert b"insufficient storage resources available" in reply.data


async def upload(stage: Stage, request: ToolRequested, body: bytes = RESULT, chunks: int = 99) -> BlobRef:
    """Upload the first chunks of `body` as the worker of `request` would; return the reference to all of it."""
    at = AnswerSubject(request.tenant, request.tool, request.session, request.call, request.attempt)
    digest = sha256(body).hexdigest()
    for i, start in list(enumerate(range(0, len(body), CHUNK_BYTES)))[:chunks]:
        await publish(stage.nc, upload_subject(at, digest, i), body[start : start + CHUNK_BYTES])
    return BlobRef(digest, len(body))


async def answer_with(talk: Talk, request: ToolRequested, reference: BlobRef) -> None:
    answer = ToolAnswer("succeeded", result_ref=reference, worker="w-1")
    await talk.answer_bytes(request, msgspec.json.encode(answer))


async def messages_in(stream: str, stage: Stage) -> int:
    return (await stage.nc.jetstream().stream_info(stream)).state.messages


def nothing_in(stream: str, stage: Stage) -> Callable[[], Awaitable[bool]]:
    async def empty() -> bool:
        return await messages_in(stream, stage) == 0

    return empty


def all_delivered(stage: Stage) -> Callable[[], Awaitable[bool]]:
    async def delivered() -> bool:
        try:
            return not await stage.unsettled("RES", "tool-gateway-answers")
        except Exception:  # the consumer is not back yet
            return False

    return delivered
