"""Providers that fail, as a session sees it: zero half messages, calls within the budget, every turn ends typed.

One provider serves all sessions of a test at once. What it does to a session is the text of the user's message:

    "529 1"    the first request of that session is answered with 529, the next one as it should be
    "529 9"    nine of them are: more than there are attempts
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import pytest
from tests.support.agents import bundle
from tests.support.model_answers import Answer
from tests.support.nats import Endpoint
from tests.support.openai_server import Body, ModelServer
from tests.support.provider_faults import CLASSES, FAULTS, PATHS, WHOLE, places
from tests.support.services import TENANT, Stage, Talk
from tests.support.wait import until

from stenograph_events.types import (
    MessageAdded,
    ModelFailed,
    ToolRequested,
    TurnFinished,
)
from stenograph_events.values import ReasoningPart, TextPart
from stenograph_services.runtime.agents import Agents

TRIALS = pytest.mark.parametrize("trials", [3, pytest.param(30, marks=pytest.mark.soak)])
AT_ONCE = 12
"""Sessions that run at once: enough to be quick, few enough that no healthy answer comes too late."""

ENOUGH_SECONDS = 60
FOR_EVER = 9


class Provider:
    """Answers each session as its user's message says, and counts its requests."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.cuts: dict[str, int] = {}

    def respond(self, body: Body) -> Answer:
        wanted = _user_text(body)
        self.asked[wanted] += 1
        fault, _, times = wanted.rpartition(" ")
        if self.asked[wanted] <= int(times):
            return self._fault(fault)
        return Answer(text="You are on the Pro plan.") if _has_result(body) else WHOLE

    def _fault(self, fault: str) -> Answer:
        if fault in self.cuts:
            return msgspec.structs.replace(WHOLE, cut_at=self.cuts[fault])
        return FAULTS[fault.partition("#")[0]].answer


def _user_text(body: Body) -> str:
    content = next(each["content"] for each in body["messages"] if each["role"] == "user")
    return content if isinstance(content, str) else str(content[0]["text"])


def _has_result(body: Body) -> bool:
    last = body["messages"][-1]
    return last["role"] == "tool" or "tool_result" in str(last["content"])


@pytest.fixture
async def provider(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provider]:
    provider = Provider()
    async with ModelServer(provider.respond) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
            monkeypatch.setenv(variable, "sk-test")
        yield provider


@pytest.fixture(scope="module")
async def services(shared_nats: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Services that wait for a model for 6 s, which is long for the one here and short for a test."""
    folder = tmp_path_factory.mktemp("services")
    async with Stage(shared_nats.url, folder, model_timeout_seconds=6, ack_wait_seconds=5) as stage:
        yield stage


async def session(stage: Stage, name: str) -> Talk:
    """Return a session of the agent whose model is `name`."""
    agent = bundle(f"agent-{name.partition('/')[0]}")
    agent = msgspec.structs.replace(agent, protocol=agent.protocol.replace("scripted/play", name))
    stored, _ = await Agents(stage.nc).store(TENANT, agent)
    return await stage.session_of(stored.slug, stored.version)


async def turn_of(stage: Stage, name: str, wanted: str) -> tuple[Talk, TurnFinished]:
    """Let a session live through one turn, its tool call answered if it comes to one, and return how that ended."""
    talk = await session(stage, name)
    turn = await talk.send(wanted)
    came = await until(lambda: _called_or_over(talk), ENOUGH_SECONDS, what=f"{wanted!r} comes to something")
    if isinstance(came, ToolRequested):
        await talk.answer(came, {"plan": "pro"})
    return talk, await talk.end_of(turn, timeout=ENOUGH_SECONDS)


async def _called_or_over(talk: Talk) -> ToolRequested | TurnFinished | None:
    return next((one for one in await talk.events() if isinstance(one, ToolRequested | TurnFinished)), None)


async def all_turns(stage: Stage, name: str, wanted: list[str]) -> list[tuple[str, Talk, TurnFinished]]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(text: str) -> tuple[str, Talk, TurnFinished]:
        async with slots:
            return (text, *await turn_of(stage, name, text))

    return await asyncio.gather(*(one(text) for text in wanted))


def whole_answer(message: MessageAdded) -> bool:
    """Tell whether `message` is one of the two answers, from its first to its last letter."""
    text = "".join(part.text for part in message.parts if isinstance(part, TextPart))
    thought = "".join(part.text for part in message.parts if isinstance(part, ReasoningPart))
    calls = [(call.tool, bytes(call.arguments)) for call in message.calls]
    if text == WHOLE.text:
        return thought == WHOLE.reasoning and calls == [(tool, said.encode()) for _, tool, said in WHOLE.calls]
    return (text, thought, calls) == ("You are on the Pro plan.", "", [])


async def answers_of(talk: Talk) -> list[MessageAdded]:
    return [one for one in await talk.all(MessageAdded) if one.role == "assistant"]


@TRIALS
@pytest.mark.parametrize("name", PATHS)
@pytest.mark.timeout(900)
async def test_a_cut_stream_is_a_failed_attempt_and_never_half_a_message(
    stage: Stage, provider: Provider, name: str, trials: int
):
    for where in CLASSES:
        for trial in range(trials):
            provider.cuts[f"{where}#{trial}"] = random.Random(trial).choice(places(name, where))

    turns = await all_turns(stage, name, [f"{cut} 1" for cut in provider.cuts])

    for wanted, talk, end in turns:
        failed = await talk.all(ModelFailed)
        assert (wanted, end.outcome) == (wanted, "completed")
        assert [each.error in ("connection", "bad-answer") for each in failed] == [True]
        assert [whole_answer(each) for each in await answers_of(talk)] == [True, True]
        assert provider.asked[wanted] == 3


RETRYABLE = [fault for fault, (_, _, retryable) in FAULTS.items() if retryable]
FINAL = [fault for fault in FAULTS if fault not in RETRYABLE]


@TRIALS
@pytest.mark.parametrize("name", PATHS)
@pytest.mark.timeout(900)
async def test_a_provider_that_fails_once_is_asked_again(stage: Stage, provider: Provider, name: str, trials: int):
    turns = await all_turns(stage, name, [f"{fault}#{trial} 1" for fault in RETRYABLE for trial in range(trials)])

    for wanted, talk, end in turns:
        [failed] = await talk.all(ModelFailed)
        given = FAULTS[wanted.partition("#")[0]]
        assert (wanted, end.outcome) == (wanted, "completed")
        assert failed.error in given.kinds
        assert failed.status == (given.answer.status if given.answer.status != 200 else None)
        assert [whole_answer(each) for each in await answers_of(talk)] == [True, True]
        assert provider.asked[wanted] == 3


@TRIALS
@pytest.mark.parametrize("name", PATHS)
@pytest.mark.timeout(900)
async def test_a_provider_that_goes_on_failing_ends_the_turn_with_what_it_was(
    stage: Stage, provider: Provider, name: str, trials: int
):
    faults = [(fault, trial) for fault in ("529", "no JSON", "a page", *FINAL) for trial in range(trials)]

    turns = await all_turns(stage, name, [f"{fault}#{trial} {FOR_EVER}" for fault, trial in faults])

    for wanted, talk, end in turns:
        given = FAULTS[wanted.partition("#")[0]]
        attempts = stage.settings.model_attempts if given.retryable else 1
        assert (wanted, end.outcome, end.reason) == (wanted, "failed", "model-failed")
        assert (end.detail or "").partition(":")[0] in given.kinds
        assert [each.attempt for each in await talk.all(ModelFailed)] == list(range(1, attempts + 1))
        assert await answers_of(talk) == []
        assert provider.asked[wanted] == attempts


async def story(stage: Stage, name: str) -> list[dict[str, Any]]:
    """Return the log of a turn with a failure and a call, without what names the session, the model and the time."""
    talk, _ = await turn_of(stage, name, "529 1")
    log = msgspec.json.decode(msgspec.json.encode(await talk.events()), type=list[dict[str, Any]])
    ids = {each["id"]: f"event {at}" for at, each in enumerate(log)}
    ids |= {call["call"]: "call" for each in log for call in each.get("calls", ())}
    return [_told(each, ids) for each in log]


def _told(event: dict[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """Return `event` with ids that say what they are the id of, and without what differs from run to run."""
    names = ("at", "id", "session", "turn", "request", "agent", "agent_version", "n", "prev", "hash", "deadline_at")
    whose = ("model", "provider", "cost_usd", "detail", "context", "latency_ms", "first_token_ms")
    told = {key: value for key, value in event.items() if key not in (*names, *whose)}
    parts = [{key: part[key] for key in ("type", "text")} for part in event.get("parts", ())]
    text = msgspec.json.encode(told | ({"parts": parts} if parts else {})).decode()
    for id, name in ids.items():
        text = text.replace(id, name)
    return msgspec.json.decode(text, type=dict[str, Any])


async def test_two_wire_formats_yield_the_same_log(stage: Stage, provider: Provider):
    chat = await story(stage, "openai/gpt-5-mini")
    provider.asked.clear()
    messages = await story(stage, "anthropic/claude-haiku-5-5")

    assert chat == messages
    assert [each["type"] for each in chat].count("message.added") == 3
