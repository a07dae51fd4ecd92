"""Write docs/asyncapi.json from the table of subjects, the types of events and bodies, and the declared consumers.

python docs/generate_asyncapi.py            write it
python docs/generate_asyncapi.py --check    exit 1 if it is out of date, for tests
"""

import json
import sys
from pathlib import Path

from stenograph_services.gateway.asyncapi import asyncapi_document

PAGE = Path(__file__).parent / "asyncapi.json"


def page() -> str:
    """Return docs/asyncapi.json as it should be."""
    return json.dumps(asyncapi_document(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    print("docs/asyncapi.json is out of date: run `python docs/generate_asyncapi.py`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
