"""The wall between two tenants: everything that we could think of is tried, and nothing of it has an effect.

What a credential does not name is denied, by the server or by the gateway, and a line says so. Whoever holds the key of
a tenant's whole account is denied nothing inside of it: there it counts that nothing comes out of another one, or in.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import nats
import pytest
from nats.errors import Error as NatsError
from structlog.testing import capture_logs
from tests.security import attempts
from tests.security.walls import Guest, Session, Wall, serving
from tests.support.agents import CALL_THEN_SAY, SAY_HELLO
from tests.support.wait import until

from stenograph_events import SessionId, new_id, new_session_id
from stenograph_events.subjects import ask_subject, log_subject, trigger_subject
from stenograph_events.types import ToolRequested, TurnFinished
from stenograph_events.wire import Followed, Problem, message_id
from stenograph_sdk import CannotConnect, Client, Worker
from stenograph_sdk.credentials import said_by
from stenograph_services.accounts import minting, walls
from stenograph_services.accounts.auditing import Denial, denied
from stenograph_services.accounts.claims import AccountClaims, Limits, claimed, signed
from stenograph_services.accounts.keys import new_key
from stenograph_services.accounts.pushing import pusher
from stenograph_services.accounts.records import ClientScope
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.jetstream import api
from stenograph_services.runtime.uploads import declare_uploads

TOOL, OTHER_TOOL = "get-account", "send-mail"
SECRET = b"CANARY-OF-BOLT"
SUBVERSIVE = b'{"outcome":"succeeded","worker":"thief","stream_name":"TOOLS","config":{"name":"spy"}}'


@pytest.fixture(scope="module")
async def bolt(wall: Wall) -> Session:
    """A session of the other tenant, whose call waits for a worker: its log, its queue and its frames hold a secret."""
    await wall.worker("bolt", [TOOL])
    offering = Worker(wall.server.url, await wall.worker("bolt", [TOOL]))
    offering.tool(TOOL, retry="safe")(lambda userId: "")
    async with serving(offering):
        pass  # the tool is registered, and nobody serves it now
    session = await wall.session("bolt", CALL_THEN_SAY.replace("u1", SECRET.decode()))
    await session.trigger(TEXT=SECRET.decode())
    await session.until(ToolRequested)
    await until(lambda: deadline_is_stored(wall), what="its deadline is stored, so that nothing moves any more")
    return session


async def deadline_is_stored(wall: Wall) -> bool:
    return bool((await api(wall.platform, "STREAM.INFO.TIM"))["state"]["messages"])


async def stored(wall: Wall) -> dict[str, Any]:
    """Return how much every stream holds, and every consumer has delivered: what nobody may change."""
    streams = (await api(wall.platform, "STREAM.LIST"))["streams"]
    state = {
        one["config"]["name"]: (one["config"], one["state"]["last_seq"], one["state"]["messages"]) for one in streams
    }
    queue = await api(wall.platform, f"CONSUMER.INFO.TOOLS.bolt={TOOL}")
    return state | {"queue": (queue["delivered"]["consumer_seq"], queue["ack_floor"]["consumer_seq"])}


class Holder(NamedTuple):
    """Somebody with a credential: all that it may do, and the sessions that it is for."""

    file: Path
    user: str
    uses: list[walls.Use]
    mine: tuple[str, ...] = ()

    @property
    def inbox(self) -> str:
        return walls.inbox_of(self.user)

    def passes(self, subject: str) -> bool:
        """Return whether the server lets it publish there."""
        return any(matches(use.subject, subject) for use in self.uses if use.way == "publish")

    def is_its_own(self, subject: str) -> bool:
        """Return whether it may ask for this."""
        tokens = subject.split(".")
        return self.passes(subject) and (tokens[3] in self.mine or (tokens[-1] == "create" and tokens[2] == "_"))


class Acme(NamedTuple):
    """Our own tenant: a session and its agent, which a credential may be limited to, and another one of each."""

    agent: str
    session: str
    others_agent: str
    others_session: str


KINDS = ("worker", "client", "client of one agent", "client of one session")


@pytest.fixture(scope="module")
async def acme(wall: Wall) -> Acme:
    ours, others = [await wall.agent("acme", SAY_HELLO) for _ in range(2)]
    sessions = [(await wall.session_of("acme", agent)).id for agent in (ours, others)]
    await wall.client("acme")  # somebody else of the tenant, who has an inbox, too
    return Acme(ours.slug, sessions[0], others.slug, sessions[1])


@pytest.fixture(scope="module")
async def follower(wall: Wall, bolt: Session) -> str:
    """What a gateway calls somebody of the other tenant, who follows its session."""
    guest = await Guest.connect(wall.server.url, await wall.client("bolt"))
    inbox = guest.nc.new_inbox()
    await guest.listen(inbox)
    await guest.publish(log_subject("bolt", None, bolt.id, "follow"), b"{}", inbox)
    await until(lambda: guest.received, what="the gateway tells")
    return msgspec.json.decode(guest.received[0].partition(b" ")[2], type=Followed).follower


async def holder(wall: Wall, acme: Acme, kind: str) -> Holder:
    scope = {
        "client": ClientScope(),
        "client of one agent": ClientScope(agent=acme.agent),
        "client of one session": ClientScope(session=acme.session),
    }.get(kind)
    if scope is None:
        file = await wall.worker("acme", [TOOL])
        user = wall.folder.tenant("acme").credentials[-1].user
        return Holder(file, user, walls.worker_uses("acme", [TOOL], walls.inbox_of(user)))
    file = await wall.client("acme", agent=scope.agent, session=scope.session)
    user = wall.folder.tenant("acme").credentials[-1].user
    uses = walls.client_uses("acme", scope, walls.inbox_of(user))
    return Holder(file, user, uses, (acme.session,) if kind != "client" else (acme.session, acme.others_session))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_credential_does_what_it_names_and_every_other_try_is_denied_and_told(
    wall: Wall, bolt: Session, acme: Acme, follower: str, kind: str
):
    """Most is denied by the server, which says so in its log; what no subject can limit is denied by the gateway."""
    who, victim = await holder(wall, acme, kind), said_by(await wall.worker("bolt", [TOOL])).inbox_prefix or ""
    sessions = (acme.session, acme.others_session, bolt.id, new_session_id(), "*", "_")
    own = (TOOL, OTHER_TOOL) if who.mine else (OTHER_TOOL,)
    tried = [
        *attempts.published(("bolt",), (TOOL, OTHER_TOOL), bolt.id),
        *(one.format(t="acme", tool=tool, s=bolt.id) for one in attempts.ON_A_TOOL for tool in (*own, "*")),
        *(one.format(t="acme", s=bolt.id) for one in attempts.ON_A_TENANT),
        *attempts.asked(("acme", "bolt", "*"), ("_", acme.agent, acme.others_agent, "*"), sessions),
    ]
    tried = [subject for subject in dict.fromkeys(tried) if not who.is_its_own(subject)]
    heard = list(attempts.listened(("bolt", "acme"), (victim, inbox_of_another(wall, who))))
    before, said = await stored(wall), wall.server.log_path.stat().st_size

    with capture_logs() as lines:
        guest = await Guest.connect(wall.server.url, who.file)
        reply = guest.nc.new_inbox()
        await guest.listen(reply)
        for subject in tried:
            await guest.publish(subject, body_for(subject, bolt, acme, follower), reply)
        for subject in heard:
            await guest.listen(subject)
        await guest.answered()
        asked = [subject for subject in tried if who.passes(subject)]
        await until(lambda: len(guest.received) >= len(asked), what="the gateway has answered")
        await guest.answered()

    by_server = {(one.action, one.subject) for one in denials(wall, said, who.user)}
    by_gateway = {(one["user"], one["subject"]) for one in lines if one["event"] == "access.denied"}
    assert len(tried) + len(heard) >= 500
    assert [one for one in tried if not who.passes(one) and ("publish", one) not in by_server] == []
    assert [one for one in heard if ("subscribe", one) not in by_server] == []
    assert [one for one in asked if (who.user, one) not in by_gateway] == []
    assert [one for one in guest.received if not is_a_refusal(one)] == []
    assert len(guest.received) == len(asked)
    assert await stored(wall) == before
    await guest.nc.close()


async def test_nobody_ends_what_another_one_follows(wall: Wall, bolt: Session, follower: str):
    """Whoever the tries above did not stop is told on."""
    gateway: Any = wall.gateway.service

    assert follower in gateway._door._following._followers


def inbox_of_another(wall: Wall, who: Holder) -> str:
    """Return the inboxes of somebody else of the same tenant."""
    return next(walls.inbox_of(one.user) for one in wall.folder.tenant("acme").credentials if one.user != who.user)


def matches(allowed: str, subject: str) -> bool:
    """Return whether a permission covers a subject, as the server reads both."""
    wanted, tokens = allowed.split("."), subject.split(".")
    if wanted[-1] == ">":
        return len(tokens) >= len(wanted) and matches(".".join(wanted[:-1]), ".".join(tokens[: len(wanted) - 1]))
    return len(wanted) == len(tokens) and all(w in ("*", t) for w, t in zip(wanted, tokens, strict=True))


def body_for(subject: str, bolt: Session, acme: Acme, follower: str) -> bytes:
    """Return what would be granted if it were one's own, with the other tenant's ids where a body has some."""
    match subject.split("."):
        case ["as", _, _, _, "create"]:
            body: Any = {"agent": acme.others_agent, "tenant": "bolt"}
        case ["as", _, _, _, "start", _]:
            body = {"request": new_id(), "input": {"TEXT": "x"}, "tenant": "bolt", "session": bolt.id}
        case ["as", _, _, _, "cancel"]:
            body = {"turn": "t1", "session": bolt.id}
        case ["as", _, _, _, "answer"]:
            body = {"tool": TOOL, "call": "c1", "answer": {"outcome": "succeeded"}, "session": bolt.id}
        case ["log", _, _, _, "keep"]:
            body = {"follower": follower, "stop": True}
        case _:
            body = {}
    return msgspec.json.encode(body)


def is_a_refusal(received: bytes) -> bool:
    """Return whether a message says no, and nothing more."""
    _, _, body = received.partition(b" ")
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.MsgspecError:
        return False
    return problem.code in ("NOT_FOUND", "FORBIDDEN", "VALIDATION_ERROR") and SECRET.decode() not in problem.error


def denials(wall: Wall, since: int, user: str) -> list[Denial]:
    """Return what the server's log says, from a place on, that it denied `user`."""
    said = wall.server.log_path.read_bytes()[since:].decode()
    return [one for line in said.splitlines() if (one := denied(line)) is not None and one.user == user]


async def test_whoever_holds_all_of_a_tenants_account_hears_and_changes_nothing_of_another(wall: Wall, bolt: Session):
    thief = wall.file(minting.unbounded(wall.folder.tenant_key("acme"), "thief").text)
    victim = await wall.worker("bolt", [TOOL])
    tried = [
        *attempts.published(("bolt",), (TOOL, OTHER_TOOL), bolt.id),
        *attempts.asked(("bolt", "*"), ("_", "*"), (bolt.id, "*")),
        *attempts.asked(("acme",), ("_",), (bolt.id,)),
    ]
    before = await stored(wall)

    guest = await Guest.connect(wall.server.url, thief)
    for subject in (">", *attempts.listened(("bolt",), (said_by(victim).inbox_prefix or "",))):
        await guest.listen(subject)
    for subject in tried:
        await guest.publish(subject, SUBVERSIVE, "_INBOX.thief")
    await guest.answered()
    unchanged = await stored(wall)
    worker = Worker(wall.server.url, victim)
    worker.tool(TOOL, retry="safe")(lambda userId: {"plan": userId})
    async with serving(worker):
        end = await bolt.until(TurnFinished)
    await guest.answered()

    assert unchanged == before
    assert end.outcome == "completed"
    assert [one for one in guest.received if SECRET in one] == []
    assert [one for one in guest.received if b"thief" not in one] == []  # all else that it hears is of its own
    await guest.nc.close()


HEADERS: tuple[dict[str, str], ...] = (
    {"Nats-Rollup": "all"},
    {"Nats-Rollup": "sub"},
    {"Nats-TTL": "1s"},
    {"Nats-Schedule": "@every 1s", "Nats-Schedule-Target": "tool.res.bolt.x"},
    {"Nats-Scheduler": "tool.res.bolt.x", "Nats-Schedule-Next": "purge"},
    {"Nats-Incr": "+1"},
    {"Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1", "Nats-Batch-Commit": "1"},
    {"Nats-Msg-Id": "of-bolt"},
    {"Nats-Expected-Stream": "RES"},
    {"Nats-Expected-Last-Sequence": "1"},
    {"Nats-Expected-Last-Msg-Id": "of-bolt"},
    {"Nats-Expected-Last-Subject-Sequence": "0", "Nats-Expected-Last-Subject-Sequence-Subject": "tool.res.bolt.>"},
    {"Nats-Trace-Dest": "tool.res.bolt.x"},
    {"Nats-Request-Info": '{"acc":"x","user":"x"}'},
    {"KV-Operation": "PURGE"},
)


async def test_no_header_of_a_worker_takes_away_or_keeps_out_what_another_tenant_writes(wall: Wall, bolt: Session):
    """Headers are the publisher's: the streams that workers write to have nothing switched on that these could use."""
    theirs = await Guest.connect(wall.server.url, await wall.worker("bolt", [TOOL]))
    ours = await Guest.connect(wall.server.url, await wall.worker("acme", [TOOL]))
    answer, upload = f"tool.res.{{t}}.{TOOL}.{bolt.id}.h{{i}}.1", f"upload.{{t}}.{TOOL}.s1.c1.1.{'b' * 64}.{{i}}"
    for tenant in ("acme", "bolt"):
        await declare_uploads(wall.platform, Settings(), tenant)
    kept = {form: await written(theirs, form.format(t="bolt", i=99), {}) for form in (answer, upload)}

    for i, headers in enumerate(HEADERS):
        for form in (answer, upload):
            with suppress(NatsError):  # the server says nothing to some
                await ours.nc.request(form.format(t="acme", i=i), b"{}", timeout=0.2, headers=headers)

    again = {form: await written(theirs, form.format(t="bolt", i=98), {"Nats-Msg-Id": "mine"}) for form in kept}
    for form, ack in kept.items():
        stored = await wall.platform.jetstream().get_msg(ack["stream"], ack["seq"])
        assert (stored.subject, stored.data) == (form.format(t="bolt", i=99), SECRET)
        assert again[form]["seq"] > ack["seq"]
        assert "duplicate" not in again[form]
    assert [one for one in ours.received if SECRET in one] == []
    await theirs.nc.close()
    await ours.nc.close()


async def written(guest: Guest, subject: str, headers: dict[str, str]) -> dict[str, Any]:
    reply = await guest.nc.request(subject, SECRET, timeout=5, headers=headers)
    ack: dict[str, Any] = msgspec.json.decode(reply.data)
    return ack


async def test_a_worker_uploads_for_its_own_tools_alone_and_writes_over_nothing(wall: Wall):
    """The address was the content's, for all tools of a tenant, and any of its workers could put something there."""
    await declare_uploads(wall.platform, Settings(), "acme")
    theirs = await Guest.connect(wall.server.url, await wall.worker("acme", [OTHER_TOOL]))
    ours = await Guest.connect(wall.server.url, await wall.worker("acme", [TOOL]))
    of_theirs, of_ours = (f"upload.acme.{tool}.s1.c1.1.{'c' * 64}.0" for tool in (OTHER_TOOL, TOOL))
    kept = [await written(theirs, of_theirs, {}), await written(ours, of_ours, {})]

    for headers in ({}, {"Nats-Rollup": "sub"}, {"Nats-Msg-Id": "again"}):
        with pytest.raises(NatsError):
            await ours.nc.request(of_theirs, b"other", timeout=0.2, headers=headers)
        refused = msgspec.json.decode((await ours.nc.request(of_ours, b"other", timeout=5, headers=headers)).data)
        assert "error" in refused

    stored = [await wall.platform.jetstream().get_last_msg("UPLOADS_acme", one) for one in (of_theirs, of_ours)]
    assert [one.seq for one in stored] == [one["seq"] for one in kept]
    assert of_theirs in str(ours.forbidden)
    await theirs.nc.close()
    await ours.nc.close()


async def test_a_tenant_that_fills_its_quota_leaves_the_others_theirs(wall: Wall):
    for tenant in ("acme", "bolt"):
        await declare_uploads(wall.platform, Settings(upload_quota_bytes=1_000_000), tenant)
    theirs = await Guest.connect(wall.server.url, await wall.worker("bolt", [TOOL]))
    ours = await Guest.connect(wall.server.url, await wall.worker("acme", [TOOL]))

    acks = [
        msgspec.json.decode((await ours.nc.request(subject, b"x" * 300_000, timeout=5)).data)
        for subject in (f"upload.acme.{TOOL}.s1.c1.1.{'d' * 64}.{i}" for i in range(8))
    ]
    kept = await written(theirs, f"upload.bolt.{TOOL}.s1.c1.1.{'d' * 64}.0", {})

    assert [one["error"]["description"] for one in acks if "error" in one][-1] == "maximum bytes exceeded"
    assert kept["stream"] == "UPLOADS_bolt"
    await theirs.nc.close()
    await ours.nc.close()


async def test_no_header_of_a_client_reaches_a_stream(wall: Wall, acme: Acme):
    """The gateway writes the message id; of what a client sends along it hands on the trace alone."""
    guest = await Guest.connect(wall.server.url, await wall.client("acme"))
    headers = {name: value for one in HEADERS for name, value in one.items() if name != "Nats-Trace-Dest"}
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    heard: list[dict[str, str]] = []

    async def hear(message: Any) -> None:
        heard.append(message.headers)

    subject = trigger_subject("acme", acme.session, "user-message")
    listening = await wall.platform.subscribe(subject, cb=hear)
    await wall.platform.flush()
    body = msgspec.json.encode({"request": "r-1", "input": {"TEXT": "x"}})
    asked = ask_subject("acme", None, acme.session, "start", "user-message")
    reply = await guest.nc.request(asked, body, timeout=5, headers=headers | trace)
    await until(lambda: heard, what="the trigger is stored")

    assert msgspec.json.decode(reply.data) == {}
    assert heard == [{"Nats-Msg-Id": message_id("acme", acme.session, "r-1")} | trace]
    await Session(wall, "acme", SessionId(acme.session)).until(TurnFinished)
    await listening.unsubscribe()
    await guest.nc.close()


async def test_the_import_tokens_of_another_tenant_open_nothing(wall: Wall, bolt: Session):
    """Even if the operator signed such an account: the platform's word names who may import, and it is not this one."""
    operator, account = wall.folder.key("operator"), new_key("account")
    theirs = minting.tenant_jwt(
        operator, wall.folder.key("platform"), wall.folder.tenant_key("bolt"), wall.folder.tenant("bolt")
    )
    stolen = claimed(theirs).nats.imports  # type: ignore[union-attr]
    claims = AccountClaims(Limits(subs=-1, data=-1, payload=-1, imports=-1, conn=-1, wildcards=True), imports=stolen)
    async with pusher(wall.server.url, wall.folder) as server:
        with pytest.raises(Exception, match="refuses the account of thief"):
            await server.ask("UPDATE", signed(operator, account.public, "thief", claims), "thief")
    with pytest.raises(NatsError):
        await Guest.connect(wall.server.url, wall.file(minting.unbounded(account, "thief").text))


@pytest.mark.parametrize("signer", ["tenant", "stranger"])
async def test_an_account_that_the_operator_did_not_sign_lets_nobody_in(wall: Wall, signer: str):
    """The server keeps what the system account hands it; it believes the operator alone."""
    key, account = wall.folder.tenant_key("acme") if signer == "tenant" else new_key("operator"), new_key("account")
    forged = signed(key, account.public, "forged", AccountClaims(Limits(subs=-1, data=-1, payload=-1, conn=-1)))

    async with pusher(wall.server.url, wall.folder) as server:
        await server.ask("UPDATE", forged, "forged")

    with pytest.raises(NatsError):
        await Guest.connect(wall.server.url, wall.file(minting.unbounded(account, "forged").text))


async def test_a_credential_that_another_account_signed_opens_nothing(wall: Wall):
    minted = minting.worker(new_key("account"), "acme", [TOOL], "w-1")

    with pytest.raises(NatsError):
        await Guest.connect(wall.server.url, wall.file(minted.text))


async def test_without_a_credential_nobody_connects(wall: Wall):
    with pytest.raises(NatsError):
        await nats.connect(wall.server.url, allow_reconnect=False, connect_timeout=2)
    with pytest.raises(CannotConnect, match="it lets in who has a credentials file"):
        async with Client.connect(wall.server.url):
            pass
