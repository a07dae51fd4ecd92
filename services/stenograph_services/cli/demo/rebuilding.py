"""The projections deleted and made anew: by another process, with empty stores, from the log alone.

What the running projector wrote before and what the new one wrote after are compared by the sha-256 of their bytes:
every snapshot as it lies in SNAP, and every row of the session index.
"""

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stenograph_projections.snapshot import decode
from stenograph_services.cli.demo.promises import must, until
from stenograph_services.cli.demo.stage import Stage
from stenograph_services.runtime.index import SessionIndex, SessionRow

SECONDS = 20.0


class Written(NamedTuple):
    """What a projector wrote: each session's snapshot and index row, as bytes."""

    snapshots: Mapping[str, bytes]
    rows: Mapping[str, bytes]

    @property
    def hashes(self) -> tuple[str, str]:
        """The sha-256 of all snapshots, and of all rows."""
        return _hash(self.snapshots), _hash(self.rows)


async def written(stage: Stage, events: Mapping[str, int]) -> Written:
    """Return what the projector wrote, once it stands at the end of each log; `events` says where that is."""
    index = await asyncio.to_thread(SessionIndex, stage.settings.index_url())
    try:

        async def caught_up() -> Written | None:
            return await _written(stage, index, events)

        return await until(caught_up, "the projector does not catch up with the log", SECONDS)
    finally:
        index.close()


async def delete(stage: Stage) -> None:
    """Delete every snapshot and the whole index."""
    await stage.nc.jetstream().purge_stream("KV_SNAP")
    for file in stage.data.glob("index.db*"):
        file.unlink()
    state = await stage.nc.jetstream().stream_info("KV_SNAP")
    must(state.state.messages == 0, f"no snapshot may be left, and {state.state.messages} are")


async def show_progress(stage: Stage, events: Mapping[str, int], console: Console) -> None:
    """Show how many events the new index covers until it covers all of them."""
    bar = Progress(
        TextColumn("   from the log"), BarColumn(40), MofNCompleteColumn(), TextColumn("events"), TimeElapsedColumn(),
        console=console,
    )  # fmt: skip
    index = await asyncio.to_thread(SessionIndex, stage.settings.index_url())
    total = sum(events.values())
    with bar:
        task = bar.add_task("", total=total)

        async def all_covered() -> bool:
            covered = sum(row.events for row in await asyncio.to_thread(_rows, stage, index, events))
            bar.update(task, completed=covered)
            return covered >= total

        try:
            await until(all_covered, f"the new projector does not reach all {total} events", SECONDS)
        finally:
            index.close()


def same(before: Written, after: Written) -> None:
    """Raise `BrokenPromise` unless both are the same bytes, naming the first difference."""
    for kind, old, new in (("snapshot", before.snapshots, after.snapshots), ("index row", before.rows, after.rows)):
        different = [session for session in old if old[session] != new.get(session)]
        must(not different, f"the {kind} of {len(different)} sessions differs, such as that of {different[:1]}")


async def _written(stage: Stage, index: SessionIndex, events: Mapping[str, int]) -> Written | None:
    snapshots: dict[str, bytes] = {}
    for session, n in events.items():
        data = await stage.snapshot(session)
        snapshot = decode(data) if data else None
        if data is None or snapshot is None or snapshot.head.n < n:
            return None
        snapshots[session] = data
    rows = {row.session: row for row in await asyncio.to_thread(_rows, stage, index, events)}
    if any(session not in rows or rows[session].events < n for session, n in events.items()):
        return None
    return Written(snapshots, {session: msgspec.json.encode(row) for session, row in rows.items()})


def _rows(stage: Stage, index: SessionIndex, events: Mapping[str, int]) -> list[SessionRow]:
    return list(index.rows((stage.settings.tenant, session) for session in events).values())


def _hash(parts: Mapping[str, bytes]) -> str:
    digest = sha256()
    for session in sorted(parts):
        digest.update(parts[session] + b"\n")
    return digest.hexdigest()
