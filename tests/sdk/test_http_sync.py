"""The client over HTTP without async, against a real gateway: the same, and what only blocking code can do wrong."""

import asyncio
import inspect
import signal
import subprocess
import sys
import threading

import pytest
from tests.gateway.asking import ASK, ASK_TWO, asking
from tests.support.agents import SAY_SLOWLY
from tests.support.services import Stage

from stenograph_events.types import TurnFinished
from stenograph_sdk.http import HttpClient, HttpSession, Start, SyncHttpClient, TextDelta
from stenograph_sdk.http.client import HttpSessions
from stenograph_sdk.http.handlers import Tools
from stenograph_sdk.http.sync_client import SyncHttpSession, SyncHttpSessions


async def test_the_sync_client_does_the_same(services: Stage, url: str):
    talk = await asking(services, ASK_TWO)
    await asyncio.to_thread(_talk_in_sync, url, talk.id)

    assert [event.outcome for event in await talk.all(TurnFinished)] == ["completed"]


def _talk_in_sync(url: str, id: str) -> None:
    both = threading.Barrier(2, timeout=10)

    def ask_user(question: str) -> str:
        both.wait()
        return question

    async def pick_color() -> str:
        both.wait()
        return "red"

    tools: Tools = {"ask-user": ask_user, "pick-color": pick_color}
    with SyncHttpClient.connect(url, tools=tools) as client:
        session = client.session(id)
        assert session.ask("user-message", {"TEXT": "Hi"}) == "You picked red"
        assert [message["role"] for message in session.messages()] == ["user", "assistant"]
        events = list(session.events())
        assert next(session.follow(after=len(events) - 1)) == events[-1]
        assert session.state(at=1)["turns"] == 0
        assert list(client.sessions.list(text="no such session")) == []


@pytest.mark.parametrize("dropped", [False, True])
async def test_closing_or_dropping_a_sync_stream_cancels_the_turn(services: Stage, url: str, dropped: bool):
    talk = await services.session(SAY_SLOWLY)
    client = SyncHttpClient(url)
    turn = await asyncio.to_thread(_abort_in_sync, client, talk.id, dropped)

    assert (await talk.end_of(turn)).outcome == "cancelled"
    client.close()


def _abort_in_sync(client: SyncHttpClient, id: str, dropped: bool) -> str:
    events = client.session(id).trigger("user-message", {"TEXT": "Hi"})
    start = next(events)
    assert isinstance(start, Start)
    for event in events:
        if isinstance(event, TextDelta):
            break
    if not dropped:
        events.close()
    return start.execution_id


async def test_threads_share_a_sync_client_also_where_each_runs_a_loop(services: Stage, url: str):
    both = threading.Barrier(2, timeout=10)

    async def ask_user(question: str) -> str:
        both.wait()
        return threading.current_thread().name

    async def ask(client: SyncHttpClient, id: str) -> str:
        return client.session(id).ask("user-message", {"TEXT": "Hi"})

    talks = [await asking(services, ASK), await asking(services, ASK)]
    client = SyncHttpClient(url, tools={"ask-user": ask_user})
    threads = [asyncio.to_thread(asyncio.run, ask(client, talk.id)) for talk in talks]
    said = await asyncio.gather(*threads)
    client.close()

    assert len(set(said)) == 2
    assert all(text.startswith("You said ") for text in said)


async def test_ctrl_c_ends_a_sync_stream_and_cancels_its_turn(services: Stage, url: str):
    talk = await services.session(SAY_SLOWLY)
    code = """\
import sys
from stenograph_sdk import SyncHttpClient
with SyncHttpClient.connect(sys.argv[1]) as client:
    try:
        for event in client.session(sys.argv[2]).trigger("user-message", {"TEXT": "Hi"}):
            sys.stdout.write(getattr(event, "execution_id", "text") + "\\n")  # whole lines, whenever Ctrl-C comes
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", client.session(sys.argv[2]).state()["turns"])
"""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, url, talk.id, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None
    turn = (await program.stdout.readline()).decode().strip()
    await program.stdout.readline()
    program.send_signal(signal.SIGINT)
    said, complaints = await program.communicate()

    assert (said.splitlines()[-1], complaints, program.returncode) == (b"interrupted 1", b"", 0)
    assert (await talk.end_of(turn)).outcome == "cancelled"


@pytest.mark.parametrize(
    ("one", "other"),
    [(HttpClient, SyncHttpClient), (HttpSessions, SyncHttpSessions), (HttpSession, SyncHttpSession)],
)
def test_both_clients_take_the_same(one: type, other: type):
    def surface(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(kind, callable)
            if not name.startswith("_")
        }

    assert surface(one) == surface(other)
