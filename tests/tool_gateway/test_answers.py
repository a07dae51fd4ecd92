"""Answers of workers, from RES into the log: real server, real services, and the SDK's worker where it matters."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from tests.support.agents import CALL_THEN_SAY, TOOLS
from tests.support.services import TENANT, Stage, Talk
from tests.support.wait import until

from stenograph_events.subjects import answer_subject, event_subject
from stenograph_events.testing import tool_requested
from stenograph_events.types import ToolAnswerRejected, ToolFailed, ToolSucceeded
from stenograph_events.values import BlobRef
from stenograph_events.wire import ToolAnswer
from stenograph_sdk import Worker
from stenograph_services.runtime.blobs import Blobs
from stenograph_services.runtime.jetstream import ALREADY_STORED, JetStreamError, api, publish

UNTYPED = TOOLS.replace("  result: {plan: {type: string}}\n", "")


async def test_the_second_of_two_answers_to_one_call_is_refused_by_the_server(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    request = await talk.request()
    await talk.answer(request, {"plan": "pro"})
    with pytest.raises(JetStreamError) as refused:
        await talk.answer(request, {"plan": "free"})
    await talk.end_of(turn)

    assert refused.value.code == ALREADY_STORED
    assert await talk.said(turn) == ["", 'You have {"plan":"pro"}']


async def test_a_failure_is_told_to_the_model(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    await talk.answer(await talk.request(), outcome="failed", error="No such user.", worker="w-1")
    await talk.end_of(turn)

    (failed,) = await talk.all(ToolFailed)
    assert (failed.error, failed.kind, failed.worker) == ("No such user.", "error", "w-1")
    assert (await talk.said(turn))[-1] == "You have No such user."


async def test_a_result_that_breaks_the_declared_type_is_a_failure(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    await talk.answer(await talk.request(), {"plan": 5})
    await talk.end_of(turn)

    (failed,) = await talk.all(ToolFailed)
    assert failed.kind == "invalid-result"
    assert failed.error == 'the result is not what the protocol declares: /plan: 5 is not of type "string"'


@pytest.mark.parametrize(
    "result",
    [b'"\xff"', b"1e999", b"9" * 5_000, b"[" * 5_000 + b"]" * 5_000],
    ids=["no text", "no number", "a long number", "deep"],
)
async def test_a_result_that_no_model_could_read_is_a_failure_and_the_session_goes_on(stage: Stage, result: bytes):
    talk = await stage.session(CALL_THEN_SAY, tools=UNTYPED)

    turn = await talk.send()
    request = await talk.request()
    await talk.answer_bytes(request, b'{"outcome":"succeeded","result":' + result + b"}")
    end = await talk.end_of(turn)

    assert end.outcome == "completed"
    assert [one.call for one in await talk.all(ToolFailed)] == [request.call]


async def test_an_answer_that_is_none_fails_the_call_and_is_parked(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    request = await talk.request()
    await talk.answer_bytes(request, b'{"outcome":"perhaps"}')
    await talk.end_of(turn)

    (failed,) = await talk.all(ToolFailed)
    assert failed.error.startswith("the worker's answer cannot be read: Invalid enum value 'perhaps'")
    parked = await stage.parked(answer_subject(TENANT, request.tool, talk.id, request.call, 1), "tool-gateway")
    assert parked.startswith("no tool answer: Invalid enum value")


async def test_an_answer_to_a_session_that_does_not_exist_is_parked(stage: Stage):
    subject = answer_subject(TENANT, "find", "2f" + "0" * 32, "c1", 1)

    await publish(stage.nc, subject, b'{"outcome":"succeeded"}')

    assert (await stage.parked(subject, "tool-gateway")).startswith("no session")


@pytest.mark.parametrize("body", [b'{"outcome":"succeeded","result":{"plan":"forged"}}', b"no answer"])
async def test_an_answer_in_the_name_of_another_tool_is_parked_and_changes_nothing(stage: Stage, body: bytes):
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    request = await talk.request()
    forged = answer_subject(TENANT, "send-mail", talk.id, request.call, 1)
    await publish(stage.nc, forged, body)
    parked = await stage.parked(forged, "tool-gateway")
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(turn)

    assert parked == f"it answers call {request.call} as tool 'send-mail', and the call is of '{request.tool}'"
    assert await talk.said(turn) == ["", 'You have {"plan":"pro"}']


async def test_an_answer_to_a_call_that_nobody_made_is_noted(stage: Stage):
    talk = await stage.session()

    await publish(stage.nc, answer_subject(TENANT, "find", talk.id, "c1", 1), b'{"outcome":"succeeded"}')
    noted = await talk.until(ToolAnswerRejected)
    await talk.end_of(await talk.send())

    assert (noted.call, noted.reason, noted.outcome) == ("c1", "late", "succeeded")


async def test_answers_that_are_delivered_again_are_not_noted_as_late(stage: Stage):
    """A consumer that is made anew delivers all of RES again; each answer then entered the log once more, as late."""
    talk = await stage.session(CALL_THEN_SAY)
    turn = await talk.send()
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(turn)
    before = await talk.types()

    await api(stage.nc, "CONSUMER.DELETE.RES.tool-gateway-answers")

    async def delivered_again() -> bool:
        try:
            return not await stage.unsettled("RES", "tool-gateway-answers")
        except Exception:  # the consumer is not back yet
            return False

    await until(delivered_again, what="the consumer is back and has delivered everything")
    assert await talk.types() == before


# ---- results by reference


@asynccontextmanager
async def serving(stage: Stage, worker: Worker) -> AsyncIterator[None]:
    running = asyncio.create_task(worker.run(signals=False))
    await worker.serving.wait()
    yield
    worker.stop()
    await running


async def test_a_worker_answers_with_a_large_result_and_the_model_reads_it_whole(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)
    worker = Worker(stage.settings.nats_url, name="w-1")
    plan = "x" * 600_000

    @worker.tool("get-account", retry="safe")
    async def get_account(userId: str) -> dict[str, str]:
        return {"plan": plan}

    async with serving(stage, worker):
        turn = await talk.send()
        end = await talk.end_of(turn)

    (succeeded,) = await talk.all(ToolSucceeded)
    assert end.outcome == "completed"
    assert succeeded.result_ref is not None
    assert succeeded.result_ref.size == len(plan) + 11
    assert (await talk.said(turn))[-1] == f'You have {{"plan":"{plan}"}}'


async def test_questions_with_large_results_leave_no_subscription_behind(stage: Stage):
    """Each of them used to leave one, for as long as the orchestrator ran."""
    talk = await stage.session(CALL_THEN_SAY)
    reference = await Blobs(stage.nc).put(TENANT, b'{"plan": "pro"}')

    async def questions(turns: int) -> int:
        for _ in range(turns):
            turn = await talk.send()
            answer = ToolAnswer("succeeded", result_ref=reference, worker="w-1")
            await talk.answer_bytes(await talk.request(turn=turn), msgspec.json.encode(answer))
            await talk.end_of(turn)
        return len(stage.running("orchestrator").broker.connection._subs)

    after_one, after_many = await questions(1), await questions(5)

    assert after_many == after_one


async def test_a_large_result_is_checked_against_its_type_like_a_small_one(stage: Stage):
    """Only what lay in the answer itself was looked at."""
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    request = await talk.request()
    reference = await Blobs(stage.nc).put(TENANT, b'{"plan": 5}')
    await answer_with(talk, request, reference)
    await talk.end_of(turn)

    (failed,) = await talk.all(ToolFailed)
    assert failed.kind == "invalid-result"


NOT_THERE = "the result is not in BLOB under the reference"


@pytest.mark.parametrize(
    ("reference", "kind", "error"),
    [
        pytest.param(BlobRef("0" * 64, 10), "invalid-result", NOT_THERE, id="absent"),
        pytest.param(BlobRef("../..", 10), "invalid-result", NOT_THERE, id="odd"),
        pytest.param(BlobRef("0" * 64, 10**15), "too-large", "at most 67,108,864 are taken", id="vast"),
    ],
)
async def test_a_reference_to_nothing_is_a_failure(stage: Stage, reference: BlobRef, kind: str, error: str):
    """It was taken for a result, and every later question of the session to its model failed on it."""
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    await answer_with(talk, await talk.request(), reference)
    end = await talk.end_of(turn)

    (failed,) = await talk.all(ToolFailed)
    assert end.outcome == "completed"
    assert failed.kind == kind
    assert error in failed.error


async def test_a_reference_that_says_another_size_is_a_failure(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    request = await talk.request()
    stored = await Blobs(stage.nc).put(TENANT, b'{"plan":"pro"}')
    await answer_with(talk, request, BlobRef(stored.sha256, 400_000))
    await talk.end_of(turn)

    (failed,) = await talk.all(ToolFailed)
    assert failed.error == NOT_THERE


async def answer_with(talk: Talk, request: Any, reference: BlobRef) -> None:
    answer = {"outcome": "succeeded", "result_ref": msgspec.to_builtins(reference)}
    await talk.answer_bytes(request, msgspec.json.encode(answer))


# ---- requests in the log


async def test_a_request_whose_id_fits_no_subject_is_parked(stage: Stage):
    """The task that sets deadlines ended with it."""
    odd = await stage.session()
    stage.talks.remove(odd)
    event = tool_requested("a.b", session=odd.id, n=2)
    subject = event_subject(event)

    await publish(stage.nc, subject, msgspec.json.encode(event))

    assert (await stage.parked(subject, "tool-gateway")).startswith("call 'a.b' must match")


async def test_an_answer_over_the_inline_limit_fails_its_call_and_says_how_large_ones_travel(stage: Stage):
    """It used to be appended again and again, until the deadline, as an event that no stream takes."""
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    await talk.answer(await talk.request(), {"plan": "x" * 400_000})
    await talk.end_of(turn)

    (failed,) = await talk.all(ToolFailed)
    assert "over 262144 a result goes to BLOB" in failed.error
