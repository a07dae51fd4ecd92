"""One log, read by clients of both versions: its streams, its screen and its full state, as they parse them.

screen(events, Wire.FULL)[1]["parts"]
problems(events, KNOWN) == []            # nothing that a client would refuse
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import httpx
from msgspec.structs import replace
from tests.gateway.contract import FIRST, FULL, Where
from tests.gateway.playing import HANDLER, KNOWN
from tests.support.small_agent import compiled

from stenograph_events import AnyEvent, StoredEvent
from stenograph_events.testing import log, raw, session_created
from stenograph_events.types import TurnStarted
from stenograph_projections import session as fold
from stenograph_projections.messages import shown
from stenograph_projections.session import Session
from stenograph_projections.transcript import Entry, entry_of
from stenograph_services.gateway.http.shapes import answer
from stenograph_services.gateway.stored.chat import chat_session
from stenograph_services.gateway.stored.ui import ui_messages
from stenograph_services.gateway.stream.callees import Callee
from stenograph_services.gateway.stream.cursor import Cursor
from stenograph_services.gateway.stream.legs import Leg
from stenograph_services.gateway.stream.operations import operations
from stenograph_services.gateway.stream.sse import TurnStream
from stenograph_services.gateway.wire.stream_events import WorkerStart, framed
from stenograph_services.gateway.wire.versions import Wire
from stenograph_services.protocol import Agent
from stenograph_services.protocol.agent import Block, ChildAgent

CONTRACTS = {Wire.FIRST: FIRST, Wire.FULL: FULL}
NEVER = 2**62
WHOLE = Leg(head=NEVER)  # of a turn that is over: nobody is asked for anything any more
TOPIC = raw({"TOPIC": "tides"})
RESEARCHING = replace(compiled(), children={"researcher": ChildAgent("researcher", "Finds things out")})


def alone(*events: AnyEvent) -> list[dict[str, Any]]:
    """Return the stream of a run of an agent of format worker, as a later client reads it."""
    stream = TurnStream("t1", HANDLER, KNOWN, worker=WorkerStart("run", "researcher", input=TOPIC))
    shown = framed(Wire.FULL.events([one for event, _ in log(*events) for one in stream.show(event)]))
    return [json.loads(line[6:]) for line in shown.decode().splitlines() if line]


def lines_of(events: Sequence[AnyEvent], wire: Wire, cursor: Cursor | None = None) -> list[tuple[str | None, Any]]:
    """Return what a client of `wire` reads that comes back with `cursor`: each event with its id."""
    stream = TurnStream("t1", HANDLER, KNOWN, leg=WHOLE, cursor=cursor)
    text = b""
    for event, _ in log(session_created(), *events):
        told = wire.events(stream.show(event))
        text += framed(told, stream.id_of(event), steps=True)
    return with_ids(text.decode())


def with_ids(text: str) -> list[tuple[str | None, Any]]:
    """Return the events of a stream, each with its own id if it has one."""
    return [(found[2], json.loads(found[3])) for found in re.finditer(r"(id: (.*)\n)?data: (\{.*)\n\n", text)]


async def observed(http: httpx.AsyncClient, session: str, last: str | None = None) -> list[tuple[str | None, Any]]:
    """Return the stream of the last turn, from where a client was."""
    headers = {} if last is None else {"Last-Event-ID": last}
    return with_ids((await http.get(f"/api/agent-sessions/{session}/observe", headers=headers)).text)


def entries_of(events: Iterable[AnyEvent]) -> Iterator[Entry]:
    for event, _ in log(session_created(), *events):
        if entry := entry_of(event):
            yield entry


def folded(events: Iterable[StoredEvent]) -> tuple[Session, list[Entry]]:
    state: Session | None = None
    entries: list[Entry] = []
    for event in events:
        state = fold.apply(state, event)
        if entry := entry_of(event):
            entries.append(entry)
    assert state is not None
    return state, entries


def screen(
    events: Iterable[StoredEvent], wire: Wire, known: Mapping[str, Callee] = KNOWN, agent: Agent | None = None
) -> list[dict[str, Any]]:
    """Return the messages on a screen."""
    state, entries = folded(events)
    stored = ui_messages(shown(entries, state), known, wire, operations=operations(agent))
    messages: list[dict[str, Any]] = json.loads(bytes(answer(stored).body))
    return messages


def full_state(events: Iterable[StoredEvent], wire: Wire, agent: Agent | None = None) -> list[dict[str, Any]]:
    """Return the messages of the full state."""
    state, entries = folded(events)
    whole = chat_session(state, entries, agent or RESEARCHING, "id", wire)
    messages: list[dict[str, Any]] = json.loads(bytes(answer(whole).body))["messages"]
    return messages


def streamed(
    events: Sequence[StoredEvent], wire: Wire, known: Mapping[str, Callee], agent: Agent | None
) -> list[dict[str, Any]]:
    """Return the streams of all turns of a session, one after the other."""
    told: list[dict[str, Any]] = []
    for started in events:
        if isinstance(started, TurnStarted) and started.turn:
            handler: Sequence[Block] = agent.handlers.get(started.trigger, ()) if agent else HANDLER
            run = WorkerStart("run", agent.slug) if agent and agent.format == "worker" else None
            stream = TurnStream(started.turn, handler, known, since=NEVER, leg=WHOLE, worker=run)
            shown = stream.open() + [
                one for event in events if event.turn == started.turn for one in stream.show(event)
            ]
            lines = framed(wire.events(shown)).decode().splitlines()
            told += [json.loads(line[6:]) for line in lines if line]
    return told


def problems(events: list[StoredEvent], known: Mapping[str, Callee], agent: Agent | None = None) -> list[str]:
    """Return what of a session a client would refuse, in either shape."""
    found: list[str] = []
    for wire, contract in CONTRACTS.items():
        shown: dict[Where, list[dict[str, Any]]] = {
            "events": streamed(events, wire, known, agent),
            "ui": screen(events, wire, known, agent),
            "chat": full_state(events, wire, agent),
        }
        for where, all in shown.items():
            found += [f"{wire} {where} {one}: {why}" for one in all for why in contract.problems(where, one)]
    return found
