"""The folder that `stenograph dev` watches: every agent in it is stored at the start, and again whenever it changes.

agents/
  support-chat/protocol.yaml  settings.json  prompts/ …      → agent support-chat
  notes.txt                                                  → not an agent, left alone
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from nats.errors import Error as NatsError
from watchfiles import awatch

from stenograph_services.protocol import AgentError, read_folder
from stenograph_services.runtime.agents import Agents

MARKS = ("protocol.yaml", "settings.json")
PARTS = ("prompts", "references", "scripts")
LOOK_MS = 2_000  # until a change is found of which nobody told us; a look costs a few milliseconds

Files = Mapping[Path, Mapping[Path, tuple[int, int]]]
"""Of each agent's folder: its files, with the time of writing in nanoseconds and the size in bytes."""

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


async def watch(agents: Agents, tenant: str, folder: Path, say: Say, *, stored: Files) -> None:
    """Store agents as their files change, until cancelled. `stored`: the files, as they were before they were stored.

    The system tells of a change at once, but not of one that came before it was asked, nor always of what lies in a new
    folder. So the files are also looked at, and compared.
    """
    known = stored
    async for changes in awatch(folder, debounce=400, step=50, rust_timeout=LOOK_MS, yield_on_timeout=True):
        there = await asyncio.to_thread(files_in, folder)
        told = {path for path in there if any(Path(changed).is_relative_to(path) for _, changed in changes)}
        found = {path for path, files in there.items() if known.get(path) != files}
        await store_all(agents, tenant, sorted(told | found), say)
        for path in sorted(known.keys() - there.keys()):
            say("gone", f"{path.name} is gone from {folder}; its sessions go on with the version they have")
        known = there


def files_in(folder: Path) -> Files:
    """Return, for each agent in `folder`, when each of its files was written, and its size."""
    return {path: dict(_times(path)) for path in agents_in(folder)}


def _times(agent: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    below = (path for part in PARTS for path in (agent / part).rglob("*"))
    for path in (*(agent / mark for mark in MARKS), *below):
        with contextlib.suppress(OSError):  # gone again, or a link to nowhere
            about = path.stat()
            yield path, (about.st_mtime_ns, about.st_size)


def _is_agent(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in MARKS)
