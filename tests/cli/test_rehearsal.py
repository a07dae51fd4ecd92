"""Rehearsals: whatever can happen to a session can be rehearsed, and happens as it does on a server."""

from pathlib import Path

import pytest
from tests.cli.rehearsing import TURN, WORKERS, agent, child, happened, lines, log_of, summarizer, turn

from stenograph_events import decode, type_of
from stenograph_events.types import BudgetExceeded, MessageAdded, ModelFailed, ToolRequested
from stenograph_services.cli.rehearsal import read_case, rehearse
from stenograph_services.cli.rehearsal.verdicts import checked
from stenograph_services.protocol import load_folder

ROOT = Path(__file__).parents[2]
BEGIN = ["session.created", "turn.started", "message.added"]
END = ["message.added", "turn.finished"]

CALL = """\
model:
  - calls: [{tool: get-account, arguments: {userId: u1}}]
  - text: Done.
"""


@pytest.mark.parametrize(
    ("answer", "event"),
    [
        ("{result: {plan: pro}}", "tool.succeeded"),
        ("{error: down}", "tool.failed"),
        ("{result: {plan: 5}}", "tool.failed"),
        ("{timeout: true}", "tool.timed_out"),
    ],
)
def test_a_tool_ends_as_the_case_says_and_the_model_goes_on(answer: str, event: str):
    found = happened(agent(), turn(CALL) + f"tools: {{get-account: [{answer}]}}")

    assert found == [*BEGIN, "message.added", "tool.requested", event, *END]


def test_each_call_of_a_tool_has_an_answer_of_its_own_and_the_last_repeats():
    calls = "model:\n" + '  - calls: [{tool: get-account, arguments: {userId: "1"}}]\n' * 3 + "  - text: Done.\n"

    told = lines(agent(), turn(calls) + "tools: {get-account: [{result: {plan: a}}, {error: down}]}")

    answers = [line for line in told if line.startswith(("tool.succeeded", "tool.failed"))]
    assert answers == [
        'tool.succeeded turn-1 call-1 result={"plan":"a"}',
        "tool.failed turn-1 call-2 error=down",
        "tool.failed turn-1 call-3 error=down",
    ]


def test_a_deadline_that_passes_takes_its_time():
    log = log_of(agent(), turn(CALL) + "tools: {get-account: [{timeout: true}]}")

    requested, timed_out = log[4].event, log[5].event
    assert (timed_out.at - requested.at).total_seconds() >= 60


def test_a_call_that_cannot_run_is_refused_with_the_reason():
    told = lines(
        agent(),
        turn("model:\n  - calls: [{tool: get-acount}, {tool: get-account, arguments: '{'}]\n  - text: Sorry.\n"),
    )

    assert [line for line in told if line.startswith("tool.refused")] == [
        "tool.refused turn-1 call-1 get-acount error=\"no tool 'get-acount'; did you mean 'get-account'?\"",
        'tool.refused turn-1 call-2 get-account error="the arguments are not a JSON object" arguments_text="{"',
    ]


def test_a_model_that_fails_for_a_while_is_asked_again_and_one_that_fails_for_good_ends_the_turn():
    again = happened(agent(), turn("model: [{error: {kind: overloaded, retryable: true, times: 2}, text: Hi}]"))
    for_good = lines(agent(), turn("model: [{error: {kind: authentication, detail: no key}}]"))

    assert again == [*BEGIN, "model.failed", "model.failed", *END]
    assert for_good[-1] == 'turn.finished turn-1 failed reason=model-failed detail="authentication: no key"'


def test_the_backup_model_answers_where_the_first_one_failed():
    told = lines(
        agent(agent="backupModel: openai/gpt-5-mini"),
        turn("model: [{error: {kind: overloaded, retryable: true, times: 1}, text: Hi}]"),
    )

    assert '? openai/gpt-5-mini system="You help." tools=["get-account","send-mail"]' in told
    assert told[-2] == 'message.added turn-1 assistant "Hi" block=1 attempt=2 output=ANSWER backup=true'


def test_a_cancel_while_the_model_speaks_keeps_what_was_said():
    told = lines(agent(), turn("model: [{text: One two three four., chunks: 4, cancel_after_chunks: 2}]"))

    assert told[-3:] == [
        '? scripted/play system="You help." tools=["get-account","send-mail"]',
        'message.added turn-1 assistant "One two t" block=1 finish_reason=cancelled output=ANSWER',
        "turn.finished turn-1 cancelled",
    ]


def test_a_cancel_before_the_model_speaks_leaves_no_message():
    found = happened(agent(), turn("model: [{text: Hi, cancel_after_chunks: 0}]"))

    assert found == [*BEGIN, "turn.cancel_requested", "turn.finished"]


def test_a_cancel_after_so_many_events_answers_the_open_call():
    found = happened(agent(), turn("model: [{calls: [{tool: send-mail, arguments: {to: a}}]}]\ncancel_after: 4"))

    assert found == [
        *BEGIN,
        "message.added",
        "tool.requested",
        "turn.cancel_requested",
        "tool.cancelled",
        "turn.finished",
    ]


def test_a_trigger_may_be_cancelled_before_it_is_seen():
    assert happened(agent(), turn("cancel_after: 0")) == [
        "session.created",
        "turn.cancel_requested",
        "trigger.rejected",
    ]


@pytest.mark.parametrize(
    ("policy", "events"),
    [
        ("enqueue", [*BEGIN, "trigger.queued", *END, "turn.started", "message.added", *END]),
        ("reject", [*BEGIN, "trigger.rejected", *END]),
        ("interrupt", [*BEGIN, "trigger.queued", "turn.finished", "turn.started", "message.added", *END]),
    ],
)
def test_a_trigger_that_comes_meanwhile_is_treated_by_the_policy(policy: str, events: list[str]):
    meanwhile = "meanwhile: [{after: 2, trigger: user-message, input: {TEXT: And?}}]"

    assert happened(agent(when_busy=policy), turn(meanwhile)) == events


def test_a_turn_over_its_budget_waits_until_the_case_raises_it():
    spends = "model:\n  - calls: [{tool: nothing}]\n    usage: {input_tokens: 90, output_tokens: 9}\n"
    says, raised = "  - text: Hi\n", "raise_budget: {tokens: 500}\n"
    one = agent(agent="budget: {turn: {tokens: 100}}")

    waits = lines(one, turn(spends))
    goes_on = happened(one, turn(spends + says + raised))

    assert waits[-1] == "budget.exceeded turn-1 turn tokens block=1 allowed=100 used=99 wanted=110"
    assert goes_on[-4:] == ["budget.exceeded", "budget.raised", *END]


def test_a_case_says_what_models_cost():
    prices = "models: {scripted/play: {price: {input: 2, output: 10}}}\n"
    spends = turn("model:\n  - calls: [{tool: nothing}]\n    usage: {input_tokens: 1000, output_tokens: 100}\n")

    log = log_of(agent(agent="budget: {turn: {cost: 0.004}}"), spends + prices)

    assert isinstance(log[3].event, MessageAdded)
    assert str(log[3].event.cost_usd) == "0.003"
    assert isinstance(log[-1].event, BudgetExceeded)


def test_delays_of_a_script_pass_on_the_clock_and_a_budget_of_time_sees_them():
    slow = turn("model: [{text: Hi, delay_ms: 90000}]\n")

    in_time = log_of(agent(), slow)[-2].event
    late = log_of(agent(agent="budget: {turn: {seconds: 30}}"), slow)[3].event

    assert isinstance(in_time, MessageAdded)
    assert in_time.latency_ms == 90_000
    assert isinstance(late, ModelFailed)
    assert late.error == "timeout"


def test_a_child_agent_answers_in_a_log_of_its_own_and_its_tools_are_its_parents():
    wants = turn("model:\n  - calls: [{tool: researcher, arguments: {TOPIC: plans}}]\n  - text: Done.\n")
    case = f"""{wants}
children:
  researcher: {{turns: [{{model: [{{calls: [{{tool: search, arguments: {{userId: u1}}}}]}}, {{text: It is pro.}}]}}]}}
tools: {{get-account: [{{result: {{plan: pro}}}}]}}
"""

    told = lines(agent(top=WORKERS, agent="workers: [researcher]"), case, child())

    assert told[5:] == [
        'tool.requested turn-1 call-1 researcher arguments={"TOPIC":"plans"} within=900s by=child-1',
        'session.created child-1 researcher input={"TOPIC":"plans"}',
        "turn.started child-1 run",
        "thread.started child-1 run block=0 thread=work system=Find.",
        'message.added child-1 user "plans" block=1 thread=work',
        '? scripted/play system=Find. tools=["search"]',
        'message.added child-1 assistant → call-2 search {"userId":"u1"} block=2 thread=work output=FOUND',
        'tool.requested child-1 call-2 get-account arguments={"userId":"u1"} within=60s',
        'tool.succeeded child-1 call-2 result={"plan":"pro"}',
        'message.added child-1 assistant "It is pro." block=2 thread=work step=1 output=FOUND',
        'turn.finished child-1 completed output="It is pro."',
        'tool.succeeded turn-1 call-1 result="It is pro."',
        'message.added turn-1 assistant "Done." block=1 step=1 output=ANSWER',
        "turn.finished turn-1 completed",
    ]


def test_a_cancel_goes_down_to_the_child_agent_and_its_failure_comes_up():
    one = agent(top=WORKERS, agent="workers: [researcher]")
    wants = "model:\n  - calls: [{tool: researcher, arguments: {TOPIC: plans}}]\n"
    fails = "children: {researcher: {turns: [{model: [{error: {kind: down}}]}]}}\n"

    cancelled = lines(one, turn(wants + "cancel_after: 6\n"), child())
    failed = lines(one, turn(wants + "  - text: Sorry.\n") + fails, child())

    assert cancelled[-5:] == [
        "turn.cancel_requested turn-1",
        "tool.cancelled turn-1 call-1",
        "turn.finished turn-1 cancelled",
        "turn.cancel_requested child-1",
        "turn.finished child-1 cancelled",
    ]
    assert failed[-3].startswith("tool.failed turn-1 call-1 error=\"the child agent 'researcher' failed: model-failed")


def test_the_deadline_of_a_child_agent_may_pass():
    one = agent(top=WORKERS, agent="workers: [researcher]")
    wants = turn("model:\n  - calls: [{tool: researcher, arguments: {TOPIC: plans}}]\n  - text: Sorry.\n")

    found = happened(one, wants + "children: {researcher: {turns: [{timeout: true}]}}", child())

    assert found == [*BEGIN, "message.added", "tool.requested", "tool.timed_out", *END]


def test_a_long_thread_is_summed_up_once_the_case_says_how_much_its_model_reads():
    how = "contextManagement: {summarizerWorker: researcher, thresholdPercent: 0.5, recentPercent: 0.01}"
    case = "about: a case\nturns:\n" + "".join(
        f"  - trigger: user-message\n    input: {{TEXT: Hello}}\n"
        f"    model: [{{text: Hi, usage: {{input_tokens: {tokens}, output_tokens: 10}}}}]\n"
        for tokens in (100, 600, 50)
    )
    summary = "children: {researcher: {turns: [{model: [{text: They said hello.}]}]}}\n"
    window = "models: {scripted/play: {window: 1000}}\n"

    told = lines(agent(top=WORKERS, agent=how), case + summary + window, summarizer())

    compacted = [line for line in told if line.startswith("thread.compacted")]
    assert compacted == ['thread.compacted turn-3 call-1 block=1 thread=main through=8 summary="They said hello."'], (
        told
    )


def test_a_child_agent_that_is_nowhere_is_not_stored():
    wants = turn("model:\n  - calls: [{tool: researcher, arguments: {TOPIC: plans}}]\n  - text: Sorry.\n")

    told = lines(agent(top=WORKERS, agent="workers: [researcher]"), wants)

    assert told[5] == (
        "tool.refused turn-1 call-1 researcher error=\"no agent 'researcher' of format worker is stored\""
    )


def test_a_child_agent_can_be_rehearsed_by_itself():
    case = "about: alone\ninput: {TOPIC: plans}\nturns: [{model: [{text: Pro.}]}]"

    assert lines(child(), case)[-1] == "turn.finished turn-1 completed output=Pro."


def test_a_trigger_may_offer_a_tool_and_the_case_answers_it():
    offers = "offers: [{name: files__search, description: Search, inputSchema: {type: object}}]\n"
    lines_of_the_model = "model:\n  - calls: [{tool: files__search, arguments: {}}]\n  - text: Found it.\n"

    log = log_of(agent(), turn(offers + lines_of_the_model) + "tools: {files__search: [{result: [tides.txt]}]}\n")

    [requested] = [one.event for one in log if isinstance(one.event, ToolRequested)]
    assert (requested.tool, requested.client) == ("files__search", True)


def test_a_turn_without_lines_plays_the_agents_own_script():
    assert happened(agent(), TURN) == [*BEGIN, *END]


def test_the_same_case_gives_the_same_bytes():
    case = turn(CALL) + "tools: {get-account: [{result: {plan: pro}}]}"

    assert [one.data for one in log_of(agent(), case)] == [one.data for one in log_of(agent(), case)]


def test_a_log_that_lost_its_end_keeps_not_every_rule():
    log = log_of(agent(), TURN)

    assert [broken.rule for broken in checked(log[:-1]).broken] == ["one-end"]


def test_a_rehearsal_of_the_demo_agent_has_the_events_of_the_golden_log():
    golden = [decode(line) for line in (ROOT / "docs/golden/support-chat.jsonl").read_bytes().splitlines()]
    folder = ROOT / "agents/support-chat"

    log = rehearse(load_folder(folder), read_case(folder / "tests/plan.yaml"))

    assert [type_of(one.event) for one in log] == [type_of(event) for event in golden]
    said = [
        [event.parts for event in events if isinstance(event, MessageAdded)]
        for events in (golden, [o.event for o in log])
    ]
    assert said[0] == said[1]
