"""The files that a page of docs/ shows: each block that begins with a comment which is a file's name."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_FILE = re.compile(r"^```\w+\n(?://|#) (?P<name>[\w-]+\.\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of(page: str) -> dict[str, str]:
    """Return the files of a page, by name."""
    return {found["name"]: found["text"] for found in _FILE.finditer((DOCS / page).read_text())}
