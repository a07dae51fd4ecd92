"""No sentence of the language is said that no case asserts, and no place tells of a mistake that no case makes."""

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.protocol.cases import CASES, bundle_of, changed
from tests.protocol.sentences import SOURCES, places, sentences
from tests.support.small_agent import BUNDLE

from stenograph_services.protocol import CODES, check_bundle
from stenograph_services.protocol.problems import Problem
from stenograph_services.protocol.templates import Mistake

HERE = Path(__file__).parent
FOLDER = str(SOURCES[0].parent)

BY_TESTS = {
    "folder.py": ["test_folder.py"],  # links, pipes and bytes that are no text, which no table holds
    "builtin_tools.py": ["test_builtin_tools.py", "test_references.py"],  # what is said to a model
    "prompts.py": ["test_prompts.py"],  # what a prompt says when it is filled
    "schemas.py": ["test_schemas.py"],  # of the input of sessions and triggers
    "offered.py": ["test_offered.py"],  # of tools that a trigger brings
    "tool_schemas.py": ["test_offered.py"],
    "problems.py": ["test_bundle.py"],
    "source.py": ["test_source.py"],  # control characters
}
"""The tests that assert what a source says beside the mistakes in the table."""

ON_DISK = ("folder.py", "bundle.py")
CODES_ON_DISK = {"link", "not-a-file", "not-a-folder", "too-many", "unreadable"}
"""What is wrong with files, not with their texts: test_folder.py and test_bundle.py make these mistakes."""

NEVER_SAID = {
    "beneath.py: 'leads out of the folder'": "the folder says it in its own words",
    "source.py: f'{number} is out of range'": "the reader says it in its own words",
}


def _asserted(source: Path) -> list[str]:
    """Return what is asserted of the sentences of `source`: in the table of mistakes, and as texts in a test."""
    told = [said for case in CASES for said in case.said]
    for test in BY_TESTS.get(source.name, []):
        nodes = ast.walk(ast.parse((HERE / test).read_text()))
        told += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return told


def _unasserted(source: Path) -> Iterator[str]:
    asserted = _asserted(source)
    for sentence, pattern in sentences(source).items():
        if not any(pattern.search(text) for text in asserted):
            yield sentence


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_each_sentence_is_asserted_by_a_case(source: Path):
    assert [sentence for sentence in _unasserted(source) if sentence not in NEVER_SAID] == []


def test_what_is_never_said_is_asserted_by_no_case():
    assert {sentence for source in SOURCES for sentence in _unasserted(source)} == set(NEVER_SAID)


def _recorded(made: Callable[..., Any], reached: set[tuple[str, int]]) -> Callable[..., Any]:
    """Return `made` as a function that also notes the lines of the language from which it is called."""

    def make(*args: Any, **fields: Any) -> Any:
        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_filename.startswith(FOLDER):
                reached.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
            frame = frame.f_back  # type: ignore[assignment]
        return made(*args, **fields)

    return make


def test_each_place_that_tells_of_a_mistake_is_reached_by_a_case(monkeypatch: pytest.MonkeyPatch):
    reached: set[tuple[str, int]] = set()
    for name, module in list(sys.modules.items()):
        for made in (Problem, Mistake):
            if name.startswith("stenograph_services.protocol") and getattr(module, made.__name__, None) is made:
                monkeypatch.setattr(module, made.__name__, _recorded(made, reached))

    broken = [changed(bundle_of(case.agent), case) for case in CASES]
    broken.append(msgspec.structs.replace(BUNDLE, protocol="a: \x01"))  # a character that the table cannot hold
    codes = {problem.code for bundle in broken for problem in check_bundle(bundle, "agents/x")[1]}

    tellers = [place for source in SOURCES if source.name not in ON_DISK for place in places(source)]
    assert [str(place) for place in tellers if not any(place.holds(*line) for line in reached)] == []
    assert set(CODES) - codes == CODES_ON_DISK
