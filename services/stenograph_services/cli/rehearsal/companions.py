"""The child agents that a rehearsal finds in folders, in the place of those that are stored."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from stenograph_services.protocol.agent import Agent
from stenograph_services.protocol.compile import load_folder


def companions(agent: Agent, places: Iterable[Path]) -> Mapping[str, Agent]:
    """Return the child agents of `agent`, and theirs, that lie in one of `places`; an earlier place counts first.

    Raises `AgentError` if one that is there cannot be loaded. One that is nowhere is not stored.
    """
    if not agent.children:
        return {}
    folders = _by_slug(places)
    found: dict[str, Agent] = {}
    wanted = list(agent.children)
    while wanted:
        slug = wanted.pop()
        if slug in folders and slug not in found:
            found[slug] = load_folder(folders[slug])
            wanted += found[slug].children
    return found


def _by_slug(places: Iterable[Path]) -> Mapping[str, Path]:
    folders: dict[str, Path] = {}
    for place in places:
        for settings in sorted(place.glob("*/settings.json")):
            folders.setdefault(_slug(settings), settings.parent)
    return folders


def _slug(settings: Path) -> str:
    """Return the slug in `settings`, or its folder's name. What else is wrong there is told when it is loaded."""
    try:
        return str(json.loads(settings.read_text(encoding="utf-8"))["slug"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return settings.parent.name
