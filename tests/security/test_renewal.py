"""Credentials change while their worker works: renewed in place, exchanged for another, revoked, run out of time."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.security.walls import Session, Wall, serving
from tests.support.agents import CALL_THEN_SAY, TOOLS
from tests.support.wait import until

from stenograph_events.types import ToolOutcomeUnknown, ToolSucceeded
from stenograph_sdk import Client, CredentialExpired, CredentialRevoked, ToolContext, Worker, connection
from stenograph_services.accounts import changes, minting, renewing
from stenograph_services.accounts.claims import Permission, UserClaims, credentials, signed
from stenograph_services.accounts.keys import new_key
from stenograph_services.accounts.private import write_private
from stenograph_services.runtime.agents import AgentEntry

TOOL, MAIL = "get-account", "send-mail"
LIFE = timedelta(seconds=4)
SOON = TOOLS.replace("  retry: never\n", "  retry: never\n  timeout: 2s\n")
MAIL_THEN_SAY = CALL_THEN_SAY.replace("get-account, arguments: {userId: u1}", "send-mail, arguments: {to: u1}")
BETWEEN_SECONDS, HANDLER_SECONDS = 0.1, 0.1
REDELIVERED_SECONDS = 5.0  # a request that got lost on its way comes again after this


class Load:
    """Calls that go on all the time, each of a session of its own, of a tool that must not run twice."""

    def __init__(self, wall: Wall) -> None:
        self.wall = wall
        self.ran: list[str] = []
        self.took: list[float] = []
        self._calls: list[asyncio.Task[ToolSucceeded]] = []

    def worker(self, credentials: Path, name: str) -> Worker:
        worker = Worker(self.wall.server.url, credentials, name=name)

        @worker.tool(TOOL)  # "never": claimed before it runs
        async def get_account(userId: str) -> dict[str, str]:
            self.ran.append(name)
            await asyncio.sleep(HANDLER_SECONDS)
            return {"plan": name}

        return worker

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        sending = asyncio.create_task(self._send())
        try:
            yield
        finally:
            sending.cancel()

    async def _send(self) -> None:
        agent = await self.wall.agent("acme", CALL_THEN_SAY)
        while True:
            self._calls.append(asyncio.create_task(self._call(agent)))
            await asyncio.sleep(BETWEEN_SECONDS)

    async def _call(self, agent: AgentEntry) -> ToolSucceeded:
        session = await self.wall.session_of("acme", agent)
        began = time.perf_counter()
        await session.trigger(TEXT="Hi")
        succeeded = await session.until(ToolSucceeded)
        self.took.append(time.perf_counter() - began)
        return succeeded

    async def answered(self) -> list[ToolSucceeded]:
        """Return every call's result; fail if one has none."""
        return await asyncio.gather(*self._calls)


async def passed(second: float) -> None:
    """Return when it is later than `second`, as the times in credentials count."""
    await until(lambda: time.time() > second, what="the time comes")


async def test_a_credential_that_is_renewed_in_place_loses_no_call(wall: Wall):
    """Also not those that run while it expires: the connection is made anew under them."""
    file = await wall.worker("acme", [TOOL], LIFE)
    first_end = wall.folder.tenant("acme").credentials[-1].expires_at
    load = Load(wall)

    async with serving(load.worker(file, "w-1")):
        async with load.going_on():
            for end, life in ((first_end, LIFE), (first_end + 2, timedelta(minutes=1))):
                await passed(end - 2)
                renewed = changes.renew(wall.folder, "acme", renewing.user_in(file), life)
                renewing.write_into(file, renewed.jwt)
            await passed(first_end + 3)
        answers = await load.answered()

    assert len(answers) > 20
    assert {answer.attempt for answer in answers} == {1}
    assert len(load.ran) == len(answers)  # none ran twice
    assert max(load.took) < REDELIVERED_SECONDS


async def test_a_call_that_runs_longer_than_its_credential_is_answered_on_the_new_one(wall: Wall):
    file = await wall.worker("acme", [MAIL], LIFE)
    end = wall.folder.tenant("acme").credentials[-1].expires_at
    release = asyncio.Event()
    worker = Worker(wall.server.url, file, name="w-1")
    runs: list[str] = []

    @worker.tool(MAIL)
    async def send_mail(to: str) -> str:
        runs.append(to)
        await release.wait()
        return "sent"

    session = await wall.session("acme", MAIL_THEN_SAY)
    async with serving(worker):
        await session.trigger(TEXT="Hi")
        await until(lambda: runs, what="it runs")
        renewed = changes.renew(wall.folder, "acme", renewing.user_in(file), timedelta(minutes=1))
        renewing.write_into(file, renewed.jwt)
        await passed(end + 1)
        release.set()
        succeeded = await session.until(ToolSucceeded)

    assert (succeeded.worker, len(runs)) == ("w-1", 1)


@pytest.mark.parametrize("how", ["another worker", "another file"])
async def test_a_credential_is_exchanged_for_another_one_without_losing_a_call(wall: Wall, how: str):
    """The new one is good beside the old one until that is revoked."""
    file = await wall.worker("acme", [TOOL])
    old = renewing.user_in(file)
    load = Load(wall)

    async with serving(load.worker(file, "w-1")) as worker, load.going_on():
        await until(lambda: len(load.took) > 5, what="calls are answered")
        other = await wall.worker("acme", [TOOL])
        if how == "another worker":
            instead = load.worker(other, "w-2")
            async with serving(instead):
                worker.stop()
                await until(lambda: not worker.serving.is_set(), what="the first one has stopped")
                await until(lambda: load.ran.count("w-2") > 5, what="the second one has taken over")
                await changes.revoke(wall.folder, wall.server.url, "acme", old)
                done = len(load.took)
                await until(lambda: len(load.took) > done + 5, what="calls are answered")
                answers = await load.answered()
        else:
            write_private(file, other.read_text())
            await until(lambda: connections(worker) == 2, what="it has connected anew")
            await changes.revoke(wall.folder, wall.server.url, "acme", old)
            done = len(load.took)
            await until(lambda: len(load.took) > done + 5, what="calls are answered")
            answers = await load.answered()

    assert {answer.attempt for answer in answers} == {1}
    assert len(load.ran) >= len(answers)


def connections(worker: Worker) -> int:
    """Return how often a worker has connected."""
    assert worker.connection is not None
    return 1 + int(worker.connection.nats.stats["reconnects"])


@pytest.mark.parametrize("retry", ["safe", "never"])
async def test_a_revoked_workers_calls_go_to_another_one_or_end_as_unknown(
    wall: Wall, retry: str, caplog: pytest.LogCaptureFixture
):
    file = await wall.worker("acme", [TOOL, MAIL])
    tool, script = (TOOL, CALL_THEN_SAY) if retry == "safe" else (MAIL, MAIL_THEN_SAY)
    heard: list[str] = []
    worker = Worker(wall.server.url, file, name="w-1")

    @worker.tool(tool, retry=retry)  # type: ignore[arg-type]
    async def work(*, call: ToolContext, **_: Any) -> str:
        if call.session != session.id:  # answered before: its worker was cut off before it could ack
            return ""
        heard.append("began")
        try:
            return await asyncio.Event().wait() and ""
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    session = await wall.session("acme", script, tools=SOON)
    running = asyncio.create_task(worker.run(signals=False))
    await worker.serving.wait()
    await session.trigger(TEXT="Hi")
    await until(lambda: heard, what="it runs")
    await changes.revoke(wall.folder, wall.server.url, "acme", renewing.user_in(file))
    with pytest.raises(CredentialRevoked, match="the credential was revoked"):
        await asyncio.wait_for(running, 2.0)
    instead = Worker(wall.server.url, await wall.worker("acme", [tool]), name="w-2")
    instead.tool(tool, retry=retry)(lambda **_: {"plan": "Team"})  # type: ignore[arg-type]
    async with serving(instead):
        end = await session.until(ToolSucceeded if retry == "safe" else ToolOutcomeUnknown)

    assert heard == ["began", "cancelled"]
    assert getattr(end, "worker", "w-2") == "w-2"
    [said] = [record.getMessage() for record in caplog.records if "tool.call_abandoned" in record.getMessage()]
    assert f"tool={tool}" in said
    assert "the credential was revoked" in said


async def test_a_credential_that_nobody_renews_is_warned_of_and_then_ends_typed(
    wall: Wall, caplog: pytest.LogCaptureFixture
):
    file = await wall.worker("acme", [TOOL], timedelta(seconds=5))
    worker = Load(wall).worker(file, "w-1")

    with pytest.raises(CredentialExpired, match="`stenograph workers renew` gives its file new time"):
        await asyncio.wait_for(worker.run(signals=False), 10)

    [first, *_] = [record for record in caplog.records if "credentials.expire_soon" in record.getMessage()]
    assert first.levelno == logging.WARNING
    assert f"file={file}" in first.getMessage()


async def test_a_worker_that_comes_back_and_is_refused_gives_up_in_time(wall: Wall, monkeypatch: pytest.MonkeyPatch):
    """Whatever took its right away while it was not connected: nobody tells it but the refusal."""
    monkeypatch.setattr(connection, "REFUSED_SECONDS", 0.5)
    await changes.create(wall.folder, wall.server.url, "lost")
    account = wall.folder.tenant("lost").account
    worker = Load(wall).worker(await wall.worker("lost", [TOOL]), "w-1")
    running = asyncio.create_task(worker.run(signals=False))
    await worker.serving.wait()

    await wall.server.kill()
    (wall.server.directory / "accounts" / f"{account}.jwt").unlink()
    await wall.server.start()

    with pytest.raises(CredentialRevoked):
        await asyncio.wait_for(running, 10)


async def test_a_client_follows_a_session_across_the_renewal_of_its_credential(wall: Wall, tmp_path: Path):
    user, account = new_key("user"), wall.folder.key("platform")

    def token(seconds: int) -> str:
        claims = UserClaims(Permission(), Permission())
        return signed(account, user.public, "app", claims, expires_at=minting.now() + seconds)

    file = tmp_path / "app.creds"
    write_private(file, credentials(token(3), user))
    worker = Load(wall).worker(await wall.worker("acme", [TOOL]), "w-1")
    made: Session = await wall.session("acme", CALL_THEN_SAY)
    async with serving(worker), Client.connect(wall.server.url, credentials=file, tenant="acme") as client:
        await client.session(made.id).ask("user-message", {"TEXT": "Hi"})
        renewing.write_into(file, token(60))
        await until(lambda: client.connection.nats.stats["reconnects"] == 1, what="it has connected anew")
        answers = [await client.session(made.id).ask("user-message", {"TEXT": "Hi"}) for _ in range(3)]

    assert all("w-1" in answer for answer in answers)
