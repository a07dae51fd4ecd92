"""What a person says of a call with the credential of a client: in its name, and only where it has the right to."""

from datetime import UTC, datetime
from functools import partial
from textwrap import indent
from typing import Any, Literal

import pytest
from tests.orchestrator.test_child_agents import RUN, workers
from tests.security.walls import Session as Seen
from tests.security.walls import Wall
from tests.support.children import STEPS, child_bundle
from tests.support.wait import until

from stenograph_events import SessionId
from stenograph_events.subjects import claim_subject
from stenograph_events.types import (
    ApprovalDenied,
    ApprovalEdited,
    ApprovalRequested,
    ResolutionRequested,
    ToolRequested,
    ToolResolved,
    TurnFinished,
)
from stenograph_events.values import Actor
from stenograph_events.wire import Approve, Resolve
from stenograph_sdk import Client, NotDecided, Refused, UnknownSession
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.jetstream import publish
from stenograph_services.runtime.registry import ToolEntry, ToolRegistry

Scope = Literal["tenant", "agent", "session"]
SCOPES: tuple[Scope, ...] = ("tenant", "agent", "session")

TOOLS = """\
refund:
  description: Pay it back
  parameters: {amount: {type: number}}
  retry: safe
  approval: always
pay:
  description: Pay it
  parameters: {amount: {type: number}}
  retry: never
  timeout: 1s
  onUnknown: ask-person
"""
REFUND = """\
loop: true
turns:
  - - calls: [{tool: refund, arguments: {amount: 250}}]
    - text: "You have {{last_result}}"
"""
PAY = REFUND.replace("refund", "pay")


async def asked(wall: Wall, script: str = REFUND) -> tuple[Seen, str, str]:
    """Return a session in which a person is asked, its agent, and the call."""
    await ToolRegistry(wall.platform).put("acme", ToolEntry("pay", "never", "w-1", datetime.now(UTC)))
    agent = await wall.agent("acme", script, tools=TOOLS, offered="refund, pay")
    seen = await wall.session_of("acme", agent)
    await seen.trigger(TEXT="Hi")
    if script == REFUND:
        return seen, agent.slug, (await seen.until(ApprovalRequested)).call
    begun = await seen.until(ToolRequested)
    await publish(wall.platform, claim_subject("acme", "pay", seen.id, begun.call, 1), b'{"worker":"w-1"}')
    return seen, agent.slug, (await seen.until(ResolutionRequested)).call


async def credential(wall: Wall, scope: Scope, seen: Seen, agent: str, *, approve: bool = True) -> tuple[Any, str]:
    """Return the file of a credential that is for the session in one of three ways, and the name of its user."""
    limits: dict[Scope, dict[str, Any]] = {"tenant": {}, "agent": {"agent": agent}, "session": {"session": seen.id}}
    file = await wall.client("acme", **limits[scope], approve=approve)
    return file, wall.folder.tenant("acme").credentials[-1].user


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_call_is_denied_with_a_client_s_credential(wall: Wall, scope: Scope):
    seen, agent, call = await asked(wall)
    file, user = await credential(wall, scope, seen, agent)

    async with Client.connect(wall.server.url, credentials=file) as client:
        (waits,) = await client.session(seen.id).approvals()
        denied = await client.session(seen.id).deny(call, digest=waits.digest, reason="no", name="ann")
    end = await seen.until(TurnFinished)

    assert isinstance(denied, ApprovalDenied)
    assert (denied.actor, denied.reason) == (Actor("nats", user, "ann"), "no")
    assert end.outcome == "completed"
    assert await seen.all(ToolRequested) == []


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_call_runs_with_the_arguments_of_a_client_that_fit_its_tool(wall: Wall, scope: Scope):
    seen, agent, call = await asked(wall)
    file, user = await credential(wall, scope, seen, agent)

    async with Client.connect(wall.server.url, credentials=file) as client:
        session = client.session(seen.id)
        (waits,) = await session.approvals()
        with pytest.raises(NotDecided, match='the arguments are wrong: /amount: "much" is not of type'):
            await session.edit(call, {"amount": "much"}, digest=waits.digest)
        edited = await session.edit(call, {"amount": 50}, digest=waits.digest)
    request = await seen.until(ToolRequested)
    await seen.cancel()

    assert isinstance(edited, ApprovalEdited)
    assert edited.actor == Actor("nats", user)
    assert bytes(request.arguments) == b'{"amount":50}'


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_client_says_what_came_of_a_call_that_nobody_knows_of(wall: Wall, scope: Scope):
    seen, agent, call = await asked(wall, PAY)
    file, user = await credential(wall, scope, seen, agent)

    async with Client.connect(wall.server.url, credentials=file) as client:
        session = client.session(seen.id)
        (unknown,) = await session.unresolved()
        said = await session.resolve(call, "succeeded", result={"id": "p1"}, name="ann")
        again = await session.resolve(call, "succeeded", result={"id": "p1"})
        after = await session.unresolved()
    end = await seen.until(TurnFinished)

    assert (unknown.call, unknown.tool, unknown.arguments) == (call, "pay", {"amount": 250})
    assert isinstance(said, ToolResolved)
    assert (said.actor, said.outcome) == (Actor("nats", user, "ann"), "succeeded")
    assert (again.id, after, end.outcome) == (said.id, [], "completed")


async def test_without_the_right_to_approve_nothing_is_said_of_calls(wall: Wall):
    """They are shown: whoever may follow a session reads in its log what waits."""
    paid, payer, unknown = await asked(wall, PAY)
    held, holder, waiting = await asked(wall)
    of_paid, _ = await credential(wall, "tenant", paid, payer, approve=False)
    of_held, _ = await credential(wall, "tenant", held, holder, approve=False)

    async with Client.connect(wall.server.url, credentials=of_paid) as client:
        with pytest.raises(Refused, match="these credentials do not allow it") as refused_word:
            await client.session(paid.id).resolve(unknown, "failed", error="It was not.")
    async with Client.connect(wall.server.url, credentials=of_held) as client:
        session = client.session(held.id)
        (waits,) = await session.approvals()
        for decide in (session.approve, session.deny, partial(session.edit, arguments={"amount": 1})):
            with pytest.raises(Refused, match="these credentials do not allow it") as refused_decision:
                await decide(waiting, digest=waits.digest)
        still = await session.approvals()
    for seen in (paid, held):
        await seen.cancel()

    assert refused_word.value.code == refused_decision.value.code == "FORBIDDEN"
    assert still == [waits]


@pytest.mark.parametrize("script", [REFUND, PAY])
async def test_a_credential_for_one_agent_says_nothing_of_calls_of_another(wall: Wall, script: str):
    """Also where a client asks without having looked, as ours would not."""
    other, _, call = await asked(wall, script)
    mine, agent, _ = await asked(wall)
    file, _ = await credential(wall, "agent", mine, agent)

    async with Client.connect(wall.server.url, credentials=file) as client:
        with pytest.raises(UnknownSession):
            await client.session(other.id).approve(call, digest="0" * 64)
        with pytest.raises(UnknownSession):
            await client.session(other.id).resolve(call, "unknown")
        for word in (
            Approve("r1", call, "deny", await digest(other), Actor("nats")),
            Resolve("r2", call, "failed", Actor("nats")),
        ):
            with pytest.raises(UnknownSession):
                await client.way.control(SessionId(other.id), word, what="a word", timeout=5)
    said = [*await other.all(ApprovalDenied), *await other.all(ToolResolved)]
    for seen in (other, mine):
        await seen.cancel()

    assert said == []


async def test_a_credential_for_one_session_says_nothing_of_calls_in_another(wall: Wall):
    other, _, call = await asked(wall)
    mine, agent, _ = await asked(wall)
    file, _ = await credential(wall, "session", mine, agent)

    async with Client.connect(wall.server.url, credentials=file) as client:
        with pytest.raises(Refused, match=f"these credentials are for session {mine.id} alone"):
            client.session(other.id)
        word = Approve("r1", call, "deny", await digest(other), Actor("nats"))
        with pytest.raises(Refused, match="these credentials do not allow it"):
            await client.way.control(SessionId(other.id), word, what="a word", timeout=5)
    said = await other.all(ApprovalDenied)
    for seen in (other, mine):
        await seen.cancel()

    assert said == []


async def test_what_waits_in_a_child_agent_is_shown_to_the_credentials_that_reach_its_session(wall: Wall):
    """A child's session is one of the child's agent: who is limited to the parent's sees the parent's calls alone."""
    steps = STEPS.replace("    thread: main\n", "    thread: main\n    tools: [refund]\n", 1)
    clerk = child_bundle("clerk", REFUND, f"tools:\n{indent(TOOLS, '  ')}{steps}")
    await Agents(wall.platform).store("acme", clerk)
    agent = await wall.agent("acme", handler=RUN.format(slug="clerk"), script="", top=workers("clerk"))
    seen = await wall.session_of("acme", agent)
    await seen.trigger(TEXT="Hi")
    whole, user = await credential(wall, "tenant", seen, agent.slug)
    limited, _ = await credential(wall, "agent", seen, agent.slug)

    async with Client.connect(wall.server.url, credentials=whole) as client:
        (waits,) = await until(client.session(seen.id).approvals, what="the child's call waits")
        async with Client.connect(wall.server.url, credentials=limited) as other:
            shown = await other.session(seen.id).approvals()
            with pytest.raises(UnknownSession):
                await other.session(waits.session).deny(waits.call, digest=waits.digest)
        denied = await client.session(waits.session).deny(waits.call, digest=waits.digest)
    end = await seen.until(TurnFinished)

    assert (shown, waits.parent, denied.actor) == ([], seen.id, Actor("nats", user))
    assert end.outcome == "completed"


async def digest(seen: Seen) -> str:
    """Return the digest that a decision on what waits in a session has to name, if something does."""
    waits = await seen.all(ApprovalRequested)
    return waits[0].digest if waits else "0" * 64
