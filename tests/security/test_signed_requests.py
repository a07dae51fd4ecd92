"""A worker runs what the platform signed and nothing else, also against whoever can write to its queue."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.security.walls import Session, Wall, serving
from tests.support.agents import CALL_THEN_SAY
from tests.support.signing import signer
from tests.support.wait import until

from stenograph_events import encode
from stenograph_events.ids import CallId, SessionId, TenantId
from stenograph_events.signatures import Signer, signed_request
from stenograph_events.subjects import request_subject
from stenograph_events.testing import raw
from stenograph_events.types import ToolRequested, TurnFinished
from stenograph_events.values import Signature
from stenograph_projections.invariants import check
from stenograph_sdk import Worker
from stenograph_services.runtime.jetstream import api, publish

TOOL = "get-account"
ANOTHER = SessionId("3a0193a5c1d07b7c8e9d4f60718293a4b5")


async def asked(wall: Wall) -> tuple[Session, ToolRequested]:
    """Return a session and its request, which the platform has signed and nobody has answered."""
    offering = Worker(wall.server.url, await wall.worker("acme", [TOOL]))
    offering.tool(TOOL, retry="safe")(lambda userId: "")
    async with serving(offering):
        pass
    session = await wall.session("acme", CALL_THEN_SAY)
    await session.trigger(TEXT="Hi")
    return session, await session.until(ToolRequested)


def forgeries(true: ToolRequested) -> list[tuple[ToolRequested, str]]:
    """Return what an attacker who knows `true` puts into the queue of the tool, and where: all that is not `true`."""
    assert true.signed is not None
    here = request_subject("acme", TOOL, true.session)
    later = datetime.now(UTC) + timedelta(days=1)
    past = replace(true, deadline_at=datetime.now(UTC) - timedelta(seconds=1))
    mine = signer(9)
    named = Signature(true.signed.key, signed_request(true, mine).signed.signature)  # type: ignore[union-attr]
    changed: list[dict[str, Any]] = [
        {"arguments": raw({"userId": "victim"})},
        {"arguments": type(true.arguments)(bytes(true.arguments).replace(b":", b": "))},
        {"deadline_at": later},
        {"call": CallId("c-another")},
        {"attempt": 2},
        {"retry": "never"},
        {"max_result_bytes": 1},
        {"turn": None},
        {"signed": None},
        {"signed": named},
        {"signed": Signature(true.signed.key, "")},
        {"signed": Signature(mine.public, true.signed.signature)},
        {"tenant": TenantId("bolt")},
        {"tool": "send-mail"},
        {"client": True},
    ]
    return [
        *((replace(true, **change), here) for change in changed),
        (signed_request(true, mine), here),
        (signed_request(past, mine), here),
        (past, here),
        (true, request_subject("acme", TOOL, ANOTHER)),
        (replace(true, session=ANOTHER), here),
        (replace(true, session=ANOTHER), request_subject("acme", TOOL, ANOTHER)),
    ]


async def test_no_forged_replayed_or_edited_request_runs_and_the_true_one_does(
    wall: Wall, caplog: pytest.LogCaptureFixture
):
    session, true = await asked(wall)
    forged = forgeries(true)
    for request, subject in forged:
        await publish(wall.platform, subject, encode(request))
    ran: list[str] = []

    def look_up(userId: str) -> dict[str, str]:
        ran.append(userId)
        return {"plan": "pro"}

    worker = Worker(wall.server.url, await wall.worker("acme", [TOOL]))
    worker.tool(TOOL, retry="safe")(look_up)

    with caplog.at_level(logging.ERROR, "stenograph_sdk"):
        async with serving(worker):
            end = await session.until(TurnFinished)
            await until(lambda: nothing_waits(wall), what="every forgery was looked at")

    assert (end.outcome, ran) == ("completed", ["u1"])
    assert len([one for one in caplog.messages if one.startswith("tool.request_set_aside")]) == len(forged)


async def test_a_worker_that_is_told_to_believe_everything_says_so(wall: Wall, caplog: pytest.LogCaptureFixture):
    _, true = await asked(wall)
    forged = replace(true, call=CallId("c-another"), arguments=raw({"userId": "victim"}), signed=None)
    await publish(wall.platform, request_subject("acme", TOOL, true.session), encode(forged))
    ran: list[str] = []

    def look_up(userId: str) -> dict[str, str]:
        ran.append(userId)
        return {"plan": "pro"}

    worker = Worker(wall.server.url, await wall.worker("acme", [TOOL]), verify=False)
    worker.tool(TOOL, retry="safe")(look_up)

    with caplog.at_level(logging.WARNING, "stenograph_sdk"):
        async with serving(worker):
            await until(lambda: nothing_waits(wall))

    assert sorted(ran) == ["u1", "victim"]
    assert "verify=False: it runs what anybody asks for" in caplog.text


async def test_whoever_has_the_log_and_the_public_key_can_check_who_asked(wall: Wall):
    session, true = await asked(wall)
    stored = [(one.sequence, None, one.data) for one in await wall.log.read("acme", session.id)]
    ours = wall.folder.signers.trusted

    assert true.signed is not None
    assert true.signed.key == Signer(wall.folder.signers.key_file.read_text().strip()).public
    assert check(stored, signers=ours).rules["signed-requests"] == 1
    assert check(stored, signers=ours).ok
    assert not check(stored, signers=[signer().public]).ok


async def nothing_waits(wall: Wall) -> bool:
    queue = await api(wall.platform, f"CONSUMER.INFO.TOOLS.acme={TOOL}")
    return not queue["num_pending"] and not queue["num_ack_pending"]
