"""The log says which worker answered, and an answer that is not its signer's own closes no call."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace
from nats.js.errors import NotFoundError
from tests.cli.conftest import Stenograph, anywhere, quiet
from tests.security.test_signed_requests import asked
from tests.security.walls import Guest, Session, Wall, serving
from tests.support.agents import CALL_THEN_SAY
from tests.support.signing import worker
from tests.support.wait import until

from stenograph_events.signatures import signed_answer
from stenograph_events.subjects import AnswerSubject, answer_subject
from stenograph_events.testing import raw
from stenograph_events.types import ToolFailed, ToolSucceeded, TurnFinished
from stenograph_events.values import BlobRef, Signature
from stenograph_events.wire import ToolAnswer
from stenograph_projections.invariants import Issued, check
from stenograph_sdk import Worker
from stenograph_sdk.credentials import signer_of
from stenograph_services.accounts import changes

__all__ = ["anywhere", "quiet"]

TOOL = "get-account"
GOOD = ToolAnswer("succeeded", result=raw({"plan": "pro"}), worker="w-1")


@pytest.mark.parametrize(
    ("result", "outcome"),
    [({"plan": "pro"}, ToolSucceeded), ({"plan": "x" * 300_000}, ToolSucceeded), ({"plan": 7}, ToolFailed)],
)
async def test_an_answer_is_signed_with_the_key_of_the_credential_that_gave_it(
    wall: Wall, result: object, outcome: type[ToolSucceeded] | type[ToolFailed]
):
    file = await wall.worker("acme", [TOOL])
    serving_it = Worker(wall.server.url, file)
    serving_it.tool(TOOL, retry="safe")(lambda userId: result)
    session = await wall.session("acme", CALL_THEN_SAY)

    async with serving(serving_it):
        await session.trigger(TEXT="Hi")
        await session.until(TurnFinished)
    answered = await session.until(outcome)

    credential = wall.folder.tenant("acme").credentials[-1]
    assert answered.signed is not None
    assert answered.signed.key == credential.user
    log = [(one.sequence, None, one.data) for one in await wall.log.read("acme", session.id)]
    assert check(log, issued={credential.user: Issued("acme", frozenset({TOOL}))}).ok
    assert not check(log, issued={credential.user: Issued("acme", frozenset({"another"}))}).ok


async def test_verify_tells_from_a_kept_log_which_credential_answered(wall: Wall, anywhere: Stenograph, tmp_path: Path):
    session, request = await asked(wall)
    file = await wall.worker("acme", [TOOL])
    user = wall.folder.tenant("acme").credentials[-1].user
    guest = await Guest.connect(wall.server.url, file)
    at = AnswerSubject("acme", TOOL, request.session, request.call, request.attempt)
    await send(guest, at, made(at, file))
    await session.until(TurnFinished)
    await guest.nc.close()
    await changes.revoke(wall.folder, wall.server.url, "acme", user)
    kept = tmp_path / "log.jsonl"
    kept.write_bytes(b"\n".join(one.data for one in await wall.log.read("acme", session.id)))

    ran = await anywhere("sessions", "verify", "--file", str(kept), "--keys", str(wall.folder.directory))

    assert ran.code == 0, ran.err
    [line] = [line for line in ran.out.splitlines() if line.startswith(user)]
    assert line.split()[1:5] == ["1", "acme", "w-1", TOOL]
    assert len(line.split()) == 7  # and when it was revoked
    assert ["signed-requests", "1", "ok"] in [line.split() for line in ran.out.splitlines()]
    assert ["signed-answers", "1", "ok"] in [line.split() for line in ran.out.splitlines()]


def of_something_else(at: AnswerSubject, file: Path) -> ToolAnswer:
    return replace(made(at, file), result=raw({"plan": "free"}))


def of_another_call(at: AnswerSubject, file: Path) -> ToolAnswer:
    return made(at._replace(call="c-another"), file)


def of_another_attempt(at: AnswerSubject, file: Path) -> ToolAnswer:
    return made(at._replace(attempt=2), file)


def of_another_worker(at: AnswerSubject, file: Path) -> ToolAnswer:
    return replace(made(at, file), worker="w-2")


def in_the_name_of_another_key(at: AnswerSubject, file: Path) -> ToolAnswer:
    signed = made(at, file).signed
    assert signed is not None
    return replace(GOOD, signed=Signature(worker().public, signed.signature))


def of_another_outcome(at: AnswerSubject, file: Path) -> ToolAnswer:
    return replace(made(at, file), outcome="failed", error="no")


def of_a_blob(at: AnswerSubject, file: Path) -> ToolAnswer:
    return replace(made(at, file), result=Raw(b"null"), result_ref=BlobRef("a" * 64, 5))


def unsigned(at: AnswerSubject, file: Path) -> ToolAnswer:
    return GOOD


def no_answer(at: AnswerSubject, file: Path) -> dict[str, str]:
    return {"plan": "pro"}


@pytest.mark.parametrize(
    "forge",
    [
        of_something_else,
        of_another_call,
        of_another_attempt,
        of_another_worker,
        in_the_name_of_another_key,
        of_another_outcome,
        of_a_blob,
        unsigned,
        no_answer,
    ],
)
async def test_an_answer_that_nobody_signed_as_it_stands_leaves_the_call_to_the_true_one(
    wall: Wall, forge: Callable[[AnswerSubject, Path], object]
):
    """Its cell is write-once, and the true answer needs it."""
    session, request = await asked(wall)
    file = await wall.worker("acme", [TOOL])
    guest = await Guest.connect(wall.server.url, file)
    at = AnswerSubject("acme", TOOL, request.session, request.call, request.attempt)

    await send(guest, at, forge(at, file))
    await until(lambda: freed(wall, at), what="the cell of the answer is free again")
    await send(guest, at, made(at, file))
    end = await session.until(TurnFinished)

    assert end.outcome == "completed"
    assert await answers(session) == 1
    await guest.nc.close()


def made(at: AnswerSubject, file: Path) -> ToolAnswer:
    """Return the true answer."""
    own = signer_of(file)
    assert own is not None
    return signed_answer(GOOD, at, own)


async def send(guest: Guest, at: AnswerSubject, answer: object) -> None:
    await guest.nc.request(answer_subject(*at), msgspec.json.encode(answer), timeout=5)


async def freed(wall: Wall, at: AnswerSubject) -> bool:
    try:
        await wall.platform.jetstream().get_last_msg("RES", answer_subject(*at))
    except NotFoundError:
        return True
    return False


async def answers(session: Session) -> int:
    stored = await session.wall.log.read(session.tenant, session.id)
    assert check([(one.sequence, None, one.data) for one in stored]).ok
    return sum(b'"type":"tool.succeeded"' in one.data for one in stored)
