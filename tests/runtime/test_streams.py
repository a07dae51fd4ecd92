"""Declaring streams and consumers: twice is once, what would lose data is refused, what is deleted comes back."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.support.wait import until

from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import StreamDrift
from stenograph_services.runtime.jetstream import NOT_FOUND, JetStreamError, api, publish
from stenograph_services.runtime.pull import PullConsumer
from stenograph_services.runtime.streams import Stream, consumers, declare, declare_stream, streams

SETTINGS = Settings(ack_wait_seconds=1.0)


@pytest.fixture
async def declared(nc: Client) -> Client:
    await declare(nc, SETTINGS)
    return nc


def stream(name: str, **changes: object) -> Stream:
    """Return a declared stream with other settings."""
    found = next(one for one in streams(SETTINGS) if one.name == name)
    return replace(found, config={**found.config, **changes})


async def config(nc: Client, name: str) -> dict[str, object]:
    found: dict[str, object] = (await api(nc, f"STREAM.INFO.{name}"))["config"]
    return found


async def test_declaring_makes_every_stream_and_consumer(declared: Client):
    js = declared.jetstream()

    names = {info.config.name for info in await js.streams_info()}
    durables = [await js.consumer_info(one.stream, one.name) for one in consumers(SETTINGS)]

    assert names == {one.name for one in streams(SETTINGS)}
    assert {info.config.max_deliver for info in durables} == {-1}


async def test_declaring_again_changes_nothing(declared: Client):
    before = {one.name: await config(declared, one.name) for one in streams(SETTINGS)}
    updates: list[str] = []

    async def spy(message: Msg) -> None:
        updates.append(message.subject)

    await declared.subscribe("$JS.API.STREAM.UPDATE.*", cb=spy)
    await declared.subscribe("$JS.API.STREAM.CREATE.*", cb=spy)
    await declare(declared, SETTINGS)

    assert updates == []
    assert {one.name: await config(declared, one.name) for one in streams(SETTINGS)} == before


async def test_declaring_by_all_services_at_once_is_safe(nc: Client):
    await asyncio.gather(*(declare(nc, SETTINGS) for _ in range(4)))

    assert len(await nc.jetstream().streams_info()) == len(streams(SETTINGS))


@pytest.mark.parametrize(
    ("name", "there", "sentence"),
    [
        ("RES", {"max_age": 0}, "stream RES: max_age is 0, declared 604800000000000"),
        ("RES", {"max_msgs_per_subject": -1, "discard_new_per_subject": False}, "stream RES: "),
        ("TRIG", {"retention": "limits"}, "stream TRIG: retention is 'limits', declared 'workqueue'"),
        ("EV_0", {"storage": "memory"}, "stream EV_0: storage is 'memory', declared 'file'"),
        ("EV_1", {"discard": "old"}, "stream EV_1: discard is 'old', declared 'new'"),
        (
            "BLOB",
            {"subjects": ["blob.>", "old.>"]},
            "stream BLOB: subjects is ['blob.>', 'old.>'], declared ['blob.>']",
        ),
    ],
)
async def test_a_drift_that_would_lose_data_is_refused_and_named(
    nc: Client, name: str, there: dict[str, object], sentence: str
):
    await declare_stream(nc, stream(name, **there))

    with pytest.raises(StreamDrift, match="changing it would lose data, so change it by hand") as refused:
        await declare_stream(nc, stream(name))

    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("TRIG", {"max_bytes": 1_000_000}),
        ("RES", {"max_age": 1_000_000_000}),
        ("TRIG", {"max_msg_size": 1_000}),
        ("EV_0", {"allow_direct": False}),
        ("EV_0", {"republish": None}),
        ("PARKED", {"description": "before"}),
    ],
)
async def test_a_drift_that_harms_nothing_is_brought_in_line(nc: Client, name: str, there: dict[str, object]):
    await declare_stream(nc, stream(name, **there))

    await declare_stream(nc, stream(name))

    (key,) = there
    wanted = stream(name)
    is_now = (await config(nc, name)).get(key)
    assert is_now == (wanted.about if key == "description" else wanted.config[key])


async def test_a_store_of_blobs_of_before_they_were_write_once_becomes_so_and_keeps_them(nc: Client):
    loose = {"discard": "old", "max_msgs_per_subject": -1, "discard_new_per_subject": False}
    await declare_stream(nc, stream("BLOB", **loose))
    await publish(nc, "blob.acme.a.0", b"first")

    await declare_stream(nc, stream("BLOB"))

    with pytest.raises(JetStreamError, match="maximum messages per subject exceeded"):
        await publish(nc, "blob.acme.a.0", b"second")
    assert (await nc.jetstream().get_last_msg("BLOB", "blob.acme.a.0")).data == b"first"


async def test_a_setting_that_an_operator_added_is_kept(nc: Client):
    await declare_stream(nc, stream("PARKED", max_msgs=77, description="before"))

    await declare_stream(nc, stream("PARKED"))

    assert (await config(nc, "PARKED"))["max_msgs"] == 77


# ---- a consumer that is pulled


class Taken:
    """What a pull consumer delivered; each is acked at once."""

    def __init__(self, nc: Client, *, limit: int = 8) -> None:
        self.nc = nc
        self.subjects: list[str] = []
        self.consumer = PullConsumer(nc, "TRIG", "orchestrator-start", self._take, limit=limit, restore=self.restore)
        self._tasks: set[asyncio.Task[None]] = set()

    async def restore(self) -> None:
        await declare(self.nc, SETTINGS)

    def _take(self, message: Msg) -> None:
        self.subjects.append(message.subject)
        task = asyncio.ensure_future(self._ack(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ack(self, message: Msg) -> None:
        await message.ack()
        self.consumer.done()


@pytest.fixture
async def taken(declared: Client) -> AsyncIterator[Taken]:
    taken = Taken(declared)
    await taken.consumer.start()
    yield taken
    await taken.consumer.stop()


async def send(nc: Client, count: int, name: str = "a") -> None:
    for i in range(count):
        await publish(nc, f"trig.start.default.s{i}.{name}", b"{}")


async def test_messages_come_in_order_and_more_than_there_is_room_for(declared: Client, taken: Taken):
    await send(declared, 50)

    await until(lambda: len(taken.subjects) == 50)

    assert taken.subjects == [f"trig.start.default.s{i}.a" for i in range(50)]
    await until(lambda: taken.consumer.in_hand == 0)


async def test_no_more_are_in_hand_than_there_is_room_for(declared: Client):
    held: list[Msg] = []
    consumer = PullConsumer(
        declared, "TRIG", "orchestrator-start", held.append, limit=4, restore=Taken(declared).restore
    )
    await consumer.start()

    await send(declared, 10)
    await until(lambda: len(held) == 4)
    for message in held[:4]:
        await message.ack()
        consumer.done()
    await until(lambda: len(held) == 8)
    await consumer.stop()

    assert consumer.in_hand == 4


async def test_a_consumer_that_is_deleted_comes_back_and_messages_flow_again(declared: Client, taken: Taken):
    await send(declared, 1, "before")
    await until(lambda: taken.subjects)

    await api(declared, "CONSUMER.DELETE.TRIG.orchestrator-start")
    await send(declared, 1, "after")
    await until(lambda: "trig.start.default.s0.after" in taken.subjects)


async def test_a_stream_that_is_deleted_comes_back_and_messages_flow_again(declared: Client, taken: Taken):
    await send(declared, 1, "before")
    await until(lambda: taken.subjects)
    await api(declared, "STREAM.DELETE.TRIG")

    async def sent() -> bool:
        try:
            await publish(declared, "trig.start.default.s0.after", b"{}", timeout_seconds=0.2)
        except Exception:  # the stream is not back yet
            return False
        return True

    await until(sent)
    await until(lambda: "trig.start.default.s0.after" in taken.subjects)


async def test_what_does_not_exist_is_told_by_its_code(declared: Client):
    with pytest.raises(JetStreamError) as refused:
        await api(declared, "STREAM.INFO.NOTHING")

    assert refused.value.code in NOT_FOUND
    assert refused.value.status == 404
