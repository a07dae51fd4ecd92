"""What the server denied is told in a line for each denial, whoever tried to hide it."""

import asyncio
import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import nats
import pytest
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from tests.cli.conftest import Stenograph
from tests.security.walls import Guest, Wall, walled
from tests.support.processes import Processes
from tests.support.wait import until

from stenograph_services.accounts import changes, minting
from stenograph_services.accounts.auditing import REFUSALS, Denial, denied, refused
from stenograph_services.accounts.keys import key_of, new_key
from stenograph_services.accounts.records import ClientScope
from stenograph_services.cli.audit import _read_on
from stenograph_services.runtime.nats_server import free_ports

ACCOUNT, USER = "A" + "B" * 55, "U" + "C" * 55
AT = datetime(2026, 11, 22, 10, 0, 0, 123456, UTC)
HEAD = "[14] 2026/11/22 10:00:00.123456 [ERR] 10.0.0.7:41066 - cid:8 - "
OWNER = f'"{ACCOUNT}/acme/jwt:{USER}"'
WHERE = {"address": "10.0.0.7:41066", "connection": "cid:8"}


@pytest.mark.parametrize(
    ("said", "action", "subject"),
    [
        (f'"v2:py" - {OWNER} - Publish Violation - Subject "ev.>"', "publish", "ev.>"),
        (f'{OWNER} - Publish Violation - Subject "ev.>"', "publish", "ev.>"),
        (f'"v2:py" - {OWNER} - Publish Violation - Reply "_R_.x"', "reply", "_R_.x"),
        (f'"v2:py" - {OWNER} - Subscription Violation - Subject "a", Queue: "q", SID 1', "subscribe", "a"),
        (rf'"v2:py" - {OWNER} - Publish Violation - Subject "a\"b.\x01\ac\u00e9"', "publish", 'a"b.\x01\x07cé'),
    ],
)
def test_a_violation_names_who_tried_what(said: str, action: str, subject: str):
    assert denied(HEAD + said) == Denial(AT, action, denied_reason(action), "acme", USER, subject, **WHERE)  # type: ignore[arg-type]


def denied_reason(action: str) -> str:
    return "Subscription Violation" if action == "subscribe" else "Publish Violation"


@pytest.mark.parametrize(
    "name",
    [
        rf"v2:py:x\" - \"{ACCOUNT}/bolt/jwt:{USER[::-1]}\" - Publish Violation - Subject \"y\"",
        r"v2:py:x - authentication error",
        r"v2:py:\n[1] 2026/11/22 10:00:00.000000 [ERR] 1.1.1.1:1 - cid:1 - authentication error",
    ],
)
def test_a_name_that_reads_like_a_line_changes_nothing(name: str):
    line = f'{HEAD}"{name}" - {OWNER} - Publish Violation - Subject "ev.>"'

    assert denied(line) == Denial(AT, "publish", "Publish Violation", "acme", USER, "ev.>", **WHERE)  # type: ignore[arg-type]


def test_a_refused_connection_is_told_with_its_address():
    assert denied(f"{HEAD}authentication error") == Denial(AT, "connect", "authentication error", **WHERE)  # type: ignore[arg-type]


@pytest.mark.parametrize("line", ["", "[14] 2026/11/22 10:00:00.123456 [INF] Server is ready", HEAD + "Client slow"])
def test_other_lines_are_no_denials(line: str):
    assert denied(line) is None


async def test_the_command_tells_who_it_was_of_what_kind_and_what_was_tried(wall: Wall, tmp_path: Path):
    stenograph = Stenograph({"STENOGRAPH_KEYS_DIR": str(wall.folder.directory)})
    guest = await Guest.connect(wall.server.url, await wall.client("acme", agent="help-desk"))
    user = wall.folder.tenant("acme").credentials[-1].user
    await guest.publish("ev.00.bolt.x.turn", b"{}", "_INBOX.x")
    await guest.answered()
    await guest.nc.close()

    ran = await stenograph("audit", "--server-log", str(wall.server.log_path), "--json")
    shown = await stenograph("audit", "--server-log", str(wall.server.log_path))

    [told] = [one for one in ran.lines if one.get("user") == user]
    assert told == told | {
        "event": "access.denied", "tenant": "acme", "kind": "client", "agent": "help-desk",
        "action": "publish", "subject": "ev.00.bolt.x.turn", "reason": "Publish Violation",
    }  # fmt: skip
    assert f"acme  {user[:10]} (client)  publish  ev.00.bolt.x.turn  Publish Violation\n" in shown.out
    assert ran.code == shown.code == 0


async def test_the_command_follows_what_is_denied_and_who_is_refused(wall: Wall, processes: Processes):
    env = {"STENOGRAPH_KEYS_DIR": str(wall.folder.directory), "STENOGRAPH_NATS_URL": wall.server.url}
    command = (
        "-m",
        "stenograph_services.cli",
        "audit",
        "--follow",
        "--json",
        "--server-log",
        str(wall.server.log_path),
    )
    audit = processes.start("audit", *command, env=env)
    await audit.line("following")
    guest = await Guest.connect(wall.server.url, await wall.client("acme"))
    tried = wall.folder.tenant("acme").credentials[-1].user
    revoked = await wall.client("acme")
    refused_user = wall.folder.tenant("acme").credentials[-1].user
    await changes.revoke(wall.folder, wall.server.url, "acme", refused_user)

    await guest.listen("tok.bolt.*")
    await guest.answered()
    with pytest.raises(NatsError):
        await Guest.connect(wall.server.url, revoked)
    violation, refusal = await audit.line('"subscribe"'), await audit.line('"connect"')
    await guest.nc.close()

    assert json.loads(violation) == json.loads(violation) | {"user": tried, "subject": "tok.bolt.*", "kind": "client"}
    assert json.loads(refusal) == json.loads(refusal) | {"user": refused_user, "tenant": "acme", "kind": "client"}
    assert [line for line in audit.output().splitlines() if '"connect"' in line] == [refusal]  # not the log's word, too


async def test_a_leaf_node_that_is_no_nats_server_is_cut_off_and_told(tmp_path: Path):
    """One of ours is told what may pass, and sends nothing else. This one speaks for itself."""
    [port] = free_ports(1)
    async with walled(tmp_path, f'leafnodes {{ listen: "127.0.0.1:{port}" }}') as wall:
        made = await changes.leaf_credentials(wall.folder, wall.server.url, "acme", ["get-account"], "", None)
        _, jwt, *rest = made.text.splitlines()
        key = key_of(next(line for line in rest if line.startswith("SU")))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        nonce = json.loads((await reader.readline()).removeprefix(b"INFO "))["nonce"]
        signature = base64.urlsafe_b64encode(key.sign(nonce.encode())).decode().rstrip("=")
        hello = {"jwt": jwt, "sig": signature, "name": "n", "server_id": "N", "version": "2.15.1", "headers": True}
        writer.write(b"CONNECT " + json.dumps(hello).encode() + b"\r\nPING\r\n")
        await reader.readuntil(b"PONG")
        writer.write(b"LMSG ev.00.bolt.x.turn 2\r\n{}\r\n")
        said = await reader.read()
        told = [denied(line) for line in wall.server.log_path.read_text().splitlines()]
        writer.close()

    assert b'Permissions Violation for Publish to "ev.00.bolt.x.turn"' in said
    assert [(one.action, one.subject) for one in told if one] == [("publish", "ev.00.bolt.x.turn")]


async def test_the_command_names_a_log_that_is_missing(tmp_path: Path):
    ran = await Stenograph({})("audit", "--data", str(tmp_path))

    assert (ran.code, ran.out) == (1, "")
    assert f"there is no log of a nats-server at {tmp_path / 'nats' / 'nats-server.log'}" in ran.err


async def test_a_refused_connection_is_told_with_the_credential_that_it_showed(wall: Wall):
    told: list[Denial] = []

    async def hear(message: Msg) -> None:
        told.append(refused(message.data))

    system = await nats.connect(wall.server.url, user_credentials=str(wall.folder.system_credentials))
    await system.subscribe(REFUSALS, cb=hear)
    await system.flush()
    revoked = await wall.client("acme")
    user = wall.folder.tenant("acme").credentials[-1].user
    await changes.revoke(wall.folder, wall.server.url, "acme", user)
    forged = minting.client(new_key("account"), "acme", ClientScope(), "forged")
    for file in (revoked, wall.file(forged.text)):
        with pytest.raises(NatsError):
            await Guest.connect(wall.server.url, file)
    with pytest.raises(NatsError):
        await nats.connect(wall.server.url, allow_reconnect=False, connect_timeout=2)

    await until(lambda: len(told) >= 3, what="the server tells of all three")

    assert [(one.action, one.tenant, one.user) for one in told] == [
        ("connect", "acme", user),
        ("connect", "acme", forged.user),
        ("connect", None, None),
    ]
    await system.close()


async def test_a_log_is_followed_through_pieces_of_lines_a_new_file_and_a_new_beginning(tmp_path: Path):
    path, lines = tmp_path / "server.log", list[str]()
    path.write_text("before\n")
    log = path.open()
    log.read()
    following = asyncio.create_task(_read_on(path, log, lines.append))

    async def written(text: str, last: str, mode: str = "a") -> None:
        with path.open(mode) as file:
            file.write(text)
        await until(lambda: lines[-1:] == [last], what=f"{last} is read")

    await written("one\ntw", "one")
    await written("o\n", "two")
    path.rename(tmp_path / "server.log.1")
    await written("three\n", "three", "w")
    await written("4\n", "4", "w")
    following.cancel()

    assert lines == ["one", "two", "three", "4"]
