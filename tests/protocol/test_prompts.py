"""Prompts are filled in one pass, and nothing in them runs."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph_services.protocol.agent import Choose, Condition, Prompt, Say
from stenograph_services.protocol.prompts import LabelInfo, Prompts, render

INFOS = {"X": LabelInfo(), "Y": LabelInfo(), "PLAN": LabelInfo(enum=("free", "pro"))}


def problems(texts: dict[str, str], labels: dict[str, LabelInfo] = INFOS) -> list[str]:
    _, found = Prompts(texts, "prompts/{}.md".format).compile("p", labels, True)
    return [f"{it.file}:{it.line}:{it.column} {it.path}: {it.message}" for it in found]


def prompt(
    text: str,
    labels: dict[str, LabelInfo] = INFOS,
    keep: bool = True,
    sources: dict[str, str] | None = None,
    **files: str,
) -> Prompt:
    pieces, wrong = Prompts({"p": text, **files}, "prompts/{}.md".format).compile("p", labels, keep)
    assert not wrong
    return Prompt("p", pieces, tuple((sources or {label: label for label in labels}).items()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)

# ---- placeholders


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Ada", "Ada"),
        ("", ""),
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        ({"plan": "pro", "seats": [1, 2]}, '{"plan":"pro","seats":[1,2]}'),
        (["é"], '["é"]'),
        (2**80, str(2**80)),
    ],
)
def test_text_goes_in_as_it_is_and_everything_else_as_json(value: Any, text: str):
    assert render(prompt("<{{X}}>"), {"X": value}) == f"<{text}>"


def test_a_label_is_filled_from_the_name_that_it_is_mapped_to():
    mapped = prompt("{{X}}", sources={"X": "USER_ID"})

    assert render(mapped, {"USER_ID": "u1", "X": "nobody"}) == "u1"


def test_what_is_missing_keeps_its_placeholder_or_is_left_out_or_is_NONE_if_it_may_be_omitted():
    labels = {"X": LabelInfo(), "MAYBE": LabelInfo(optional=True)}

    assert render(prompt("<{{X}}> <{{MAYBE}}>", labels, keep=True), {}) == "<{{X}}> <NONE>"
    assert render(prompt("<{{X}}> <{{MAYBE}}>", labels, keep=False), {}) == "<> <NONE>"
    assert render(prompt("<{{MAYBE}}>", labels), {"MAYBE": ""}) == "<>"


def test_a_label_that_the_prompt_may_not_see_is_a_mistake():
    assert problems({"p": "Hello\n  {{COMPANI}}"}, {"COMPANY": LabelInfo()}) == [
        "prompts/p.md:2:3 {{COMPANI}}: 'COMPANI' is not in the `input` that fills this prompt; did you mean 'COMPANY'?"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{{7*7}}",
        "{{x}}",
        "{{user.name}}",
        "{{Z.name}}",
        "{X}",
        "{{}}",
        "{{{{",
        "{% X %}",
        "{{X",
        "${{ secrets.X }}",
        "}}",
    ],
)
def test_braces_that_mean_nothing_here_are_text(text: str):
    assert render(prompt(text), {"X": "a"}) == text


def test_a_placeholder_may_stand_inside_the_braces_of_json():
    assert render(prompt('{"user": {{X}}}'), {"X": {"id": 1}}) == '{"user": {"id":1}}'


def test_a_dot_behind_a_label_is_a_mistake():
    assert problems({"p": "{{X.id}}"}) == [
        "prompts/p.md:1:1 {{X.id}}: dots are not supported; write {{X}}, which shows it as JSON"
    ]


PAYLOADS = [
    "{{Y}}",
    "{{X}}",
    "{{#if Y}}yes{{/if}}",
    "{{/if}}",
    "{{@secret.md}}",
    "\\1",
    "\\g<0>",
    "{0.__class__}",
    "{% for x in y %}",
    "${Y}",
    "{{7*7}}",
    "{{Y.__class__}}",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_a_user_writes_is_never_rendered(payload: str):
    assert render(prompt("{{X}}-{{Y}}", secret="s"), {"X": payload, "Y": "secret"}) == f"{payload}-secret"


@given(st.text(), st.text(alphabet="{}#/@ifelsXY \n"))
def test_a_value_arrives_unchanged_between_what_stands_around_it(around: str, value: str):
    around = around.replace("{", "(")

    assert render(prompt(f"{around}{{{{X}}}}{around}."), {"X": value}) == f"{around}{value}{around}."


@given(st.text())
def test_a_text_without_braces_is_itself_but_for_its_last_line_ends(text: str):
    text = text.replace("{{", "{")

    assert render(prompt(text), {"X": "a"}) == text.rstrip("\n")


def test_the_last_line_end_of_a_file_is_dropped_and_that_of_a_value_is_kept():
    assert render(prompt("{{X}}\n"), {"X": "a\n"}) == "a\n"
    assert render(prompt("a\n{{#if X}}\nb\n{{/if}}\n"), {"X": "1"}) == "a\nb"
    assert render(prompt("a\n{{#if X}}\nb\n{{/if}}\n"), {}) == "a"


def test_what_no_memory_could_hold_is_cut_and_says_so():
    """A prompt of 1,000 placeholders and a value of 1 MB would be 1 GB."""
    text = render(prompt("{{X}}" * 1000), {"X": "x" * 1_000_000})

    assert len(text) < 4_200_000
    assert text.endswith("… [cut: this prompt is longer than 4194304 characters]")


# ---- conditions


@pytest.mark.parametrize("value", [None, False, "", "false", "0", 0, 0.0, [], {}])
def test_what_is_empty_null_false_or_zero_is_not_there(value: Any):
    assert render(prompt("{{#if X}}yes{{else}}no{{/if}} {{#if !X}}no{{/if}}"), {"X": value}) == "no no"


@pytest.mark.parametrize("value", [True, "a", "False", "null", "00", " ", 1, -1, 0.5, [0], {"a": None}])
def test_everything_else_is_there(value: Any):
    assert render(prompt("{{#if X}}yes{{else}}no{{/if}}{{#if !X}}no{{/if}}"), {"X": value}) == "yes"


@pytest.mark.parametrize(
    ("value", "text", "equal"),
    [
        ("free", "free", True),
        ("Free", "free", False),
        (True, "true", True),
        (0, "0", True),
        ("", "", True),
        (None, "null", True),
        ([1], "[1]", True),
        ("a b", "a b", True),
    ],
)
def test_equality_compares_what_the_prompt_would_show(value: Any, text: str, equal: bool):
    both = prompt(f'{{{{#if X == "{text}"}}}}equal{{{{/if}}}}{{{{#if X != "{text}"}}}}unequal{{{{/if}}}}')

    assert render(both, {"X": value}) == ("equal" if equal else "unequal")


def test_what_is_absent_equals_no_text_and_is_not_there():
    absent = prompt('{{#if X == ""}}a{{/if}}{{#if X != "b"}}b{{/if}}{{#if X}}c{{/if}}{{#if !X}}d{{/if}}')

    assert render(absent, {}) == "bd"


def test_an_optional_input_that_was_omitted_shows_NONE_and_a_condition_does_not_see_it():
    maybe = prompt("{{#if X}}yes{{else}}{{X}}{{/if}}", {"X": LabelInfo(optional=True)})

    assert render(maybe, {}) == "NONE"


def test_a_text_outside_an_enum_is_a_mistake():
    assert problems({"p": '{{#if PLAN == "pri"}}{{else if PLAN != "x"}}{{else if PLAN == "pro"}}{{/if}}'}) == [
        "prompts/p.md:1:1 {{#if PLAN == \"pri\"}}: PLAN is never 'pri'; did you mean 'pro'?",
        "prompts/p.md:1:22 {{else if PLAN != \"x\"}}: PLAN is never 'x'; it is one of 'free', 'pro'",
    ]


def test_a_condition_may_only_ask_for_what_the_prompt_may_see():
    assert problems({"p": "{{#if Z}}{{/if}}"}) == [
        "prompts/p.md:1:1 {{#if Z}}: 'Z' is not in the `input` that fills this prompt"
    ]


CONDITIONS = st.builds(
    Condition, st.sampled_from(["X", "Y"]), st.booleans(), st.none() | st.sampled_from(["", "0", "a", "{{X}}"])
)
PIECES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["a", " b", "\n\n", "{", '"']) | st.builds(Say, st.sampled_from(["X", "Y"])),
    lambda inner: st.builds(
        Choose,
        st.lists(st.tuples(CONDITIONS, st.lists(inner, max_size=3)), min_size=1, max_size=3),
        st.lists(inner, max_size=2),
    ),
    max_leaves=12,
)


def written(pieces: Sequence[Any]) -> str:
    """Return the template that says `pieces`, each tag with text on its line, so that no line vanishes."""
    return "".join(_written(piece) for piece in pieces)


def _written(piece: Any) -> str:
    match piece:
        case str():
            return f"{piece}."
        case Say():
            return f"{{{{{piece.label}}}}}"
    tags = ["#if", *["else if"] * (len(piece.branches) - 1)]
    branches = [
        f".{{{{{tag} {_said(condition)}}}}}.{written(inner)}"
        for tag, (condition, inner) in zip(tags, piece.branches, strict=True)
    ]
    return "".join([*branches, ".{{else}}.", written(piece.otherwise), ".{{/if}}."])


def _said(condition: Condition) -> str:
    if condition.equals is None:
        return f"{'!' * condition.negated}{condition.label}"
    return f'{condition.label} {"!=" if condition.negated else "=="} "{condition.equals}"'


def meant(pieces: Sequence[Any], values: dict[str, Any]) -> str:
    """Return what `pieces` say, told a second time, plainly."""
    said = ""
    for piece in pieces:
        match piece:
            case str():
                said += f"{piece}."
            case Say():
                said += values.get(piece.label, f"{{{{{piece.label}}}}}")
            case Choose():
                holding = [at for at, (condition, _) in enumerate(piece.branches) if _holds(condition, values)]
                at = holding[0] if holding else len(piece.branches)
                inner = [*(inner for _, inner in piece.branches), piece.otherwise][at]
                said += f"..{meant(inner, values)}.."
    return said


def _holds(condition: Condition, values: dict[str, Any]) -> bool:
    value = values.get(condition.label)
    plainly = value not in (None, "", "0", "false") if condition.equals is None else value == condition.equals
    return plainly != condition.negated


@given(
    st.lists(PIECES, max_size=3),
    st.dictionaries(st.sampled_from(["X", "Y"]), st.sampled_from(["", "0", "a", "{{X}}", "{{/if}}"])),
)
def test_a_written_template_says_what_it_means(pieces: list[Any], values: dict[str, str]):
    around = [*pieces, "end"]  # so that no line end is last

    text = render(prompt(written(around)), values)

    assert text == meant(around, values)


@given(st.dictionaries(st.sampled_from(["X", "Y"]), JSON))
def test_no_value_makes_a_condition_fail(values: dict[str, Any]):
    render(prompt('{{#if X}}{{X}}{{else if Y == "1"}}{{Y}}{{/if}}'), values)


def test_a_value_that_is_nested_deeper_than_json_is_written_shows_null():
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]

    assert render(prompt('{{X}}{{#if X == "null"}}!{{/if}}'), {"X": value}) == "null!"
