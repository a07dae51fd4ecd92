"""References are texts with a description, and the model reads them by a tool of ours."""

import pytest

from stenograph_services.protocol.agent import Agent, Reference
from stenograph_services.protocol.builtin_tools import answer_builtin, reference_list_tool, reference_tool
from stenograph_services.protocol.references import read_references
from stenograph_services.protocol.schemas import problems

REFUNDS = Reference("refunds", "What may be refunded.", "# Refunds\n\nAll of it.")
ERRORS = Reference("error-codes", "What the codes mean.", "E1: no.")
AGENT = Agent(
    "x", "X", "v", None, {}, {}, {}, references={reference.name: reference for reference in (REFUNDS, ERRORS)}
)


def told(text: str, name: str = "refunds") -> list[str]:
    _, wrong = read_references({name: text}, "references/{}.md".format)
    return [f"{it.file}:{it.line}:{it.column} {it.path}: {it.message}" for it in wrong]


def test_a_reference_is_a_description_and_a_text():
    text = "---\ndescription: >\n  What may be\n  refunded.\n---\n\n# Refunds\n\nAll of it.\n"

    assert read_references({"refunds": text}, str) == ({"refunds": REFUNDS}, [])


def test_a_line_of_dashes_in_the_text_and_other_keys_are_left_alone():
    text = "---\ntitle: Refunds\ndescription: Why\ntags: [a]\n---\none\n---\ntwo\n"

    references, wrong = read_references({"refunds": text}, str)

    assert not wrong
    assert references["refunds"] == Reference("refunds", "Why", "one\n---\ntwo")


def test_line_ends_of_windows_are_read_too():
    references, wrong = read_references({"refunds": "---\r\ndescription: Why\r\n---\r\nText\r\n"}, str)

    assert not wrong
    assert references["refunds"].text == "Text"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Refunds", "1:1 : must begin with a line `---`, a line `description: …` and a line `---`"),
        ("", "1:1 : must begin with a line `---`, a line `description: …` and a line `---`"),
        ("---\ndescription: x\n", "1:1 : its front matter is never closed; write a line `---` after the description"),
        ("---\n---\nText", "2:1 description: `description` is missing; the model decides by it"),
        ("---\ntitle: x\n---\n", "2:1 description: `description` is missing; the model decides by it"),
        ("---\ndescripton: x\n---\n", "2:1 descripton: `description` is missing; is 'descripton' meant?"),
        ("---\ndescription: ' '\n---\n", "2:1 description: `description` is missing; the model decides by it"),
        ("---\n\ndescription: [a]\n---\n", "3:1 description: must be text, not a list"),
        ("---\ndescription: a: b\n---\n", "2:15 : mapping values are not allowed here"),
        ("---\n\tdescription: a\n---\n", "2:1 : a tab cannot indent YAML; use spaces"),
        ("---\n- a\n---\n", "2:1 : must be a mapping, not a list"),
        ("---\ndescription: a\ndescription: b\n---\n", "3:1 description: 'description' is written twice"),
        ("---\ndescription: !x a\n---\n", "2:14 : tags such as '!x' are not allowed"),
    ],
)
def test_front_matter_that_is_wrong_is_told_with_its_line(text: str, message: str):
    assert told(text) == [f"references/refunds.md:{message}"]


def test_a_name_that_is_not_lower_case_with_dashes_is_told():
    assert told("---\ndescription: x\n---\n", "Error_Codes") == [
        "references/Error_Codes.md:0:0 : 'Error_Codes': the name of a reference is spelled in lower-case-with-dashes"
    ]


def test_a_text_that_no_event_could_carry_is_told():
    assert told("---\ndescription: x\n---\n" + "x" * 204_798) == []
    assert told("---\ndescription: x\n---\n" + '"' * 150_000) == [
        "references/refunds.md:0:0 : its text is 300002 bytes long as JSON; at most 204800 fit into the event that "
        "carries it: split it into several references"
    ]


def test_half_a_surrogate_pair_is_told():
    assert told("---\ndescription: x\n---\n\ud800") == [
        "references/refunds.md:0:0 : holds half a surrogate pair, which is not valid Unicode"
    ]


def test_one_broken_reference_does_not_hide_the_others():
    references, wrong = read_references({"a": "", "b": "---\ndescription: x\n---\nB"}, str)

    assert list(references) == ["b"]
    assert [problem.file for problem in wrong] == ["a"]


# ---- the tools


def test_the_tool_tells_what_there_is_and_takes_nothing_else():
    tool = reference_tool([REFUNDS, ERRORS])

    assert tool.name == "octavus_reference_read"
    assert tool.description.splitlines() == [
        "Read one of these texts in full, when it can help:",
        "- refunds: What may be refunded.",
        "- error-codes: What the codes mean.",
    ]
    assert problems(tool.parameters, {"name": "refunds"}) is None
    assert problems(tool.parameters, {"name": "secrets"})
    assert problems(tool.parameters, {})


def test_long_descriptions_are_shortened_to_what_providers_allow():
    several = [Reference(f"reference-{at}", "long " * at * 10, "") for at in range(10)]

    description = reference_tool(several).description

    assert 900 < len(description) <= 1000
    assert all(f"- reference-{at}: " in description for at in range(10))


def test_where_there_are_too_many_to_describe_the_model_is_sent_to_the_list():
    many = [Reference(f"reference-{at}", "x", "") for at in range(500)]

    assert reference_tool(many).description == (
        "Read one of the texts of this agent in full. octavus_reference_list tells what each of them holds."
    )


def test_reading_a_reference_answers_its_text():
    assert answer_builtin(AGENT, "octavus_reference_read", {"name": "refunds"}, []) == "# Refunds\n\nAll of it."


def test_the_list_holds_the_whole_descriptions():
    assert reference_list_tool().name == "octavus_reference_list"
    assert answer_builtin(AGENT, "octavus_reference_list", {}, []) == [
        {"name": "refunds", "description": "What may be refunded."},
        {"name": "error-codes", "description": "What the codes mean."},
    ]


def test_a_thread_reads_and_lists_only_what_it_was_given():
    listed = answer_builtin(AGENT, "octavus_reference_list", {}, [], references=["refunds"])

    assert [reference["name"] for reference in listed] == ["refunds"]
    with pytest.raises(ValueError, match="no reference 'error-codes'"):
        answer_builtin(AGENT, "octavus_reference_read", {"name": "error-codes"}, [], references=["refunds"])


@pytest.mark.parametrize("arguments", [{"name": "refund"}, {"name": 5}, {"name": ["refunds"]}, {}])
def test_a_reference_that_is_not_there_is_refused_with_a_sentence(arguments: dict[str, object]):
    with pytest.raises(ValueError, match="no reference"):
        answer_builtin(AGENT, "octavus_reference_read", arguments, [])


def test_a_tool_that_is_not_ours_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="'octavus_web_search' is not a tool that is answered here"):
        answer_builtin(AGENT, "octavus_web_search", {}, [])
