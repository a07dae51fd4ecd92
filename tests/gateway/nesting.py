"""Sessions whose models call child agents, and streams that tell of both.

talk = await parent(stage, await child(stage, THINK_AND_SAY))
heard = await turn(full, talk.id)
assert texts(inside(heard.events)) == {"c5-p1": "Hm, the moon is full.", "c5-p2": TIDE}
"""

import itertools
from typing import Any

import httpx
import msgspec
from tests.gateway.streaming import observed, turn
from tests.support.children import STEPS, child_bundle
from tests.support.services import TENANT, Stage, Talk

from stenograph_services.runtime.agents import Agents

THINK_AND_SAY = """\
loop: true
turns:
  - - reasoning: Hm, the moon is full.
      text: Low tide is at noon.
      chunks: 5
      chunk_delay_ms: 20
"""

TIDE = "Low tide is at noon."

_numbers = itertools.count(1)


async def child(stage: Stage, script: str, protocol: str = STEPS) -> str:
    """Store a child agent and return its slug, a new one."""
    slug = f"helper-{next(_numbers)}"
    await Agents(stage.nc).store(TENANT, child_bundle(slug, script, protocol))
    return slug


def asks(*slugs: str) -> str:
    """Return the script of a model that calls child agents at once, and says what the last one answered."""
    calls = ", ".join(f"{{tool: {slug}, arguments: {{TOPIC: tides}}}}" for slug in slugs)
    return f'loop: true\nturns:\n  - - calls: [{calls}]\n    - text: "It says {{{{last_result}}}}"\n'


async def parent(stage: Stage, *slugs: str, **declared: Any) -> Talk:
    """Return a session whose model calls the child agents."""
    workers = msgspec.json.encode({slug: {"description": "Finds out", **declared} for slug in slugs}).decode()
    return await stage.session(asks(*slugs), top=f"workers: {workers}", agent=f"workers: [{', '.join(slugs)}]")


async def session_of(talk: Talk, count: int = 1) -> Talk:
    """Return the session of the child agent that is asked for by the `count`-th request."""
    request = await talk.request(count)
    assert request.child is not None
    return Talk(talk.stage, request.child.session)


def sources(events: list[dict[str, Any]]) -> dict[str | None, list[dict[str, Any]]]:
    """Return what was told of the turn itself and of each run, in order; several runs may be told in any order."""
    told: dict[str | None, list[dict[str, Any]]] = {}
    for event in events:
        if event["type"] != "start":
            told.setdefault(event.get("workerId"), []).append(event)
    return told


def texts(events: list[dict[str, Any]]) -> dict[str, str]:
    """Return the text of each part."""
    parts: dict[str, str] = {}
    for event in events:
        if event["type"] in ("text-delta", "reasoning-delta"):
            parts[event["id"]] = parts.get(event["id"], "") + event["delta"]
    return parts


def inside(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what child agents did, without what the turn itself says of them."""
    return [event for event in events if "workerId" in event and not event["type"].startswith("worker-")]


async def whole_of(full: httpx.AsyncClient, stage: Stage) -> tuple[Talk, list[Any]]:
    """Return a session in whose one turn two child agents ran at once, and its stream."""
    talk = await parent(stage, await child(stage, THINK_AND_SAY), await child(stage, THINK_AND_SAY))
    await turn(full, talk.id)
    return talk, await observed(full, talk.id)
