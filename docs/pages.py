"""What every generator of a page here does with the text that it made: write it, or with --check compare it."""

import sys
from pathlib import Path


def keep(page: Path, text: str, generator: str) -> int:
    """Write `text` to `page`, or with --check say whether it is there. Returns the exit code: 1 if out of date."""
    if "--check" not in sys.argv[1:]:
        page.write_text(text, encoding="utf-8")
        return 0
    if page.exists() and page.read_text(encoding="utf-8") == text:
        return 0
    print(f"docs/{page.name} is out of date: run `python docs/{Path(generator).name}`", file=sys.stderr)
    return 1
