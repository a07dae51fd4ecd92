"""A stream that is cut, at each class of bytes: a failed attempt that may be retried, and never half a message."""

import random
from contextlib import aclosing

import msgspec
import pytest
from tests.support.asking import GET_ACCOUNT, question
from tests.support.openai_server import ModelServer, events_for
from tests.support.provider_faults import CLASSES, PATHS, WHOLE, places, whole

from stenograph_services.orchestrator.models.choose import Models
from stenograph_services.orchestrator.models.request import ModelError, ModelResponse

WHY = {"openai/gpt-5-mini": b'"finish_reason":"tool_calls"', "anthropic/claude-haiku-5-5": b'"stop_reason":"tool_use"'}


async def half_messages(models: Models, name: str) -> tuple[list[ModelResponse], ModelError | None]:
    """Ask, and return the responses that came out, which has to be none, and what was raised."""
    responses = []
    try:
        async with aclosing(models.for_agent(name, {}).ask(question(model=name, tools=(GET_ACCOUNT,)))) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                if isinstance(piece, ModelResponse):
                    responses.append(piece)
    except ModelError as error:
        return responses, error
    return responses, None


async def check_a_cut(models: Models, server: ModelServer, name: str, **cut: int) -> None:
    server.answers(msgspec.structs.replace(WHOLE, **cut))

    responses, error = await half_messages(models, name)

    assert responses == []
    assert error is not None
    assert error.retryable
    assert error.kind in ("connection", "bad-answer")


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("where", CLASSES)
@pytest.mark.parametrize("trial", range(3))
async def test_a_torn_connection_leaves_no_half_message(
    models: Models, server: ModelServer, name: str, where: str, trial: int
):
    await check_a_cut(models, server, name, cut_at=random.Random(trial).choice(places(name, where)))


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("trial", range(3))
async def test_a_body_that_ends_early_as_if_it_were_whole_leaves_none_either(
    models: Models, server: ModelServer, name: str, trial: int
):
    await check_a_cut(models, server, name, ends_at=random.Random(trial).randrange(said_so(name)))


def said_so(name: str) -> int:
    """Return the place in the events where the model has not yet said why it stops."""
    events = b"".join(events_for(PATHS[name], WHOLE, {"model": "m"}))
    return events.index(WHY[name])


@pytest.mark.soak
@pytest.mark.parametrize("name", PATHS)
async def test_no_byte_of_the_whole_answer_is_a_place_to_make_half_a_message(
    models: Models, server: ModelServer, name: str
):
    data = whole(name)
    for place in range(1, data.index(WHY[name])):
        await check_a_cut(models, server, name, cut_at=place)
    for place in range(said_so(name)):
        await check_a_cut(models, server, name, ends_at=place)


@pytest.mark.soak
@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("where", CLASSES)
async def test_thirty_cuts_of_each_class_leave_no_half_message(
    models: Models, server: ModelServer, name: str, where: str
):
    for trial in range(30):
        await check_a_cut(models, server, name, cut_at=random.Random(trial).choice(places(name, where)))
