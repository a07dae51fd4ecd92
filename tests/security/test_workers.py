"""A worker that holds a credential and nothing more, on a server where nobody may do what he was not given."""

import asyncio
import os
import time
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from tests.security.walls import Guest, Wall, serving
from tests.support.agents import CALL_THEN_SAY
from tests.support.wait import until

from stenograph_events.frames import AnyFrame, ToolProgress, decode_frame
from stenograph_events.subjects import Pattern, frame_subject
from stenograph_events.types import ToolSucceeded, TurnFinished
from stenograph_events.wire import Problem, Registration
from stenograph_sdk import ToolContext, Worker
from stenograph_sdk.credentials import said_by
from stenograph_services.accounts import changes, minting, walls
from stenograph_services.accounts.claims import signed
from stenograph_services.accounts.errors import AccountsError
from stenograph_services.accounts.private import write_private

TOOL = "get-account"
SOAK = os.environ.get("STENOGRAPH_SOAK") == "1"
REVOCATIONS = 100 if SOAK else 20


@pytest.mark.parametrize("retry", ["safe", "never"])
async def test_a_call_goes_through_the_wall_to_the_tenants_worker_and_its_result_back_into_the_log(
    wall: Wall, retry: Any
):
    """The credentials file is all that the worker is given: it says the tenant and the inboxes, too."""
    worker = Worker(wall.server.url, await wall.worker("acme", [TOOL]), name="w-1")
    worker.tool(TOOL, retry=retry)(lambda **_: {"plan": "x" * 700_000})  # over two chunks of a blob
    session = await wall.session("acme", CALL_THEN_SAY)

    async with serving(worker):
        await session.trigger(TEXT="Hi")
        succeeded = await session.until(ToolSucceeded)
        end = await session.until(TurnFinished)

    assert (succeeded.worker, end.outcome) == ("w-1", "completed")
    assert succeeded.result_ref is not None


async def test_what_a_handler_says_of_its_progress_goes_through_the_wall_and_no_further_than_its_session(wall: Wall):
    worker = Worker(wall.server.url, await wall.worker("acme", [TOOL]), name="w-1")
    session, other = [await wall.session("acme", CALL_THEN_SAY) for _ in range(2)]
    heard: list[tuple[str, AnyFrame]] = []
    shown = asyncio.Event()

    @worker.tool(TOOL, retry="safe")
    async def slow(userId: str, *, call: ToolContext) -> dict[str, str]:
        call.progress("half of it", done=1, total=2)
        await shown.wait()
        return {"plan": "pro"}

    async def hear(message: Msg) -> None:
        heard.append((message.subject, decode_frame(message.data)))

    listening = await wall.platform.subscribe(Pattern.FRAMES, cb=hear)
    async with serving(worker):
        await session.trigger(TEXT="Hi")
        await until(lambda: [frame for _, frame in heard if isinstance(frame, ToolProgress)])
        shown.set()
        await session.until(TurnFinished)
    await listening.unsubscribe()

    [(subject, frame)] = [(subject, frame) for subject, frame in heard if isinstance(frame, ToolProgress)]
    assert subject == frame_subject("acme", session.id) != frame_subject("acme", other.id)
    assert (frame.text, frame.done, frame.total) == ("half of it", 1, 2)


async def test_a_worker_whose_credential_is_of_before_there_was_progress_says_nothing_and_is_denied_nothing(wall: Wall):
    file = await wall.worker("acme", [TOOL])
    account, one = wall.folder.tenant_key("acme"), wall.folder.tenant("acme").credentials[-1]
    uses = walls.worker_uses("acme", [TOOL], walls.inbox_of(one.user))
    older = minting._claims([use for use in uses if "progress" not in use.subject], ["tenant:acme"], ["STANDARD"], 64)
    token = signed(account, one.user, "w-1", older)
    write_private(file, file.read_text().replace(str(said_by(file).jwt), token))
    worker = Worker(wall.server.url, file, name="w-1", verify=False)
    session = await wall.session("acme", CALL_THEN_SAY)

    @worker.tool(TOOL, retry="safe")
    async def told(userId: str, *, call: ToolContext) -> dict[str, str]:
        call.progress("half of it")
        return {"plan": "pro"}

    async with serving(worker):
        await session.trigger(TEXT="Hi")
        end = await session.until(TurnFinished)
        assert worker.connection is not None
        last_error = worker.connection.last_error

    assert end.outcome == "completed"
    assert last_error is None


async def test_a_cancelled_turn_reaches_the_handler_of_a_worker_behind_the_wall(wall: Wall):
    worker = Worker(wall.server.url, await wall.worker("acme", [TOOL]), name="w-1")
    begun, cancelled = asyncio.Event(), asyncio.Event()

    @worker.tool(TOOL, retry="safe", parameters={"type": "object"})
    async def slow(**_: Any) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    session = await wall.session("acme", CALL_THEN_SAY)
    async with serving(worker):
        await session.trigger(TEXT="Hi")
        await asyncio.wait_for(begun.wait(), 10)
        await session.cancel()
        await asyncio.wait_for(cancelled.wait(), 10)
        await session.until(TurnFinished)


async def test_a_tool_that_is_added_to_a_tenant_is_served_over_connections_that_are_open(wall: Wall):
    first = Worker(wall.server.url, await wall.worker("acme", ["first"]))
    first.tool("first")(lambda: 1)

    async with serving(first):
        second = Worker(wall.server.url, await wall.worker("acme", ["second"]))
        second.tool("second")(lambda: 2)
        async with serving(second):
            assert first.serving.is_set()


async def test_a_worker_cannot_offer_a_tool_in_the_name_of_another(wall: Wall):
    guest = await Guest.connect(wall.server.url, await wall.worker("acme", ["mine"]))

    offer = msgspec.json.encode(Registration("not-mine", "w-1", "safe"))
    reply = await guest.nc.request("api.acme.tools.register.mine", offer, timeout=5)

    assert msgspec.json.decode(reply.data, type=Problem) == Problem(
        "VALIDATION_ERROR", "'mine' is registered here, and the offer is 'not-mine'"
    )
    await guest.nc.close()


async def test_a_revoked_credential_loses_its_connection_within_a_second_and_opens_no_other(wall: Wall):
    stays = await Guest.connect(wall.server.url, await wall.worker("acme", [TOOL]))
    took: list[float] = []
    for _ in range(REVOCATIONS):
        file = await wall.worker("acme", [TOOL])
        user = wall.folder.tenant("acme").credentials[-1].user
        guest = await Guest.connect(wall.server.url, file)
        began = time.perf_counter()
        await changes.revoke(wall.folder, wall.server.url, "acme", user)
        await asyncio.wait_for(guest.closed.wait(), 5)
        took.append(time.perf_counter() - began)

    assert sorted(took)[-1] < 1.0
    with pytest.raises(NatsError):
        await Guest.connect(wall.server.url, file)
    assert stays.nc.is_connected
    await stays.nc.close()


async def test_a_credential_that_expires_is_cut_off_in_time(wall: Wall):
    guest = await Guest.connect(wall.server.url, await wall.worker("acme", [TOOL], timedelta(seconds=2)))

    await asyncio.wait_for(guest.closed.wait(), 6)


async def test_a_suspended_tenant_is_shut_out_and_let_in_again(wall: Wall):
    await changes.create(wall.folder, wall.server.url, "paused")
    file = await wall.worker("paused", [TOOL])
    guest = await Guest.connect(wall.server.url, file)

    await changes.suspend(wall.folder, wall.server.url, "paused")
    await asyncio.wait_for(guest.closed.wait(), 5)
    with pytest.raises(NatsError):
        await Guest.connect(wall.server.url, file)
    with pytest.raises(AccountsError, match="tenant paused is suspended"):
        await wall.worker("paused", [TOOL])
    await changes.create(wall.folder, wall.server.url, "paused")
    again = await Guest.connect(wall.server.url, file)

    assert again.nc.is_connected
    await again.nc.close()


async def test_a_deleted_tenant_is_gone_from_the_server_and_from_the_folder(wall: Wall):
    await changes.create(wall.folder, wall.server.url, "gone")
    file = await wall.worker("gone", [TOOL])
    guest = await Guest.connect(wall.server.url, file)

    await changes.delete(wall.folder, wall.server.url, "gone")
    await asyncio.wait_for(guest.closed.wait(), 5)

    with pytest.raises(NatsError):
        await Guest.connect(wall.server.url, file)
    assert [one.tenant for one in wall.folder.tenants() if one.tenant == "gone"] == []


async def test_what_was_revoked_stays_so_when_the_server_is_killed_and_comes_back(wall: Wall):
    kept, lost = await wall.worker("acme", [TOOL]), await wall.worker("acme", [TOOL])
    user = wall.folder.tenant("acme").credentials[-1].user
    await changes.revoke(wall.folder, wall.server.url, "acme", user)

    await wall.server.kill()
    await wall.server.start()

    guest = await Guest.connect(wall.server.url, kept)
    with pytest.raises(NatsError):
        await Guest.connect(wall.server.url, lost)
    await guest.nc.close()
    await until(lambda: wall.platform.is_connected, what="the platform is connected again")
