"""Write docs/openapi.json from the routes of the gateway and the types of what they take and answer.

python docs/generate_openapi.py            write it
python docs/generate_openapi.py --check    exit 1 if it is out of date, for tests
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from faststream.nats import NatsBroker
from nats.aio.client import Client
from pages import keep

from stenograph_services.gateway.app import Gateway
from stenograph_services.gateway.documents.openapi import openapi_document
from stenograph_services.runtime.config import Settings

PAGE = Path(__file__).parent / "openapi.json"


async def document() -> dict[str, Any]:
    """Return the document of a gateway that nobody starts: its routes ask nothing before a request comes."""
    return openapi_document(Gateway(NatsBroker(), Settings.model_construct()).app(Client()))


def page() -> str:
    """Return docs/openapi.json as it should be."""
    return json.dumps(asyncio.run(document()), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    raise SystemExit(keep(PAGE, page(), __file__))
