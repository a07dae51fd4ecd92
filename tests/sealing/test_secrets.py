"""What a protocol declares secret is read by the worker that needs it, and nowhere else."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.sealing.disk import system
from tests.sealing.secrets import (
    CHARGER,
    PAYER,
    Called,
    Till,
    a_secret,
    door,
    overhearing,
    snapshots,
)
from tests.sealing.test_events import add_key
from tests.support.services import TENANT, Stage, Talk
from tests.support.wait import until

from stenograph_events import SessionId
from stenograph_events.testing import raw
from stenograph_events.types import SessionCreated, ToolRequested, ToolSucceeded
from stenograph_events.wire import Trigger
from stenograph_projections.invariants import Stored, check
from stenograph_sdk import Refused
from stenograph_services.gateway import app as gateway
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import KeyDeleted
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.nats_server import NatsServer
from stenograph_services.runtime.sealing.data_key import WrongSeal


def files_with(secret: str, *directories: Path) -> list[str]:
    paths = [path for directory in directories for path in directory.rglob("*") if path.is_file()]
    assert paths
    return [str(path) for path in paths if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize("sealing", [True, False])
async def test_a_secret_is_nowhere_but_in_the_worker_that_needs_it(
    server: NatsServer,
    tmp_path: Path,
    key_file: Path,
    sealing: bool,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    caplog.set_level(logging.DEBUG)
    key, pin = a_secret(), a_secret()
    data = tmp_path / "data"
    data.mkdir()

    async with (
        system(server, data, sealing=sealing, sealing_key_file=key_file, log_level="debug") as stage,
        door(stage) as http,
        overhearing(stage.nc) as heard,
    ):
        till = Till(stage, tmp_path)
        async with till.serving():
            session = await http.session(API_KEY=key)
            told = await http.pay(session, PIN=pin)
        await http.look_everywhere(session)
        await snapshots(stage)
        stored = await stage.log.read(TENANT, session)
    printed = capfd.readouterr()
    said = [*heard, *(text.encode() for text in http.said), caplog.text.encode(), *(s.encode() for s in printed)]

    charged = {"amount": 5, "apiKey": key, "pin": pin}
    assert till.calls == [Called("look-up", {"apiKey": key}), Called("charge", charged), Called("charge", charged)]
    assert '"finish"' in told
    assert "(secret)" in told
    assert any(b'"owner":"Ann"' in one for one in said)
    assert any(b"tool.progress." in one and b"with with" in one for one in heard)
    assert check([Stored(s.sequence, None, s.data, s.opened) for s in stored], complete=True).ok
    for secret in (key, pin):
        assert [one for one in said if secret.encode() in one] == []
        assert [one for one in stored if secret.encode() in one.plain] == []
        assert files_with(secret, server.directory, data) == []


@pytest.fixture
async def open_stage(nats_url: str, tmp_path: Path, key_file: Path) -> AsyncIterator[Stage]:
    """Services that have keys, and seal nothing but secrets."""
    async with Stage(nats_url, tmp_path, sealing=False, sealing_key_file=key_file, port=0) as made:
        await made.start(gateway.build)
        yield made


async def test_what_does_not_fit_is_refused_at_the_door_and_stored_nowhere(
    open_stage: Stage, capfd: pytest.CaptureFixture[str]
):
    pin = a_secret()
    async with door(open_stage) as http, overhearing(open_stage.nc) as heard:
        session = await http.session(API_KEY="sk-1")
        made = await http.ask("POST", "/agent-sessions", {"agentId": "payer", "input": {"API_KEY": [pin]}})
        wrong = await http.pay(session, PIN={"pin": pin})
        misspelt = await http.pay(session, PINN=pin)

    assert (made.status_code, made.json()["code"]) == (400, "VALIDATION_ERROR")
    assert "/API_KEY: must be a text; it is secret" in made.text
    assert "/PIN: must be a text; it is secret" in wrong
    assert "unknown name 'PINN'; did you mean 'PIN'?" in misspelt
    printed = capfd.readouterr()
    assert pin not in "".join([*http.said, printed.out, printed.err])
    assert [one for one in heard if pin.encode() in one] == []


async def test_without_keys_a_session_of_an_agent_with_secrets_is_refused_and_told_what_to_do(
    nats_url: str, tmp_path: Path
):
    async with Stage(nats_url, tmp_path, port=0) as stage:
        await stage.start(gateway.build)
        async with door(stage) as http:
            refused = await http.ask("POST", "/agent-sessions", {"agentId": "payer", "input": {"API_KEY": "sk-1"}})
        with pytest.raises(Refused, match="NO_KEYS"):
            await stage.client.sessions.create("payer", {"API_KEY": "sk-1"})

    assert (refused.status_code, refused.json()["code"]) == (503, "NO_KEYS")
    assert "set STENOGRAPH_SEALING_KEY_FILE to a file that `stenograph tenants init` makes" in refused.text


async def test_a_trigger_that_is_sent_again_with_another_token_is_the_same_turn(open_stage: Stage, tmp_path: Path):
    till = Till(open_stage, tmp_path)
    async with door(open_stage) as http, till.serving():
        session = await http.session(API_KEY="sk-1")
        again = [await http.pay(session, key="once", PIN=pin) for pin in ("token-of-9-h", "token-of-10-h")]
        other = await http.pay(session, key="once", TEXT="Something else", PIN="token-of-10-h")

    assert [call.arguments.get("pin") for call in till.calls] == [None, "token-of-9-h", "token-of-9-h"]
    assert all('"finish"' in told for told in again)
    assert "stands for another trigger" in other


async def test_a_child_agent_is_given_a_secret_as_one_of_its_own_session(open_stage: Stage, tmp_path: Path):
    key = a_secret()
    till = Till(open_stage, tmp_path)
    async with door(open_stage) as http, overhearing(open_stage.nc) as heard, till.serving():
        await Agents(open_stage.nc).store(TENANT, CHARGER)
        session = await http.session(API_KEY=key)
        told = await http.trigger(session, "hand-on")
        await http.read(session)
        events = [stored.event for stored in await open_stage.log.read(TENANT, session)]
        (child,) = [one.child.session for one in events if isinstance(one, ToolRequested) and one.child]
        (created, *_, wanted) = [stored.event for stored in await open_stage.log.read(TENANT, child)][:3]

    assert till.calls == [Called("look-up", {"apiKey": key})]
    assert '"finish"' in told
    assert [bytes(one.result) for one in events if isinstance(one, ToolSucceeded)] == [b'{"owner":"Ann"}']
    assert isinstance(created, SessionCreated)
    assert isinstance(wanted, ToolRequested)
    assert wanted.secrets is not None
    assert created.input != events[0].input  # type: ignore[union-attr]
    assert [one for one in heard if key.encode() in one] == []


async def test_the_key_of_the_secrets_seals_everything_once_that_is_wanted_and_dies_with_the_session(
    open_stage: Stage, tmp_path: Path, key_file: Path
):
    async with door(open_stage) as http:
        session = await http.session(API_KEY="sk-live-1")
    seals = open_stage.log.seals
    token = (await open_stage.log.read(TENANT, session))[0].event.input  # type: ignore[union-attr]
    before = await seals.keys.get(TENANT, session)

    add_key(key_file)
    url = open_stage.settings.nats_url
    sealing = EventLog(open_stage.nc, Settings(nats_url=url, sealing=True, sealing_key_file=key_file))
    changed, _ = await sealing.seals.keys.rewrap()
    after = await sealing.seals.key_for(TENANT, session, 2)

    assert (await seals.known(TENANT, session), before.seals, changed > 0) == (None, False, True)
    assert after is not None
    assert (after.seals, after.whole) == (True, False)
    (text,) = msgspec.json.decode(token).values()
    assert before.open_secret(text) == after.open_secret(text) == "sk-live-1"
    with pytest.raises(WrongSeal) as raised:
        after.open_secret(text[:-30] + "A" * 30)
    assert text not in str(raised.value)
    await sealing.seals.keys.delete(TENANT, session)
    with pytest.raises(KeyDeleted):
        await sealing.seals.for_secrets(TENANT, session, 0)


async def test_a_person_who_edits_a_call_over_http_leaves_its_secrets_and_changes_none(
    open_stage: Stage, tmp_path: Path
):
    till = Till(open_stage, tmp_path)
    guarded = PAYER.protocol.replace(
        "description: Charge the card", "description: Charge the card\n    approval: always"
    )
    async with door(open_stage) as http, till.serving():
        await Agents(open_stage.nc).store(TENANT, msgspec.structs.replace(PAYER, protocol=guarded))
        session = await http.session(API_KEY="sk-live-1")
        paused = await http.pay(session)
        (asked,) = (await http.ask("GET", f"/agent-sessions/{session}/approvals")).json()["approvals"]
        place, edit = (
            f"/agent-sessions/{session}/approvals/{asked['call']}",
            {"decision": "edit", "digest": asked["digest"]},
        )

        other = await http.ask("POST", place, {**edit, "arguments": {"amount": 4, "apiKey": "sk-other"}})
        edited = [await http.ask("POST", place, {**edit, "arguments": {"amount": 4}}) for _ in range(2)]
        await until(lambda: len(till.calls) > 1, what="the card is charged")

    assert "approval-required" in paused
    assert (other.status_code, other.json()["error"]) == (
        400,
        "arguments: 'apiKey' is secret: leave it out, and the call keeps the one that it has",
    )
    assert [one.status_code for one in edited] == [200, 200], edited[1].text
    assert till.calls[1].arguments == {"amount": 4, "apiKey": "sk-live-1", "pin": ""}


async def test_a_client_over_nats_asks_the_gateway_which_seals_and_whoever_goes_around_it_is_rejected(
    open_stage: Stage, tmp_path: Path
):
    pin = a_secret()
    till = Till(open_stage, tmp_path)
    async with door(open_stage) as http, overhearing(open_stage.nc) as heard, till.serving():
        session = await http.session(API_KEY="sk-1")
        wanted = Trigger(raw({"TEXT": "Pay", "PIN": pin}), "r-1")
        subject = f"as.{TENANT}._.{session}.start.pay"
        answer = await open_stage.nc.request(subject, msgspec.json.encode(wanted), timeout=10)
        await until(lambda: len(till.calls) == 3, what="the card was charged")
        around = await open_stage.client.session(session).send("pay", {"TEXT": "Pay", "PIN": pin}, request="r-2")
        talk = Talk(open_stage, SessionId(session))
        rejected = await talk.rejection_of(around)

    assert msgspec.json.decode(answer.data) == {}
    assert till.calls[1].arguments["pin"] == pin
    assert [one for one in heard if one.startswith(b"trig.start.") and b"r-1" in one and pin.encode() in one] == []
    assert rejected.reason == "invalid-input"
    assert rejected.detail.startswith("PIN is secret, and came unsealed: send the trigger over HTTP")
    assert [one for one in await open_stage.log.read(TENANT, session) if pin.encode() in one.plain] == []
