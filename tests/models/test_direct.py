import asyncio
from contextlib import aclosing

import pytest
from tests.support.asking import GET_ACCOUNT, answer, call, question, reply, said
from tests.support.model_answers import Answer
from tests.support.openai_server import ModelServer

from stenograph_events.values import ReasoningPart, TextPart, Usage
from stenograph_services.orchestrator.models.choose import Models
from stenograph_services.orchestrator.models.request import CallPiece, CallWanted, ModelError, Reasoning, Text

MODELS = ["openai/test-model", "anthropic/claude-haiku-5-5", "google/gemini-2.5-flash"]


def text_of(deltas: list[object]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, Text))


@pytest.mark.parametrize("name", MODELS)
async def test_an_answer_streams_in_pieces_and_ends_whole(models: Models, server: ModelServer, name: str):
    server.answers(Answer(text="You are on the Pro plan.", pieces=6))

    deltas, response = await answer(models.for_agent(name, {}), question(model=name))

    assert len(deltas) == 6
    assert text_of([*deltas]) == "You are on the Pro plan."
    assert response.parts == (TextPart("You are on the Pro plan."),)
    assert response.finish_reason == "stop"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (11, 7)
    assert response.model == name.partition("/")[2]


@pytest.mark.parametrize("name", MODELS)
async def test_a_call_arrives_with_its_arguments(models: Models, server: ModelServer, name: str):
    server.answers(Answer(calls=(("p1", "get-user-account", '{"userId":"u1"}'),)))

    _, response = await answer(models.for_agent(name, {}), question(model=name, tools=(GET_ACCOUNT,)))

    assert response.calls == (CallWanted("get-user-account", '{"userId":"u1"}'),)
    assert response.finish_reason == "tool-calls"


async def test_arguments_stream_as_the_model_writes_them_json_or_not(models: Models, server: ModelServer):
    broken = '{"userId": "u1", '
    server.answers(Answer(text="Two.", calls=(("p1", "a", '{ "x": 1 }'), ("p2", "b", broken)), pieces=3))

    deltas, response = await answer(models.for_agent("openai/m", {}), question(model="openai/m"))

    first = [delta for delta in deltas if isinstance(delta, CallPiece) and delta.index == 0]
    second = [delta for delta in deltas if isinstance(delta, CallPiece) and delta.index == 1]
    assert [first[0].tool, second[0].tool] == ["a", "b"]
    assert "".join(piece.arguments for piece in first) == '{ "x": 1 }'
    assert "".join(piece.arguments for piece in second) == broken
    assert response.calls == (CallWanted("a", '{ "x": 1 }'), CallWanted("b", broken))


async def test_the_usage_counts_what_came_from_a_cache(models: Models, server: ModelServer):
    server.answers(Answer(text="Hi", input_tokens=100, output_tokens=5, cached_tokens=80))

    _, response = await answer(models.for_agent("openai/m", {}), question(model="openai/m"))

    assert response.usage == Usage(input_tokens=100, output_tokens=5, cache_read_tokens=80)


async def test_the_whole_conversation_is_sent_with_our_call_ids(models: Models, server: ModelServer):
    request = question(
        said("user", "What plan am I on?"),
        said("assistant", "Let me see.", calls=(call("c1"), call("c2", tool="get-plan", arguments="{}"))),
        reply("c1", {"plan": "pro"}),
        reply("c2", "The database is down.", outcome="failed"),
        tools=(GET_ACCOUNT,),
        temperature=0.5,
    )

    await answer(models.for_agent(request.model, {}), request)

    [body] = server.requests
    assert body["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "What plan am I on?"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "get-user-account", "arguments": '{"userId":"u1"}'},
                },
                {"id": "c2", "type": "function", "function": {"name": "get-plan", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"plan":"pro"}'},
        {"role": "tool", "tool_call_id": "c2", "content": '{"error":"The database is down."}'},
    ]
    assert body["tools"][0]["function"]["parameters"] == GET_ACCOUNT.parameters.json
    assert "strict" not in body["tools"][0]["function"]
    assert body["temperature"] == 0.5
    assert body["stream"] is True


async def test_every_result_of_a_step_reaches_anthropic_in_one_message(models: Models, server: ModelServer):
    name = "anthropic/claude-haiku-5-5"
    request = question(
        said("user", "Both, please."),
        said("assistant", calls=(call("c1"), call("c2"))),
        reply("c1", 1),
        reply("c2", "No.", outcome="refused"),
        model=name,
    )

    await answer(models.for_agent(name, {}), request)

    [body] = server.requests
    assert [part["text"] for part in body["system"]] == ["Be kind."]
    results = body["messages"][2]["content"]
    assert [(part["tool_use_id"], part["is_error"]) for part in results] == [("c1", False), ("c2", True)]


async def test_reasoning_comes_back_with_its_signature_and_is_sent_to_the_same_provider(
    models: Models, server: ModelServer
):
    name = "anthropic/claude-haiku-5-5"
    server.answers(Answer(reasoning="They ask.", signature="c2lnbmVk", text="Pro."))

    deltas, response = await answer(models.for_agent(name, {}), question(model=name, thinking="low"))
    again = question(said("user", "Hi"), said("assistant", *response.parts), said("user", "And?"), model=name)
    await answer(models.for_agent(name, {}), again)

    assert Reasoning("They ask.") in deltas
    assert response.parts == (ReasoningPart("They ask.", "c2lnbmVk", "anthropic"), TextPart("Pro."))
    assert server.requests[1]["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "They ask.", "signature": "c2lnbmVk"},
        {"type": "text", "text": "Pro."},
    ]


async def test_reasoning_of_chat_completions_goes_back_into_its_field(models: Models, server: ModelServer):
    server.answers(Answer(reasoning="They ask.", text="Pro."))

    _, response = await answer(models.for_agent("openai/m", {}), question(model="openai/m"))
    again = question(said("user", "Hi"), said("assistant", *response.parts), said("user", "And?"), model="openai/m")
    await answer(models.for_agent("openai/m", {}), again)

    sent = server.requests[1]["messages"][2]
    assert sent == {"role": "assistant", "content": "Pro.", "reasoning_content": "They ask."}


async def test_a_signature_on_a_call_goes_back_to_gemini_with_that_call(models: Models, server: ModelServer):
    name = "google/gemini-2.5-flash"
    server.answers(Answer(calls=(("p1", "get-user-account", "{}"),), signature="c2lnbmVk"))

    _, response = await answer(models.for_agent(name, {}), question(model=name, tools=(GET_ACCOUNT,)))
    again = question(
        said("user", "Hi"), said("assistant", *response.parts, calls=(call("c1"),)), reply("c1", 1), model=name
    )
    await answer(models.for_agent(name, {}), again)

    [sent] = server.requests[1]["contents"][1]["parts"]
    assert sent["functionCall"]["id"] == "c1"
    assert sent["thoughtSignature"] == "c2lnbmVk"


FAILURES = [
    (400, "bad-request", False),
    (401, "authentication", False),
    (402, "quota-exceeded", False),
    (403, "permission", False),
    (404, "not-found", False),
    (408, "timeout", True),
    (422, "bad-request", False),
    (429, "rate-limit", True),
    (500, "provider-error", True),
    (502, "provider-error", True),
    (503, "overloaded", True),
    (529, "overloaded", True),
]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("status", "kind", "retryable"), FAILURES)
async def test_a_refusal_has_a_kind_and_is_asked_once(
    models: Models, server: ModelServer, name: str, status: int, kind: str, retryable: bool
):
    server.answers(Answer(status=status, error="No, because."))

    with pytest.raises(ModelError) as failed:
        await answer(models.for_agent(name, {}), question(model=name))

    assert (failed.value.kind, failed.value.retryable) == (kind, retryable)
    assert failed.value.detail == f"{name} answered {status}: No, because."
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", MODELS)
async def test_the_wait_that_a_provider_asks_for_is_passed_on(models: Models, server: ModelServer, name: str):
    server.answers(Answer(status=429, headers={"Retry-After": "7"}))

    with pytest.raises(ModelError) as failed:
        await answer(models.for_agent(name, {}), question(model=name))

    assert failed.value.retry_after_seconds == 7.0


async def test_an_exhausted_account_is_not_a_rate_limit(models: Models, server: ModelServer):
    server.answers(Answer(status=429, error_code="insufficient_quota"))

    with pytest.raises(ModelError) as failed:
        await answer(models.for_agent("openai/m", {}), question(model="openai/m"))

    assert (failed.value.kind, failed.value.retryable) == ("quota-exceeded", False)


async def test_a_thread_that_is_too_long_for_the_model_says_so(models: Models, server: ModelServer):
    server.answers(Answer(status=400, error_code="context_length_exceeded"))

    with pytest.raises(ModelError) as failed:
        await answer(models.for_agent("openai/m", {}), question(model="openai/m"))

    assert (failed.value.kind, failed.value.retryable) == ("context-window", False)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("events", [0, 1, 3])
async def test_a_torn_stream_is_an_error_and_no_half_answer(
    models: Models, server: ModelServer, name: str, events: int
):
    server.answers(Answer(text="You are on the Pro plan.", pieces=6, cut_after=events))

    with pytest.raises(ModelError) as failed:
        await answer(models.for_agent(name, {}), question(model=name))

    assert (failed.value.kind, failed.value.retryable) == ("connection", True)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("events", [1, 3])
async def test_a_stream_that_ends_without_a_reason_is_torn_too(
    models: Models, server: ModelServer, name: str, events: int
):
    server.answers(Answer(text="You are on the Pro plan.", pieces=6, ends_after=events))

    with pytest.raises(ModelError) as failed:
        await answer(models.for_agent(name, {}), question(model=name))

    assert failed.value.retryable


@pytest.mark.parametrize(
    ("name", "error", "kind"),
    [
        ("anthropic/claude-haiku-5-5", "overloaded_error", "overloaded"),
        ("anthropic/claude-haiku-5-5", "api_error", "provider-error"),
        ("openai/m", "server_error", "provider-error"),
        ("openai/m", "rate_limit_exceeded", "rate-limit"),
    ],
)
async def test_an_error_inside_the_stream_has_its_kind(
    models: Models, server: ModelServer, name: str, error: str, kind: str
):
    server.answers(Answer(text="You are", error_in_stream=error))

    with pytest.raises(ModelError) as failed:
        await answer(models.for_agent(name, {}), question(model=name))

    assert (failed.value.kind, failed.value.retryable) == (kind, True)


@pytest.mark.parametrize("name", MODELS)
async def test_a_provider_that_is_silent_too_long_is_given_up(impatient_models: Models, server: ModelServer, name: str):
    server.answers(Answer(delay=30))

    with pytest.raises(ModelError) as failed:
        await answer(impatient_models.for_agent(name, {}), question(model=name))

    assert (failed.value.kind, failed.value.retryable) == ("timeout", True)


@pytest.mark.parametrize("name", MODELS)
async def test_an_answer_that_trickles_too_long_is_given_up(impatient_models: Models, server: ModelServer, name: str):
    server.answers(Answer(text="word " * 100, pieces=100, piece_delay=0.05))

    with pytest.raises(ModelError) as failed:
        await answer(impatient_models.for_agent(name, {}), question(model=name))

    assert failed.value.kind == "timeout"


@pytest.mark.parametrize("name", MODELS)
async def test_a_provider_that_cannot_be_reached_is_a_connection_error(models: Models, server: ModelServer, name: str):
    model = models.for_agent(name, {})
    await server.stop()

    with pytest.raises(ModelError) as failed:
        await answer(model, question(model=name))

    assert (failed.value.kind, failed.value.retryable) == ("connection", True)


async def test_a_cancelled_question_hangs_up(models: Models, server: ModelServer):
    server.answers(Answer(text="word " * 100, pieces=100, piece_delay=0.01))

    async with aclosing(models.for_agent("openai/m", {}).ask(question(model="openai/m"))) as pieces:  # type: ignore[type-var]
        first = await anext(pieces)

    assert isinstance(first, Text)
    async with asyncio.timeout(5):
        await server.all_hung_up()


async def test_one_connection_serves_many_questions(models: Models, server: ModelServer):
    for _ in range(5):
        await answer(models.for_agent("openai/m", {}), question(model="openai/m"))

    assert server.connections == 1


@pytest.mark.parametrize(("said_by_provider", "reason"), [("length", "length"), ("content_filter", "content-filter")])
async def test_why_a_model_stopped_is_told(models: Models, server: ModelServer, said_by_provider: str, reason: str):
    server.answers(Answer(text="You are", finish_reason=said_by_provider))

    _, response = await answer(models.for_agent("openai/m", {}), question(model="openai/m"))

    assert response.finish_reason == reason
