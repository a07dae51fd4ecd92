"""Prompts are filled in one pass, and nothing in them runs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph_services.protocol import Prompt, placeholders, render


def prompt(template: str, **labels: str) -> Prompt:
    return Prompt("p", template, tuple((labels or {"X": "X", "Y": "Y"}).items()))


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
    ],
)
def test_text_goes_in_as_it_is_and_everything_else_as_json(value: Any, text: str):
    assert render(prompt("<{{X}}>"), {"X": value}) == f"<{text}>"


def test_a_missing_value_keeps_its_placeholder():
    assert render(prompt("{{X}} {{Y}}"), {"X": "a"}) == "a {{Y}}"


def test_a_label_is_filled_from_the_name_that_it_is_mapped_to():
    assert render(prompt("{{WHO}}", WHO="USER_ID"), {"USER_ID": "u1", "WHO": "nobody"}) == "u1"


def test_what_is_not_mapped_is_not_visible_to_a_prompt():
    assert render(prompt("{{X}} {{SECRET}}"), {"X": "a", "SECRET": "s"}) == "a {{SECRET}}"


PAYLOADS = [
    "{{Y}}",
    "{{X}}",
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
    assert render(prompt("{{X}}-{{Y}}"), {"X": payload, "Y": "secret"}) == f"{payload}-secret"


@pytest.mark.parametrize(
    "template", ["{{7*7}}", "{{X.y}}", "{{x}}", "{{ X }}", "{X}", "{{}}", "{{{{", "{% X %}", "{{X"]
)
def test_everything_but_a_plain_name_stays_as_it_is(template: str):
    assert render(prompt(template), {"X": "a"}) == template


@given(st.text(), st.text(alphabet="{}XY "))
def test_a_value_arrives_unchanged_between_what_stands_around_it(value: str, around: str):
    around = around.replace("{", "(").replace("}", ")")

    assert render(prompt(f"{around}{{{{X}}}}{around}"), {"X": value}) == f"{around}{value}{around}"


def test_placeholders_are_named_once_in_the_order_of_their_use():
    assert placeholders("{{B}} {{A}} {{B}} {{ C }} {{d}}") == ("B", "A")
