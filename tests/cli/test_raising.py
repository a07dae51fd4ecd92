"""`stenograph sessions raise-budget`, and what the commands say of a turn that waits for its budget."""

import pytest
from tests.cli.conftest import Stenograph
from tests.support.agents import CALL_THEN_SAY
from tests.support.services import Stage, Talk

from stenograph_events.types import BudgetExceeded, BudgetRaised, TurnFinished

ONE_STEP = "budget: {turn: {steps: 1}}"
FEW_TOKENS = "budget: {session: {tokens: 1}}"


async def waiting(stage: Stage, limit: str = ONE_STEP) -> tuple[Talk, str]:
    """Return a session whose turn waits for its budget, and that turn."""
    talk = await stage.session(CALL_THEN_SAY, agent=limit)
    turn = await talk.send()
    if limit == ONE_STEP:
        await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.until(BudgetExceeded)
    return talk, turn


async def test_a_turn_goes_on_when_its_budget_is_raised(stage: Stage, stenograph: Stenograph):
    talk, turn = await waiting(stage)

    ran = await stenograph("sessions", "raise-budget", talk.id, "--turn", "--steps", "1", "--cost", "0.5")
    end = await talk.end_of(turn)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"turn {turn} may use $0.50 and 1 step more, and goes on\n"
    assert end.outcome == "completed"


async def test_a_budget_of_a_session_that_is_raised_by_too_little_is_said_to_be_exceeded_still(
    stage: Stage, stenograph: Stenograph
):
    talk, turn = await waiting(stage, FEW_TOKENS)

    little = await stenograph("sessions", "raise-budget", talk.id, "--session", "--tokens", "1")
    enough = await stenograph("sessions", "raise-budget", talk.id, "--session", "--tokens", "9000", "--json")
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(turn)

    assert little.code == 1
    assert f"session {talk.id} may use 1 token more; that is not enough: the session's budget allows 2" in little.out
    assert enough.code == 0
    [_, raised] = await talk.all(BudgetRaised)
    assert enough.json == {
        "session": talk.id,
        "turn": turn,
        "scope": "session",
        "tokens": 9000,
        "cost": "0",
        "steps": 0,
        "seconds": 0.0,
        "event": raised.id,
        "n": raised.n,
        "goes_on": True,
        "exceeded": None,
    }


async def test_the_same_request_raises_a_budget_once(stage: Stage, stenograph: Stenograph):
    talk = await stage.session()
    sent = ("sessions", "raise-budget", talk.id, "--session", "--seconds", "60", "--request", "r1")

    first, again = await stenograph(*sent), await stenograph(*sent)

    assert first.out == again.out == f"session {talk.id} may use 60 s more\n"
    assert len(await talk.all(BudgetRaised)) == 1


async def test_where_no_turn_runs_only_the_budget_of_the_session_can_be_raised(stage: Stage, stenograph: Stenograph):
    talk = await stage.session()

    ran = await stenograph("sessions", "raise-budget", talk.id, "--tokens", "5")
    unknown = await stenograph("sessions", "raise-budget", "3fff", "--tokens", "5")

    assert ran.code == 1
    assert ran.err == (f"stenograph: no turn runs in session {talk.id}: --session raises the budget of all its turns\n")
    assert unknown.err == "stenograph: no session '3fff'\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "say by how much"),
        (("--tokens", "0"), "say by how much"),
        (("--tokens", "-1"), "greater than or equal to 0"),
        (("--tokens", "many"), "should be a valid integer"),
        (("--cost", "much"), "'much' is no amount of US dollars, such as 1.50"),
        (("--cost", "NaN"), "'NaN' is no amount of US dollars"),
        (("--cost", "-1"), "'-1' is no amount of US dollars"),
        (("--seconds", "inf"), "less than or equal to 1000000000000"),
        (("--steps", "1", "--request", "a.b"), "request"),
    ],
)
async def test_what_raises_nothing_is_refused(
    stage: Stage, stenograph: Stenograph, options: tuple[str, ...], sentence: str
):
    talk = await stage.session()

    ran = await stenograph("sessions", "raise-budget", talk.id, "--session", *options)

    assert ran.code in (1, 2)
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1
    assert await talk.all(BudgetRaised) == []


async def test_a_trigger_whose_turn_waits_is_followed_no_further(stage: Stage, stenograph: Stenograph):
    talk = await stage.session(CALL_THEN_SAY, agent=FEW_TOKENS)

    ran = await stenograph("sessions", "trigger", talk.id, "user-message", "-i", "TEXT=Hi", "--request", "r1")
    again = await stenograph("sessions", "trigger", talk.id, "user-message", "-i", "TEXT=Hi", "--request", "r1")
    await stenograph("sessions", "cancel", talk.id)
    await talk.until(TurnFinished)

    assert ran.code == again.code == 1
    assert "waits for a budget  the session's budget allows 1 token: 0 used" in ran.out
    assert f"stenograph sessions raise-budget {talk.id} --session --tokens N" in ran.err


async def test_a_pipe_ends_at_a_turn_that_waits(stage: Stage, stenograph: Stenograph):
    talk = await stage.session(CALL_THEN_SAY, agent=FEW_TOKENS)

    ran = await stenograph("chat", "--session", talk.id, input="one\ntwo\n")
    await stenograph("sessions", "cancel", talk.id)
    await talk.until(TurnFinished)

    assert ran.code == 1
    assert f"stenograph sessions raise-budget {talk.id} --session --tokens N" in ran.err
    assert (await talk.types()).count("turn.started") == 1


async def test_chat_shows_what_models_keep_to_themselves_to_nobody(stage: Stage, stenograph: Stenograph):
    aside = "Aside:\n  block: next-message\n  independent: true\nAsk:\n  block: next-message\n"
    script = "loop: true\nturns:\n  - - text: a secret\n    - text: an answer\n"
    talk = await stage.session(script, handler=aside)

    ran = await stenograph("chat", "--session", talk.id, input="Hi\n")

    assert (ran.code, ran.out) == (0, "an answer\n")
