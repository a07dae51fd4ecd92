"""Text from a stranger becomes values with places, or a problem with a place. Nothing else comes out."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.small_agent import BUNDLE, PROTOCOL

from stenograph_services.protocol import AgentError, load_bundle
from stenograph_services.protocol.source import MAX_YAML_BYTES, read_json, read_yaml


def refusal(text: str) -> str:
    with pytest.raises(AgentError) as caught:
        read_yaml("p.yaml", text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "p.yaml:1: is empty; it must be a mapping"),
        ("# nothing\n", "p.yaml:1: is empty; it must be a mapping"),
        ("- a\n", "p.yaml:1: must be a mapping, not a list"),
        ("\nb: !!python/object:os.system x\n", "p.yaml:2: tags such as '!!python/object:os.system' are not allowed"),
        ("a: !mine {b: c}\n", "p.yaml:1: tags such as '!mine' are not allowed"),
        ("a:\n\tb: 1\n", "p.yaml:2: a tab cannot indent YAML; use spaces"),
        ("a: 1\n---\nb: 1\n", "p.yaml:2: holds a second document; write one, without a `---` in between"),
        ("a: &x {b: c}\nd:\n  <<: *x\n", "p.yaml:3: merge keys (`<<`) are not supported; repeat the entries"),
        ("a: *nobody\n", "p.yaml:1: no anchor 'nobody' before this alias"),
        ("a: &a [*a]\n", "p.yaml:1: no anchor 'a' before this alias"),
        ("[a, b]: c\n", "p.yaml:1: a key must be text, not a list or a mapping"),
        ("a:\n  - [b\nc: d\n", "p.yaml:3: expected ',' or ']', but got ':'; while parsing a flow sequence from line 2"),
        ("a: b: c\n", "p.yaml:1: mapping values are not allowed here"),
        ("a: x\nb: \x01\n", "p.yaml:2: character \\x01 is not allowed in YAML"),
        ("a: " + "9" * 30, "p.yaml:1: '999999999999999999999999999999' is not a value that JSON can carry"),
        ("a: 1e999", "p.yaml:1: '1e999' is not a value that JSON can carry"),
        ('a: "\\uD800"', "p.yaml:1: '\\ud800' is not a value that JSON can carry"),
        ("a: \ud800", "p.yaml: holds half a surrogate pair, which is not valid Unicode"),
        ("a: " + "[" * 1000 + "]" * 1000, "p.yaml:1: is nested deeper than 32 levels"),
        ("a" * (MAX_YAML_BYTES + 1), "p.yaml: is 524289 bytes long; at most 524288 are read"),
    ],
    ids=range(20),
)  # fmt: skip
def test_what_is_not_the_plain_part_of_yaml_is_refused_with_its_line(text: str, expected: str):
    assert refusal(text) == expected


def test_aliases_that_multiply_are_refused():
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"b{n}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(9)]

    assert refusal("\n".join(lines)) == "p.yaml:1: holds more than 10000 values once its aliases are followed"


def test_an_alias_stands_for_what_its_anchor_holds():
    assert read_yaml("p.yaml", "a: &x {b: [1]}\nc: *x\n").root == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_keys_that_are_written_twice_are_all_told():
    source = read_yaml("p.yaml", "a: 1\na: 2\nb:\n  c: 1\n  c: 2\n")

    assert [str(mistake) for mistake in source.mistakes] == [
        "p.yaml:2 a: 'a' is written twice",
        "p.yaml:5 b.c: 'c' is written twice",
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("2026-01-01", "2026-01-01"),
        ("0x1F", "0x1F"),
        (".inf", ".inf"),
        ("1_000", "1_000"),
        ("true", True),
        ("'true'", "true"),
        ("12", 12),
        ("1e3", 1000.0),
        ("~", None),
        ("", None),
        ("|\n  two\n  lines", "two\nlines"),
    ],
)
def test_only_what_json_knows_is_more_than_text(written: str, value: Any):
    read = read_yaml("p.yaml", f"a: {written}").root["a"]

    assert read == value
    assert type(read) is type(value)


def test_keys_are_text_whatever_they_look_like():
    assert read_yaml("p.yaml", "no: 1\n12: 2\n~: 3\n").root == {"no": 1, "12": 2, "~": 3}


def test_a_problem_stands_at_the_nearest_thing_that_is_there():
    source = read_yaml("p.yaml", "a:\n  b:\n    - c\n    - d\n")

    assert str(source.problem(("a", "b", 1), "x", "wrong")) == "p.yaml:4 a.b[1]: wrong"
    assert str(source.problem(("a", "x", "y"), "x", "wrong")) == "p.yaml:1 a.x.y: wrong"


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert read_yaml("p.yaml", "\ufeffa: 1").root == {"a": 1}
    assert read_json("s.json", '\ufeff{"a": 1}').root == {"a": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": NaN}', "s.json: NaN is not JSON"),
        ('{"a": "\\ud800"}', "s.json: holds half a surrogate pair, which is not valid Unicode"),
        ("[" * 100_000, "s.json: is nested too deep"),
    ],
    ids=range(3),
)
def test_what_json_cannot_be_stored_is_refused(text: str, expected: str):
    with pytest.raises(AgentError) as caught:
        read_json("s.json", text)
    assert str(caught.value) == expected


PIECES = [
    *"ab1:-?[]{}#&*!|>'\"%@`,\n \t\\~.0eU<=/é",
    "\ufeff",
    "\x00",
    "\x85",
    "\u2028",
    "---",
    "...",
    "a: ",
    "- ",
    "? ",
]
PIECES += ["!!str ", "&a ", "*a", "<<: ", "|\n ", '"\\u', "%YAML 1.1\n", "%TAG ! x\n", "input:\n", "agent:\n", "  "]
NOISE = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
MANY = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def load_or_refuse(protocol: str):
    try:
        load_bundle(msgspec.structs.replace(BUNDLE, protocol=protocol))
    except AgentError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(len(str(problem)) < 1000 for problem in problems)


@MANY
@given(NOISE | st.text())
def test_no_text_gives_anything_but_problems(text: str):
    load_or_refuse(text)


@MANY
@given(st.integers(0, len(PROTOCOL)), st.integers(0, 40), NOISE)
def test_no_damage_to_a_protocol_gives_anything_but_problems(start: int, length: int, noise: str):
    load_or_refuse(PROTOCOL[:start] + noise + PROTOCOL[start + length :])


KEYS = (
    "input variables resources triggers tools agent handlers types block role prompt type default optional description"
)
KEYS += " parameters result retry timeout model system X user-message get-account output tool value resource thread 0"
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(
    ["string", "USER_ID", "system", "user-message", "add-message", "tool-call", "set-resource", "get-account", "main"]
)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=6),
)


@MANY
@given(st.dictionaries(st.sampled_from(KEYS.split()), TREES, max_size=8))
def test_no_tree_of_known_words_gives_anything_but_problems(tree: dict[str, Any]):
    load_or_refuse(msgspec.json.encode(tree).decode())
