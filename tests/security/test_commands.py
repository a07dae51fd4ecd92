"""The commands, with a client's credential in the place of the platform's."""

from pathlib import Path

import pytest
from tests.cli.conftest import Stenograph
from tests.security.test_clients import OFFERED, REFUND_THEN_SAY
from tests.security.walls import Wall
from tests.support.agents import SAY_HELLO

from stenograph_events.types import ApprovalRequested


def commands(wall: Wall, file: Path, data: Path) -> Stenograph:
    """Return the commands of somebody who has this file and nothing more."""
    return Stenograph(
        {
            "STENOGRAPH_NATS_URL": wall.server.url,
            "STENOGRAPH_NATS_CREDENTIALS": str(file),
            "STENOGRAPH_DATA_DIR": str(data),
        }
    )


@pytest.mark.parametrize("scope", ["tenant", "agent", "session"])
async def test_a_session_is_looked_at_and_acted_on(wall: Wall, scope: str, tmp_path: Path):
    """The tenant is the one of the file."""
    agent = await wall.agent("acme", SAY_HELLO)
    seen = await wall.session_of("acme", agent)
    agents, sessions = (agent.slug if scope == "agent" else None), (seen.id if scope == "session" else None)
    stenograph = commands(wall, await wall.client("acme", agent=agents, session=sessions), tmp_path)
    named = "last" if scope == "session" else seen.id

    ran = await stenograph("sessions", "trigger", named, "user-message", "-i", "TEXT=Hi")
    log = await stenograph("sessions", "log", named, "--json")
    shown = await stenograph("sessions", "show", named, "--json")
    verified = await stenograph("sessions", "verify", named)

    assert (ran.code, ran.err) == (0, "")
    assert "Hello!" in ran.out
    assert [event["n"] for event in log.lines] == list(range(1, len(log.lines) + 1))
    assert (shown.json["tenant"], shown.json["head"]["n"]) == ("acme", len(log.lines))
    assert (verified.code, verified.out) == (1, "")
    assert "this needs the platform's own credentials" in verified.err


async def test_a_call_that_waits_is_shown_and_granted(wall: Wall, tmp_path: Path):
    agent = await wall.agent("acme", REFUND_THEN_SAY, **OFFERED)
    seen = await wall.session_of("acme", agent)
    stenograph = commands(wall, await wall.client("acme", approve=True), tmp_path)
    await seen.trigger(TEXT="Hi")
    waits = await seen.until(ApprovalRequested)

    listed = await stenograph("approvals", "list", seen.id, "--json")
    granted = await stenograph("approvals", "grant", seen.id, waits.call[:6], "--as", "ann")

    assert [one["call"] for one in listed.json] == [waits.call]
    assert (granted.code, granted.err) == (0, "")
    assert f"call {waits.call} granted by ann" in granted.out


async def test_an_agent_is_talked_to_as_agents_usually_are(wall: Wall, tmp_path: Path):
    """A client reads no agents, so their usual trigger is taken for theirs."""
    agent = await wall.agent("acme", SAY_HELLO)
    stenograph = commands(wall, await wall.client("acme", agent=agent.slug), tmp_path)

    usual = await stenograph("chat", agent.slug, input="Hi\n")
    named = await stenograph("chat", agent.slug, "--trigger", "user-message:TEXT", input="Hi\n")
    wrong = await stenograph("chat", agent.slug, "--trigger", "user-message", input="Hi\n")

    assert usual.code == 1
    assert "TEXT" in usual.err  # the agent of this test has another input, and says which
    assert (named.code, named.out) == (0, "Hello!\n")
    assert (wrong.code, "is not NAME:INPUT" in wrong.err) == (2, True)


@pytest.mark.parametrize(
    "command", [["agents", "list"], ["keys", "list"], ["parked", "list"], ["tools", "list"], ["approvals", "list"]]
)
async def test_what_needs_the_platforms_credentials_says_so(wall: Wall, command: list[str], tmp_path: Path):
    ran = await commands(wall, await wall.client("acme"), tmp_path)(*command)

    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "credential" in ran.err


async def test_another_tenant_than_that_of_the_file_is_a_mistake(wall: Wall, tmp_path: Path):
    ran = await commands(wall, await wall.client("acme"), tmp_path)("sessions", "show", "last", "--tenant", "bolt")

    assert (ran.code, ran.out) == (1, "")
    assert "are for tenant acme, not for bolt" in ran.err


async def test_a_session_is_named_by_its_whole_id(wall: Wall, tmp_path: Path):
    ran = await commands(wall, await wall.client("acme"), tmp_path)("sessions", "show", "2f01")

    assert ran.code == 1
    assert "a client's credential finds no session by '2f01': write its whole id" in ran.err
