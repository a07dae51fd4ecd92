"""A provider that refuses, is silent, talks nonsense or never stops: one typed `ModelError`, in bounded room."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest
from tests.support.asking import GET_ACCOUNT, answer, question
from tests.support.model_answers import Answer
from tests.support.openai_server import ModelServer, events_for
from tests.support.provider_faults import FAULTS, PATHS

from stenograph_services.orchestrator.models.choose import Models
from stenograph_services.orchestrator.models.request import CallWanted, ModelError

HEAVY_TRIALS = 3
"""An answer of 50 MB takes a second to send."""

ANSWER = Answer(text="You are on the Pro plan.", pieces=3)


async def failure(models: Models, name: str) -> ModelError:
    """Ask, and return how it failed."""
    with pytest.raises(ModelError) as failed:
        await answer(models.for_agent(name, {}), question(model=name, tools=(GET_ACCOUNT,)))
    return failed.value


async def check(models: Models, server: ModelServer, name: str, fault: str) -> None:
    given, kinds, retryable = FAULTS[fault]
    server.answers(given)
    asked = len(server.requests)

    error = await failure(models, name)

    assert error.kind in kinds
    assert error.retryable == retryable
    assert error.status == (given.status if given.status != 200 else None)
    assert 0 < len(error.detail) <= 500
    assert len(server.requests) == asked + 1


def is_slow(fault: str) -> bool:
    """Whether nothing but a deadline ends it; for all others there is time, however busy the machine is."""
    return "timeout" in FAULTS[fault].kinds


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("trial", range(3))
async def test_each_fault_has_its_kind_and_is_asked_about_once(
    models: Models, impatient_models: Models, server: ModelServer, name: str, fault: str, trial: int
):
    await check(impatient_models if is_slow(fault) else models, server, name, fault)


@pytest.mark.soak
@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_thirty_times_each_fault_has_its_kind(
    models: Models, impatient_models: Models, server: ModelServer, name: str, fault: str
):
    for _ in range(30):
        await check(impatient_models if is_slow(fault) else models, server, name, fault)


@pytest.mark.parametrize("name", PATHS)
async def test_a_date_to_come_back_at_is_seconds_to_wait(models: Models, server: ModelServer, name: str):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    server.answers(Answer(status=429, headers={"Retry-After": later}))

    error = await failure(models, name)

    assert error.retry_after_seconds == pytest.approx(60, abs=3)


def endless(name: str, event: Callable[[Answer], Answer]) -> Answer:
    """Return an answer that begins as usual and goes on with the text event of the vendor for ever."""
    events = events_for(PATHS[name], event(ANSWER), {"model": "m"})
    begin = 2 if name.startswith("anthropic") else 1  # the message and its first block have to be opened
    return msgspec.structs.replace(event(ANSWER), ends_after=begin, endless=events[begin] * 20)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("trial", range(3))
async def test_a_text_without_end_is_stopped_at_what_the_log_can_hold(
    models: Models, server: ModelServer, name: str, trial: int
):
    server.answers(endless(name, lambda given: msgspec.structs.replace(given, text="word " * 4000, pieces=4)))

    error = await failure(models, name)

    assert (error.kind, error.retryable) == ("too-large", False)
    await server.all_hung_up()


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("trial", range(3))
async def test_a_stream_that_only_keeps_alive_is_stopped_in_time(
    impatient_models: Models, server: ModelServer, name: str, trial: int
):
    server.answers(msgspec.structs.replace(ANSWER, ends_after=1, endless=b": ping\n\n" * 10, piece_delay=0.001))

    error = await failure(impatient_models, name)

    assert (error.kind, error.retryable) == ("timeout", True)
    await server.all_hung_up()


HEAVY = {
    "in one event": Answer(body=b'data: {"text": "', megabytes=50),
    "in one line that says nothing": Answer(body=b": ", megabytes=50),
    "as an error": Answer(status=500, body=b'{"error": "', megabytes=50),
    "as a page": Answer(body=b"<html>", megabytes=50, content_type="text/html"),
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("how", HEAVY)
async def test_fifty_megabytes_are_refused(models: Models, server: ModelServer, name: str, how: str):
    for _ in range(HEAVY_TRIALS):
        server.answers(HEAVY[how])

        error = await failure(models, name)

        assert error.kind == ("bad-answer" if how == "as a page" else "too-large")
        assert not error.retryable or how == "as a page"


ASK_AND_WEIGH = """
import asyncio, resource, sys
from tests.support.asking import answer, question
from stenograph_services.orchestrator.models.choose import Models
from stenograph_services.orchestrator.models.request import ModelError
from stenograph_services.runtime.config import Settings

async def main(name, times):
    models = Models(Settings())
    await answer(models.for_agent(name, {}), question(model=name))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(times):
        try:
            await answer(models.for_agent(name, {}), question(model=name))
        except ModelError:
            pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.parametrize("name", PATHS)
async def test_fifty_megabytes_are_not_taken_into_memory(environment: None, server: ModelServer, name: str):
    server.answers(ANSWER, *HEAVY.values())

    asking = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ASK_AND_WEIGH, name, str(len(HEAVY)), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asking.communicate()

    assert int(said) / 1024 < 40


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("trial", range(3))
async def test_arguments_that_are_no_json_reach_the_log_as_the_model_wrote_them(
    models: Models, server: ModelServer, name: str, trial: int
):
    broken = ('{"userId": ', "[1, 2]", "not json at all")[trial]
    server.answers(Answer(calls=(("p1", "get-user-account", broken),), pieces=2))

    _, response = await answer(models.for_agent(name, {}), question(model=name, tools=(GET_ACCOUNT,)))

    assert response.calls == (CallWanted("get-user-account", broken),)


@pytest.mark.parametrize("name", PATHS)
async def test_an_empty_answer_is_an_answer_without_parts(models: Models, server: ModelServer, name: str):
    server.answers(Answer())

    _, response = await answer(models.for_agent(name, {}), question(model=name))

    assert (response.parts, response.calls, response.finish_reason) == ((), (), "stop")


async def test_what_a_failed_attempt_consumed_is_told_if_the_provider_said_so(models: Models, server: ModelServer):
    name = "anthropic/claude-haiku-5-5"
    server.answers(msgspec.structs.replace(ANSWER, cut_after=3))

    error = await failure(models, name)

    assert error.usage is not None
    assert error.usage.input_tokens == 11
