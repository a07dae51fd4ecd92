"""What many trials showed, for each kill point: a table for people, JSON for programs.

reports/trials.json   {"seed":…,"trials":3000,"points":{"worker/claim/sent":{"trials":24,"hit":24,"effects":0,…}}}
reports/trials.md     the same as a table
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from bench.measure import percentile
from tests.faults.trials.points import POINTS
from tests.faults.trials.verdict import Verdict


class Row(msgspec.Struct, omit_defaults=False):
    """The trials of one kill point."""

    trials: int = 0
    hit: int = 0
    effects: int = 0
    repeated: int = 0
    unknown: int = 0
    recovery_p50_seconds: float | None = None
    recovery_p99_seconds: float | None = None
    past_deadline_seconds: float = 0.0


class Wrong(msgspec.Struct):
    """A trial that showed what must not be. `python -m tests.faults.trials --again SEED POINT` runs it again."""

    point: str
    seed: int
    scene: str
    retry: str
    session: str
    details: list[str]


class Summary(msgspec.Struct):
    """All trials of one run."""

    seed: int
    trials: int
    seconds: float
    hit: int
    effects: int
    repeated_effects_of_safe_tools: int
    unknown_outcomes: int
    past_deadline_seconds: float
    recovery_p50_seconds: float | None
    recovery_p99_seconds: float | None
    events: int
    deaths: dict[str, int]
    never_hit: list[str]
    wrong: list[Wrong]
    points: dict[str, Row]
    rules: dict[str, int]


def summary(verdicts: Sequence[Verdict], seed: int, seconds: float, deaths: dict[str, int]) -> Summary:
    """Return what `verdicts` show together."""
    of: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        of.setdefault(verdict.tried.plan.point.name, []).append(verdict)
    points = {name: _row(of[name]) for name in POINTS if name in of}
    rules: dict[str, int] = {}
    for verdict in verdicts:
        for rule, cases in verdict.report.rules.items():
            rules[rule] = rules.get(rule, 0) + cases
    p50, p99 = _recoveries(verdicts)
    return Summary(
        seed=seed,
        trials=len(verdicts),
        seconds=round(seconds, 1),
        hit=sum(row.hit for row in points.values()),
        effects=sum(row.effects for row in points.values()),
        repeated_effects_of_safe_tools=sum(row.repeated for row in points.values()),
        unknown_outcomes=sum(row.unknown for row in points.values()),
        past_deadline_seconds=max((row.past_deadline_seconds for row in points.values()), default=0.0),
        recovery_p50_seconds=p50,
        recovery_p99_seconds=p99,
        events=sum(verdict.report.events for verdict in verdicts),
        deaths=deaths,
        never_hit=[name for name, row in points.items() if not row.hit],
        wrong=[_wrong(verdict) for verdict in verdicts if verdict.wrong],
        points=points,
        rules=rules,
    )


def store(found: Summary, folder: Path) -> None:
    """Write the report into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trials.json").write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    (folder / "trials.md").write_text(markdown(found), encoding="utf-8")


def markdown(found: Summary) -> str:
    """Return the report as a page."""
    lines = [
        f"# {found.trials:,} crash trials, seed {found.seed}, in {found.seconds:,.0f} s",
        "",
        in_words(found),
        "",
        "| where | trials | hit | effects | repeated | unknown | goes on after, p50 | p99 | past its deadline |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in found.points.items():
        cells = (name, row.trials, row.hit, row.effects, row.repeated, row.unknown, _seconds(row.recovery_p50_seconds),
                 _seconds(row.recovery_p99_seconds), _seconds(row.past_deadline_seconds))  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    wrong = [f"* {one.point}, seed {one.seed}, session {one.session}: {'; '.join(one.details)}" for one in found.wrong]
    return "\n".join([*lines, "", *wrong, ""])


def in_words(found: Summary) -> str:
    """Return the report in a few sentences."""
    deaths = ", ".join(f"{count:,} of the {who}" for who, count in sorted(found.deaths.items()))
    return (
        f"{found.hit:,} hit their point; deaths: {deaths}. {found.effects:,} effects, "
        f"{found.repeated_effects_of_safe_tools} of them again, all of tools that may run again; "
        f"{found.unknown_outcomes} outcomes unknown. The log went on after p50 {_seconds(found.recovery_p50_seconds)}, "
        f"p99 {_seconds(found.recovery_p99_seconds)}; no call or turn was open for more than "
        f"{_seconds(found.past_deadline_seconds)} after it was due. {len(found.wrong)} trials showed what must not be, "
        f"{len(found.never_hit)} points were never hit."
    )


def _row(verdicts: Sequence[Verdict]) -> Row:
    p50, p99 = _recoveries(verdicts)
    return Row(
        trials=len(verdicts),
        hit=sum(verdict.tried.struck_at is not None for verdict in verdicts),
        effects=sum(verdict.effects for verdict in verdicts),
        repeated=sum(verdict.repeated for verdict in verdicts),
        unknown=sum(verdict.unknown for verdict in verdicts),
        recovery_p50_seconds=p50,
        recovery_p99_seconds=p99,
        past_deadline_seconds=round(max(verdict.past_deadline_seconds for verdict in verdicts), 3),
    )


def _recoveries(verdicts: Sequence[Verdict]) -> tuple[float | None, float | None]:
    found = [verdict.recovery_seconds for verdict in verdicts if verdict.recovery_seconds is not None]
    return (round(percentile(found, 50), 3), round(percentile(found, 99), 3)) if found else (None, None)


def _wrong(verdict: Verdict) -> Wrong:
    plan = verdict.tried.plan
    return Wrong(plan.point.name, plan.seed, plan.scene, plan.retry, verdict.tried.session, verdict.wrong)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"
