import os

import pytest
from bench.measure import Load, Result, cpu_seconds, interleave, median_of_runs, medians, percentile


def test_a_percentile_is_one_of_the_values():
    assert percentile([4, 1, 3, 2], 50) == 2
    assert percentile(range(1, 101), 99) == 99
    assert percentile([7], 99) == 7


def test_nothing_done_has_no_percentile():
    with pytest.raises(ValueError, match="nothing was done"):
        percentile([], 50)


def test_the_median_of_runs_is_taken_figure_by_figure():
    runs = [Result(1, 30, 100, 5, {"x": 1}), Result(2, 10, 300, 6, {"x": 3}), Result(9, 20, 200, 4, {"x": 2})]

    assert median_of_runs(runs) == Result(2, 20, 200, 5, {"x": 2})


def test_the_medians_of_runs_that_hold_numbers_alone_are_taken_field_by_field():
    assert medians([Load(1, 3.0, 9, 4), Load(5, 1.0, 8, 6), Load(2, 2.0, 7, 5)]) == Load(2, 2.0, 8, 5)


async def test_interleaved_runs_take_turns_at_going_first():
    order: list[str] = []

    async def run(side: str) -> str:
        order.append(side)
        return side

    assert await interleave(lambda: run("a"), lambda: run("b"), 3) == (["a"] * 3, ["b"] * 3)
    assert "".join(order) == "abbaab"


def test_processor_time_grows_with_work():
    before = cpu_seconds([os.getpid()])
    while cpu_seconds([os.getpid()]) - before < 0.03:
        sum(range(10_000))
