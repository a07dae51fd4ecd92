"""The table of bench/README.md, its numbers as JSON beside it, and the comparison with the last ones.

bench/results.json    {"rows":[{"id":"w1.p50","what":"…","unit":"ms","floor":7.3,"ours":9.1,…}],"operations":{…}}
"""

from pathlib import Path
from typing import Literal

import msgspec

HERE = Path(__file__).parent
README = HERE / "README.md"
RESULTS = HERE / "results.json"
BEGIN, END = "<!-- table: written by `make bench` -->", "<!-- end of table -->"
TOLERATED = 0.20  # medians of five interleaved runs differ by up to a tenth on a busy machine


TIMES = "×"  # the unit of a figure that is a ratio by itself


class Must(msgspec.Struct, frozen=True):
    """What the ratio, or our own figure, has to reach: at most `limit` where lower is better, else at least."""

    of: Literal["ratio", "ours"]
    limit: float


class Row(msgspec.Struct, frozen=True):
    """One figure: of bare NATS, and of Stenograph in the same run. `better` is the good direction of the figure."""

    id: str
    what: str
    unit: str
    better: Literal["lower", "higher"]
    floor: float | None = None
    ours: float | None = None
    must: Must | None = None

    @property
    def ratio(self) -> float | None:
        """Ours ÷ floor, where both were measured; ours, where that is a ratio."""
        if self.unit == TIMES:
            return self.ours
        return self.ours / self.floor if self.ours is not None and self.floor else None

    @property
    def holds(self) -> bool | None:
        """Whether the figure is as it must be, where it must be anything."""
        if self.must is None:
            return None
        figure = self.ratio if self.must.of == "ratio" else self.ours
        if figure is None:
            return False
        return figure <= self.must.limit if self.better == "lower" else figure >= self.must.limit


class Report(msgspec.Struct, frozen=True):
    """All rows of one run, and the server's own counts for one turn, by side: `floor`, `ours`."""

    machine: str
    rows: list[Row]
    operations: dict[str, dict[str, float]] = {}


def compare(last: Report, now: Report) -> list[str]:
    """Return one sentence for each ratio of `last` that is now more than 20 % worse, or is gone."""
    ratios = {row.id: row.ratio for row in now.rows}
    return [
        sentence
        for row in last.rows
        if row.ratio is not None and (sentence := _drop(row, row.ratio, ratios.get(row.id)))
    ]


def _drop(row: Row, last: float, now: float | None) -> str | None:
    if now is None:
        return f"{row.id}: the ratio was {last:.2f}, and was not measured now"
    worse = now / last if row.better == "lower" else last / now
    if worse <= 1 + TOLERATED:
        return None
    return f"{row.id}: the ratio was {last:.2f}, is {now:.2f} ({row.what}; {row.better} is better)"


def load_last() -> Report | None:
    """Return the report of the last `make bench`, or nothing if there is none."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=Report) if RESULTS.exists() else None


def store(report: Report) -> None:
    """Write the numbers, and the table into its place in README.md."""
    before, rest = README.read_text(encoding="utf-8").split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    README.write_text(f"{before}{BEGIN}\n{markdown(report)}{END}{after}", encoding="utf-8")
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def markdown(report: Report) -> str:
    """Return the tables of figures and of operations."""
    figures = _table(["", "unit", "bare NATS", "Stenograph", "ratio", "must", "holds"], list(map(_cells, report.rows)))
    return f"\n{report.machine}\n\n{figures}\n{_operations(report.operations)}"


def _cells(row: Row) -> list[str]:
    figures = [row.what, row.unit, _number(row.floor), _number(row.ours), _number(row.ratio)]
    if row.must is None:
        return [*figures, "", ""]
    sign = "≤" if row.better == "lower" else "≥"
    of = "ratio " if row.must.of == "ratio" else ""
    return [*figures, f"{of}{sign} {_number(row.must.limit)}", "yes" if row.holds else "**no**"]


def _operations(operations: dict[str, dict[str, float]]) -> str:
    if not operations:
        return ""
    floor, ours = operations.get("floor", {}), operations.get("ours", {})
    names = sorted(name for name in floor.keys() | ours.keys() if floor.get(name) or ours.get(name))
    cells = [[name, _number(floor.get(name)), _number(ours.get(name))] for name in names]
    return (
        "Operations of one turn, as the server counted them:\n\n"
        + _table(["", "bare NATS", "Stenograph"], cells)
        + "\n"
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if value else "0"
