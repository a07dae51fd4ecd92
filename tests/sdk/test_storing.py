import asyncio
from typing import Any

import pytest
from nats.aio.client import Client as Nats
from nats.js.api import DiscardPolicy, StreamConfig

from stenograph_sdk import Refused, Unconfirmed
from stenograph_sdk.errors import AlreadyWritten, StoreFull
from stenograph_sdk.storing import MESSAGE_ID, ONLY_FIRST, store


@pytest.fixture
async def cells(nc: Nats) -> Nats:
    """A stream whose subjects are write-once, with little room."""
    config = StreamConfig(
        name="CELLS",
        subjects=["cell.>"],
        max_msgs_per_subject=1,
        discard=DiscardPolicy.NEW,
        discard_new_per_subject=True,
        max_bytes=4_000,
        max_msg_size=3_000,
    )
    await nc.jetstream().add_stream(config)
    return nc


async def put(nats: Nats, subject: str, body: bytes = b"x", **more: Any) -> bool:
    ack = await store(nats.jetstream(), subject, body, **{"what": "the cell", "timeout": 0.2, **more})
    return bool(ack.duplicate)


async def test_the_second_writer_of_a_cell_learns_that_it_is_taken(cells: Nats):
    await put(cells, "cell.a")

    with pytest.raises(AlreadyWritten, match=r"cell\.a is already written"):
        await put(cells, "cell.a")


async def test_a_second_try_of_the_same_writer_is_not_a_second_writer(cells: Nats):
    """The answer to the first try may be lost; then the cell is ours all the same."""
    await put(cells, "cell.a", headers={MESSAGE_ID: "m1"})

    assert await put(cells, "cell.a", headers={MESSAGE_ID: "m1"})


async def test_a_full_stream_is_not_a_taken_cell(cells: Nats):
    """Both have the same error code; mistaking one for the other would lose an answer."""
    await put(cells, "cell.a", b"x" * 2_900)

    with pytest.raises(Unconfirmed, match=r"the cell was not confirmed within 0\.2 s \(maximum bytes exceeded"):
        await put(cells, "cell.b", b"x" * 2_900)


async def test_a_full_stream_is_given_up_sooner_than_a_server_that_does_not_answer(cells: Nats):
    await put(cells, "cell.a", b"x" * 2_900)

    with pytest.raises(StoreFull):
        await asyncio.wait_for(put(cells, "cell.b", b"x" * 2_900, timeout=60.0, full=0.1), 5)


async def test_an_ordinary_subject_can_be_written_only_first(nc: Nats):
    await nc.jetstream().add_stream(name="PLAIN", subjects=["plain.>"])
    await put(nc, "plain.a", headers=ONLY_FIRST)

    with pytest.raises(AlreadyWritten):
        await put(nc, "plain.a", headers=ONLY_FIRST)


async def test_what_the_stream_will_never_take_is_refused_at_once(cells: Nats):
    with pytest.raises(Refused, match=r"the cell was refused \(10054\): message size exceeds maximum allowed"):
        await put(cells, "cell.a", b"x" * 3_001)


async def test_a_missing_stream_is_waited_for_and_then_named(nc: Nats):
    with pytest.raises(Unconfirmed, match="no response from stream"):
        await put(nc, "cell.a")
