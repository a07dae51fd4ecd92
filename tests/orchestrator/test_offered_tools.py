"""Tools known only at run time: a trigger offers them, the model may call them in its turn, and the client answers."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw
from tests.support.agents import HANDLER, bundle
from tests.support.deciding import ENV, agent, asked, decided, the_event
from tests.support.logs import rebuild
from tests.support.services import Stage

from stenograph_events import AnyEvent
from stenograph_events.subjects import event_subject
from stenograph_events.testing import (
    assistant_message,
    block_finished,
    log,
    raw,
    session_created,
    thread_started,
    tool_call,
    tool_requested,
    tool_succeeded,
    trigger_queued,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.types import MessageAdded, ToolRefused, ToolRequested, TriggerRejected, TurnStarted
from stenograph_events.values import OfferedTool, Sender
from stenograph_projections.session import Session
from stenograph_sdk import tool
from stenograph_services.orchestrator import triggers
from stenograph_services.orchestrator.decisions import Append
from stenograph_services.orchestrator.triggers import Wanted
from stenograph_services.protocol import load_bundle

SEARCH = OfferedTool(
    "files__search", "Search the files", raw({"type": "object", "properties": {"query": {"type": "string"}}})
)
READ = OfferedTool("files__read", "Read a file", raw({"type": "object", "properties": {}}))
ADA = Sender("u-7", "Ada")
AGENT = agent(HANDLER)

OFFERED: list[AnyEvent] = [
    session_created(),
    turn_started(input=raw({"TEXT": "Hi"}), tools=(SEARCH, READ), sender=ADA),
]
SAID = [*OFFERED, user_message()]


def outcome(*events: AnyEvent, **changes: Any) -> Any:
    wanted = msgspec.structs.replace(Wanted("t9", "user-message", Raw(b'{"TEXT":"Hi"}')), **changes)
    return triggers.outcome(folded(*events), load_bundle(bundle("x")), wanted, ENV)


def folded(*events: AnyEvent) -> Session:
    return rebuild(event for event, _ in log(*events))


def called(tool: str, arguments: Any) -> list[AnyEvent]:
    return [*SAID, assistant_message(calls=(tool_call("c1", tool, arguments=raw(arguments)),))]


def names(question: Any) -> list[str]:
    return [tool.name for tool in question.settings.tools]


# ---- the trigger


def test_a_turn_starts_with_what_its_trigger_brings():
    started = outcome(session_created(), tools=(SEARCH,), sender=ADA)

    assert isinstance(started, TurnStarted)
    assert (started.tools, started.sender) == ((SEARCH,), ADA)


def test_what_the_protocol_declares_is_not_offered_by_a_trigger():
    mine = OfferedTool("get-account", "Mine", raw({}))

    assert outcome(session_created(), tools=(mine, SEARCH)).tools == (SEARCH,)


def test_tools_are_recorded_written_out():
    schema = raw({"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": {"type": "string"}}}}})

    [tool] = outcome(session_created(), tools=(OfferedTool("look", "", schema),)).tools

    assert msgspec.json.decode(tool.parameters) == {"type": "object", "properties": {"a": {"type": "string"}}}


def test_tools_that_are_none_reject_the_trigger_with_their_place():
    rejected = outcome(session_created(), tools=(SEARCH, OfferedTool("look", "", raw({"type": "strng"}))))

    assert isinstance(rejected, TriggerRejected)
    assert rejected.reason == "invalid-input"
    assert rejected.detail.startswith("tools[1].parameters.type: must be one of array, boolean, ")


def test_a_queued_trigger_keeps_its_tools_until_its_turn_and_the_log_holds_them_once():
    busy: list[AnyEvent] = [session_created(), turn_started("t1", input=raw({"TEXT": "Hi"})), user_message()]
    queued = outcome(*busy, tools=(SEARCH,), sender=ADA)
    waiting = [*busy, queued, assistant_message("Hello"), turn_finished("t1")]

    started = the_event(AGENT, *waiting)
    turn = folded(*waiting, started).turn

    assert (queued.tools, queued.sender) == ((SEARCH,), ADA)
    assert (started.tools, started.sender) == ((), ADA)
    assert turn is not None
    assert (turn.tools, turn.sender) == ((SEARCH,), ADA)


# ---- the turn


def test_the_model_is_offered_them_after_the_declared_ones():
    question = asked(AGENT, *SAID)

    assert names(question) == ["get-account", "send-mail", "files__search", "files__read"]
    assert question.settings.tools[2].parameters.json["properties"] == {"query": {"type": "string"}}


def test_they_are_offered_again_at_each_step_and_in_no_later_turn():
    step = [*called("files__search", {"query": "a"}), tool_requested("c1", tool="files__search", client=True)]
    later = [*SAID, assistant_message("Hello"), turn_finished(), turn_started("t2"), user_message(turn="t2")]

    assert names(asked(AGENT, *step, tool_succeeded("c1")))[2:] == ["files__search", "files__read"]
    assert names(asked(AGENT, *later)) == ["get-account", "send-mail"]


def test_a_side_thread_is_not_offered_them():
    handler = (
        "Begin:\n  block: start-thread\n  thread: side\n  model: scripted/play\n  system: system\n"
        + HANDLER.replace("block: next-message", "block: next-message\n  thread: side")
    )
    events = [*OFFERED, thread_started("side"), user_message(block=1)]

    assert names(asked(agent(handler), *events)) == []


def test_a_call_is_requested_of_the_client_also_where_a_worker_serves_that_name():
    requested = the_event(AGENT, *called("files__search", {"query": "a"}), tools={"files__search": "safe"})

    assert isinstance(requested, ToolRequested)
    assert requested.client
    assert requested.retry == "never"
    assert event_subject(requested).endswith(".client-request.files__search")


@pytest.mark.parametrize(
    ("tool", "arguments", "why"),
    [
        ("files__search", {"query": 5}, 'the arguments are wrong: /query: 5 is not of type "string"'),
        ("files__write", {}, "'files__write' is not run here; answer without it"),
        ("file__search", {}, "'file__search' is not run here; answer without it"),
        ("files_search", {}, "no tool 'files_search'; did you mean 'files__search'?"),
    ],
)
def test_a_call_that_does_not_fit_is_refused(tool: str, arguments: Any, why: str):
    refused = the_event(AGENT, *called(tool, arguments))

    assert isinstance(refused, ToolRefused)
    assert refused.error == why


def test_a_cancelled_turn_closes_their_calls():
    events = [
        *called("files__search", {"query": "a"}),
        tool_requested("c1", tool="files__search", client=True),
        turn_cancel_requested(),
    ]

    decision = decided(AGENT, *events)

    assert isinstance(decision, Append)
    assert [type(event).__name__ for event in decision.events] == ["ToolCancelled"]


def test_the_sender_stands_at_what_people_read_of_the_user():
    said = the_event(AGENT, *OFFERED)
    hidden = the_event(agent(HANDLER.replace("role: user", "role: user\n  visible: false")), *OFFERED)
    nobody = the_event(AGENT, session_created(), turn_started(input=raw({"TEXT": "Hi"})))

    assert isinstance(said, MessageAdded)
    assert (said.sender, hidden.sender, nobody.sender) == (ADA, None, None)


def test_a_trigger_that_waited_brings_its_sender():
    waiting: list[AnyEvent] = [session_created(), trigger_queued("t2", input=raw({"TEXT": "Hi"}), sender=ADA)]
    started = the_event(AGENT, *waiting)

    assert the_event(AGENT, *waiting, started).sender == ADA


def test_a_turn_keeps_its_tools_through_its_blocks():
    turn = folded(*SAID, assistant_message("Hello"), block_finished(2)).turn

    assert turn is not None
    assert turn.tools == (SEARCH, READ)


# ---- with real parts

ASKS = """\
loop: true
turns:
  - - calls: [{tool: files__search, arguments: {query: tides}}]
    - text: "Found {{last_result}}"
"""


async def test_a_tool_that_only_the_trigger_knows_is_called_and_answered(stage: Stage):
    @tool("files__search")
    def search(query: str) -> list[str]:
        """Search the files"""
        return [f"{query}.txt"]

    talk = await stage.session(ASKS)

    async for item in talk.sdk.trigger("user-message", {"TEXT": "Hi"}, tools=[search], sender=ADA):
        if isinstance(item, ToolRequested):
            await talk.sdk.answer(item, search(**msgspec.json.decode(item.arguments)))
            await talk.sdk.answer(item, "too late")

    [started] = await talk.all(TurnStarted)
    [requested] = await talk.all(ToolRequested)
    assert (requested.tool, requested.client) == ("files__search", True)
    assert (await talk.said(str(started.turn)))[-1] == 'Found ["tides.txt"]'
    assert [(one.name, one.description) for one in started.tools] == [("files__search", "Search the files")]
    assert started.sender == ADA
    await talk.check()
