"""Every mistake in a protocol is answered with its place and its mend; what has none becomes an `Agent`."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.support.small_agent import BUNDLE, PROTOCOL, SETTINGS, compiled, errors, with_change

from stenograph_services.protocol import (
    AddMessage,
    NextMessage,
    SetResource,
    ToolCall,
    check_bundle,
    load_bundle,
    load_folder,
)
from stenograph_services.protocol.agent import Budget, Ref, Say

HERE = Path(__file__).parent
SUPPORT_CHAT = HERE.parents[1] / "agents" / "support-chat"


def test_a_trigger_and_its_handler_need_each_other():
    told = errors(with_change("handlers:\n  user-message:", "handlers:\n  user-mesage:"))

    assert "agents/x/protocol.yaml:10 triggers.user-message: no handler 'user-message' answers this trigger" in told
    assert (
        "agents/x/protocol.yaml:25 handlers.user-mesage: no trigger 'user-mesage'; did you mean 'user-message'?" in told
    )


def test_a_handler_without_blocks_is_refused():
    bundle = with_change("handlers:\n", "handlers:\n  empty: {}\n")
    bundle = msgspec.structs.replace(bundle, protocol=bundle.protocol.replace("triggers:\n", "triggers:\n  empty:\n"))

    assert errors(bundle) == ["agents/x/protocol.yaml:26 handlers.empty: has no blocks; write at least one"]


def test_a_child_agent_without_steps_is_refused():
    bundle = msgspec.structs.replace(BUNDLE, settings=SETTINGS.replace("interactive", "worker"), protocol="steps: {}\n")

    assert errors(bundle) == ["agents/x/protocol.yaml:1 steps: has no blocks; write at least one"]


def test_a_tool_is_spelled_as_its_subject_may_be():
    bundle = msgspec.structs.replace(BUNDLE, protocol=PROTOCOL.replace("get-account", "get.account"))

    assert errors(bundle) == [
        "agents/x/protocol.yaml:14 tools.get.account: 'get.account': the name of a tool is spelled in "
        "lower-case-with-dashes; write 'get-account'"
    ]


def test_all_mistakes_of_an_agent_are_told_at_once():
    protocol = PROTOCOL.replace("role: user", "role: usr").replace("retry", "").replace("[get-account]", "[get-acount]")
    bundle = msgspec.structs.replace(BUNDLE, protocol=f"typs: {{}}\n{protocol}", settings='{"slug": "X Y"}')

    told = errors(bundle)

    assert told == [
        "agents/x/protocol.yaml:1 typs: unknown key 'typs'; did you mean 'types'?",
        "agents/x/protocol.yaml:24 agent.tools[0]: no tool 'get-acount'; did you mean 'get-account'?",
        "agents/x/protocol.yaml:29 handlers.user-message.Add.role: must be 'user', 'assistant' or 'system', not 'usr'; "
        "did you mean 'user'?",
        "agents/x/settings.json:1 format: `format` is missing",
        "agents/x/settings.json:1 name: `name` is missing",
    ]


def test_what_hangs_on_a_broken_declaration_is_not_told_too():
    told = errors(with_change("userId: {type: string}", "userId: {type: strng}"))

    assert told == [
        "agents/x/protocol.yaml:17 tools.get-account.parameters.userId.type: unknown type 'strng'; "
        "did you mean 'string'?"
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"slug": "x"', '"slug": "X"', "1 slug: 'X': the name of a slug is spelled in lower-case-with-dashes"),
        ('"slug": "x"', '"slug": "y"', "1 slug: 'y' is not the slug 'x' under which the agent was sent"),
        ('"slug": "x"', '"slug": "x", "slug": "x"', "1 slug: 'slug' is written twice"),
        ('"name": "X"', '"name": ""', "1 name: must not be empty"),
        ('"name": "X"', '\n"nam": "X"', "2 nam: unknown key 'nam'; did you mean 'name'?"),
        ("interactive", "chat", "1 format: must be 'interactive' or 'worker', not 'chat'"),
        (
            "interactive",
            "workers",
            "1 format: must be 'interactive' or 'worker', not 'workers'; did you mean 'worker'?",
        ),
        ("}", "", "1: Expecting ',' delimiter"),
        (SETTINGS, "[]", "1: must be an object, not a list"),
    ],
)
def test_a_mistake_in_the_settings_is_told_with_its_line(old: str, new: str, expected: str):
    told = errors(msgspec.structs.replace(BUNDLE, settings=SETTINGS.replace(old, new)))

    assert f"agents/x/settings.json:{expected}" in told


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../b", "A", "a b", "a\0", "", "é", "C:\\x", "a//b"])
def test_a_prompt_cannot_be_named_like_a_path_that_leads_away(name: str):
    told = errors(msgspec.structs.replace(BUNDLE, prompts={**BUNDLE.prompts, name: "text"}))

    assert len(told) == 1
    assert told[0].endswith("the name of a prompt is spelled in lower-case-with-dashes")


def test_the_blocks_of_a_handler_keep_their_order_and_what_they_say():
    add, look, ask, note = compiled().handlers["user-message"]

    assert isinstance(add, AddMessage)
    assert (add.prompt.pieces, add.prompt.input, add.display) == ((Say("TEXT"),), (("TEXT", "TEXT"),), "hidden")
    assert isinstance(look, ToolCall)
    assert look.input == (("userId", ("variable", "USER_ID")), ("deep", ("literal", True)))
    assert isinstance(ask, NextMessage)
    assert (ask.name, ask.output, ask.thread, ask.display) == ("Ask", "ANSWER", "main", "stream")
    assert isinstance(note, SetResource)
    assert (note.resource, note.value) == ("NOTE", "ANSWER")


@pytest.mark.parametrize("written", ["[COMPANY: USER_ID]", "{COMPANY: USER_ID}", "\n    - COMPANY: USER_ID"])
def test_a_prompt_may_be_filled_under_another_name(written: str):
    main = compiled("[COMPANY]", written).main

    assert main is not None
    assert main.system.input == (("COMPANY", "USER_ID"),)


def test_a_field_is_required_unless_it_is_optional_or_has_a_default():
    agent = compiled("USER_ID: {type: string, optional: true}", "USER_ID: {type: 'string[]', default: [a]}")

    company, user = agent.input
    assert (company.required, company.default) == (True, None)
    assert (user.required, user.default) == (False, ["a"])
    assert user.schema == {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize(("written", "seconds"), [("45", 45), ("1.5", 1.5), ("30s", 30), ("2m", 120), ("1h", 3600)])
def test_a_timeout_is_a_number_of_seconds_or_a_text_with_its_unit(written: str, seconds: float):
    agent = compiled("    description: Look it up", f"    description: x\n    timeout: {written}\n    retry: safe")

    assert agent.tools["get-account"].timeout_seconds == seconds
    assert agent.tools["get-account"].retry == "safe"


def test_a_tool_leaves_retry_and_timeout_to_whoever_answers():
    tool = compiled().tools["get-account"]

    assert (tool.retry, tool.timeout_seconds, tool.result, tool.display) == (None, None, None, "description")


def test_the_arguments_of_a_tool_are_closed_and_its_result_is_open():
    agent = compiled("    description: Look it up", "    description: x\n    result: {plan: {type: string}}")

    tool = agent.tools["get-account"]
    assert tool.parameters.json["additionalProperties"] is False
    assert tool.parameters.json["required"] == ["userId"]
    assert tool.result is not None
    assert tool.result.json == {"type": "object", "properties": {"plan": {"type": "string"}}, "required": ["plan"]}


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        ("agentic: false", 2),
        ("agentic: false\n  maxSteps: 1", 1),
        ("agentic: false\n  maxSteps: COUNT", 2),
        ("maxSteps: 7", 7),
        ("maxSteps: COUNT", Ref("COUNT")),
        ("agentic: true", 10),
    ],
)
def test_an_agent_that_is_not_agentic_may_use_tools_once(written: str, steps: int | Ref):
    main = compiled("  system: system", f"  system: system\n  {written}").main

    assert main is not None
    assert main.max_steps == steps


@pytest.mark.parametrize(
    ("written", "field", "value"),
    [
        ("temperature:", "temperature", None),
        ("temperature: off", "temperature", None),
        ("temperature: 1", "temperature", 1.0),
        ("temperature: COUNT", "temperature", Ref("COUNT")),
        ("thinking: max", "thinking", "max"),
        ("thinking: off", "thinking", "off"),
        ("thinking: USER_ID", "thinking", Ref("USER_ID")),
        ("speed: standard", "speed", "standard"),
        ("speed: USER_ID", "speed", Ref("USER_ID")),
        ("backupModel: openai/gpt-5", "backup_model", "openai/gpt-5"),
        ("backupModel: USER_ID", "backup_model", Ref("USER_ID")),
        ("cache: off", "cache", "off"),
        ("webSearch: false", "not_run", ()),
        ("webSearch: true", "not_run", ("webSearch",)),
    ],
)
def test_a_setting_is_written_out_or_names_the_variable_that_gives_it(written: str, field: str, value: object):
    assert getattr(compiled("  system: system", f"  system: system\n  {written}").main, field) == value


def test_a_budget_is_of_each_turn_and_of_the_session():
    written = "  budget: {turn: {tokens: 9, cost: 0.1, steps: 3, seconds: 2m}, session: {cost: '12.50'}}"

    agent = compiled("  system: system", f"  system: system\n{written}")

    assert agent.budget_of_turn == Budget(tokens=9, cost_usd=Decimal("0.1"), steps=3, seconds=120.0)
    assert agent.budget_of_session == Budget(cost_usd=Decimal("12.50"))


def test_an_input_that_may_be_left_out_shows_none_and_another_keeps_its_placeholder():
    kept = compiled("[COMPANY]", "[COMPANY: USER_ID]").main
    emptied = compiled("input:\n  COMPANY", "missingValues: empty\ninput:\n  COMPANY").main

    assert kept is not None
    assert emptied is not None
    assert kept.system.pieces[1] == Say("COMPANY", otherwise="NONE")
    assert emptied.system.pieces[1] == Say("COMPANY", otherwise="")


def test_a_warning_stops_no_agent():
    agent, (resources, search) = check_bundle(with_change("  system: system", "  system: system\n  webSearch: true"))

    assert agent is not None
    assert (resources.severity, resources.code) == ("warning", "deprecated")
    assert (search.severity, search.code, search.line) == ("warning", "not-run", 22)
    assert load_bundle(with_change("  system: system", "  system: system\n  webSearch: true")) == agent


def test_a_video_to_a_model_that_sees_none_is_warned_of():
    video = "TEXT: {type: file, description: A video of the fault}"
    protocol = PROTOCOL.replace("TEXT: {type: string}", video).replace("[TEXT]", "[TEXT]\n      files: [TEXT]")

    _, problems = check_bundle(msgspec.structs.replace(BUNDLE, protocol=protocol))
    _, others = check_bundle(msgspec.structs.replace(BUNDLE, protocol=protocol.replace("openai/gpt-5", "google/x")))

    assert "video" in [problem.code for problem in problems]
    assert "video" not in [problem.code for problem in others]


def test_equal_files_give_an_equal_version_and_any_change_another():
    same = load_bundle(BUNDLE.decode(BUNDLE.encode()))

    assert same.version == compiled().version == BUNDLE.version
    assert len(same.version) == 12
    assert compiled("Look it up", "Look it up.").version != same.version


def test_the_demo_agent_is_valid_and_may_be_loaded_from_its_folder():
    agent = load_folder(SUPPORT_CHAT)

    assert agent.slug == "support-chat"
    assert agent.main is not None
    assert agent.main.model == "scripted/support-chat"
    assert agent.main.tools == ("get-user-account", "create-support-ticket")
    assert {name: tool.retry for name, tool in agent.tools.items()} == {
        "get-user-account": "safe",
        "create-support-ticket": "never",
    }
    assert "support-chat" in agent.scripts
