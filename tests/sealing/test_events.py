"""Sealed logs: whoever has the keys reads them as any other, whoever changes them is noticed, nothing is lost."""

import base64
from pathlib import Path

import pytest
from nats.js import JetStreamContext
from tests.support.services import TENANT, Stage
from tests.support.wait import until

from stenograph_events import BrokenChain, Head, Unopened, decode
from stenograph_events.chain import digest
from stenograph_events.sealing import header_of, is_sealed
from stenograph_events.subjects import bucket_subject, data_key
from stenograph_events.testing import turn_cancel_requested
from stenograph_events.types import TurnFinished
from stenograph_projections.invariants import Stored, check
from stenograph_sdk import Client
from stenograph_sdk.client import Sessions
from stenograph_sdk.errors import SessionSealed
from stenograph_sdk.gated import Gated
from stenograph_sdk.sealing import in_clear
from stenograph_services.accounts.private import write_private
from stenograph_services.cli.reading import told
from stenograph_services.gateway import app as gateway
from stenograph_services.orchestrator import app as orchestrator
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import InvalidSetting, KeyDeleted, KeyMissing
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.sealing import MasterKeys
from stenograph_services.runtime.sealing.master_keys import new_key_file, new_line

HELLO = "turns: [[{text: Hello there.}]]\nloop: true"


def text_of(path: Path) -> str:
    return path.read_text()


def add_key(path: Path) -> None:
    write_private(path, text_of(path) + new_line())


async def test_a_turn_is_sealed_in_the_log_and_read_by_whoever_has_the_keys(stage: Stage):
    talk = await stage.session(HELLO)
    await talk.end_of(await talk.send("What plan am I on?"))

    stored = await stage.log.read(TENANT, talk.id)

    assert all(is_sealed(one.data) for one in stored)
    assert not any(b"plan" in one.data or b"Hello" in one.data for one in stored)
    assert await talk.said((await talk.all(TurnFinished))[0].turn or "") == ["Hello there."]
    await talk.check()


async def test_without_the_keys_a_log_shows_its_headers_and_how_it_hangs_together(stage: Stage):
    talk = await stage.session(HELLO)
    await talk.end_of(await talk.send())
    stored = await stage.log.read(TENANT, talk.id)

    report = check([(one.sequence, None, one.data) for one in stored], complete=True)

    assert report.ok
    assert report.sealed == len(stored)
    assert (report.rules["chain"], report.rules["one-end"]) == (len(stored), 0)
    assert [header_of(one.data).n for one in stored] == list(range(1, len(stored) + 1))
    with pytest.raises(Unopened):
        decode(stored[0].data)


async def test_an_edit_of_a_sealed_log_breaks_a_rule_that_needs_no_key(stage: Stage):
    talk = await stage.session(HELLO)
    await talk.end_of(await talk.send())
    stored = [(one.sequence, None, one.data) for one in await stage.log.read(TENANT, talk.id)]
    stored[2] = (stored[2][0], None, stored[2][2].replace(b'"message.added"', b'"turn.finished"'))

    assert {one.rule for one in check(stored).broken} == {"chain"}


@pytest.mark.parametrize("part", ["type", "n", "turn", "seal"])
async def test_whatever_is_changed_in_a_stored_event_it_does_not_open(stage: Stage, part: str):
    talk = await stage.session(HELLO)
    await talk.end_of(await talk.send())
    data = (await stage.log.read(TENANT, talk.id))[2].data

    with pytest.raises(BrokenChain):
        await stage.log.seals.event(changed(data, part))


def changed(data: bytes, part: str) -> bytes:
    match part:
        case "type":
            return data.replace(b'"message.added"', b'"turn.finished"')
        case "n":
            return data.replace(b'"n":3', b'"n":4')
        case "turn":
            return data.replace(b'"turn":"', b'"turn":"f')
        case _:
            readable, _, sealed = data.rpartition(b'"sealed":"')
            flipped = bytearray(base64.b64decode(sealed[:-2]))
            flipped[len(flipped) // 2] ^= 1
            return readable + b'"sealed":"' + base64.b64encode(flipped) + b'"}'


async def test_each_single_bit_of_a_stored_event_counts(stage: Stage):
    talk = await stage.session(HELLO)
    (stored,) = await stage.log.read(TENANT, talk.id)

    opened = []
    for i in range(len(stored.data)):
        flipped = stored.data[:i] + bytes([stored.data[i] ^ 1]) + stored.data[i + 1 :]
        try:
            opened.append((i, await stage.log.seals.event(flipped)))
        except (ValueError, KeyMissing, Unopened):
            continue
    assert opened == []


async def test_a_seal_opens_in_its_own_event_alone(stage: Stage):
    talk, other = await stage.session(HELLO), await stage.session(HELLO)
    for one in (talk, other):
        await one.end_of(await one.send())
    ours, theirs = await stage.log.read(TENANT, talk.id), await stage.log.read(TENANT, other.id)

    for moved in (ours[1].data, theirs[2].data):
        readable, _, _ = ours[2].data.rpartition(b',"sealed"')
        _, _, seal = moved.rpartition(b',"sealed"')
        with pytest.raises(BrokenChain):
            await stage.log.seals.event(readable + b',"sealed"' + seal)


async def test_an_event_in_clear_is_none_of_a_sealed_session(stage: Stage):
    talk = await stage.session(HELLO)
    await talk.end_of(await talk.send())
    forged = (await stage.log.read(TENANT, talk.id))[2].plain

    with pytest.raises(BrokenChain, match="in clear"):
        await stage.log.seals.event(forged)


async def test_a_session_of_before_goes_on_sealed_once_the_setting_is_on(nats_url: str, tmp_path: Path, key_file: Path):
    async with Stage(nats_url, tmp_path, sealing_key_file=key_file) as stage:
        talk = await stage.session(HELLO)
        await talk.end_of(await talk.send())
        count = len(await stage.log.read(TENANT, talk.id))
        await stage.end(stage.running("orchestrator"))
        stage.settings = stage.settings.model_copy(update={"sealing": True})
        await stage.start(orchestrator.build)

        await talk.end_of(await talk.send())

        stored = await EventLog(stage.nc, stage.settings).read(TENANT, talk.id)
        assert [is_sealed(one.data) for one in stored] == [False] * count + [True] * (len(stored) - count)
        assert len(stored) > count
        await talk.check()


async def test_without_the_key_nothing_is_lost_and_with_it_the_turn_goes_on(stage: Stage, nats_url: str):
    talk = await stage.session(HELLO)
    await stage.end(stage.running("orchestrator"))
    js: JetStreamContext = stage.nc.jetstream()
    subject = bucket_subject("DATAKEYS", data_key(TENANT, talk.id))
    wrapped = (await js.get_last_msg("KV_DATAKEYS", subject)).data or b""
    await js.purge_stream("KV_DATAKEYS", subject=subject)

    await stage.start(orchestrator.build)
    turn = await talk.send()

    async def waits() -> bool:
        return await stage.unsettled("TRIG", "orchestrator-start") == 1

    await until(waits, what="the trigger is held")
    with pytest.raises(KeyMissing, match="DATAKEYS"):
        await EventLog(stage.nc, stage.settings).read(TENANT, talk.id)
    await js.publish(subject, wrapped)

    assert (await talk.end_of(turn, timeout=15)).outcome == "completed"


async def test_a_key_that_is_gone_is_not_made_anew_so_that_it_can_come_back(stage: Stage):
    talk = await stage.session(HELLO)
    (created,) = await stage.log.read(TENANT, talk.id)
    await stage.nc.jetstream().purge_stream("KV_DATAKEYS")
    log, head = EventLog(stage.nc, stage.settings), Head(created.sequence, 1, digest(created.data))

    with pytest.raises(KeyMissing, match="bring that back"):
        await log.append(TENANT, talk.id, head, [turn_cancel_requested(session=talk.id)])
    with pytest.raises(KeyMissing, match="bring that back"):
        await log.seals.closed_body(TENANT, talk.id, "trig.start", b"{}")


async def test_a_deleted_key_takes_its_session_with_it_and_no_other(stage: Stage):
    talk, other = await stage.session(HELLO), await stage.session(HELLO)
    await other.end_of(await other.send())
    await stage.log.seals.keys.delete(TENANT, talk.id)

    with pytest.raises(KeyDeleted):
        await stage.log.read(TENANT, talk.id)
    with pytest.raises(KeyDeleted):
        await EventLog(stage.nc, stage.settings).seals.keys.make(TENANT, talk.id, whole=False)
    assert await stage.log.read(TENANT, other.id)


async def test_a_new_master_key_seals_and_the_old_one_still_opens(stage: Stage, key_file: Path):
    old, before = await stage.session(HELLO), MasterKeys.of(stage.settings).newest
    add_key(key_file)
    log = EventLog(stage.nc, stage.settings)
    stage.log = log
    new = await stage.session(HELLO)

    assert MasterKeys.of(stage.settings).newest != before
    assert await log.read(TENANT, old.id)
    assert await log.read(TENANT, new.id)


async def test_a_master_key_that_is_gone_is_named_and_works_again_when_it_is_back(stage: Stage, key_file: Path):
    talk, kept = await stage.session(HELLO), text_of(key_file)
    write_private(key_file, new_key_file())
    with pytest.raises(KeyMissing, match="lacks the key"):
        await EventLog(stage.nc, stage.settings).read(TENANT, talk.id)

    write_private(key_file, kept + new_line())

    assert await EventLog(stage.nc, stage.settings).read(TENANT, talk.id)


async def test_a_connection_that_reads_the_streams_itself_is_told_that_it_cannot(stage: Stage, nats_url: str):
    talk = await stage.session(HELLO)
    await talk.end_of(await talk.send())

    async with Client.connect(nats_url) as client:
        with pytest.raises(SessionSealed, match=talk.id):
            await anext(client.session(talk.id).events())


def test_a_service_that_is_to_seal_does_not_start_without_keys():
    with pytest.raises(InvalidSetting, match="STENOGRAPH_SEALING_KEY_FILE names no file"):
        MasterKeys.of(Settings(sealing=True))


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        ("", 0o600, "holds no key"),
        ("# only a comment\n", 0o600, "holds no key"),
        ("no base64!\n", 0o600, "line 1: a key is 32 bytes in base64"),
        ("c2hvcnQ=\n", 0o600, "this one has 5"),
        (new_key_file(), 0o644, "has the mode 644, so others can read the keys"),
    ],
)
def test_a_key_file_that_is_none_is_refused_in_one_sentence(tmp_path: Path, text: str, mode: int, problem: str):
    path = tmp_path / "sealing.key"
    path.write_text(text)
    path.chmod(mode)

    with pytest.raises(InvalidSetting, match=problem):
        MasterKeys.of(Settings(sealing=True, sealing_key_file=path))


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(InvalidSetting, match=r"missing\.key cannot be read"):
        MasterKeys.of(Settings(sealing=True, sealing_key_file=tmp_path / "missing.key"))


async def test_a_client_of_the_gateway_reads_a_sealed_log_and_checks_how_it_hangs_together(stage: Stage):
    stage.client.connection.opened = in_clear
    stage.settings = stage.settings.model_copy(update={"port": 0})
    await stage.start(gateway.build)
    talk = await stage.session(HELLO)
    sessions = Sessions(Gated(stage.client.connection, TENANT, None, None))

    told = [item async for item in sessions.get(talk.id).trigger("user-message", {"TEXT": "Hi"})]

    assert isinstance(told[-1], TurnFinished)
    read = [event async for event in sessions.get(talk.id).events()]
    assert read == await talk.events()


async def test_an_export_that_was_opened_is_checked_without_a_key(stage: Stage):
    talk = await stage.session(HELLO)
    await talk.end_of(await talk.send())
    exported = [told(Stored(s.sequence, None, s.data, s.opened)) for s in await stage.log.read(TENANT, talk.id)]

    report = check([(n, None, line) for n, line in enumerate(exported, 1)], complete=True)

    assert report.ok
    assert (report.sealed, report.rules["one-end"]) == (0, 1)
    del exported[2]
    assert not check([(n, None, line) for n, line in enumerate(exported, 1)]).ok


async def test_data_keys_are_wrapped_anew_and_the_old_master_key_opens_nothing_any_more(stage: Stage, key_file: Path):
    talks = [await stage.session(HELLO) for _ in range(3)]
    await stage.log.seals.keys.delete(TENANT, talks[0].id)
    add_key(key_file)
    keys = EventLog(stage.nc, stage.settings).seals.keys

    first, again = await keys.rewrap(), await keys.rewrap()
    write_private(key_file, text_of(key_file).splitlines()[-1] + "\n")

    assert first[0] == first[1] >= 2
    assert again == (0, first[1])
    assert await EventLog(stage.nc, stage.settings).read(TENANT, talks[1].id)
