"""`stenograph sessions …` on sessions of the real services."""

import os
import signal
from pathlib import Path

import msgspec
from tests.cli.conftest import Stenograph
from tests.support.agents import CALL_THEN_SAY, SAY_SLOWLY
from tests.support.processes import Processes
from tests.support.services import Stage, Talk
from tests.support.wait import until

from stenograph_events import child_session_id, decode, new_session_id
from stenograph_events.subjects import event_subject
from stenograph_events.testing import log, parent, session_created, turn_started


async def conversation(stage: Stage) -> Talk:
    """Return a session with one finished turn that called a tool."""
    talk = await stage.session(CALL_THEN_SAY)
    turn = await talk.send("What plan am I on?")
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(turn)
    return talk


async def test_the_log_is_a_story_with_one_line_for_each_event(stage: Stage, stenograph: Stenograph):
    talk = await conversation(stage)

    ran = await stenograph("sessions", "log", talk.id)

    head, day, *lines = ran.out.splitlines()
    assert head.split() == ["n", "time", "after", "class", "what", "took"]
    assert day.split()[1] == "UTC"
    assert [int(line.split()[0]) for line in lines] == list(range(1, len(await talk.events()) + 1))
    assert "turn           turn 1: user-message  TEXT: What plan am I on?" in lines[1]
    assert "message          assistant  → get-account" in lines[3]
    assert 'tool-request       get-account wanted  {"userId":"u1"}' in lines[4]
    assert 'tool-result        get-account ok  {"plan":"pro"}' in lines[5]
    assert lines[5].endswith("s")
    assert "turn 1 completed" in lines[-1]
    assert f"session {talk.id}: {len(lines)} events, 1 turn, 1 tool call" in ran.err
    assert "\x1b" not in ran.out


async def test_the_log_as_json_is_what_is_stored_byte_for_byte(stage: Stage, stenograph: Stenograph):
    talk = await conversation(stage)

    ran = await stenograph("sessions", "log", talk.id, "--json")

    stored = await stage.log.read("default", talk.id)
    assert ran.out.encode() == b"".join(one.data + b"\n" for one in stored)


async def test_a_long_text_is_shortened_unless_the_whole_is_wanted(stage: Stage, stenograph: Stenograph):
    talk = await stage.session()
    await talk.end_of(await talk.send("so much \x1b[31mto say " * 20 + "\nthe end"))

    short = await stenograph("sessions", "log", talk.id)
    full = await stenograph("sessions", "log", talk.id, "--full")

    assert "the end" not in short.out
    assert "…" in short.out
    assert max(map(len, short.out.splitlines())) <= 160
    assert any(line.strip() == "the end" for line in full.out.splitlines())
    assert "\x1b" not in short.out + full.out, "what a user writes does not reach the terminal as a command"


async def test_show_says_what_a_session_waits_for(stage: Stage, stenograph: Stenograph):
    talk = await stage.session(CALL_THEN_SAY)
    turn = await talk.send()
    request = await talk.request()

    waiting = (await stenograph("sessions", "show", talk.id, "--json")).json
    text = await stenograph("sessions", "show", talk.id)
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(turn)
    after = (await stenograph("sessions", "show", talk.id, "--json")).json

    assert waiting["status"] == "waiting"
    assert [(call["tool"], call["status"]) for call in waiting["turn"]["calls"]] == [("get-account", "open")]
    assert "get-account open, attempt 1" in text.out
    assert (after["status"], after["turn"]) == ("idle", None)
    assert after["variables"] == {"ANSWER": 'You have {"plan":"pro"}'}
    assert after["usage"]["scripted/play"]["responses"] == 2
    assert after["head"]["n"] == len(await talk.events())


async def test_a_trigger_is_followed_to_the_end_of_its_turn(stage: Stage, stenograph: Stenograph):
    talk = await stage.session()

    told = await stenograph("sessions", "trigger", talk.id, "user-message", "--input", "TEXT=Hi")
    as_json = await stenograph(
        "sessions", "trigger", talk.id, "user-message", "--json-input", '{"TEXT":"Hi"}', "--json"
    )

    assert told.code == as_json.code == 0, told.err
    assert "Hello!" in told.out
    assert "turn 1 completed" in told.out
    assert as_json.lines[0]["type"] == "turn.started"
    assert as_json.lines[-1]["outcome"] == "completed"


async def test_the_same_request_sent_again_is_one_turn(stage: Stage, stenograph: Stenograph):
    talk = await stage.session()
    sent = ("sessions", "trigger", talk.id, "user-message", "-i", "TEXT=Hi", "--request", "order-7", "--no-wait")

    first, again = await stenograph(*sent), await stenograph(*sent, "--json")
    await talk.end_of(first.out.strip())

    assert again.json == {"session": talk.id, "turn": first.out.strip()}
    assert (await talk.types()).count("turn.started") == 1


async def test_a_trigger_that_is_rejected_exits_with_1_and_says_why(stage: Stage, stenograph: Stenograph):
    talk = await stage.session()

    misspelled = await stenograph("sessions", "trigger", talk.id, "user-mesage", "-i", "TEXT=Hi")
    wrong_type = await stenograph("sessions", "trigger", talk.id, "user-message", "-i", "TEXT:=7")

    assert (misspelled.code, wrong_type.code) == (1, 1)
    assert "rejected (unknown-trigger)  no trigger 'user-mesage'; did you mean 'user-message'?" in misspelled.out
    assert "rejected (invalid-input)  /TEXT: 7 is not of type" in wrong_type.out


async def test_cancel_ends_the_turn_that_runs(stage: Stage, stenograph: Stenograph):
    talk = await stage.session(CALL_THEN_SAY)
    turn = await talk.send()
    await talk.request()

    asked = await stenograph("sessions", "cancel", talk.id)
    end = await talk.end_of(turn)
    nothing_left = await stenograph("sessions", "cancel", talk.id)

    assert asked.out == f"turn {turn} will be cancelled\n"
    assert end.outcome == "cancelled"
    assert (nothing_left.code, nothing_left.err) == (1, f"stenograph: no turn runs in session {talk.id}\n")


async def test_verify_counts_the_cases_of_each_rule(stage: Stage, stenograph: Stenograph):
    talk = await conversation(stage)

    ran = await stenograph("sessions", "verify", talk.id)
    as_json = (await stenograph("sessions", "verify", talk.id, "--json")).json

    n = len(await talk.events())
    assert ran.code == 0, ran.err
    assert ["chain", str(n), "ok"] in [line.split() for line in ran.out.splitlines()]
    assert as_json["ok"]
    assert as_json["rules"]["one-result"] == 1
    assert (as_json["sessions"], as_json["events"]) == (1, n)


async def test_verify_names_a_request_that_no_key_of_the_platform_signed(stage: Stage, stenograph: Stenograph):
    talk = await conversation(stage)

    ran = await stenograph("sessions", "verify", talk.id, "--signer", "CB2")

    assert ran.code == 1
    assert "breaks signed-requests: the request of call" in ran.err


async def test_verify_reads_a_log_that_was_kept_in_a_file(stage: Stage, stenograph: Stenograph, tmp_path: Path):
    talk = await conversation(stage)
    kept = tmp_path / "log.jsonl"
    kept.write_text((await stenograph("sessions", "log", talk.id, "--json")).out)

    ran = await stenograph("sessions", "verify", "--file", str(kept), "--json")
    kept.write_text(kept.read_text().replace('"call"', '"called"', 1))
    edited = await stenograph("sessions", "verify", "--file", str(kept))
    nowhere = await stenograph("sessions", "verify", "--file", str(tmp_path / "nowhere"))

    assert ran.json["ok"]
    assert (ran.json["events"], ran.json["answers"]) == (len(await talk.events()), {})
    assert (edited.code, nowhere.code) == (1, 2)
    assert "nowhere cannot be read: No such file" in nowhere.err


async def test_verify_names_the_first_event_that_breaks_a_rule(stage: Stage, stenograph: Stenograph):
    session = new_session_id()
    events = [msgspec.structs.replace(event, session=session) for event in (session_created(), turn_started())]
    for position, (event, data) in enumerate(log(*events)):
        tampered = data.replace(b'"user-message"', b'"user-massage"').replace(event.prev.encode() or b"?", b"0" * 64)
        await stage.nc.jetstream().publish(event_subject(event), tampered if position else data)

    one = await stenograph("sessions", "verify", session)
    every = await stenograph("sessions", "verify", "--all", "--json")

    assert one.code == every.code == 1
    assert f"stenograph: session {session}, event 2 breaks chain: event 1 is not the one" in one.err
    assert ["chain", "2", "BROKEN"] in [line.split() for line in one.out.splitlines()]
    assert [(broken["session"], broken["n"]) for broken in every.json["broken"]] == [(session, 2)]
    assert every.json["sessions"] > 0


async def test_a_session_is_found_by_the_beginning_of_its_id(stage: Stage, stenograph: Stenograph):
    talk = await stage.session()
    others = [new_session_id(talk.id[:2]) for _ in range(2)]
    for other in others:
        await stage.nc.jetstream().publish(
            event_subject(event := msgspec.structs.replace(session_created(), session=other)),
            msgspec.json.encode(msgspec.structs.replace(event, n=1)),
        )

    found = await stenograph("sessions", "show", talk.id[:-1], "--json")
    ambiguous = await stenograph("sessions", "show", talk.id[:4])
    newest = await stenograph("sessions", "show", "last", "--json")
    unknown = await stenograph("sessions", "show", "3fff")

    assert found.json["session"] == talk.id
    assert ambiguous.code == 1
    assert f"sessions begin with '{talk.id[:4]}', so write more of the id" in ambiguous.err
    assert newest.json["session"] == max([talk.id, *others], key=lambda session: session[2:])
    assert unknown.err == "stenograph: no session '3fff'\n"


async def test_the_session_of_a_child_agent_is_not_taken_for_the_newest(stage: Stage, stenograph: Stenograph):
    child = msgspec.structs.replace(session_created(parent=parent()), session=child_session_id("c1"))
    await stage.nc.jetstream().publish(event_subject(child), log(child)[0][1])
    talk = await stage.session()

    newest = await stenograph("sessions", "show", "last", "--json")

    assert child.session[2:] > talk.id[2:], "by its letters it would be the last"
    assert newest.json["session"] == talk.id


async def test_list_shows_what_the_index_holds(stage: Stage, stenograph: Stenograph):
    talk = await conversation(stage)
    agent = (await talk.events())[0].agent  # type: ignore[union-attr]

    async def idle() -> bool:
        listed = await stenograph("sessions", "list", "--agent", agent, "--status", "idle", "--json")
        return [row["session"] for row in listed.json] == [talk.id] and listed.json[0]["turns"] == 1

    await until(idle, what="the index knows the session")
    table = await stenograph("sessions", "list", "--agent", agent)
    none = await stenograph("sessions", "list", "--agent", agent, "--status", "running", "--json")

    assert table.out.splitlines()[1].split()[:3] == [talk.id, agent, "idle"]
    assert "What plan am I on?" in table.out
    assert none.json == []


async def test_tail_follows_events_and_frames_until_ctrl_c(
    stage: Stage, stenograph: Stenograph, processes: Processes, tmp_path: Path
):
    talk = await stage.session(SAY_SLOWLY)
    command = ("-m", "stenograph_services.cli", "sessions", "tail", talk.id, "--json")

    tail = processes.start("tail", *command, env=stenograph.env)
    await tail.line('"session.created"')
    turn = await talk.send()
    await talk.end_of(turn)
    await tail.line('"turn.finished"')
    os.kill(tail.pid, signal.SIGINT)

    assert await tail.exit() == 130
    lines = [msgspec.json.decode(line) for line in tail.output().splitlines()]
    assert [line["n"] for line in lines if "type" in line] == [event.n for event in await talk.events()]
    assert "".join(line["text"] for line in lines if line.get("frame") == "text") == (await talk.said(turn))[0]
    assert all(decode(msgspec.json.encode(line)) for line in lines if "type" in line)
