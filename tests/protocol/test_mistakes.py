"""Every mistake in a protocol is told with its place and its mend: the cases stand in mistakes/*.txt."""

import ast
from functools import cache
from pathlib import Path

import pytest
from tests.protocol.cases import CASES, Case, bundle_of, changed

from stenograph_services import protocol
from stenograph_services.protocol import CODES, check_bundle
from stenograph_services.protocol.problems import Problem

SOURCES = sorted(Path(protocol.__file__).parent.glob("*.py"))


def _said(problem: Problem) -> str:
    sign = "=" if problem.severity == "error" else "~"
    return f"{sign} {str(problem).removeprefix('agents/x/protocol.yaml:')}"


@cache
def _usual(agent: str) -> set[str]:
    """Return what is said of an agent before anything is changed in it: warnings."""
    return {problem.message for problem in check_bundle(bundle_of(agent))[1]}


@pytest.mark.parametrize("case", CASES, ids=[f"{case.agent}: {case.said[0]}" for case in CASES])
def test_a_mistake_is_told_with_its_line_its_path_and_its_mend(case: Case):
    agent, problems = check_bundle(changed(bundle_of(case.agent), case), "agents/x")

    told = [_said(problem) for problem in problems]
    news = [_said(it) for it in problems if it.severity == "error" or it.message not in _usual(case.agent)]
    assert news == list(case.said), told
    assert (agent is None) == any(said.startswith("=") for said in case.said)
    assert all(problem.code in CODES for problem in problems)


def _literals(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _codes(call: ast.Call) -> list[ast.expr]:
    """Return what a call gives as the code of a problem."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    places = {"report": 1, "warn": 1, "problem": 1, "mistake": 1, "at": 1, "refuse": 1}
    given = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    return given + ([call.args[places[name]]] if name in places and len(call.args) == 3 else [])


def test_each_code_is_documented_and_each_documented_code_is_used():
    trees = [ast.parse(file.read_text()) for file in SOURCES]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    used = {code.value for call in calls for code in _codes(call) if isinstance(code, ast.Constant)}
    elsewhere = [ast.parse(file.read_text()) for file in SOURCES if file.name != "problems.py"]

    assert used - set(CODES) == set()
    assert set(CODES) - set().union(*(_literals(tree) for tree in elsewhere)) == set()
