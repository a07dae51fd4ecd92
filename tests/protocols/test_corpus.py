"""The agents of this folder do what their logs say, and leave nothing of the language without an example.

tests/protocols/structured/protocol.yaml         one idea of the language
tests/protocols/structured/tests/corrected.yaml  what happens: triggers, what the model and the tools answer
tests/protocols/structured/tests/corrected.log   the log that follows, read by a person once

After a change that is meant: `stenograph agents test tests/protocols --update`, and read what `git diff` shows.
"""

from pathlib import Path

import pytest
from tests.protocols import happenings, language, prompts
from tests.protocols.reached import unreached
from tests.protocols.stage import CASES, FOLDERS, HERE, performances, verdicts

from stenograph_services.protocol import load_folder, read_folder
from stenograph_services.protocol.documents import ProtocolDoc, SettingsDoc
from stenograph_services.protocol.source import read_json, read_yaml

ROOT = Path(__file__).parents[2]

POISON = "tests/orchestrator/test_poison.py"
TRIGGERS = "tests/orchestrator/test_triggers.py"
ANSWERS = "tests/tool_gateway/test_decide.py"
FAULTS = "tests/models/test_faults.py"
LATE = "tests/cli/test_rehearsal_engine.py::test_an_answer_that_comes_too_late_is_recorded_and_changes_nothing"
SUPERSEDED = f"{ANSWERS}::test_an_answer_to_an_attempt_that_another_one_followed_is_noted_as_superseded"
RETRIED = "tests/projections/test_invariants.py::test_what_is_unusual_but_right_breaks_nothing"
SPENT = "tests/projections/test_spending.py::test_answers_and_failed_attempts_are_spent_of_the_turn_and_of_the_session"
DECIDED = "tests/orchestrator/test_approvals.py::test_a_decision_is_recorded_with_who_decided_and_why"
SENDER = "tests/orchestrator/test_offered_tools.py::test_a_trigger_that_waited_brings_its_sender"

TRACED = "tests/sdk/test_tracing.py::test_a_trigger_that_waits_keeps_its_trace"
ANSWERED_BY = (
    "tests/security/test_signed_answers.py::test_an_answer_is_signed_with_the_key_of_the_credential_that_gave_it"
)
ASKED_BY = "tests/security/test_signed_requests.py::test_whoever_has_the_log_and_the_public_key_can_check_who_asked"

# What no rehearsal shows: nothing crashes there, no call is made twice, and an answer never comes late.
BY_TESTS = {
    "approval.edited.reason": DECIDED,
    "approval.granted.reason": DECIDED,
    "message.added.sender": SENDER,
    "model.failed.cost_usd": SPENT,
    "model.failed.status": f"{FAULTS}::test_each_fault_has_its_kind_and_is_asked_about_once",
    "model.failed.usage": f"{FAULTS}::test_what_a_failed_attempt_consumed_is_told_if_the_provider_said_so",
    "session.created.agent_id": (
        "tests/gateway/test_agents.py::test_a_session_shows_the_agent_that_it_was_made_of_when_another_one_has_its_slug"
    ),
    "tool.answer_rejected": LATE,
    "tool.answer_rejected.attempt": SUPERSEDED,
    "tool.answer_rejected.call": LATE,
    "tool.answer_rejected.outcome": LATE,
    "tool.answer_rejected.reason": LATE,
    "tool.answer_rejected.reason = late": LATE,
    "tool.answer_rejected.reason = superseded": SUPERSEDED,
    "tool.answer_rejected.reason = unknown-call": (
        "tests/tool_gateway/test_answers.py::test_an_answer_to_a_call_that_nobody_made_is_noted"
    ),
    "tool.answer_rejected.worker": f"{ANSWERS}::test_an_answer_that_nobody_waits_for_is_noted_as_late",
    "tool.outcome_unknown.attempt": RETRIED,
    "resolution.requested.attempt": RETRIED,
    "tool.resolved.attempt": RETRIED,
    "tool.succeeded.result_ref": (
        "tests/tool_gateway/test_answers.py::test_a_worker_answers_with_a_large_result_and_the_model_reads_it_whole"
    ),
    "trigger.queued.sender": SENDER,
    "trigger.rejected.reason = crash-loop": f"{TRIGGERS}::test_what_came_too_often_without_an_outcome_is_rejected",
    "trigger.rejected.reason = unknown-agent": f"{TRIGGERS}::test_without_the_agent_it_is_rejected",
    "threads.py: f'thread {thread!r} was not started; a worker starts each thread with `start-thread`'": (
        "tests/orchestrator/test_threads.py::test_a_thread_of_a_child_agent_that_nothing_started_ends_the_turn"
    ),
    "turn.finished.reason = crash-loop": f"{POISON}::test_a_turn_that_crashes_its_driver_again_and_again_fails",
    "turn.finished.reason = unknown-agent": (
        f"{POISON}::test_a_running_turn_whose_agent_is_gone_fails_and_so_does_what_waits"
    ),
    "turn.started.delivery": f"{TRIGGERS}::test_an_idle_session_starts_the_turn",
    "tool.answer_rejected.signed": ANSWERED_BY,
    "tool.failed.signed": ANSWERED_BY,
    "tool.succeeded.signed": ANSWERED_BY,
    "tool.timed_out.signed": ANSWERED_BY,
    "tool.timed_out.worker": ANSWERED_BY,
    "tool.refused.not_before": (
        "tests/orchestrator/test_broken_tools.py::test_a_call_of_a_broken_tool_is_refused_with_the_reason_and_the_time"
    ),
    "tool.requested.signed": ASKED_BY,
    "tool.requested.traceparent": TRACED,
    "trigger.queued.traceparent": TRACED,
    "turn.started.traceparent": TRACED,
    "turn.started.sender": SENDER,
}
"""What may happen and happens in no case, each with the test that shows it."""


def _name(case: Path) -> str:
    return str(case.with_suffix("").relative_to(HERE)).replace("/tests/", ": ")


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_a_case_happens_as_its_log_says(case: Path):
    verdict = verdicts(case.parents[1])[case.stem]

    assert verdict.ok, "\n".join([verdict.status, verdict.diff, *map(str, verdict.problems), *map(str, verdict.rules)])


def test_each_agent_has_a_case_and_each_log_belongs_to_one():
    logs = {log.with_suffix(".yaml") for log in HERE.glob("*/tests/*.log")}

    assert set(FOLDERS) - {case.parents[1] for case in CASES} == set()
    assert logs - set(CASES) == set()


def test_each_key_form_and_value_of_the_language_is_used():
    used = set()
    for folder in FOLDERS:
        used |= language.used(read_yaml("", (folder / "protocol.yaml").read_text()).root, ProtocolDoc)
        used |= language.used(read_json("", (folder / "settings.json").read_text()).root, SettingsDoc)

    assert language.everything() - used == set()


def test_each_block_is_reached_unless_one_before_it_is_not_run():
    assert unreached(performances()) == set()


def test_each_form_of_a_prompt_is_used():
    used = {form for folder in FOLDERS for form in prompts.used(load_folder(folder), read_folder(folder))}

    assert prompts.everything() - used == set()


def test_everything_that_may_happen_happens_or_is_shown_by_another_test():
    happened = {label for performance in performances() for label in happenings.happened(performance.log)}

    assert happenings.everything() - happened == set(BY_TESTS)


@pytest.mark.parametrize("test", sorted(set(BY_TESTS.values())))
def test_a_test_that_stands_for_a_case_is_there(test: str):
    file, _, name = test.partition("::")

    assert f"def {name}(" in (ROOT / file).read_text()
