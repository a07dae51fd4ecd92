"""A version is named by the bytes of its files, the same on every machine and in every release."""

import msgspec
import pytest
from tests.support.small_agent import BUNDLE

from stenograph_services.protocol.bundle import Bundle
from stenograph_services.protocol.problems import AgentError, Problem


def test_a_bundle_that_no_message_can_carry_is_refused():
    with pytest.raises(AgentError, match="one version holds at most 1000000"):
        Bundle("x", "", "", {"a": "x" * 1_000_000}).encode()


def test_only_the_first_mistakes_of_many_are_printed():
    error = AgentError(Problem(file="x", line=at, code="yaml", message="wrong") for at in range(1, 61))

    assert len(error.problems) == 60
    assert str(error).splitlines()[-2:] == ["x:50: wrong", "and 10 more"]


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(AgentError, match="half a surrogate pair"):
        Bundle("x", "", "", references={"a": "\ud800"}).encode()


def test_the_bytes_of_a_bundle_do_not_depend_on_the_order_of_its_files():
    one, other = Bundle("x", "", "", {"a": "1", "b": "2"}), Bundle("x", "", "", {"b": "2", "a": "1"})

    assert one.encode() == other.encode()
    assert Bundle.decode(one.encode()) == one


def test_an_agent_without_references_has_the_version_that_it_had_before_there_were_any():
    stored = b'{"slug":"x","settings":"{}","protocol":"p","prompts":{"a":"b"},"scripts":{"s":"t"}}'
    bundle = Bundle.decode(stored)

    assert bundle.references == {}
    assert bundle.encode() == stored


@pytest.mark.parametrize("kind", ["prompts", "references", "scripts", "protocol", "settings"])
def test_each_file_is_part_of_the_version(kind: str):
    old = getattr(BUNDLE, kind)
    changed = msgspec.structs.replace(BUNDLE, **{kind: f"{old} " if isinstance(old, str) else {**old, "new": "text"}})

    assert changed.version != BUNDLE.version
