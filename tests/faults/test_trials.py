"""Somebody dies exactly there: crash trials over every kill point, held to the log and to the tool's own ledger."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.faults.trials.ground import Death, Ground
from tests.faults.trials.ledger import Effect
from tests.faults.trials.points import POINTS, RETRIES, Plan, plans
from tests.faults.trials.running import on_one_ground
from tests.faults.trials.scenes import SITUATIONS
from tests.faults.trials.trial import Tried, undisturbed
from tests.faults.trials.verdict import Facts, judge, wrong_in
from tests.support.wait import until

from stenograph_events import StoredEvent
from stenograph_events.subjects import answer_subject, claim_subject
from stenograph_events.testing import (
    SESSION,
    START,
    tool_outcome_unknown,
    tool_requested,
    tool_succeeded,
    tool_timed_out,
    turn_finished,
)
from stenograph_events.types import ToolSucceeded
from stenograph_events.values import Retry

TRIALS = 16


@pytest.mark.timeout(240)
async def test_crashes_at_points_of_every_kind_are_survived(tmp_path: Path):
    deaths = Counter[str]()

    verdicts = await on_one_ground(plans(TRIALS, seed=3), tmp_path, deaths, lambda: None)

    assert [(verdict.tried.plan, verdict.wrong) for verdict in verdicts if verdict.wrong] == []
    assert sum(verdict.tried.struck_at is not None for verdict in verdicts) > TRIALS * 0.8
    assert deaths.keys() == {"worker", "tool-gateway", "orchestrator", "nats-server"}
    assert sum(verdict.effects for verdict in verdicts)


async def test_the_table_of_kill_points_names_every_place_that_the_scenes_pass_and_no_other(tmp_path: Path):
    recorded = tmp_path / "passed"
    named = {point.place for point in POINTS.values() if point.place}

    def passed() -> set[str]:
        return set(recorded.read_text().split())

    async with Ground(tmp_path, recorded) as ground:
        found = await asyncio.gather(
            *(
                undisturbed(ground, Plan(0, POINTS["worker/taken"], scene, retry, 1, 0.0))
                for scene in SITUATIONS
                for retry in RETRIES
            )
        )
        await until(lambda: named <= passed(), what=f"{sorted(named - passed())} are passed")
        await ground.quiet()
        effects = ground.effects()
        verdicts = [await judge(ground, one, effects.get(one.session, [])) for one in found]

    assert passed() - named == set()
    assert [verdict.wrong for verdict in verdicts if verdict.wrong] == []
    assert sum(verdict.repeated for verdict in verdicts) == 0


# ---- the judge itself

WORKER_DIED = Death(START.timestamp() + 1, "worker")


def facts(
    *outcomes: StoredEvent, retry: Retry, effects: int = 0, claimed: bool = False, deaths: Sequence[Death] = ()
) -> Facts:
    """Return what is known of a call that was requested and took effect `effects` times, two seconds apart."""
    request = tool_requested("c1", retry=retry)
    cell = (request.tenant, request.tool, request.session, request.call, request.attempt)
    results = {claim_subject(*cell): b'{"worker":"w-1"}'} if claimed else {}
    if any(isinstance(event, ToolSucceeded) for event in outcomes):
        results[answer_subject(*cell)] = b"{}"
    return Facts(
        Tried(plans(1, 1)[0], SESSION, (request.turn or "",), None),  # type: ignore[arg-type]
        (request, *outcomes, turn_finished()),
        [Effect("c1", 1, request.tool, SESSION, START.timestamp() + 2 * i) for i in range(effects)],
        results,
        deaths,
    )


def test_the_judge_has_nothing_against_what_is_promised():
    assert wrong_in(facts(tool_succeeded("c1"), retry="safe", effects=1)) == []
    assert wrong_in(facts(tool_succeeded("c1"), retry="safe", effects=2, deaths=[WORKER_DIED])) == []
    assert wrong_in(facts(tool_outcome_unknown("c1"), retry="never", effects=1, claimed=True)) == []
    assert wrong_in(facts(tool_outcome_unknown("c1"), retry="never", claimed=True)) == []
    assert wrong_in(facts(tool_timed_out("c1"), retry="never")) == []


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"retry": "never", "effects": 2, "claimed": True}, "to run at most once, took effect 2 times"),
        ({"retry": "never", "effects": 1}, "took effect without a claim"),
        ({"retry": "never"}, "is said to be unknown, and nobody had begun it"),
    ],
)
def test_the_judge_finds_what_must_not_be_of_an_unknown_outcome(case: dict[str, Any], said: str):
    assert any(said in wrong for wrong in wrong_in(facts(tool_outcome_unknown("c1"), **case)))


def test_the_judge_finds_a_success_without_an_effect():
    assert "call c1 succeeded without an effect" in wrong_in(facts(tool_succeeded("c1"), retry="safe"))


def test_the_judge_finds_an_effect_that_the_log_says_did_not_happen():
    wrong = wrong_in(facts(tool_timed_out("c1"), retry="never", effects=1, claimed=True))

    assert "call c1 took effect, and the log says tool.timed_out" in wrong
    assert "call c1 was begun and never answered, and the log says tool.timed_out" in wrong


def test_the_judge_finds_a_second_effect_that_no_death_explains():
    assert wrong_in(facts(tool_succeeded("c1"), retry="safe", effects=2)) == [
        "call c1 took effect 0.00 and 2.00 s after its request, and nobody had died"
    ]


def test_the_judge_finds_an_effect_that_nobody_asked_for():
    known = facts(tool_succeeded("c1"), retry="safe", effects=1)
    stray = Effect("c9", 1, "act-once", SESSION, 0.0)

    wrong = wrong_in(known._replace(effects=[*known.effects, stray]))

    assert wrong == ["an effect of attempt ('c9', 1), and the log has no such request"]


def test_the_judge_finds_calls_and_turns_that_stay_open():
    known = facts(tool_succeeded("c1"), retry="safe", effects=1)

    assert "call c1 has no outcome" in wrong_in(known._replace(events=[known.events[0], known.events[-1]]))
    assert "turn t1 ended None" in wrong_in(known._replace(events=known.events[:-1]))
