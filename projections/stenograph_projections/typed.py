"""Typed answers: what a model says that has to answer with one JSON value."""

import msgspec


def is_json(text: str) -> bool:
    """Return whether `text` is one JSON value: what a model said until it was cancelled seldom is."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    return True
