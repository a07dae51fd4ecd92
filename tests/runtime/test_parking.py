"""PARKED has an end, and what finds no room in it is not lost: it stays where it came from."""

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from stenograph_services.runtime import parking
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.jetstream import api, publish
from stenograph_services.runtime.parking import FULL_SECONDS, park, park_message
from stenograph_services.runtime.streams import Stream, declare_stream, streams

SETTINGS = Settings(parked_max_bytes=10_000)
UNBOUNDED = {"subjects": ["park.>"], "storage": "file", "retention": "limits", "discard": "old", "num_replicas": 1}


@pytest.fixture
async def parked(nc: Client) -> Client:
    """The stream PARKED, with little room."""
    await declare_stream(nc, declared())
    return nc


def declared() -> Stream:
    return next(one for one in streams(SETTINGS) if one.name == "PARKED")


async def test_what_is_parked_is_kept_and_what_finds_no_room_is_told(parked: Client):
    first = await park(parked, "orchestrator", "trig.start.acme.s1.a", b"x" * 6_000, "a test", tenant="acme")
    second = await park(parked, "orchestrator", "trig.start.acme.s2.a", b"x" * 6_000, "a test", tenant="acme")

    assert (first, second) == (True, False)
    assert (await parked.jetstream().get_last_msg("PARKED", "park.acme.orchestrator")).data == b"x" * 6_000


@pytest.mark.parametrize(
    ("subject", "again"),
    [
        ("trig.start.acme.s1.user-message", FULL_SECONDS),
        ("tim.fire.acme.s1.c1.1", FULL_SECONDS),
        ("tool.res.acme.find.s1.c1.1", None),
        ("ev.00.acme.s1.turn", None),
    ],
)
async def test_only_what_an_ack_would_delete_has_to_come_again(parked: Client, subject: str, again: float | None):
    """One that comes again for ever takes the place of others: a thousand of them would stop all tenants' answers."""
    await park(parked, "tool-gateway", "trig.start.bolt.s1.a", b"x" * 9_000, "a test", tenant="bolt")

    assert await park_message(parked, "tool-gateway", delivery(subject, parked), "a test") == again


async def test_with_room_made_it_is_parked_after_all(parked: Client):
    await park(parked, "tool-gateway", "trig.start.bolt.s1.a", b"x" * 9_000, "a test", tenant="bolt")
    message = delivery("trig.start.acme.s1.user-message", parked)
    full = await park_message(parked, "tool-gateway", message, "a test")

    await api(parked, "STREAM.PURGE.PARKED", {"filter": "park.bolt.*"})

    assert full == FULL_SECONDS
    assert await park_message(parked, "tool-gateway", message, "a test") is None


async def test_one_tenant_does_not_take_the_room_of_another(parked: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parking, "EACH", 2)

    theirs = [await park(parked, "tool-gateway", "x", b"{}", "a test", tenant="bolt") for _ in range(3)]
    ours = await park(parked, "tool-gateway", "x", b"{}", "a test", tenant="acme")

    assert (theirs, ours) == ([True, True, False], True)


async def test_a_store_of_before_it_had_an_end_gets_one_and_loses_nothing(nc: Client):
    await api(nc, "STREAM.CREATE.PARKED", {"name": "PARKED", **UNBOUNDED})
    for _ in range(20):
        await publish(nc, "park.acme.orchestrator", b"x" * 1_000)

    await declare_stream(nc, declared())

    stored = await api(nc, "STREAM.INFO.PARKED")
    assert stored["state"]["messages"] == 20
    assert stored["config"]["max_bytes"] == 10_000
    assert not await park(nc, "orchestrator", "x", b"{}", "a test", tenant="acme")


def delivery(subject: str, nc: Client) -> Msg:
    return Msg(nc, subject, "", b"x" * 2_000)
