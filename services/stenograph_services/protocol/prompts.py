"""Prompts: from the files in prompts/ to the pieces of a `Prompt`, and from those to the text that a model reads.

    Hello {{USER}}, {{GREETING}}      USER="Ada"      →      Hello Ada, {{GREETING}}

`tags`, `templates` and `expansion` compile. Rendering is one pass over the pieces: a value that itself contains `{{X}}`
is text and stays as it is. Nothing is evaluated; a condition does nothing but compare.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from stenograph_services.protocol.agent import Choose, Condition, Piece, Prompt, Say
from stenograph_services.protocol.expansion import LabelInfo, Prompts

__all__ = ["LabelInfo", "Prompts", "as_text", "render"]

MAX_RENDERED = 4 * 1024 * 1024  # characters; a value may be as long as an event, and a prompt may show it often


def render(prompt: Prompt, values: Mapping[str, Any]) -> str:
    """Return the text of `prompt`, its labels filled from `values`, which are decoded JSON. Never raises.

    What would be longer than `MAX_RENDERED` characters ends there and says so.
    """
    given = _Given({label: values[source] for label, source in prompt.input if source in values})
    parts: list[str] = []
    length = kept = 0
    for text, is_value in _texts(prompt.pieces, given):
        length += len(text)
        if length > MAX_RENDERED:
            return "".join(parts) + f"… [cut: this prompt is longer than {MAX_RENDERED} characters]"
        parts.append(text)
        kept = len(parts) if is_value else kept
    # A conditional that ends a file leaves the line end before it; a value keeps all that it is.
    return "".join(parts[:kept]) + "".join(parts[kept:]).rstrip("\n")


def as_text(value: Any) -> str:
    """Return `value` as a prompt shows it: text as it is, everything else as JSON.

    What JSON cannot carry, or is nested too deep for it, is `null`.
    """
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        return "null"


class _Given:
    """The values that one prompt sees, each turned to text at most once."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self._texts: dict[str, str] = {}

    def text(self, label: str) -> str:
        if label not in self._texts:
            self._texts[label] = as_text(self.values[label])
        return self._texts[label]

    def holds(self, condition: Condition) -> bool:
        """Return whether `condition` holds. A value that is absent is not there, and equals no text."""
        there = condition.label in self.values
        if condition.equals is None:
            return condition.negated != (there and is_truthy(self.values[condition.label]))
        return condition.negated != (there and self.text(condition.label) == condition.equals)


def is_truthy(value: Any) -> bool:
    """Return whether a condition takes `value` as there: not null, false, 0, empty, nor the text `false` or `0`."""
    return bool(value) and value not in ("false", "0")


def _texts(pieces: tuple[Piece, ...], given: _Given) -> Iterator[tuple[str, bool]]:
    """Yield the texts that make up `pieces`, and of each whether it is a value."""
    for piece in pieces:
        match piece:
            case str():
                yield piece, False
            case Say() if piece.label in given.values:
                yield given.text(piece.label), True
            case Say():
                yield f"{{{{{piece.label}}}}}" if piece.otherwise is None else piece.otherwise, False
            case Choose():
                yield from _texts(_chosen(piece, given), given)


def _chosen(choose: Choose, given: _Given) -> tuple[Piece, ...]:
    return next((pieces for condition, pieces in choose.branches if given.holds(condition)), choose.otherwise)
