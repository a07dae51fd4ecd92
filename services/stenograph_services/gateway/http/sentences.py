"""Sentences for what is wrong with a request, in its own terms: where it is, and what belongs there. Pure."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from stenograph_services.protocol.problems import did_you_mean

_SAID = {
    "model_type": "this must be a JSON object",
    "model_attributes_type": "this must be a JSON object",
    "dict_type": "this must be a JSON object",
    "list_type": "this must be a JSON array",
    "string_type": "this must be a text",
    "string_too_short": "this must not be empty",
    "string_pattern_mismatch": "this holds a character that has no place in it",
    "missing": "this is missing",
}
"""By the type of a pydantic problem, where its own sentence speaks of Python."""


def sentence(problem: Mapping[str, Any], whole: str = "") -> str:
    """Return what a pydantic problem says, after its place; `whole` names the place of one that has none."""
    said = _SAID.get(problem["type"]) or str(problem["msg"]).removeprefix("Value error, ")
    place = ".".join(str(step) for step in problem.get("loc", ())) or whole
    return f"{place}: {said}" if place else said


def not_json(body: bytes, error: Exception) -> str:
    """Return why `body` is not JSON that the log could hold; `error` is what the decoder made of it."""
    try:
        text = body.decode()
    except UnicodeDecodeError as broken:
        return f"it is not UTF-8: byte {broken.start + 1} is 0x{body[broken.start]:02x}"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if "truncated" in str(error) and _holds_half_a_surrogate(text):
        return "a text holds half of a surrogate pair, which is no character"
    return str(error)


def unknown_parameters(given: Iterable[str], known: Iterable[str]) -> str | None:
    """Return what is wrong if a query holds a parameter that is not `known`: passed over, it would filter nothing."""
    known = tuple(known)
    for name in given:
        if name not in known:
            mend = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            return f"query: there is no parameter {name[:80]!r}{mend}"
    return None


def _holds_half_a_surrogate(text: str) -> bool:
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        pass
    return False
