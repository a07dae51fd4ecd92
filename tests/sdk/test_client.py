import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from tests.sdk.services import Gateway, Log, declared, of_turn
from tests.support.nats import connect
from tests.support.wait import until

from stenograph_events import BrokenChain, InvalidId, new_session_id, subjects, turn_id
from stenograph_events.chain import digest
from stenograph_events.frames import TextDelta, TriggerUnanswered, encode_frame
from stenograph_events.testing import (
    assistant_message,
    raw,
    session_created,
    trigger_queued,
    trigger_rejected,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.wire import Cancel, Trigger
from stenograph_sdk import Client, NobodyAnswers, Refused, Session, TurnNotCompleted, UnknownSession, following
from stenograph_services.runtime.nats_server import NatsServer

REQUEST = "r1"


def kinds(items: list[Any]) -> list[str]:
    return [type(item).__name__ for item in items]


async def listed(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


def turn_of(log: Log, request: str = REQUEST) -> str:
    return turn_id(log.session, request)


def turn_events(turn: str, text: str = "You are on Pro.") -> list[Any]:
    return [
        of_turn(event, turn) for event in (turn_started(), user_message(), assistant_message(text), turn_finished())
    ]


async def answered(nats: Nats, log: Log, *items: Any) -> None:
    """Play an orchestrator: append or send `items` when the next trigger comes."""

    async def play(_: Msg) -> None:
        for item in items:
            if isinstance(item, TextDelta | TriggerUnanswered):
                await nats.publish(subjects.frame_subject("default", log.session), encode_frame(item))
            else:
                await log.append(item)

    await (await nats.subscribe(subjects.Pattern.STARTS, cb=play)).unsubscribe(limit=1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower that looks into the log after a tenth of a second of silence."""
    monkeypatch.setattr(following, "SILENCE_SECONDS", 0.1)


@pytest.fixture
def session(client: Client, log: Log) -> Session:
    return client.session(log.session)


async def test_a_created_session_has_a_log_with_its_input(gateway: Gateway, client: Client):
    session = await client.sessions.create("support-chat", {"COMPANY_NAME": "Acme"})

    (created,) = await listed(session.events())

    assert created.agent == "support-chat"
    assert bytes(created.input) == b'{"COMPANY_NAME":"Acme"}'


async def test_a_session_of_an_unknown_agent_is_refused_with_the_reason(gateway: Gateway, client: Client):
    with pytest.raises(Refused, match="there is no agent nobody") as refused:
        await client.sessions.create("nobody")

    assert refused.value.code == "unknown-agent"


async def test_without_a_gateway_the_error_says_what_to_start(client: Client):
    with pytest.raises(NobodyAnswers, match="is `stenograph run gateway` running"):
        await client.sessions.create("support-chat", timeout=0.2)


async def test_a_gateway_that_comes_late_is_waited_for(streams: Nats, client: Client):
    creating = asyncio.create_task(client.sessions.create("support-chat"))
    await asyncio.sleep(0)
    await Gateway(streams).start()

    assert (await creating).id


async def test_an_id_that_is_none_is_refused_before_anything_is_sent(client: Client):
    with pytest.raises(InvalidId):
        client.session("2f.>")


async def test_a_trigger_yields_its_turn_in_order(streams: Nats, log: Log, session: Session):
    turn = turn_of(log)
    started, asked, said, finished = turn_events(turn)
    deltas = [TextDelta(turn=turn, after=3, k=k, text=text) for k, text in enumerate(("You are ", "on Pro."), 1)]
    await answered(streams, log, started, asked, *deltas, said, finished)

    items = await listed(session.trigger("user-message", request=REQUEST))

    assert kinds(items) == ["TurnStarted", "MessageAdded", "TextDelta", "TextDelta", "MessageAdded", "TurnFinished"]
    assert [item.n for item in items if hasattr(item, "n")] == [2, 3, 4, 5]


async def test_the_next_turn_of_a_session_shows_only_itself(streams: Nats, log: Log, session: Session):
    await answered(streams, log, *turn_events(turn_of(log)))
    await listed(session.trigger("user-message", request=REQUEST))
    await log.append(*turn_events("of-somebody-else"))
    second = session.trigger("user-message", request="r2")
    first = asyncio.ensure_future(anext(second))
    await until(lambda: triggers(streams, 2))
    await log.append(*turn_events(turn_of(log, "r2")))

    assert kinds([await first, *await listed(second)]) == [
        "TurnStarted",
        "MessageAdded",
        "MessageAdded",
        "TurnFinished",
    ]


async def triggers(nats: Nats, count: int) -> bool:
    return (await nats.jetstream().stream_info("TRIG")).state.messages >= count


async def test_what_is_triggered_is_stored_with_its_request(streams: Nats, log: Log, session: Session):
    turn = await session.send("user-message", {"USER_MESSAGE": "Hi"}, request=REQUEST)

    stored = await streams.jetstream().get_last_msg(
        "TRIG", subjects.trigger_subject("default", log.session, "user-message")
    )

    assert turn == turn_of(log)
    assert msgspec.json.decode(stored.data or b"", type=Trigger) == Trigger(raw({"USER_MESSAGE": "Hi"}), REQUEST)
    assert (stored.headers or {})["Nats-Msg-Id"] == f"start:default:{log.session}:{REQUEST}"


async def test_the_same_request_sent_twice_is_one_trigger(streams: Nats, session: Session):
    first = await session.send("user-message", request=REQUEST)
    again = await session.send("user-message", request=REQUEST)

    assert first == again
    assert (await streams.jetstream().stream_info("TRIG")).state.messages == 1


async def test_a_request_that_ran_before_yields_its_turn_from_the_log(log: Log, session: Session):
    await session.send("user-message", request=REQUEST)
    await log.append(*turn_events(turn_of(log)), *turn_events("t2"))

    items = await listed(session.trigger("user-message", request=REQUEST))

    assert [item.turn for item in items] == [turn_of(log)] * 4


async def test_a_request_of_long_ago_is_found_in_the_log(quick: None, log: Log, session: Session):
    """Its message id is forgotten by then, so the server does not say that it is a duplicate."""
    await log.append(*turn_events(turn_of(log)), *turn_events("t2"))

    items = await listed(session.trigger("user-message", request=REQUEST))

    assert kinds(items)[-1] == "TurnFinished"


async def test_events_that_were_lost_on_the_way_are_read_from_the_log(
    quick: None, streams: Nats, log: Log, session: Session
):
    """Neither a lost message in the middle nor a lost last one may be missed."""
    started, asked, said, finished = turn_events(turn_of(log))
    await answered(streams, log, started)
    items = session.trigger("user-message", request=REQUEST)
    first = await anext(items)
    async with nothing_live(streams, log):
        await log.append(asked, said, finished)

    assert kinds([first, *await listed(items)]) == ["TurnStarted", "MessageAdded", "MessageAdded", "TurnFinished"]


async def test_a_gap_between_two_live_events_is_filled(streams: Nats, log: Log, session: Session):
    started, asked, said, finished = turn_events(turn_of(log))
    await answered(streams, log, started)
    items = session.trigger("user-message", request=REQUEST)
    first = await anext(items)
    async with nothing_live(streams, log):
        await log.append(asked, said)
    await log.append(finished)

    assert kinds([first, *await listed(items)]) == ["TurnStarted", "MessageAdded", "MessageAdded", "TurnFinished"]


@asynccontextmanager
async def nothing_live(nats: Nats, log: Log) -> AsyncIterator[None]:
    """Lose every live message meanwhile: the server republishes nothing."""
    js = nats.jetstream()
    stream = await js.find_stream_name_by_subject(subjects.session_filter("default", log.session))
    config = (await js.stream_info(stream)).config
    await js.update_stream(dataclasses.replace(config, republish=None))
    yield
    await js.update_stream(config)


async def test_a_rejected_trigger_ends_with_its_rejection(streams: Nats, log: Log, session: Session):
    await answered(streams, log, of_turn(trigger_rejected(), turn_of(log)))

    (rejected,) = await listed(session.trigger("user-message", request=REQUEST))

    assert rejected.reason == "busy"


async def test_a_turn_that_is_cancelled_in_the_queue_ends(streams: Nats, log: Log, session: Session):
    turn = turn_of(log)
    await answered(streams, log, of_turn(trigger_queued(), turn), of_turn(turn_cancel_requested(), turn))

    items = await listed(session.trigger("user-message", request=REQUEST))

    assert kinds(items) == ["TriggerQueued", "TurnCancelRequested"]


async def test_a_trigger_to_a_session_without_a_log_is_not_answered(quick: None, client: Client):
    session = client.session(new_session_id())

    (unanswered,) = await listed(session.trigger("user-message"))

    assert unanswered.reason == "unknown-session"


async def test_the_services_word_that_nobody_answers_ends_the_turn(streams: Nats, client: Client):
    log = Log(streams)
    word = TriggerUnanswered(turn=turn_of(log), after=0, reason="erased", detail="the session is erased")
    await answered(streams, log, word)

    assert await listed(client.session(log.session).trigger("user-message", request=REQUEST)) == [word]


async def test_ask_returns_the_last_text_of_the_turn(streams: Nats, log: Log, session: Session):
    await answered(streams, log, *turn_events(turn_of(log), "You are on Pro."))

    assert await session.ask("user-message", request=REQUEST) == "You are on Pro."


async def test_ask_says_how_a_turn_ended_that_has_no_answer(streams: Nats, log: Log, session: Session):
    turn = turn_of(log)
    failed = turn_finished(outcome="failed", reason="model-failed", detail="the model is overloaded")
    await answered(streams, log, of_turn(turn_started(), turn), of_turn(failed, turn))

    with pytest.raises(TurnNotCompleted, match="was failed: model-failed: the model is overloaded"):
        await session.ask("user-message", request=REQUEST)


async def test_a_cancel_names_its_turn(streams: Nats, log: Log, session: Session):
    await session.cancel("t1")
    await session.cancel("t1")

    subject = subjects.control_subject("default", log.session, "cancel")
    stored = await streams.jetstream().get_last_msg("TRIG", subject)

    assert msgspec.json.decode(stored.data or b"", type=Cancel) == Cancel("t1")
    assert (await streams.jetstream().stream_info("TRIG")).state.messages == 1


async def test_the_log_can_be_read_from_any_event(log: Log, session: Session):
    await log.append(*turn_events("t1"), *turn_events("t2"))

    assert [event.n for event in await listed(session.events())] == list(range(1, 10))
    assert [event.n for event in await listed(session.events(after=7))] == [8, 9]
    assert [event.n for event in await listed(session.events(after=9))] == []


async def test_the_log_of_an_unknown_session_is_an_error(client: Client):
    with pytest.raises(UnknownSession):
        await listed(client.session(new_session_id()).events())


async def test_an_edited_event_is_found_by_the_next_one(log: Log, session: Session):
    event, data = log.next(turn_started())
    await log.store(event, data)
    event, data = log.next(user_message("I owe nothing"))
    await log.store(event, data.replace(b"nothing", b"a lot  "))
    log.head = msgspec.structs.replace(log.head, hash=digest(data))
    await log.append(turn_finished())

    with pytest.raises(BrokenChain, match="broken at event 4"):
        await listed(session.events())


async def test_following_gives_the_past_then_the_present(log: Log, session: Session):
    await log.append(*turn_events("t1"))
    following_ = session.follow(after=2)
    past = [(await anext(following_)) for _ in range(3)]
    await log.append(*turn_events("t2"))
    present = [(await anext(following_)) for _ in range(4)]

    assert [event.n for event in past + present] == [3, 4, 5, 6, 7, 8, 9]


async def test_following_survives_a_killed_server(nats_server: NatsServer):
    nats = await connect(nats_server.url)
    await declared(nats)
    log = Log(nats)
    await log.append(session_created(), *turn_events("t1"))
    async with Client.connect(nats_server.url) as client:
        events = client.session(log.session).follow()
        before = [(await anext(events)).n for _ in range(5)]
        await nats_server.kill()
        await nats_server.start()
        await until(lambda: nats.is_connected)
        await log.append(*turn_events("t2"))
        after = [(await anext(events)).n for _ in range(4)]
    await nats.close()

    assert before + after == list(range(1, 10))
