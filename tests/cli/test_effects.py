"""`stenograph effects`: what tools were asked to do, and what a person at a terminal says came of it."""

import pytest
from tests.cli.conftest import Stenograph
from tests.orchestrator.test_effects import ASKING, begun
from tests.support.agents import CALL_THEN_SAY
from tests.support.services import Stage

from stenograph_events.types import ResolutionRequested, ToolResolved


async def test_effects_are_listed_shown_and_resolved(stage: Stage, stenograph: Stenograph):
    other = await stage.session(CALL_THEN_SAY)
    first = await other.send()
    await other.answer(await other.request(), {"plan": "pro"}, worker="w-1")
    await other.end_of(first)
    talk, turn, asked = await begun(stage, ASKING, ResolutionRequested)

    listed = await stenograph("effects", "list", "--json")
    waiting = await stenograph("effects", "list", "--state", "asked", "--tool", "send-mail")
    none = await stenograph("effects", "list", talk.id, "--state", "succeeded", "--json")
    shown = await stenograph("effects", "show", talk.id, asked.call[:8])
    resolved = await stenograph(
        "effects", "resolve", talk.id, asked.call[:8], "succeeded", "--result", '{"id": "m1"}', "--as", "ann"
    )
    await talk.end_of(turn)
    after = await stenograph("effects", "list", talk.id)

    assert [(one["tool"], one["state"]) for one in listed.json] == [
        ("get-account", "succeeded"),
        ("send-mail", "asked"),
    ]
    assert listed.json[0]["attempts"][0]["worker"] == "w-1"
    assert [line.split()[2:6] for line in waiting.out.splitlines()[1:]] == [
        [talk.id, asked.call[:8], "send-mail", "asked"]
    ]
    assert none.json == []
    assert 'asked    {"to":"ann"}' in shown.out
    assert "attempt  1, from" in shown.out
    assert (resolved.code, resolved.err, resolved.out) == (0, "", f"call {asked.call} succeeded, says ann\n")
    assert [one.actor.via for one in await talk.all(ToolResolved) if one.actor] == ["cli"]
    assert "says ann" in after.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("show", "CALLS"), "no call 'CALLS' was asked of a tool"),
        (("resolve", "CALLS", "failed"), "nobody was asked what came of a call CALLS"),
        (("resolve", "CALL", "maybe"), "'maybe' is not one of"),
        (("resolve", "CALL", "succeeded", "--result", "{"), "this is no JSON"),
        (("resolve", "CALL", "succeeded", "--error", "no"), "an error belongs to the outcomes failed and unknown"),
        (("resolve", "CALL", "succeeded"), "the result is not what the protocol declares"),
    ],
)
async def test_what_resolves_nothing_is_told_in_one_line(
    stage: Stage, stenograph: Stenograph, words: tuple[str, ...], sentence: str
):
    talk, turn, asked = await begun(stage, ASKING, ResolutionRequested)
    verb, call, *more = words

    ran = await stenograph("effects", verb, talk.id, asked.call if call == "CALL" else call, *more)
    await talk.cancel(turn)
    await talk.end_of(turn)

    assert ran.code in (1, 2)
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1


async def test_a_time_that_is_none_is_told_so(stage: Stage, stenograph: Stenograph):
    ran = await stenograph("effects", "list", "--since", "yesterday")

    assert (ran.code, ran.err.count("write it as 30m, 12h or 7d")) == (2, 1)
