"""What child agents said and did, for the stored messages of their parents: read from their own logs, when asked for.

    {"type":"worker","workerId":"7e1f…","workerSlug":"researcher","status":"done","output":"…",
     "parts":[{"type":"text","text":"Low tide is at noon.","status":"done"}]}

Clients of version 2.0.0 know no such parts, and sessions without child agents have none: neither costs a read. The log
of a run that is over is read once and kept in memory like any session.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

import structlog

from stenograph_events import EventError
from stenograph_projections.messages import shown
from stenograph_projections.transcript import BlockCall, ChildCall, Entry, Message, standing
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.stored.ui import ui_messages
from stenograph_services.gateway.stream.callees import UNDECLARED, Callee, callees
from stenograph_services.gateway.stream.operations import operations
from stenograph_services.gateway.wire.ui_parts import NOTHING_NESTED, Nested, UINested, UIPart, UIWorker
from stenograph_services.gateway.wire.versions import Wire
from stenograph_services.runtime.errors import KeyMissing

log = structlog.get_logger()

MOST = 200  # runs of one session, the newest; of those before them a client is told what they came to
AT_ONCE = 8  # logs


async def nested(
    reader: Reader, tenant: str, entries: Sequence[Entry], wire: Wire, wanted: Callable[[str], bool]
) -> Nested:
    """Return what the child agents that are `wanted`, by name, did for the session whose transcript `entries` are."""
    if wire is Wire.FIRST or not any(isinstance(entry, ChildCall) for entry in entries):
        return NOTHING_NESTED
    runs = {entry.call: entry for entry in standing(entries) if isinstance(entry, ChildCall) and wanted(entry.agent)}
    newest = list(islice(reversed(runs.values()), MOST))
    room = asyncio.Semaphore(AT_ONCE)

    async def read(run: ChildCall) -> list[UINested]:
        try:
            async with room:
                return await _parts(reader, tenant, run.session)
        except (EventError, KeyMissing) as error:  # its parent is readable all the same
            log.error("child.unreadable", child=run.session, error=str(error))
            return []

    return dict(zip([run.call for run in newest], await asyncio.gather(*map(read, newest)), strict=True))


def kept_calls(entries: Iterable[Entry], known: Mapping[str, Callee]) -> frozenset[str]:
    """Return the calls whose results a screen keeps."""
    return frozenset(call for call, name in _called(entries).items() if known.get(name, UNDECLARED).kept)


async def _parts(reader: Reader, tenant: str, session: str) -> list[UINested]:
    """Return what the child agent of `session` answered, with its own runs as calls; nothing before it has a log."""
    loaded = await reader.sessions.get(tenant, session)
    if loaded.folded is None or loaded.folded.turn is not None or not loaded.folded.turns:
        await reader.sessions.refresh(loaded)
    state, entries = loaded.folded, list(loaded.entries)  # of one moment: reading on awaits
    if state is None:
        return []
    agent = await reader.agent(state.agent, state.agent_version)
    known = callees(agent)
    whole = await reader.whole(session, entries, kept_calls(entries, known).__contains__)
    messages = ui_messages(shown(whole, state), known, Wire.FULL, operations=operations(agent))
    answers = [message for message in messages if message.role == "assistant"]
    return [flat for message in answers for part in message.parts for flat in _flat(part)]


def _flat(part: UIPart) -> list[UINested]:
    """Return `part`; a run inside a run as those are told of it who know no runs."""
    told = Wire.FIRST.parts([part]) if isinstance(part, UIWorker) else [part]
    return [one for one in told if not isinstance(one, UIWorker)]


def _called(entries: Iterable[Entry]) -> dict[str, str]:
    """Return which tool, or child agent, each call is of."""
    called: dict[str, str] = {}
    for entry in entries:
        match entry:
            case Message():
                called |= {call.call: call.tool for call in entry.calls}
            case BlockCall():
                called[entry.call] = entry.tool
            case ChildCall():
                called[entry.call] = entry.agent
    return called
