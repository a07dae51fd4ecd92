"""Every mistake in a protocol is answered with its place and its mend; what has none becomes an `Agent`."""

import time
from pathlib import Path

import msgspec
import pytest
from tests.support.small_agent import BUNDLE, PROTOCOL, SETTINGS, compiled, errors, with_change

from stenograph_services.protocol import AddMessage, NextMessage, SetResource, ToolCall, load_bundle, load_folder

SUPPORT_CHAT = Path(__file__).parents[2] / "agents" / "support-chat"


def _mistakes() -> list[tuple[str, str, str]]:
    """Return what is replaced, by what, and what is then said, from mistakes.txt."""
    cases = (Path(__file__).parent / "mistakes.txt").read_text().split("\n\n")[1:]
    return [(_lines(case, "-"), _lines(case, "+"), _lines(case, "=")) for case in cases]


def _lines(case: str, sign: str) -> str:
    return "\n".join(line[2:] for line in case.splitlines() if line[0] == sign)


MISTAKES = _mistakes()


@pytest.mark.parametrize(("old", "new", "expected"), MISTAKES, ids=[said for *_, said in MISTAKES])
def test_a_mistake_is_told_with_its_line_and_its_path(old: str, new: str, expected: str):
    told = errors(with_change(old, new))

    assert f"agents/x/protocol.yaml:{expected}" in told
    assert len(told) <= 3


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


def test_a_tool_is_spelled_as_its_subject_may_be():
    bundle = msgspec.structs.replace(BUNDLE, protocol=PROTOCOL.replace("get-account", "get.account"))

    assert errors(bundle) == [
        "agents/x/protocol.yaml:14 tools.get.account: 'get.account': the name of a tool is spelled in "
        "lower-case-with-dashes"
    ]


def test_all_mistakes_of_an_agent_are_told_at_once():
    protocol = PROTOCOL.replace("role: user", "role: usr").replace("retry", "").replace("[get-account]", "[get-acount]")
    bundle = msgspec.structs.replace(BUNDLE, protocol=f"types: {{}}\n{protocol}", settings='{"slug": "X Y"}')

    told = errors(bundle)

    assert told == [
        "agents/x/protocol.yaml:1 types: `types` is not supported yet",
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
        ("interactive", "worker", "1 format: 'worker' is not supported yet; write 'interactive'"),
        ("interactive", "chat", "1 format: must be 'interactive', not 'chat'"),
        ("}", "", "1: Expecting ',' delimiter"),
        (SETTINGS, "[]", "1: must be an object, not a list"),
    ],
)
def test_a_mistake_in_the_settings_is_told_with_its_line(old: str, new: str, expected: str):
    told = errors(msgspec.structs.replace(BUNDLE, settings=SETTINGS.replace(old, new)))

    assert f"agents/x/settings.json:{expected}" in told


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Hi,\nyou of {{COMPNY}}", "2 {{COMPNY}}: not in agent.input; did you mean 'COMPANY'?"),
        ("{{USER_ID}}", "1 {{USER_ID}}: not in agent.input"),
        ("{{ COMPANY }}", "1 {{ COMPANY }}: write {{COMPANY}}, without spaces"),
        ("{{#if COMPANY}}", "1 {{#if COMPANY}}: conditions and includes are not supported yet"),
        ("{{@other.md}}", "1 {{@other.md}}: conditions and includes are not supported yet"),
    ],
)
def test_a_placeholder_that_would_stay_is_told(template: str, expected: str):
    told = errors(msgspec.structs.replace(BUNDLE, prompts={**BUNDLE.prompts, "system": template}))

    assert told == [f"agents/x/prompts/system.md:{expected}"]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../b", "A", "a b", "a\0", "", "é", "C:\\x", "a//b"])
def test_a_prompt_cannot_be_named_like_a_path_that_leads_away(name: str):
    told = errors(msgspec.structs.replace(BUNDLE, prompts={**BUNDLE.prompts, name: "text"}))

    assert len(told) == 1
    assert told[0].endswith("the name of a prompt is spelled in lower-case-with-dashes")


def test_the_blocks_of_a_handler_keep_their_order_and_what_they_say():
    add, look, ask, note = compiled().handlers["user-message"]

    assert isinstance(add, AddMessage)
    assert (add.prompt.template, add.prompt.input, add.display) == ("{{TEXT}}", (("TEXT", "TEXT"),), "hidden")
    assert isinstance(look, ToolCall)
    assert look.input == (("userId", ("variable", "USER_ID")), ("deep", ("literal", True)))
    assert isinstance(ask, NextMessage)
    assert (ask.name, ask.output, ask.thread, ask.display) == ("Ask", "ANSWER", "main", "stream")
    assert isinstance(note, SetResource)
    assert (note.resource, note.value) == ("NOTE", "ANSWER")


@pytest.mark.parametrize("written", ["[COMPANY: USER_ID]", "{COMPANY: USER_ID}", "\n    - COMPANY: USER_ID"])
def test_a_prompt_may_be_filled_under_another_name(written: str):
    assert compiled("[COMPANY]", written).system.input == (("COMPANY", "USER_ID"),)


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


def test_a_tool_leaves_retry_to_the_worker_and_waits_a_minute_by_itself():
    tool = compiled().tools["get-account"]

    assert (tool.retry, tool.timeout_seconds, tool.result, tool.display) == (None, 60.0, None, "description")


def test_the_arguments_of_a_tool_are_closed_and_its_result_is_open():
    agent = compiled("    description: Look it up", "    description: x\n    result: {plan: {type: string}}")

    tool = agent.tools["get-account"]
    assert tool.parameters.json["additionalProperties"] is False
    assert tool.parameters.json["required"] == ["userId"]
    assert tool.result is not None
    assert tool.result.json == {"type": "object", "properties": {"plan": {"type": "string"}}, "required": ["plan"]}


def test_an_agent_that_is_not_agentic_may_use_tools_once():
    assert compiled("  system: system", "  system: system\n  agentic: false").max_steps == 2
    assert compiled("  system: system", "  system: system\n  agentic: false\n  maxSteps: 1").max_steps == 1
    assert compiled("  system: system", "  system: system\n  maxSteps: 7").max_steps == 7


def test_an_empty_section_is_the_same_as_none():
    agent = compiled("agent:", "agent:\n  temperature:")

    assert agent.temperature is None


def test_equal_files_give_an_equal_version_and_any_change_another():
    same = load_bundle(BUNDLE.decode(BUNDLE.encode()))

    assert same.version == compiled().version == BUNDLE.version
    assert len(same.version) == 12
    assert compiled("Look it up", "Look it up.").version != same.version


def test_the_demo_agent_is_valid_and_may_be_loaded_from_its_folder():
    agent = load_folder(SUPPORT_CHAT)

    assert (agent.slug, agent.model) == ("support-chat", "scripted/support-chat")
    assert agent.allowed == ("get-user-account", "create-support-ticket")
    assert {name: tool.retry for name, tool in agent.tools.items()} == {
        "get-user-account": "safe",
        "create-support-ticket": "never",
    }
    assert "support-chat" in agent.scripts


def test_thousands_of_mistakes_are_answered_soon():
    tools = "".join(f"  tool-{n}: {{description: x}}\n" for n in range(1500))
    names = ", ".join(f"tol-{n}" for n in range(1500))
    protocol = PROTOCOL.replace("tools:\n  get", f"tools:\n{tools}  get").replace("[get-account]", f"[{names}]")
    prompt = "".join(f"{{{{A{n}}}}}" for n in range(10_000))

    started = time.perf_counter()
    told = errors(msgspec.structs.replace(BUNDLE, protocol=protocol, prompts={**BUNDLE.prompts, "system": prompt}))

    assert told[-1] == "and 150 more"
    assert time.perf_counter() - started < 20
