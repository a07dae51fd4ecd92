"""The folder that `stenograph dev` watches: every agent in it is stored at the start, and again whenever it changes.

agents/
  support-chat/protocol.yaml  settings.json  prompts/ …      → agent support-chat
  notes.txt                                                  → not an agent, left alone
"""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from nats.errors import Error as NatsError
from watchfiles import awatch

from stenograph_services.protocol import AgentError, read_folder
from stenograph_services.runtime.agents import Agents

MARKS = ("protocol.yaml", "settings.json")

Say = Callable[[str, str], None]
"""Tells the person: (how it went: "stored", "same", "broken" or "gone"; a sentence)."""


def agents_in(folder: Path) -> list[Path]:
    """Return the folders of the agents in `folder`, by name; `folder` itself, if it is one."""
    if _is_agent(folder):
        return [folder]
    if not folder.is_dir():  # it was there at the start; its owner may be moving it
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and _is_agent(path))


async def store_all(agents: Agents, tenant: str, folders: Iterable[Path], say: Say) -> None:
    """Store the agent in each of `folders`. One that is broken is told about, and its stored version stays."""
    for folder in folders:
        try:
            bundle = await asyncio.to_thread(read_folder, folder)
            entry, changed = await agents.store(tenant, bundle)
        except AgentError as error:
            say("broken", f"{folder.name} is not stored; a version from before stays\n{error}")
            continue
        except NatsError as error:
            say(
                "broken", f"{folder.name} could not be stored ({error or type(error).__name__}); save it again to retry"
            )
            continue
        if changed:
            say("stored", f"{entry.slug} is stored as version {entry.version}")
        else:
            say("same", f"{entry.slug} is at version {entry.version}")


async def watch(agents: Agents, tenant: str, folder: Path, say: Say) -> None:
    """Store agents as their files change, until cancelled."""
    known = set(agents_in(folder))
    async for changes in awatch(folder, debounce=400, step=50):
        there = agents_in(folder)
        touched = {path for path in there if any(Path(changed).is_relative_to(path) for _, changed in changes)}
        await store_all(agents, tenant, sorted(touched), say)
        for path in sorted(known - set(there)):
            say("gone", f"{path.name} is gone from {folder}; its sessions go on with the version they have")
        known = set(there)


def _is_agent(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in MARKS)
