"""The tags of a prompt: what they mean, what they leave behind, and what is said of those that are wrong."""

import tracemalloc
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph_services.protocol.agent import Prompt
from stenograph_services.protocol.problems import Problem
from stenograph_services.protocol.prompts import LabelInfo, Prompts, render

LABELS = {"X": LabelInfo(), "Y": LabelInfo()}


def found(text: str, **files: str) -> list[Problem]:
    return Prompts({"p": text, **_paths(files)}, "{}.md".format).compile("p", LABELS, True)[1]


def told(text: str, **files: str) -> list[str]:
    return [f"{it.file}:{it.line}:{it.column} {it.path}: {it.message}" for it in found(text, **files)]


def rendered(text: str, values: dict[str, str], **files: str) -> str:
    pieces, wrong = Prompts({"p": text, **_paths(files)}, "{}.md".format).compile("p", LABELS, True)
    assert not wrong
    return render(Prompt("p", pieces, (("X", "X"), ("Y", "Y"))), values)


def _paths(files: dict[str, str]) -> dict[str, str]:
    return {name.replace("__", "/"): text for name, text in files.items()}


# ---- conditionals


def test_the_first_branch_that_holds_is_said():
    text = '{{#if X == "1"}}one{{else if X == "2"}}two{{else if X}}many{{else}}none{{/if}}'

    assert [rendered(text, {"X": x}) for x in ("1", "2", "3", "")] == ["one", "two", "many", "none"]
    assert rendered(text, {}) == "none"


def test_conditionals_nest():
    text = "{{#if X}}a{{#if Y}}b{{else}}c{{/if}}{{else}}{{#if Y}}d{{/if}}{{/if}}"

    assert [rendered(text, values) for values in ({"X": "1", "Y": "1"}, {"X": "1"}, {"Y": "1"}, {})] == [
        "ab",
        "ac",
        "d",
        "",
    ]


def test_a_text_that_is_compared_with_may_hold_braces_and_blanks_are_free_in_a_condition():
    assert rendered('{{#if X == "}} {{"}}yes{{/if}}', {"X": "}} {{"}) == "yes"
    assert rendered('{{#if  X=="a" }}yes{{else if\tY}}no{{/if}}', {"X": "a"}) == "yes"


def test_a_line_that_holds_one_tag_of_a_conditional_vanishes():
    text = "Hello.\n  {{#if X}}\nOne.\n{{else}} \nNone.\n{{/if}}\r\nBye.\n"

    assert rendered(text, {"X": "1"}) == "Hello.\nOne.\nBye."
    assert rendered(text, {}) == "Hello.\nNone.\nBye."


def test_lines_that_hold_more_than_a_tag_stay_as_they_are():
    assert rendered("a {{#if X}}\nb\n{{/if}} c", {"X": "1"}) == "a \nb\n c"
    assert rendered("{{#if X}}{{X}}\n{{/if}}c", {"X": "1"}) == "1\nc"
    assert rendered("{{#if X}}{{/if}}\nc", {}) == "\nc"


def test_empty_lines_around_a_line_that_vanishes_stay():
    assert rendered("a\n\n{{#if X}}\n\nb\n\n{{/if}}\n\nc", {"X": "1"}) == "a\n\n\nb\n\n\nc"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{#if X}}a", "1:1 {{#if X}}: is never closed; write {{/if}} where it ends"),
        ("a\n b{{/if}}", "2:3 {{/if}}: closes nothing: no {{#if}} is open here"),
        ("{{else}}", "1:1 {{else}}: stands outside of {{#if}} … {{/if}}"),
        ("{{else if X}}", "1:1 {{else if X}}: stands outside of {{#if}} … {{/if}}"),
        (
            "{{#if X}}{{else}}\n{{else}}{{/if}}",
            "2:1 {{else}}: stands after {{else}}, which must be the last branch",
        ),
        (
            "{{#if X}}{{else}}{{else if Y}}{{/if}}",
            "1:18 {{else if Y}}: stands after {{else}}, which must be the last branch",
        ),
        ("{{#if}}{{/if}}", '1:1 {{#if}}: needs a condition: NAME, !NAME, NAME == "text" or NAME != "text"'),
        (
            "{{#if X}}{{else if}}{{/if}}",
            '1:10 {{else if}}: needs a condition: NAME, !NAME, NAME == "text" or NAME != "text"',
        ),
        ("{{#if X\n}}", "1:1 {{#if X: is not closed by }} on its line, within 400 characters"),
        ("{{/if}", "1:1 {{/if: is not closed by }} on its line, within 400 characters"),
    ],
)
def test_a_conditional_that_is_not_whole_is_told_where_it_stands(text: str, message: str):
    assert told(text) == [f"p.md:{message}"]


@pytest.mark.parametrize(
    ("condition", "mend"),
    [
        ('X = "a"', "write `==`"),
        ('X === "a"', "write `==` or `!=`"),
        ("X == 'a'", 'write the text in straight double quotes: NAME == "text"'),
        ("X == “a”", 'write the text in straight double quotes: NAME == "text"'),
        ("X == 5", 'write the text in double quotes: NAME == "text"'),
        ("X != Y", 'write the text in double quotes: NAME == "text"'),
        ('"a" == X', 'write the label first: NAME == "text"'),
        ("X and Y", "takes one comparison; nest a second {{#if}}, or repeat it"),
        ('X == "it\'s" || Y', "takes one comparison; nest a second {{#if}}, or repeat it"),
        ("X > 5", 'numbers are not compared; write NAME, !NAME, NAME == "text" or NAME != "text"'),
        ("not X", "write !NAME"),
        ("! X", "write !NAME"),
        ('!X == "a"', 'write NAME != "text", or NAME == "text", without the `!` in front'),
        ("x", "a label is spelled in UPPER_SNAKE_CASE"),
        ("X.plan", "dots are not supported; a condition asks for a value as a whole"),
        ("(X)", 'is no condition; write NAME, !NAME, NAME == "text" or NAME != "text"'),
        ('X == "a" "b"', 'is no condition; write NAME, !NAME, NAME == "text" or NAME != "text"'),
        ('X == "a', 'is no condition; write NAME, !NAME, NAME == "text" or NAME != "text"'),
    ],
)
def test_what_is_no_condition_is_told_with_its_mend(condition: str, mend: str):
    assert told(f"{{{{#if {condition}}}}}a{{{{else}}}}b{{{{/if}}}}") == [f"p.md:1:1 {{{{#if {condition}}}}}: {mend}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ X }}", "1:1 {{ X }}: write {{X}}, without spaces"),
        ("{{# if X}}{{/if}}", "1:1 {{# if X}}: write {{#if NAME}}"),
        ("{{#IF X}}{{/if}}", "1:1 {{#IF X}}: write {{#if NAME}}"),
        ("{{#unless X}}a{{/unless}}", "1:1 {{#unless X}}: there is no {{#unless}}; write {{#if !NAME}}"),
        ("{{#each X}}a{{/each}}", "1:1 {{#each X}}: there is no {{#each}}; only {{#if}} opens a block"),
        ("{{#if X}}a{{/fi}}", "1:11 {{/fi}}: write {{/if}}"),
        ("{{#if X}}a{{endif}}", "1:11 {{endif}}: write {{/if}}"),
        ("{{#if X}}a{{elif Y}}{{/if}}", "1:11 {{elif Y}}: write {{else if NAME}}"),
        ("{{#if X}}a{{#else}}{{/if}}", "1:11 {{#else}}: write {{else}} or {{else if NAME}}"),
        ("{{#if X}}a{{ else }}{{/if}}", "1:11 {{ else }}: write {{else}} or {{else if NAME}}"),
        ("{{Else}}", "1:1 {{Else}}: write {{else}} or {{else if NAME}}"),
        ("{{@rules}}", "1:1 {{@rules}}: an include is spelled {{@path.md}}, with the path below prompts/"),
        ("{{ @rules.md }}", "1:1 {{ @rules.md }}: an include is spelled {{@path.md}}, with the path below prompts/"),
    ],
)
def test_what_is_nearly_a_tag_is_named_once(text: str, message: str):
    assert told(text) == [f"p.md:{message}"]


def test_words_of_other_languages_are_text_outside_of_a_conditional():
    assert rendered("{{endif}} {{elif x}} {{else-where}}", {}) == "{{endif}} {{elif x}} {{else-where}}"


def test_all_that_is_wrong_is_told_at_once():
    assert told("{{ X }}\n{{#if X}}\n{{Z}}\n{{@q.md}}", q="{{/if}}") == [
        "p.md:1:1 {{ X }}: write {{X}}, without spaces",
        "p.md:2:1 {{#if X}}: is never closed; write {{/if}} where it ends",
        "p.md:3:1 {{Z}}: 'Z' is not in the `input` that fills this prompt",
        "q.md:1:1 {{/if}}: closes nothing: no {{#if}} is open here",
    ]


# ---- includes


def test_an_include_is_the_text_of_another_prompt_with_its_labels():
    text = "You are kind.\n\n{{@shared/rules.md}}\n\nBye."

    assert rendered(text, {"X": "a"}, shared__rules="Never {{X}}.\n") == "You are kind.\n\nNever a.\n\nBye."


def test_an_include_inside_a_line_brings_no_line_end():
    assert rendered("Be {{@how.md}}!", {}, how="kind\n") == "Be kind!"


def test_an_include_that_fills_its_line_brings_whole_lines():
    rules = "One.\n{{#if X}}\nTwo.\n{{/if}}\n"

    assert rendered("a\n{{@rules.md}}\nb", {"X": "1"}, rules=rules) == "a\nOne.\nTwo.\nb"
    assert rendered("a\n{{@rules.md}}\nb", {}, rules=rules) == "a\nOne.\nb"
    assert rendered("a\n{{@rules.md}}", {}, rules=rules) == "a\nOne."


def test_an_include_in_a_branch_is_said_with_it():
    text = "{{#if X}}\n{{@a.md}}\n{{else}}\n{{@b.md}}\n{{/if}}\nend"

    assert rendered(text, {"X": "1"}, a="A", b="B") == "A\nend"
    assert rendered(text, {}, a="A", b="B") == "B\nend"


def test_a_mistake_in_an_included_file_is_told_of_that_file_once():
    assert told("{{@a.md}}\n{{@a.md}}", a="fine\n  {{#if Z}}{{/if}}") == [
        "a.md:2:3 {{#if Z}}: 'Z' is not in the `input` that fills this prompt"
    ]


def test_each_file_closes_what_it_opens():
    assert told("{{#if X}}{{@a.md}}", a="{{/if}}") == [
        "p.md:1:1 {{#if X}}: is never closed; write {{/if}} where it ends",
        "a.md:1:1 {{/if}}: closes nothing: no {{#if}} is open here",
    ]


def test_an_include_of_a_file_that_is_not_there_names_what_may_be_meant():
    assert told("a\n{{@shared/rule.md}}", shared__rules="") == [
        "p.md:2:1 {{@shared/rule.md}}: no prompt 'shared/rule'; did you mean 'shared/rules'?"
    ]
    assert told("{{@shared/a.md}}", shared__a="{{@b.md}}", shared__b="") == [
        "shared/a.md:1:1 {{@b.md}}: no prompt 'b'; paths begin at prompts/: write {{@shared/b.md}}"
    ]


def test_no_path_leads_out_of_the_prompts():
    assert told("{{@../../etc/passwd.md}}") == ["p.md:1:1 {{@../../etc/passwd.md}}: no prompt '../../etc/passwd'"]


def test_files_that_include_each_other_in_a_circle_are_told():
    assert told("{{@a.md}}", a="\n{{@b.md}}", b="{{@a.md}}") == [
        "b.md:1:1 {{@a.md}}: includes itself: a → b → a",
    ]
    assert told("{{@p.md}}") == ["p.md:1:1 {{@p.md}}: includes itself: p → p"]


# ---- what a hostile author writes


def test_a_long_row_of_includes_is_refused():
    files = {f"f{at}": f"{{{{@f{at + 1}.md}}}}" for at in range(20)}

    assert told("{{@f0.md}}", **files, f20="") == [
        "f14.md:1:1 {{@f15.md}}: is the 17th file in a row; at most 16 are read"
    ]


def test_includes_that_double_at_each_step_are_refused():
    files = {f"f{at}": f"{{{{@f{at + 1}.md}}}}" * 2 for at in range(12)}

    assert [it.code for it in found("{{@f0.md}}", **files, f12="x")] == ["too-large"]
    assert [it.code for it in found("{{@long.md}}" * 20, long="x" * 100_000)] == ["too-large"]


def test_conditionals_that_are_nested_too_deep_are_refused_also_over_several_files():
    assert told("{{#if X}}" * 16 + "{{/if}}" * 16) == []
    assert told("{{#if X}}" * 17 + "{{/if}}" * 17) == ["p.md:1:145 {{#if X}}: stands inside more than 15 others"]
    assert told("{{#if X}}" * 9 + "{{@a.md}}" + "{{/if}}" * 9, a="{{#if X}}" * 9 + "{{/if}}" * 9) == [
        "a.md:1:64 {{#if X}}: stands inside more than 15 others"
    ]


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "{" * MEGABYTE,
        "{{" * (MEGABYTE // 2),
        "{{a" * (MEGABYTE // 3),
        "{{#" * (MEGABYTE // 3),
        '{{#"' * (MEGABYTE // 4),
        "{{#if X}}" * 100_000,
        "{{else if X}}" * 70_000,
        "{{X}}" * (MEGABYTE // 5),
        "{{ X }}" * (MEGABYTE // 7),
        "{{@p.md}}" * (MEGABYTE // 9),
        '{{#if X == "' + "a" * MEGABYTE,
        "{{#if X == " + '"' * MEGABYTE,
        ("{{" + "a" * 398) * (MEGABYTE // 400),
        ("{{" + "\t" * 398) * (MEGABYTE // 400),
        ('{{#if "' + "a" * 392) * (MEGABYTE // 400),
        "\n" * MEGABYTE + "{{#if X}}\n{{/if}}",
        " " * MEGABYTE + "{{#if X}}" + " " * 10 + "{{/if}}",
    ],
)
def test_a_megabyte_of_anything_is_read_or_refused_at_once(text: str):
    """The time is what a slow machine needs; a search that went back over the text would take hours."""
    began = process_time()

    problems = found(text)

    assert process_time() - began < 2
    assert len(problems) <= 200


def test_a_large_prompt_that_a_thousand_blocks_use_is_kept_once():
    texts = {"p": "{{@a.md}}\n{{X}}", "a": "x" * 500_000}
    prompts = Prompts(texts, str)
    tracemalloc.start()

    compiled = [prompts.compile("p", LABELS, keep_missing=True) for _ in range(1000)]

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(compiled) == 1000
    assert peak < 8_000_000


@given(
    st.text(alphabet="{}#/@ifelsXY=!\"'. \n", max_size=80)
    | st.lists(
        st.sampled_from(
            ["{{#if X}}", "{{/if}}", "{{else}}", "{{else if !Y}}", "{{X}}", "{{@p.md}}", "{{@q.md}}", "\n", "{{", "}}"]
        )
    ).map("".join)
)
def test_whatever_is_written_is_compiled_or_told_where_it_is_wrong(text: str):
    pieces, wrong = Prompts({"p": text, "q": "{{X}}\n"}, str).compile("p", LABELS, True)

    for problem in wrong:
        line = text.split("\n")[problem.line - 1]
        assert line[problem.column - 1 :].startswith(("{{", problem.path[:4]))
    render(Prompt("p", pieces, (("X", "X"),)), {"X": "a"})
