from pathlib import Path

import pytest
from bench.report import TIMES, Must, Report, Row, compare, load_last, markdown, store

from bench import report


def rows(p50: float, rate: float) -> Report:
    return Report(
        "2 cores",
        [Row("w1.p50", "a turn", "ms", "lower", 10, p50), Row("w1.rate", "turns", "1/s", "higher", 400, rate)],
    )


def test_a_ratio_may_be_a_fifth_worse_but_not_more():
    assert compare(rows(12, 240), rows(14.3, 201)) == []
    assert [drop.split(":")[0] for drop in compare(rows(12, 240), rows(14.5, 199))] == ["w1.p50", "w1.rate"]


def test_a_better_ratio_is_no_drop():
    assert compare(rows(12, 240), rows(5, 900)) == []


def test_a_slower_machine_is_no_drop():
    slower = Report("1 core", [Row("w1.p50", "a turn", "ms", "lower", 100, 120)])

    assert compare(Report("2 cores", rows(12, 240).rows[:1]), slower) == []


def test_a_figure_that_is_gone_is_a_drop():
    assert compare(rows(12, 240), Report("2 cores", [])) == [
        "w1.p50: the ratio was 1.20, and was not measured now",
        "w1.rate: the ratio was 0.60, and was not measured now",
    ]


def test_the_table_replaces_the_last_one_and_leaves_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results.json")
    (tmp_path / "README.md").write_text(f"before\n{report.BEGIN}\n{report.END}\nafter\n")

    store(rows(12, 240))
    store(rows(13, 250))

    text = (tmp_path / "README.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "| a turn | ms | 10 | 13 | 1.3 |  |  |" in text
    assert "| a turn | ms | 10 | 12 |" not in text
    assert load_last() == rows(13, 250)


def test_operations_are_listed_side_by_side_without_empty_lines():
    operations: dict[str, dict[str, float]] = {
        "floor": {"stored in EV": 7, "stored in SNAP": 0},
        "ours": {"stored in EV": 6.5},
    }

    table = markdown(Report("2 cores", [], operations))

    assert "| stored in EV | 7 | 6.5 |" in table
    assert "SNAP" not in table


def test_what_must_hold_is_said_to_hold_or_not():
    rows = [
        Row("w1.p50", "a turn", "ms", "lower", 10, 14, Must("ratio", 1.4)),
        Row("w1.rate", "turns", "1/s", "higher", 400, 199, Must("ratio", 0.5)),
        Row("w2.zero", "restore", "events/s", "higher", None, 39_999, Must("ours", 40_000)),
        Row("w4.growth", "growth", TIMES, "lower", None, 1.1, Must("ratio", 1.2)),
    ]

    table = markdown(Report("2 cores", rows))

    assert [row.holds for row in rows] == [True, False, False, True]
    assert "| a turn | ms | 10 | 14 | 1.4 | ratio ≤ 1.4 | yes |" in table
    assert "| restore | events/s | – | 39,999 | – | ≥ 40,000 | **no** |" in table


def test_a_figure_without_a_floor_counts_if_it_is_a_ratio_by_itself():
    def growth(times: float) -> Report:
        return Report("2 cores", [Row("w4.growth", "growth", TIMES, "lower", None, times)])

    assert compare(growth(1.0), growth(1.1)) == []
    assert len(compare(growth(1.0), growth(1.3))) == 1
