"""Values against declared types: one readable sentence for what does not fit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph_services.protocol import Field, check_fields, compiled, problems

PARAMETERS = compiled(
    {
        "type": "object",
        "properties": {"userId": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["userId"],
        "additionalProperties": False,
    }
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"userId": "u"}, None),
        ({"userId": "u", "count": 2.0}, None),
        ({"userId": 5}, '/userId: 5 is not of type "string"'),
        ({"userId": "u", "count": True}, '/count: true is not of type "integer"'),
        ({}, '"userId" is a required property'),
        ({"userId": "u", "extra": 1}, "Additional properties are not allowed ('extra' was unexpected)"),
        ([], '[] is not of type "object"'),
        (None, 'null is not of type "object"'),
        ({"userId": b"u"}, "Unsupported type: 'bytes'"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(value: Any, expected: str | None):
    assert problems(PARAMETERS, value) == expected


def test_a_sentence_about_a_long_value_stays_short_and_keeps_its_end():
    sentence = problems(PARAMETERS, {"userId": ["x" * 10_000]})

    assert sentence is not None
    assert len(sentence) == 200
    assert sentence.startswith("/userId: [")
    assert sentence.endswith('is not of type "string"')


def test_a_value_nested_without_end_is_a_problem_and_not_a_crash():
    value: Any = []
    for _ in range(5000):
        value = [value]

    assert problems(PARAMETERS, {"userId": value}) == "Recursion limit reached"


FIELDS = (
    Field("TEXT", {"type": "string"}),
    Field("COUNT", {"type": "integer"}, required=False, default=3),
    Field("NOTE", {"type": "string"}, required=False),
    Field("ANY", {}, required=False),
)


@pytest.mark.parametrize(
    ("values", "checked", "wrong"),
    [
        ({"TEXT": "a"}, {"TEXT": "a", "COUNT": 3}, []),
        ({"TEXT": "a", "COUNT": 4, "ANY": None}, {"TEXT": "a", "COUNT": 4, "ANY": None}, []),
        ({}, {"COUNT": 3}, ["TEXT is missing"]),
        ({"TEXT": 5}, {"TEXT": 5, "COUNT": 3}, ['/TEXT: 5 is not of type "string"']),
        ({"TEXT": "a", "NOT": "b"}, {"TEXT": "a", "COUNT": 3}, ["unknown name 'NOT'; did you mean 'NOTE'?"]),
        ([1], {}, ["must be an object, not a list"]),
        (None, {}, ["must be an object, not nothing"]),
    ],
)
def test_fields_take_their_defaults_and_tell_what_is_wrong(values: Any, checked: Any, wrong: list[str]):
    assert check_fields(FIELDS, values) == (checked, wrong)


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"KEY": "sk-1"}, []),
        ({"KEY": 123456789}, ["/KEY: must be a text; it is secret, so what was given is not shown"]),
        ({"KEY": ["sk-1"]}, ["/KEY: must be a text; it is secret, so what was given is not shown"]),
        ({}, ["KEY is missing"]),
        ("sk-1", ["must be an object"]),
    ],
)
def test_of_a_secret_that_does_not_fit_nothing_is_quoted(values: Any, wrong: list[str]):
    assert check_fields((Field("KEY", {"type": "string"}, secret=True),), values)[1] == wrong


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip # noqa: E501
def test_no_value_gives_anything_but_a_sentence(value: Any):
    checked, wrong = check_fields(FIELDS, value)

    assert wrong
    assert all(len(sentence) <= 210 for sentence in wrong)
    assert isinstance(checked, dict)
