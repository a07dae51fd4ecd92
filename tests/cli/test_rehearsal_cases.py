"""Cases: what is wrong with one is said at once, with its place, and so is what a case says in vain."""

import msgspec
import pytest
from tests.cli.rehearsing import TURN, agent, log_of, turn

from stenograph_services.cli.rehearsal import CaseError, parse_case
from stenograph_services.cli.rehearsal.case import check_case
from stenograph_services.protocol import Agent


def mistakes(text: str) -> list[str]:
    """Return what is wrong with a case that cannot be read."""
    with pytest.raises(CaseError) as caught:
        parse_case(text, "tests/case.yaml")
    return str(caught.value).splitlines()


def in_vain(text: str) -> list[str]:
    """Return what is wrong with a case once it is rehearsed."""
    with pytest.raises(CaseError) as caught:
        log_of(agent(), text)
    return str(caught.value).splitlines()


def test_all_mistakes_of_a_case_are_told_at_once_with_their_lines():
    text = """\
abot: x
turns:
  - trigger: 5
    model:
      - txt: hi
    raise_budget: {tokns: 5}
    meanwhile:
      - trigger: user-message
        modl: []
tools:
  a: [{result: 1, error: x}]
  b: []
"""

    assert mistakes(text) == [
        "tests/case.yaml:1 abot: unknown key 'abot'; did you mean 'about'?",
        "tests/case.yaml:1 about: `about` is missing",
        "tests/case.yaml:3 turns[0].trigger: must be text, not 5",
        "tests/case.yaml:5 turns[0].model[0].txt: unknown key 'txt'; did you mean 'text'?",
        "tests/case.yaml:6 turns[0].raise_budget.tokns: unknown key 'tokns'; did you mean 'tokens'?",
        "tests/case.yaml:9 turns[0].meanwhile[0].modl: unknown key 'modl'; did you mean 'model'?",
        "tests/case.yaml:11 tools.a[0]: an answer has one of `result`, `error`, `timeout: true` and `unknown: true`",
        "tests/case.yaml:12 tools.b: must not be empty",
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("- a", "tests/case.yaml:1: must be a mapping, not a list"),
        (
            TURN + "    model: [{text: Hi, finish_reason: cancelled}]",
            "tests/case.yaml:5 turns[0].model[0].finish_reason: must be 'stop', 'tool-calls', 'length', "
            "'content-filter' or 'other', not 'cancelled'",
        ),
    ],
)
def test_what_is_no_case_is_refused(text: str, mistake: str):
    assert mistakes(text) == [mistake]


def test_names_that_the_agent_does_not_have_are_told():
    text = "about: x\nturns: [{}]\ntools: {get-acount: [{error: x}]}\nchildren: {summarizer: {turns: [{}]}}\n"
    text += "clients: [send-mial]\n"

    found = check_case(parse_case(text, "tests/case.yaml"), agent(), {})

    assert [str(problem) for problem in found] == [
        "tests/case.yaml:3 tools.get-acount: the agent has no tool 'get-acount'; did you mean 'get-account'?",
        "tests/case.yaml:5 clients[0]: the agent has no tool 'send-mial'; did you mean 'send-mail'?",
        "tests/case.yaml:4 children.summarizer: the agent has no child agent 'summarizer'",
        "tests/case.yaml:2 turns[0]: `trigger` is missing",
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            turn("model: [{calls: [{tool: get-account, arguments: {userId: u}}]}]"),
            "tests/case.yaml:1 tools: get-account is called, and `tools` does not say what it answers",
        ),
        (
            turn("model: [{calls: [{tool: nothing}]}]"),
            "tests/case.yaml:5 turns[0].model: the model is asked for answer 2, and here are 1",
        ),
        (
            turn("model: [{text: Hi}, {text: More}]"),
            "tests/case.yaml:5 turns[0].model[1]: the model was asked for 1 of these 2 answers; take out the others",
        ),
        (
            turn("cancel_after: 9"),
            "tests/case.yaml:5 turns[0].cancel_after: the turn has 4 events, so nobody cancels it",
        ),
        (
            turn("meanwhile: [{after: 9, trigger: user-message}]"),
            "tests/case.yaml:5 turns[0].meanwhile[0]: the turn has 4 events, so this never comes after 9",
        ),
        (
            turn("model: [{text: Hi, cancel_after_chunks: 2}]"),
            "tests/case.yaml:5 turns[0].model[0].cancel_after_chunks: "
            "the answer comes in 1 piece, so nobody cancels it; give it more `chunks`",
        ),
        (TURN + "input: {A: 1}", "tests/case.yaml:5 input: unknown name 'A'"),
    ],
)
def test_what_a_case_leaves_open_or_says_in_vain_is_told(text: str, mistake: str):
    assert in_vain(text) == [mistake]


def test_a_tool_that_a_trigger_offers_and_nobody_could_is_told():
    text = turn("offers: [{name: files__search, inputSchema: {type: strng}}]")

    assert mistakes(text) == [
        "tests/case.yaml:5 turns[0].offers: offers[0].inputSchema.type: must be one of array, boolean, integer, null, "
        "number, object, string, not 'strng'; did you mean 'string'?"
    ]


def test_a_model_that_is_no_script_needs_lines():
    with pytest.raises(CaseError, match=r"turns\[0\]: desk asks scripted/other; say in `model` what it answers"):
        log_of(_asks("scripted/other"), TURN)


def _asks(model: str) -> Agent:
    one = agent()
    assert one.main is not None
    return msgspec.structs.replace(one, main=msgspec.structs.replace(one.main, model=model))
