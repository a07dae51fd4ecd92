"""Editors complete protocol.yaml from a JSON Schema that says what the reader says, as far as one can."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from tests.protocol.cases import CASES, Case, bundle_of, changed
from tests.support.small_agent import PROTOCOL

from stenograph_services.protocol import Bundle, check_bundle, json_schema
from stenograph_services.protocol.source import read_yaml

HERE = Path(__file__).parent
SCHEMA = json_schema()
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)
AGENTS = [HERE / "agents" / "whole", HERE / "agents" / "researcher", HERE.parents[1] / "agents" / "support-chat"]


def wrong(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(read_yaml("p.yaml", text).root)]


def test_the_schema_is_one_of_draft_2020_12():
    jsonschema_rs.meta.validate(SCHEMA)

    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("folder", AGENTS, ids=[folder.name for folder in AGENTS])
def test_an_agent_that_loads_fits_the_schema(folder: Path):
    assert wrong((folder / "protocol.yaml").read_text()) == []


GRAMMAR = ("unknown-key", "unknown-block", "invalid")
BEYOND = ("timeout: 25h", "maxOutputTokens: 1e3")  # no JSON Schema adds hours up, or knows 1000.0 from 1000


def _has_a_wrong_form(bundle: Bundle) -> bool:
    """Tell whether a mistake in `bundle` is about the form of what is written, not about what names stand for."""
    _, problems = check_bundle(bundle)
    told = any(problem.code in GRAMMAR and problem.file == "protocol.yaml" for problem in problems)
    return told and not any(it in bundle.protocol for it in BEYOND)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.said[0])
def test_what_has_a_wrong_form_does_not_fit_the_schema(case: Case):
    bundle = changed(bundle_of(case.agent), case)

    assert not _has_a_wrong_form(bundle) or wrong(bundle.protocol)


@pytest.mark.parametrize(
    "text",
    [
        PROTOCOL.replace("agent:\n", "agnt:\n"),
        PROTOCOL + "steps: {}\n",
        PROTOCOL + "output: ANSWER\n",
        "variables: {}\n",
        "steps: {}\ntriggers: {}\n",
    ],
)
def test_the_keys_of_the_two_formats_do_not_mix(text: str):
    assert wrong(text)


def test_every_key_is_explained():
    documents: dict[str, Any] = {"protocol.yaml": SCHEMA, **SCHEMA["$defs"]}
    unexplained = [
        f"{name}.{key}"
        for name, document in documents.items()
        for key, schema in document.get("properties", {}).items()
        if not schema.get("description")
    ]

    assert unexplained == []
    assert all(document.get("description") for name, document in documents.items() if name != "JsonValue")
