"""A client that holds a credential and nothing more: all of the SDK works with it, for the sessions that it is for."""

from typing import Any, Literal, NamedTuple

import pytest
from tests.security.walls import Session as Seen
from tests.security.walls import Wall
from tests.support.agents import SAY_HELLO, SAY_SLOWLY
from tests.support.wait import until

from stenograph_events import new_session_id
from stenograph_events.frames import TextDelta, TriggerUnanswered
from stenograph_events.types import (
    ApprovalGranted,
    ApprovalRequested,
    SessionCreated,
    ToolRequested,
    ToolSucceeded,
    TurnFinished,
)
from stenograph_sdk import CannotConnect, Client, Refused, UnknownSession
from stenograph_services.accounts import changes
from stenograph_services.accounts.errors import AccountsError

Scope = Literal["tenant", "agent", "session"]
SCOPES: tuple[Scope, ...] = ("tenant", "agent", "session")

TOOLS = """\
ask-user:
  description: Ask whoever sits there
  parameters: {question: {type: string}}
  retry: safe
refund:
  description: Pay it back
  parameters: {amount: {type: number}}
  retry: safe
  approval: always
"""
ASK_THEN_SAY = """\
loop: true
turns:
  - - calls: [{tool: ask-user, arguments: {question: Which one?}}]
    - text: "You have {{last_result}}"
"""
REFUND_THEN_SAY = ASK_THEN_SAY.replace("ask-user", "refund").replace("question: Which one?", "amount: 250")
OFFERED = {"tools": TOOLS, "offered": "ask-user, refund"}


class Made(NamedTuple):
    """A session, and a credential that is for it."""

    seen: Seen
    file: Any
    agent: str


async def made(wall: Wall, scope: Scope, script: str = SAY_HELLO, **more: Any) -> Made:
    agent = await wall.agent("acme", script, **OFFERED)
    seen = await wall.session_of("acme", agent)
    limits: dict[Scope, dict[str, Any]] = {
        "tenant": {},
        "agent": {"agent": agent.slug},
        "session": {"session": seen.id},
    }
    limit = limits[scope]
    return Made(seen, await wall.client("acme", **limit, **more), agent.slug)


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_turn_is_triggered_and_told_with_its_frames(wall: Wall, scope: Scope):
    """The file is all that the client is given: it says the tenant, the inboxes, and what it is for."""
    seen, file, _ = await made(wall, scope)

    async with Client.connect(wall.server.url, credentials=file) as client:
        session = client.session(seen.id)
        items = [item async for item in session.trigger("user-message", {"TEXT": "Hi"})]
        again = await session.ask("user-message", {"TEXT": "And now?"})
        events = [event async for event in session.events()]

    assert "".join(item.text for item in items if isinstance(item, TextDelta)) == "Hello!"
    assert isinstance(items[-1], TurnFinished)
    assert again == "Hello!"
    assert [event.n for event in events] == list(range(1, len(events) + 1))


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_call_that_no_worker_serves_is_answered_by_the_client(wall: Wall, scope: Scope):
    seen, file, _ = await made(wall, scope, ASK_THEN_SAY)

    async with Client.connect(wall.server.url, credentials=file) as client:
        session = client.session(seen.id)
        async for item in session.trigger("user-message", {"TEXT": "Hi"}):
            if isinstance(item, ToolRequested):
                await session.answer(item, "the blue one")
    succeeded = await seen.until(ToolSucceeded)

    assert bytes(succeeded.result) == b'"the blue one"'


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_call_that_waits_for_a_person_is_listed_and_the_log_says_whose_credential_decided(
    wall: Wall, scope: Scope
):
    seen, file, _ = await made(wall, scope, REFUND_THEN_SAY, approve=True)
    user = wall.folder.tenant("acme").credentials[-1].user

    async with Client.connect(wall.server.url, credentials=file) as client:
        session = client.session(seen.id)
        await session.send("user-message", {"TEXT": "Hi"})
        await seen.until(ApprovalRequested)
        (waits,) = await session.approvals()
        decided = await session.approve(waits.call, digest=waits.digest, name="ann")

    assert isinstance(decided, ApprovalGranted)
    assert (decided.actor.via, decided.actor.credential, decided.actor.name) == ("nats", user, "ann")


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_turn_is_cancelled(wall: Wall, scope: Scope):
    seen, file, _ = await made(wall, scope, SAY_SLOWLY)

    async with Client.connect(wall.server.url, credentials=file) as client:
        session = client.session(seen.id)
        async for item in session.trigger("user-message", {"TEXT": "Hi"}):
            if isinstance(item, TextDelta):
                await session.cancel(item.turn)

    assert isinstance(item, TurnFinished)
    assert item.outcome == "cancelled"


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_session_is_followed_from_any_event(wall: Wall, scope: Scope):
    seen, file, _ = await made(wall, scope)

    async with Client.connect(wall.server.url, credentials=file) as client:
        following = client.session(seen.id).follow(after=1)
        await seen.trigger(TEXT="Hi")
        numbers = [(await anext(following)).n for _ in range(3)]
        await following.aclose()

    assert numbers == [2, 3, 4]


@pytest.mark.parametrize("scope", ["tenant", "agent"])
async def test_a_session_is_made_of_an_agent_that_the_credential_is_for(wall: Wall, scope: Scope):
    _, file, agent = await made(wall, scope)

    async with Client.connect(wall.server.url, credentials=file) as client:
        session = await client.sessions.create(agent)
        (created,) = [event async for event in session.events()]

    assert isinstance(created, SessionCreated)
    assert (created.tenant, created.agent) == ("acme", agent)


async def test_a_credential_for_one_agent_makes_no_session_of_another(wall: Wall):
    other = await wall.agent("acme", SAY_HELLO)
    _, file, agent = await made(wall, "agent")

    async with Client.connect(wall.server.url, credentials=file) as client:
        with pytest.raises(Refused, match=f"these credentials are for agent '{agent}' alone") as refused:
            await client.sessions.create(other.slug)

    assert refused.value.code == "FORBIDDEN"


async def test_a_credential_for_one_session_makes_none(wall: Wall):
    seen, file, agent = await made(wall, "session")

    async with Client.connect(wall.server.url, credentials=file) as client:
        with pytest.raises(Refused, match=f"these credentials are for session {seen.id} alone"):
            await client.sessions.create(agent)


@pytest.mark.parametrize("whose", ["another agent's", "another tenant's", "nobody's"])
@pytest.mark.parametrize("scope", ["tenant", "agent"])
async def test_a_session_that_the_credential_is_not_for_does_not_exist(wall: Wall, scope: Scope, whose: str):
    """It is told in the same words as one that never was: nobody learns which sessions there are."""
    tenant = "bolt" if whose == "another tenant's" else "acme"
    other = new_session_id() if whose == "nobody's" else (await wall.session(tenant, SAY_HELLO)).id
    if (scope, whose) == ("tenant", "another agent's"):
        return  # that one it is for
    _, file, _ = await made(wall, scope)

    async with Client.connect(wall.server.url, credentials=file) as client:
        session = client.session(other)
        (unanswered,) = [item async for item in session.trigger("user-message", {"TEXT": "Hi"})]
        with pytest.raises(UnknownSession):
            await session.send("user-message", {"TEXT": "Hi"})
        with pytest.raises(UnknownSession):
            _ = [event async for event in session.events()]
        with pytest.raises(UnknownSession):
            await session.cancel("t1")

    assert isinstance(unanswered, TriggerUnanswered)


async def test_a_credential_for_one_session_reaches_no_other(wall: Wall):
    seen, file, _ = await made(wall, "session")

    async with Client.connect(wall.server.url, credentials=file) as client:
        with pytest.raises(Refused, match=f"these credentials are for session {seen.id} alone"):
            client.session(new_session_id())


async def test_a_client_answers_no_call_that_a_worker_was_asked(wall: Wall):
    """Its answer would be the first, and stand."""
    await wall.worker("acme", ["get-account"])
    seen, file, _ = await made(wall, "tenant", ASK_THEN_SAY)

    async with Client.connect(wall.server.url, credentials=file) as client:
        session = client.session(seen.id)
        await session.send("user-message", {"TEXT": "Hi"})
        asked = await seen.until(ToolRequested)
        forged = type(asked)(**{name: getattr(asked, name) for name in asked.__struct_fields__} | {"tool": "refund"})
        with pytest.raises(Refused, match=r"no client was asked for call .* of 'refund'"):
            await session.answer(forged, "mine")


async def test_an_answer_that_is_given_again_changes_nothing(wall: Wall):
    """The client whose first answer was confirmed by nobody gives it again, when the call may be over."""
    seen, file, _ = await made(wall, "tenant", ASK_THEN_SAY)

    async with Client.connect(wall.server.url, credentials=file) as client:
        session = client.session(seen.id)
        await session.send("user-message", {"TEXT": "Hi"})
        asked = await seen.until(ToolRequested)
        await session.answer(asked, "the first")
        end = await seen.until(TurnFinished)
        await session.answer(asked, "the second")
    (answer,) = await seen.all(ToolSucceeded)

    assert (end.outcome, bytes(answer.result)) == ("completed", b'"the first"')


async def test_a_request_that_was_answered_before_is_one_turn(wall: Wall):
    seen, file, _ = await made(wall, "tenant")

    async with Client.connect(wall.server.url, credentials=file) as client:
        session = client.session(seen.id)
        first = [item async for item in session.trigger("user-message", {"TEXT": "Hi"}, request="r-1")]
        again = [item async for item in session.trigger("user-message", {"TEXT": "Hi"}, request="r-1")]

    ends = [[item.id for item in told if isinstance(item, TurnFinished)] for told in (first, again)]
    assert len(ends[0]) == 1
    assert ends[0] == ends[1]


async def test_without_the_right_to_approve_a_decision_is_refused_by_the_server(wall: Wall):
    seen, file, _ = await made(wall, "tenant", REFUND_THEN_SAY)
    async with Client.connect(wall.server.url, credentials=file) as client:
        session = client.session(seen.id)
        await session.send("user-message", {"TEXT": "Hi"})
        await seen.until(ApprovalRequested)
        (waits,) = await session.approvals()
        with pytest.raises(Refused, match="these credentials do not allow it"):
            await session.approve(waits.call, digest=waits.digest)


async def test_a_workers_credential_is_no_clients(wall: Wall):
    with pytest.raises(CannotConnect, match="is a worker's; `stenograph clients creds` makes a client's"):
        async with Client.connect(wall.server.url, credentials=await wall.worker("acme", ["get-account"])):
            pass


async def test_a_revoked_client_is_cut_off(wall: Wall):
    _, file, _ = await made(wall, "tenant")
    user = wall.folder.tenant("acme").credentials[-1].user

    async with Client.connect(wall.server.url, credentials=file) as client:
        with pytest.raises(AccountsError, match="names no worker's credential of acme"):
            await changes.revoke(wall.folder, wall.server.url, "acme", user, ("worker", "leaf"))
        await changes.revoke(wall.folder, wall.server.url, "acme", user, ("client",))
        await until(lambda: not client.connection.nats.is_connected, what="the connection is closed")


async def test_a_credential_is_for_an_agent_or_for_a_session(wall: Wall):
    with pytest.raises(AccountsError, match="choose one of them"):
        await wall.client("acme", agent="a", session=new_session_id())
