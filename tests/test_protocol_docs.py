"""docs/protocol.md says what the code says, leaves nothing out, and quotes agents that run."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from stenograph_services.cli.rehearsal import rehearse_folder
from stenograph_services.protocol import check_bundle, read_folder
from stenograph_services.protocol.block_documents import BLOCKS
from stenograph_services.protocol.documents import ProtocolDoc, SettingsDoc
from stenograph_services.protocol.forms import Document
from stenograph_services.protocol.source import read_yaml

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
EXAMPLES = sorted(path.parent for path in (ROOT / "docs" / "examples").glob("*/protocol.yaml"))
ORCHESTRATOR = ROOT / "services" / "stenograph_services" / "orchestrator"

MARKED = re.compile(r"^<!-- (keys|quote|list): ([^\n]+) -->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
NO_LONGER_IN_USE = {"recent_window"}


def test_the_page_about_agents_says_what_the_code_and_the_examples_say():
    check = subprocess.run([sys.executable, "docs/generate_protocol.py", "--check"], cwd=ROOT, capture_output=True)

    assert check.returncode == 0, check.stderr.decode()


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_has_no_mistake_and_does_in_rehearsal_what_its_logs_say(folder: Path):
    _, problems = check_bundle(read_folder(folder))
    verdicts = rehearse_folder(folder)

    assert [str(problem) for problem in problems if problem.code not in ("not-run", "deprecated")] == []
    assert verdicts
    assert {verdict.case: verdict.diff or verdict.status for verdict in verdicts if verdict.status != "passed"} == {}


def documents(annotation: Any) -> Iterator[type[Document]]:
    """Yield each document that may stand in a value of this type."""
    if isinstance(annotation, type) and issubclass(annotation, Document):
        yield annotation
        for name, field in annotation.model_fields.items():
            if annotation.__name__ != "ItemsDoc" or name != "items":  # which may hold itself
                yield from documents(field.annotation)
    for argument in get_args(annotation):
        yield from documents(argument)


DOCUMENTS = sorted({*documents(SettingsDoc), *documents(ProtocolDoc)}, key=lambda document: document.__name__)


def rows() -> dict[str, set[str]]:
    """Return the keys that the page explains, by the name of their model."""
    found: dict[str, set[str]] = {}
    for kind, what, text in MARKED.findall(PAGE):
        for word in what.split() if kind == "keys" else ():
            found.setdefault(word.rpartition("=")[2], set()).update(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.__name__)
def test_each_key_has_a_row(document: type[Document]):
    explained = rows()
    everywhere = explained["BlockDoc"] | {"block"} if document in BLOCKS.values() else set()

    keys = {field.alias or name for name, field in document.model_fields.items()}

    assert keys - explained.get(document.__name__, set()) - everywhere == set()


@pytest.mark.parametrize("kind", BLOCKS)
def test_each_block_has_an_example(kind: str):
    quotes = [text for quoted, what, text in MARKED.findall(PAGE) if quoted == "quote" and "protocol.yaml" in what]

    assert any(re.search(rf"^ +block: {kind}$", text, re.MULTILINE) for text in quotes)


def used(value: Any) -> Iterator[tuple[str, str]]:
    """Yield each key that is written in `value`, with the name of the model that it belongs to."""
    if isinstance(value, BaseModel):
        for owner in type(value).__mro__:
            yield from ((owner.__name__, name) for name in value.model_fields_set)
        value = {name: getattr(value, name) for name in type(value).model_fields}
    for inside in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from used(inside)


def test_each_key_is_used_in_an_example():
    written = set[tuple[str, str]]()
    for folder in EXAMPLES:
        text = (folder / "protocol.yaml").read_text(encoding="utf-8")
        written |= set(used(ProtocolDoc.model_validate(read_yaml(folder.name, text).root)))

    # A key that several models have, such as `display`, is used in one of them.
    names = {owner.__name__ for document in DOCUMENTS for owner in document.__mro__}
    shown = {name for owner, name in written if owner in names}
    keys = {name for document in DOCUMENTS if document is not SettingsDoc for name in document.model_fields}
    assert keys - shown - NO_LONGER_IN_USE == set()


def test_each_link_leads_somewhere():
    headings = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall("^#+ (.*)", PAGE, re.M)
    }
    anchors = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    files = {file for file in re.findall(r"\]\(([^)#]+)\)", PAGE) if "://" not in file}

    assert anchors - headings == set()
    assert [file for file in files if not (ROOT / "docs" / file).exists()] == []


# ---- reasons that the page lists by hand, and the code gives


def listed(mark: str) -> set[str]:
    text = next(text for kind, what, text in MARKED.findall(PAGE) if (kind, what) == ("list", mark))
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def nodes() -> Iterator[ast.AST]:
    for file in sorted(ORCHESTRATOR.rglob("*.py")):
        yield from ast.walk(ast.parse(file.read_text(encoding="utf-8")))


def reasons() -> Iterator[str]:
    """Yield the reasons with which turns fail: `failed(session, env, "too-large", …)`, `_close(…, reason="…")`."""
    for node in nodes():
        match node:
            case ast.Call(func=ast.Name(id="failed"), args=[_, _, ast.Constant(value=str(reason)), *_]):
                yield reason
            case ast.Call(func=ast.Name(id="_close"), keywords=[ast.keyword("reason", ast.Constant(reason)), *_]):
                yield str(reason)


def failures() -> Iterator[str]:
    """Yield the words for failed attempts: `ModelError("loop", …)`, and the pairs `("timeout", True)`."""
    for node in nodes():
        match node:
            case ast.Call(func=ast.Name(id="ModelError"), args=[ast.Constant(value=str(kind)), *_]):
                yield kind
            case ast.Tuple(elts=[ast.Constant(value=str(kind)), ast.Constant(value=bool())]):
                yield kind


def test_each_reason_for_which_a_turn_fails_is_listed():
    assert listed("turn-failures") == set(reasons())


def test_each_failure_of_a_model_is_listed():
    assert listed("model-failures") == set(failures())
