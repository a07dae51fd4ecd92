"""`openai/…` without a base URL: the Responses API. Here its client is pointed at the local server by hand."""

import pytest
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from tests.support.asking import GET_ACCOUNT, answer, call, question, reply, said
from tests.support.model_answers import Answer
from tests.support.openai_server import ModelServer

from stenograph_events.values import ReasoningPart, TextPart, Usage
from stenograph_services.orchestrator.models.bounded import http_client
from stenograph_services.orchestrator.models.direct import ProviderModel
from stenograph_services.orchestrator.models.opening import open_model
from stenograph_services.orchestrator.models.plain_openai import PlainOpenAI
from stenograph_services.orchestrator.models.providers import Address
from stenograph_services.orchestrator.models.request import CallPiece, CallWanted, ModelError, Text
from stenograph_services.protocol.agent import Schema

ADDRESS = Address("openai", "gpt-5-mini", None, "sk-openai", "openai")


@pytest.fixture
def model(server: ModelServer) -> ProviderModel:
    client = PlainOpenAI(api_key="sk-openai", base_url=server.openai_url, max_retries=0, http_client=http_client())
    model = OpenAIResponsesModel("gpt-5-mini", provider=OpenAIProvider(openai_client=client))
    return ProviderModel(model, ADDRESS, timeout_seconds=30)


def test_without_a_base_url_openai_is_asked_through_the_responses_api():
    model = open_model(ADDRESS, http_client())

    assert isinstance(model, OpenAIResponsesModel)
    assert model.client.max_retries == 0


async def test_a_text_and_a_call_stream_and_end_whole(model: ProviderModel, server: ModelServer):
    server.answers(Answer(text="Let me see.", calls=(("p1", "get-user-account", '{"userId":"u1"}'),), pieces=2))

    deltas, response = await answer(model, question(tools=(GET_ACCOUNT,)))

    assert deltas == [
        Text("Let m"),
        Text("e see."),
        CallPiece(0, "get-user-account", ""),
        CallPiece(0, "get-user-account", '{"userI'),
        CallPiece(0, "get-user-account", 'd":"u1"}'),
    ]
    assert response.parts == (TextPart("Let me see."),)
    assert response.calls == (CallWanted("get-user-account", '{"userId":"u1"}'),)
    assert response.finish_reason == "tool-calls"
    assert response.usage == Usage(11, 7, 3)


@pytest.mark.parametrize("torn", [Answer(text="Half", ends_after=2), Answer(text="Half", cut_after=2)])
async def test_a_torn_stream_is_an_error(model: ProviderModel, server: ModelServer, torn: Answer):
    server.answers(torn)

    with pytest.raises(ModelError) as failed:
        await answer(model, question())

    assert (failed.value.kind, failed.value.retryable) == ("connection", True)


async def test_reasoning_items_stay_at_home_because_what_followed_them_is_not_sent(
    model: ProviderModel, server: ModelServer
):
    thought = ReasoningPart("Hm.", "encrypted", "openai", "rs_1")

    await answer(model, question(said("user", "Hi"), said("assistant", thought, calls=(call("c1"),)), reply("c1", 1)))

    kinds = [item.get("type", item.get("role")) for item in server.requests[0]["input"]]
    assert kinds == ["system", "user", "function_call", "function_call_output"]


async def test_every_wish_of_an_agent_is_sent(model: ProviderModel, server: ModelServer):
    wish = Schema({"type": "object", "properties": {"plan": {"type": "string"}}, "required": ["plan"]}, None)
    asked = question(
        tools=(GET_ACCOUNT,), max_output_tokens=99, thinking="low", speed="fast", response=wish, response_type="Plan"
    )

    await answer(model, asked)

    [body] = server.requests
    assert (body["max_output_tokens"], body["service_tier"], body["reasoning"]["effort"]) == (99, "priority", "low")
    assert (body["text"]["format"]["name"], body["tools"][0]["name"]) == ("Plan", "get-user-account")
    assert body["stream"] is True
