"""What the gateway does for clients over NATS: pages of a log, followers, and promises that are kept or said unknown.

Here on a server without accounts; `tests/security` has the same behind the wall.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.support.agents import SAY_HELLO, SAY_SLOWLY
from tests.support.processes import Process, Processes
from tests.support.services import Stage, Talk
from tests.support.wait import until

from stenograph_events import BrokenChain, Head, turn_id
from stenograph_events.frames import TextDelta
from stenograph_events.subjects import ask_subject, log_subject, trigger_subject
from stenograph_events.types import SessionCleared, TurnFinished, TurnStarted
from stenograph_events.wire import Accepted, Problem, Trigger, message_id
from stenograph_sdk import Client, Unconfirmed, following, gated, gated_log, live
from stenograph_sdk.connection import connect
from stenograph_sdk.credentials import Said
from stenograph_sdk.session import Session
from stenograph_services.gateway import app as gateway
from stenograph_services.gateway.clients import following as followers
from stenograph_services.gateway.clients.following import Following
from stenograph_services.gateway.http.limits import Limits
from stenograph_services.runtime.jetstream import api, publish
from stenograph_services.runtime.service import Running

TENANT = "default"


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[Client]:
    """A client that goes the way of a credential."""
    connection = await connect(stage.settings.nats_url)
    yield Client(connection, TENANT, Said(kind="client"))
    await connection.close()


@pytest.fixture
async def running(stage: Stage) -> AsyncIterator[Running]:
    running = await stage.start(gateway.build)
    yield running
    with contextlib.suppress(ValueError):  # the test ended it
        await stage.end(running)


def following_of(running: Running) -> Following:
    service: Any = running.service
    return service._door._following  # type: ignore[no-any-return]


async def played(talk: Talk, turns: int) -> None:
    for i in range(turns):
        await talk.end_of(await talk.send(f"Say hello {i}"))


async def numbers(session: Session) -> list[int]:
    return [event.n async for event in session.events()]


async def test_a_long_log_comes_in_pages(
    stage: Stage, running: Running, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gated_log, "PAGE", 3)
    talk = await stage.session(SAY_HELLO)
    await played(talk, 4)

    read = await numbers(client.session(talk.id))

    assert read == [event.n for event in await talk.events()]
    assert len(read) == 17


async def test_what_a_clear_took_away_is_not_read_and_the_chain_is_checked_from_there_on(
    stage: Stage, running: Running, client: Client
):
    talk = await stage.session(SAY_HELLO)
    await played(talk, 1)
    await publish(
        stage.nc, f"trig.control.{TENANT}.{talk.id}.clear", b'{"request":"c1"}', {"Nats-Msg-Id": f"clear:{talk.id}"}
    )
    cleared = await talk.until(SessionCleared)

    assert await numbers(client.session(talk.id)) == [cleared.n]
    following_ = client.session(talk.id).follow(after=1)
    assert (await anext(following_)).n == cleared.n
    await following_.aclose()


async def test_a_tampered_event_is_found_by_the_client(stage: Stage, running: Running, client: Client):
    """The gateway hands out stored bytes: whoever reads them checks them."""
    talk = await stage.session(SAY_HELLO)
    await played(talk, 1)
    log = client.session(talk.id)._log

    first, end = (await talk.stage.log.read(TENANT, talk.id))[0], await log.head()
    wrong = Head(first.sequence, 1, "0" * 64)

    with pytest.raises(BrokenChain, match="broken at event 2"):
        async for _ in log.read(wrong, end.sequence):
            pass


async def test_a_follower_hears_of_the_end_of_its_gateway_and_asks_another(
    stage: Stage, running: Running, client: Client
):
    talk = await stage.session(SAY_SLOWLY)
    items = client.session(talk.id).trigger("user-message", {"TEXT": "Hi"})
    told = [await anext(items) for _ in range(4)]
    other = await stage.start(gateway.build)

    await stage.end(running)
    told += [item async for item in items]

    assert isinstance(told[-1], TurnFinished)
    assert len([item for item in told if isinstance(item, TextDelta)]) > 20
    await stage.end(other)


async def test_a_follower_of_a_gateway_that_is_killed_misses_no_event(
    stage: Stage, client: Client, processes: Processes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(following, "SILENCE_SECONDS", 0.2)
    killed = await a_gateway(processes, stage)
    talk = await stage.session(SAY_HELLO)
    items = client.session(talk.id).follow()
    told = [await anext(items)]
    other = await stage.start(gateway.build)

    killed.kill()
    await played(talk, 2)
    told += [await anext(items) for _ in range(8)]
    await items.aclose()
    await stage.end(other)

    assert [event.n for event in told] == list(range(1, 10))


async def test_what_a_paused_gateway_was_asked_for_is_done_once_and_by_another_one(
    stage: Stage, client: Client, processes: Processes, monkeypatch: pytest.MonkeyPatch
):
    """An answer that does not come is unknown: it is asked again, and what the first one does later changes nothing."""
    monkeypatch.setattr(gated, "ATTEMPT_SECONDS", 0.3)
    paused = await a_gateway(processes, stage)
    url = next(word for word in paused.output().split() if word.startswith("port=")).replace(
        "port=", "http://127.0.0.1:"
    )
    talk = await stage.session(SAY_HELLO)
    paused.pause()
    asking = asyncio.create_task(client.session(talk.id).send("user-message", {"TEXT": "Hi"}))
    other = await stage.start(gateway.build)

    turn = await asking
    await talk.end_of(turn)
    paused.resume()
    await paused.answers(f"{url}/healthz")
    processes.stop_all()  # it finishes what it has in hand
    await until(lambda: settled(stage), what="the orchestrator has looked at all of it")
    await stage.end(other)

    assert len(await talk.all(TurnStarted)) == 1


async def settled(stage: Stage) -> bool:
    return await stage.unsettled("TRIG", "orchestrator-start") == 0


async def a_gateway(processes: Processes, stage: Stage) -> Process:
    env = {
        "STENOGRAPH_NATS_URL": stage.settings.nats_url,
        "STENOGRAPH_DATA_DIR": str(stage.settings.data_dir),
        "STENOGRAPH_PORT": "0",
        "STENOGRAPH_LOG_JSON": "false",
    }
    process = processes.start("gateway", "-m", "stenograph_services.cli", "run", "gateway", env=env)
    await process.line("http.listening")
    return process


async def test_followers_share_what_is_subscribed_and_are_dropped_when_they_leave(
    stage: Stage, running: Running, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "LINGER_SECONDS", 0.05)
    talk = await stage.session(SAY_HELLO)
    hub = following_of(running)
    one, two = client.session(talk.id).follow(), client.session(talk.id).follow()

    await anext(one)
    await anext(two)
    there = len(hub._followers), len(hub._sessions)
    await one.aclose()
    await two.aclose()

    assert there == (2, 1)
    await until(lambda: not hub._followers and not hub._sessions, what="both are dropped")


async def test_a_follower_that_says_nothing_more_is_dropped(
    stage: Stage, running: Running, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(followers, "KEEP_SECONDS", 0.3)
    monkeypatch.setattr(followers, "BEAT_SECONDS", 0.1)
    talk = await stage.session(SAY_HELLO)
    heard: list[str] = []

    async def hear(message: Any) -> None:
        heard.append((message.headers or {}).get("Stenograph-Kind", ""))

    inbox = stage.nc.new_inbox()
    await stage.nc.subscribe(inbox, cb=hear)
    await stage.nc.publish(log_subject(TENANT, None, talk.id, "follow"), b"{}", reply=inbox)
    await until(lambda: "followed" in heard, what="it is told")
    hub = following_of(running)

    await until(lambda: not hub._followers and not hub._sessions, what="it is dropped")


async def test_a_trigger_is_accepted_once_the_server_has_stored_it(stage: Stage, running: Running):
    talk = await stage.session(SAY_HELLO)
    body = msgspec.json.encode(Trigger(msgspec.Raw(b'{"TEXT":"Hi"}'), "r-1"))
    subject = ask_subject(TENANT, None, talk.id, "start", "user-message")

    first = await stage.nc.request(subject, body, timeout=5)
    again = await stage.nc.request(subject, body, timeout=5)
    await talk.until(TurnFinished)

    assert msgspec.json.decode(first.data, type=Accepted) == Accepted()
    assert msgspec.json.decode(again.data, type=Accepted) == Accepted(duplicate=True)
    assert len(await talk.all(TurnStarted)) == 1


async def test_a_trigger_is_not_kept_out_by_the_same_request_of_another_tenant(stage: Stage, running: Running):
    """The server has one space of message ids: what named no tenant made the other one's trigger a duplicate, acked."""
    talk = await stage.session(SAY_HELLO)
    body = msgspec.json.encode(Trigger(msgspec.Raw(b'{"TEXT":"Hi"}'), "r-1"))
    theirs = trigger_subject("bolt", talk.id, "user-message")
    await publish(stage.nc, theirs, body, {"Nats-Msg-Id": message_id("bolt", talk.id, "r-1")})

    answer = await stage.nc.request(ask_subject(TENANT, None, talk.id, "start", "user-message"), body, timeout=5)

    assert msgspec.json.decode(answer.data, type=Accepted) == Accepted()
    await talk.until(TurnFinished)


async def test_a_trigger_that_nobody_takes_is_said_to_be_unknown(stage: Stage, client: Client):
    talk = await stage.session(SAY_HELLO)
    trigger = Trigger(msgspec.Raw(b"{}"), "r-1")
    way = gated.Gated(client.connection, TENANT, None, None)

    with pytest.raises(Unconfirmed, match="nobody answers: is `stenograph run gateway` running"):
        await way.start(talk.id, "user-message", trigger, 0.3, {})


async def test_a_full_store_is_said_and_nothing_is_lost(stage: Stage, running: Running, client: Client):
    talk = await stage.session(SAY_HELLO)
    there = (await api(stage.nc, "STREAM.INFO.TRIG"))["config"]
    await api(stage.nc, "STREAM.UPDATE.TRIG", there | {"max_bytes": 1})
    try:
        answer = await stage.nc.request(
            ask_subject(TENANT, None, talk.id, "start", "user-message"),
            msgspec.json.encode(Trigger(request="r-1")),
            timeout=5,
        )
    finally:
        await api(stage.nc, "STREAM.UPDATE.TRIG", there)

    assert msgspec.json.decode(answer.data, type=Problem).code == "UNAVAILABLE"


async def test_a_credential_that_asks_too_often_is_told_to_wait_and_what_it_asks_is_done_all_the_same(
    stage: Stage, running: Running, client: Client
):
    service: Any = running.service
    service._door._limits = Limits(stage.settings.model_copy(update={"key_requests_per_second": 2}))
    talk = await stage.session(SAY_HELLO)
    who = {"Nats-Request-Info": '{"user":"UB1"}'}  # as the server writes it, for who comes from a tenant's account
    subject, connection = ask_subject(TENANT, None, talk.id, "start", "user-message"), client.connection

    async def ask(request: str) -> Any:
        body = msgspec.json.encode(Trigger(msgspec.Raw(b'{"TEXT":"Hi"}'), request))
        return msgspec.json.decode((await connection.ask(subject, body, 5, who)).data)

    at_once = [await ask(f"r-{i}") for i in range(6)]
    way = gated.Gated(connection, TENANT, None, None)
    trigger = Trigger(msgspec.Raw(b'{"TEXT":"Hi"}'), "r-9")
    await way.start(talk.id, "user-message", trigger, 10, who)
    await talk.end_of(turn_id(talk.id, "r-9"))

    assert at_once[0] == {}
    assert {one.get("code") for one in at_once[4:]} == {"RATE_LIMITED"}


WRONG = (
    ("start.user-message", b"\xff", "the body is not what docs/events.md describes"),
    ("start.user-message", b'{"input":{}}', "request '' must match"),
    ("start.*", b'{"request":"r"}', "trigger '*' must match"),
    ("cancel", b"{}", "required field `turn`"),
    ("cancel", b'{"turn":"*"}', "turn '*' must match"),
    ("erase", b"{}", "as.<tenant>.<agent>.<session>.<verb>"),
)


async def test_a_wish_that_is_none_is_refused_in_one_sentence(stage: Stage, running: Running):
    talk = await stage.session(SAY_HELLO)
    inbox = stage.nc.new_inbox()
    heard = await stage.nc.subscribe(inbox)
    for verb, body, error in WRONG:
        subject = f"as.{TENANT}._.{talk.id}.{verb}"
        await stage.nc._send_command(f"PUB {subject} {inbox} {len(body)}\r\n".encode() + body + b"\r\n")
        await stage.nc.flush()

        problem = msgspec.json.decode((await heard.next_msg(5)).data, type=Problem)

        assert error in problem.error
        assert problem.code in ("VALIDATION_ERROR", "NOT_FOUND")


async def test_a_page_that_is_none_is_refused(stage: Stage, running: Running):
    talk = await stage.session(SAY_HELLO)
    for body in (b'{"after":-1}', b'{"limit":-1}', b'{"after":"1"}', b"[]", b"\xff"):
        answer = await stage.nc.request(log_subject(TENANT, None, talk.id, "read"), body, timeout=5)

        assert (answer.headers or {})["Stenograph-Kind"] == "problem"
        assert msgspec.json.decode(answer.data, type=Problem).code == "VALIDATION_ERROR"
