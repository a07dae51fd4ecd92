"""What a handler says of its progress leaves its worker now and then, the newest first and the last always."""

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.wait import until

from stenograph_events.progress import BODY_BYTES, TEXT_CHARACTERS, Progress, bounded, read_progress
from stenograph_sdk.progress import SAID_EVERY_SECONDS, Telling

numbers = st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), st.just(10**400))


class Heard:
    def __init__(self) -> None:
        self.said: list[Progress] = []
        self.at: list[float] = []

    async def __call__(self, progress: Progress) -> None:
        self.said.append(progress)
        self.at.append(time.monotonic())


async def test_the_first_word_goes_out_at_once_and_the_next_ones_not_more_often_than_a_person_reads():
    heard = Heard()
    telling = Telling(heard)

    telling.say("first", 1, 3)
    await until(lambda: heard.said)
    telling.say("second", 2, 3)
    telling.say("third", 3, 3)
    await until(lambda: len(heard.said) == 2)

    assert [one.text for one in heard.said] == ["first", "third"]
    assert [one.k for one in heard.said] == [1, 2]
    assert heard.at[1] - heard.at[0] >= SAID_EVERY_SECONDS * 0.9
    await telling.close()


async def test_the_last_word_goes_out_before_the_call_is_answered_and_none_after_it():
    heard = Heard()
    telling = Telling(heard)

    telling.say("first", None, None)
    await until(lambda: heard.said)
    telling.say("last", None, None)
    await telling.close()
    telling.say("too late", None, None)
    await telling.close()

    assert [one.text for one in heard.said] == ["first", "last"]


async def test_many_threads_may_say_as_much_as_they_like_at_little_cost():
    heard = Heard()
    telling = Telling(heard)

    def talk(thread: int) -> float:
        began = time.thread_time()
        for i in range(50_000):
            telling.say(f"{thread}", i, 50_000)
        return (time.thread_time() - began) / 50_000

    with ThreadPoolExecutor(4) as threads:
        costs = await asyncio.gather(*(asyncio.get_running_loop().run_in_executor(threads, talk, i) for i in range(4)))
    await telling.close()

    assert heard.said[-1].done == 49_999
    assert len(heard.said) < 30
    assert max(costs) < 50e-6  # seconds for each; it takes about one


def test_what_is_said_when_the_loop_is_closed_is_lost_and_raises_nothing():
    async def made() -> Telling:
        return Telling(Heard())

    telling = asyncio.run(made())

    telling.say("nobody", None, None)


@given(st.text(), numbers, numbers)
def test_whatever_is_said_fits_into_its_bounds_and_is_read_as_it_was_written(text: str, done: Any, total: Any):
    said = bounded(text, done, total, 1)
    line = msgspec.json.encode(said)

    assert len(line) <= BODY_BYTES
    assert len(said.text) <= TEXT_CHARACTERS
    assert len(said.text.splitlines()) <= 1
    assert read_progress(line) == said
    assert all(number is None or math.isfinite(number) for number in (said.done, said.total))


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"k":0}', b'{"k":1.5}', b'{"text":null}', b'{"done":"3"}', b" " * (BODY_BYTES + 1)]
)
def test_what_is_no_progress_is_not_read(data: bytes):
    with pytest.raises(ValueError, match=r".+"):
        read_progress(data)
