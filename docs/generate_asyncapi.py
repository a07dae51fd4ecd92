"""Write docs/asyncapi.json from the table of subjects, the types of events and bodies, and the declared consumers.

python docs/generate_asyncapi.py            write it
python docs/generate_asyncapi.py --check    exit 1 if it is out of date, for tests
"""

import json
from pathlib import Path

from pages import keep

from stenograph_services.gateway.documents.asyncapi import asyncapi_document

PAGE = Path(__file__).parent / "asyncapi.json"


def page() -> str:
    """Return docs/asyncapi.json as it should be."""
    return json.dumps(asyncapi_document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    raise SystemExit(keep(PAGE, page(), __file__))
