"""What cannot be processed is set aside with its reason, and nobody else waits for it."""

import asyncio
import socket
from typing import Any, NoReturn

import pytest
from tests.support.agents import CALL_THEN_SAY
from tests.support.services import TENANT, Frames, Stage, Talk

from stenograph_events import new_session_id, turn_id
from stenograph_events.frames import TriggerUnanswered
from stenograph_events.subjects import control_subject, session_filter, trigger_subject
from stenograph_events.types import TriggerQueued
from stenograph_services.orchestrator import decide as decide_module
from stenograph_services.orchestrator import driver
from stenograph_services.runtime import parking
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.errors import UnknownAgent
from stenograph_services.runtime.jetstream import publish
from stenograph_services.runtime.sessions import Sessions

DEEP = b"[" * 5_000 + b"]" * 5_000


async def goes_on(stage: Stage) -> None:
    """Fail if another session does not get its answer."""
    talk = await stage.session()
    assert (await talk.end_of(await talk.send(), timeout=4)).outcome == "completed"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no json", "the trigger is not what docs/events.md describes: JSON is malformed"),
        (b'{"input": "\xff"}', "the trigger is not what docs/events.md describes: 'utf-8' codec"),
        (b'{"input": ' + DEEP + b"}", "the trigger is not what docs/events.md describes: maximum recursion depth"),
        (b"[]", "the trigger is not what docs/events.md describes: Expected `object`, got `array`"),
        (b'{"input": {"TEXT": "Hi"}}', "a trigger needs a request id: set the header Nats-Msg-Id"),
    ],
)
async def test_a_trigger_that_is_none_is_parked(stage: Stage, data: bytes, reason: str):
    talk = await stage.session()
    subject = trigger_subject(TENANT, talk.id, "user-message")

    await publish(stage.nc, subject, data)

    assert (await stage.parked(subject)).startswith(reason)
    await goes_on(stage)


async def test_a_trigger_on_a_wrong_subject_is_parked(stage: Stage):
    session = new_session_id()
    subjects = [f"trig.start.default.{session}.a.b", "trig.start.default", f"trig.start.default.{session}.*", "trig.x"]

    for subject in subjects[:3]:
        await publish(stage.nc, subject, b"{}")
    reasons = [await stage.parked(subject) for subject in subjects[:3]]

    assert reasons[0].endswith("is not of the form trig.<start|control>.<tenant>.<session>.<name>")
    assert reasons[2] == "trigger '*' must match ^[A-Za-z0-9_-]{1,64}$"
    await goes_on(stage)


async def test_a_subject_that_is_no_text_is_parked_and_deafens_nobody(stage: Stage):
    """nats-py stops reading from its connection at the first such subject, and the server stores it."""
    talk = await stage.session()
    subject = f"trig.start.default.{talk.id}.".encode() + b"\xff\xfe"

    await asyncio.to_thread(_published_bare, stage.settings.nats_url, subject)

    assert (await stage.parked(subject.decode(errors="replace").encode("ascii", "replace").decode())).startswith(
        "trigg"
    )
    await goes_on(stage)


def _published_bare(url: str, subject: bytes) -> None:
    """Publish without any client's checks."""
    host, port = url.removeprefix("nats://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.recv(4096)
        connection.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\nPUB ' + subject + b" 2\r\n{}\r\nPING\r\n")
        assert b"PONG" in connection.recv(4096)


async def test_a_trigger_that_looks_like_a_word_of_the_server_is_parked(stage: Stage):
    """An empty body and a `Status` header were taken for the server's own; the message was never settled."""
    talk = await stage.session()
    subject = trigger_subject(TENANT, talk.id, "user-message")

    await publish(stage.nc, subject, b"", {"Status": "409 Consumer Deleted"})

    assert (await stage.parked(subject)).startswith("a trigger needs a request id")
    await goes_on(stage)


@pytest.mark.parametrize("data", [b"{}", b"\xff", b'{"turn": 5}'])
async def test_a_control_that_is_none_is_parked(stage: Stage, data: bytes):
    talk = await stage.session()
    subject = control_subject(TENANT, talk.id, "cancel")

    await publish(stage.nc, subject, data)

    assert (await stage.parked(subject)).startswith("the cancel is not what docs/events.md describes")


async def test_a_trigger_to_a_session_that_does_not_exist_is_parked_and_its_sender_is_told(stage: Stage):
    talk = Talk(stage, new_session_id())

    async with Frames(stage.nc, talk.id) as frames:
        turn = await talk.send(request="r")
        told = await frames.first()

    assert told == TriggerUnanswered(
        turn=turn_id(talk.id, "r"), after=0, reason="unknown-session", detail=f"no session '{talk.id}'"
    )
    assert turn == told.turn
    assert await stage.parked(trigger_subject(TENANT, talk.id, "user-message")) == f"no session '{talk.id}'"


async def test_bytes_in_the_log_that_are_no_event_are_parked_and_stop_only_their_own_session(stage: Stage):
    talk = await stage.session()
    stage.talks.remove(talk)  # its log is broken on purpose
    subject = session_filter(TENANT, talk.id)[:-1] + "tool-result"

    await publish(stage.nc, subject, b"no event")
    reason = await stage.parked(subject)
    await talk.send()

    assert reason.startswith("event ? (no type) cannot be decoded")
    assert (await stage.parked(trigger_subject(TENANT, talk.id, "user-message"))).startswith("event ? (no type)")
    await goes_on(stage)


async def test_a_message_is_not_lost_while_it_cannot_even_be_parked(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    """The delivery stayed in hand and was heartbeaten for ever."""
    talk = await stage.session()
    subject = trigger_subject(TENANT, talk.id, "user-message")
    tries: list[Any] = []

    async def park(*given: Any, **more: Any) -> bool:
        tries.append(given)
        if len(tries) == 1:
            raise TimeoutError("nobody answers")
        return await parked(*given, **more)

    parked = parking.park
    monkeypatch.setattr(parking, "park", park)
    await publish(stage.nc, subject, b"no json")

    assert (await stage.parked(subject)).startswith("the trigger is not")
    assert len(tries) == 2


# ---- sessions that crash whoever drives them


class Crash(Exception):
    """A defect, for a test."""


async def test_a_turn_that_crashes_its_driver_again_and_again_fails(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    talk = await stage.session()
    decided = decide_module.decide
    crashes: list[Any] = []

    def decide(session: Any, *rest: Any) -> Any:
        if session.session == talk.id:
            crashes.append(session)
            raise Crash
        return decided(session, *rest)

    monkeypatch.setattr(driver, "decide", decide)
    turn = await talk.send()
    end = await talk.end_of(turn)

    assert (end.outcome, end.reason) == ("failed", "crash-loop")
    assert end.detail == "2 deliveries ended without any progress; look at the services' logs"
    assert len(crashes) == stage.settings.crash_limit


async def test_a_crash_loop_leaves_no_call_unanswered(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    """The turn ended with the model's calls open, and every provider refuses such a history ever after."""
    talk = await stage.session(CALL_THEN_SAY.replace("loop: true\n", "") + "  - - text: Back.\n")
    decided = decide_module.decide

    def decide(session: Any, *rest: Any) -> Any:
        if session.session == talk.id and session.turns == 1 and session.turn and session.turn.calls:
            raise Crash
        return decided(session, *rest)

    monkeypatch.setattr(driver, "decide", decide)
    turn = await talk.send()
    end = await talk.end_of(turn)
    second = await talk.send()
    await talk.end_of(second)

    assert end.reason == "crash-loop"
    assert (await talk.types()).count("tool.cancelled") == 1
    assert await talk.said(second) == ["Back."]


async def test_a_trigger_that_crashes_before_any_outcome_is_rejected(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    talk = await stage.session()
    crashes: list[Any] = []
    append = Sessions.append

    async def crash(self: Any, loaded: Any, *rest: Any) -> None:
        if loaded.id == talk.id and len(crashes) < stage.settings.crash_limit:
            crashes.append(rest)
            raise Crash
        await append(self, loaded, *rest)

    monkeypatch.setattr(Sessions, "append", crash)
    rejected = await talk.rejection_of(await talk.send())

    assert (rejected.reason, rejected.detail) == ("crash-loop", "2 deliveries ended before any outcome")


async def test_a_running_turn_whose_agent_is_gone_fails_and_so_does_what_waits(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    """Whoever was woken acked and went away, so that the turn stayed open for ever."""
    talk = await stage.session(CALL_THEN_SAY)
    first = await talk.send("1")
    request = await talk.request()
    second = await talk.send("2")
    await talk.until(TriggerQueued, second)

    async def forgotten(self: Agents, tenant: str, slug: str, version: str) -> NoReturn:
        raise UnknownAgent(slug, version)

    monkeypatch.setattr(Agents, "version", forgotten)
    await talk.answer(request, {"plan": "pro"})
    ends = [await talk.end_of(turn) for turn in (first, second)]

    assert {(end.outcome, end.reason) for end in ends} == {("failed", "unknown-agent")}
