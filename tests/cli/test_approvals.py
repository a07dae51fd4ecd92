"""`stenograph approvals`: what waits for a person, and what that one decides at a terminal."""

import pytest
from tests.cli.conftest import Stenograph
from tests.orchestrator import test_child_approvals as children
from tests.orchestrator.test_child_agents import child_of
from tests.support.agents import CALL_THEN_SAY, TOOLS
from tests.support.services import Stage, Talk

from stenograph_events.types import ApprovalEdited, ApprovalRequested, ToolRefused

GUARDED = TOOLS.replace("retry: safe", "retry: safe\n  approval: always")


async def waiting(stage: Stage) -> tuple[Talk, str, ApprovalRequested]:
    talk = await stage.session(CALL_THEN_SAY, tools=GUARDED)
    turn = await talk.send()
    return talk, turn, await talk.until(ApprovalRequested, turn)


async def test_a_call_that_waits_is_listed_shown_and_denied(stage: Stage, stenograph: Stenograph):
    talk, turn, asked = await waiting(stage)

    listed = await stenograph("approvals", "list")
    shown = await stenograph("approvals", "show", talk.id, asked.call[:8])
    denied = await stenograph("approvals", "deny", talk.id, asked.call[:8], "--reason", "no", "--as", "ann")
    end = await talk.end_of(turn)
    none = await stenograph("approvals", "list", talk.id, "--json")

    assert [line.split()[:4] for line in listed.out.splitlines()[1:]] == [
        [talk.id, asked.call[:8], "get-account", '{"userId":"u1"}']
    ]
    assert asked.digest in shown.out
    assert '"userId": "u1"' in shown.out
    assert (denied.code, denied.err, denied.out) == (0, "", f"call {asked.call} denied by ann: no\n")
    assert end.outcome == "completed"
    assert [one.error for one in await talk.all(ToolRefused)] == ["a person did not allow this call: no"]
    assert none.json == []


async def test_an_edited_call_runs_with_what_was_given(stage: Stage, stenograph: Stenograph):
    talk, turn, asked = await waiting(stage)

    wrong = await stenograph("approvals", "edit", talk.id, asked.call, '{"userId": 5}')
    right = await stenograph("approvals", "edit", talk.id, asked.call, '{"userId": "u2"}', "--json")
    request = await talk.request()
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(turn)
    story = await stenograph("sessions", "log", talk.id)

    assert (wrong.code, wrong.out) == (1, "")
    assert "the arguments are wrong: /userId: 5 is not of type" in wrong.err
    assert right.json["type"] == "approval.edited"
    assert bytes(request.arguments) == b'{"userId":"u2"}'
    [edited] = await talk.all(ApprovalEdited)
    assert edited.actor.via == "cli"
    assert "waits for a person" in story.out


async def test_who_triggers_is_told_how_to_decide(stage: Stage, stenograph: Stenograph):
    talk = await stage.session(CALL_THEN_SAY, tools=GUARDED)

    ran = await stenograph("sessions", "trigger", talk.id, "user-message", "-i", "TEXT=Hi")
    [asked] = await talk.all(ApprovalRequested)
    await stenograph("sessions", "cancel", talk.id)
    await talk.end_of(str(asked.turn))

    assert ran.code == 1
    assert f"stenograph approvals grant {talk.id} {asked.call}" in ran.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("grant", "CALLS"), "no call 'CALLS' waits for a person in session"),
        (("show", "CALLS"), "see `stenograph approvals list"),
        (("grant", "CALL", "--digest", "0"), "the digest is not that of call"),
        (("edit", "CALL", "{"), "this is no JSON"),
        (("edit", "CALL", "[1]"), "arguments are a JSON object"),
    ],
)
async def test_what_decides_nothing_is_told_in_one_line(
    stage: Stage, stenograph: Stenograph, words: tuple[str, ...], sentence: str
):
    talk, turn, asked = await waiting(stage)
    verb, call, *more = words

    ran = await stenograph("approvals", verb, talk.id, asked.call if call == "CALL" else call, *more)
    await talk.cancel(turn)
    await talk.end_of(turn)

    assert ran.code in (1, 2)
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("named", ["parent", "child"])
async def test_what_waits_in_a_child_agent_is_listed_with_its_parent_and_granted(
    stage: Stage, stenograph: Stenograph, named: str
):
    talk, turn, child, asked = await children.waiting(stage, await children.guarded_child(stage))

    everywhere = await stenograph("approvals", "list")
    of_parent = await stenograph("approvals", "list", talk.id, "--json")
    shown = await stenograph("approvals", "show", talk.id, asked.call[:8])
    granted = await stenograph("approvals", "grant", {"parent": talk, "child": child}[named].id, asked.call[:8])
    await children.finds(child)
    end = await talk.end_of(turn)

    [row] = [line.split() for line in everywhere.out.splitlines()[1:]]
    assert (row[0], row[1], row[-1]) == (child.id, asked.call[:8], talk.id)
    assert [(one["session"], one["parent"]) for one in of_parent.json] == [(child.id, talk.id)]
    assert f"session  {child.id}, a child agent's of {talk.id}" in shown.out
    assert (granted.code, granted.err) == (0, "")
    assert end.outcome == "completed"


@pytest.mark.parametrize("command", ["chat", "trigger"])
async def test_whoever_talks_to_the_parent_is_told_where_its_child_waits(
    stage: Stage, stenograph: Stenograph, command: str
):
    talk = await children.parent_of(stage, await children.guarded_child(stage))

    if command == "chat":
        ran = await stenograph("chat", "--session", talk.id, input="Hi\n")
    else:
        ran = await stenograph("sessions", "trigger", talk.id, "user-message", "-i", "TEXT=Hi")
    child = await child_of(talk)
    [asked] = await child.all(ApprovalRequested)
    await stenograph("sessions", "cancel", talk.id)
    await child.end_of(str(asked.turn))

    assert ran.code == 1
    assert f"stenograph approvals grant {child.id} {asked.call}" in ran.err
