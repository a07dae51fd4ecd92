"""The message that a client may go back to: named when a turn begins, the same on each of its legs."""

import json

import httpx
from tests.gateway.asking import ASK_AND_THANK, asking, result_of
from tests.gateway.shaped import entries_of
from tests.gateway.streaming import continued, triggered, turn
from tests.support.agents import SAY_HELLO
from tests.support.services import Stage

from stenograph_events.testing import (
    assistant_message,
    messages_rolled_back,
    restored_message,
    session_cleared,
    session_restored,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_services.gateway.turns.anchors import last_before


def test_the_message_to_go_back_to_is_the_last_that_a_person_saw_before_the_turn():
    said = (turn_started("t1"), user_message("One", turn="t1"), assistant_message("1", turn="t1"))
    more = (assistant_message("1b", turn="t1", step=1), turn_finished("t1"))
    unseen = (turn_started("t2"), user_message("Two", turn="t2", visible=False))
    entries = list(entries_of(said + more + unseen))

    assert last_before(entries, "t1") is None
    assert last_before(entries, "t2") == last_before(entries) == "t1.message.1.0"


def test_the_message_to_go_back_to_is_none_of_those_that_are_gone():
    said = (turn_started("t1"), user_message("One", turn="t1"), assistant_message("1", turn="t1"), turn_finished("t1"))

    assert last_before(list(entries_of((*said, messages_rolled_back(3))))) == "t1.message.0.0"
    assert last_before(list(entries_of((*said, session_cleared())))) is None
    kept = session_restored(messages=(restored_message("Kept", "kept-7"),))
    assert last_before(list(entries_of((*said, session_cleared(), kept)))) == "kept-7"


async def test_a_later_client_is_told_on_each_leg_which_message_it_may_go_back_to(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await asking(stage, ASK_AND_THANK)
    http.headers["X-Octavus-Sdk-Version"] = "4"

    async with triggered(http, talk.id, "One") as one:
        await one.end()
    async with continued(http, talk.id, one.execution, result_of(one.asked[0], "yes")) as thanked:
        await thanked.end()
    async with triggered(http, talk.id, "Two") as two:
        await two.end()
    async with continued(http, talk.id, two.execution, result_of(two.asked[0], "no")) as last:
        await last.end()
    observed = await http.get(f"/api/agent-sessions/{talk.id}/observe", params={"executionId": two.execution})
    stored = (await http.get(f"/api/agent-sessions/{talk.id}?format=ui")).json()["messages"]

    answered = stored[1]["id"]
    assert [message["role"] for message in stored] == ["user", "assistant", "user", "assistant"]
    assert "lastMessageId" not in one.events[0]
    assert thanked.events[0] == one.events[0]
    assert two.events[0] == {"type": "start", "executionId": two.execution, "lastMessageId": answered}
    assert last.events[0] == two.events[0]
    assert json.loads(observed.text.splitlines()[0][6:]) == two.events[0]


async def test_a_turn_that_takes_the_place_of_another_goes_back_as_far(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_HELLO + "loop: true\n")
    http.headers["X-Octavus-Sdk-Version"] = "4"
    await turn(http, talk.id, "One")
    two = await turn(http, talk.id, "Two")
    anchor = two.events[0]["lastMessageId"]
    body = {"triggerName": "user-message", "input": {"TEXT": "Again"}, "rollbackAfterMessageId": anchor}

    again = await http.post(f"/api/agent-sessions/{talk.id}/trigger", json=body)

    assert json.loads(again.text.splitlines()[0][6:])["lastMessageId"] == anchor
