"""`stenograph parked …`: what could not be processed is shown, sent again or dropped."""

from tests.cli.conftest import Stenograph
from tests.support.services import Stage
from tests.support.wait import until

from stenograph_events import new_session_id
from stenograph_events.subjects import trigger_subject
from stenograph_services.runtime.jetstream import publish
from stenograph_services.runtime.parking import park


async def parked(stage: Stage, stenograph: Stenograph, body: bytes, subject: str) -> int:
    """Send `body` on `subject`, which the orchestrator cannot process, and return the id under which it is parked."""
    await publish(stage.nc, subject, body, {"Nats-Msg-Id": subject})
    return (await until(lambda: ids(stenograph, subject), what=f"{subject} is parked"))[0]


async def ids(stenograph: Stenograph, subject: str) -> list[int]:
    """Return under which ids messages that came on `subject` are parked."""
    listed = await stenograph("parked", "list", "--json")
    return [one["id"] for one in listed.json if one["subject"] == subject]


async def test_a_parked_message_is_shown_with_its_reason_and_its_body(stage: Stage, stenograph: Stenograph):
    subject = trigger_subject("default", (await stage.session()).id, "user-message")
    id = await parked(stage, stenograph, b"no json \x1b[31m", subject)

    listed = await stenograph("parked", "list")
    shown = await stenograph("parked", "show", str(id))

    assert any(line.split()[0] == str(id) and subject in line for line in listed.out.splitlines())
    assert "the trigger is not what docs/events.md describes" in shown.out
    assert "body     no json \\x1b[31m" in shown.out


async def test_a_retry_goes_where_the_message_came_from(stage: Stage, stenograph: Stenograph):
    session = new_session_id()
    subject = trigger_subject("default", session, "user-message")
    id = await parked(stage, stenograph, b'{"input":{"TEXT":"Hi"},"request":"r1"}', subject)

    ran = await stenograph("parked", "retry", str(id))
    again = await until(lambda: ids(stenograph, subject), what="it is parked once more, for the same reason")
    shown = await stenograph("parked", "show", str(again[0]), "--json")

    assert (ran.code, ran.out) == (0, f"retried {id}\n")
    assert again[0] > id
    assert shown.json["reason"] == f"no session {session!r}"


async def test_a_message_that_is_dropped_is_gone(stage: Stage, stenograph: Stenograph):
    subject = trigger_subject("default", new_session_id(), "user-message")
    id = await parked(stage, stenograph, b"{}", subject)

    dropped = await stenograph("parked", "drop", str(id), "--yes", "--json")
    again = await stenograph("parked", "drop", str(id), "--yes")

    assert dropped.json == {"dropped": [id]}
    assert not await ids(stenograph, subject)
    assert (again.code, again.err) == (
        1,
        f"stenograph: nothing is parked under {id}; `stenograph parked list` shows what is\n",
    )


async def test_what_cannot_go_back_stays_parked(stage: Stage, stenograph: Stenograph):
    session = new_session_id()
    of_the_log, of_nobody = f"ev.{session[:2]}.default.{session}.turn", "nowhere.at.all"
    await park(stage.nc, "orchestrator", of_the_log, b"{}", "a test")
    await park(stage.nc, "tool-gateway", of_nobody, b"{}", "a test")

    event = await stenograph("parked", "retry", *map(str, await ids(stenograph, of_the_log)))
    nowhere = await stenograph("parked", "retry", *map(str, await ids(stenograph, of_nobody)))

    assert event.code == nowhere.code == 1
    assert "events stay in the log" in event.err
    assert "stays parked, nowhere.at.all does not take it: no stream takes this subject" in nowhere.err
    assert await ids(stenograph, of_the_log)
    assert await ids(stenograph, of_nobody)
