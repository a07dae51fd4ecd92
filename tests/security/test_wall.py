"""The wall between two tenants: everything that we could think of is tried, and nothing of it has an effect.

What a worker's credential does not name is denied by the server, and said so. Whoever holds the key of a tenant's whole
account is denied nothing inside of it, so there what counts is that nothing comes out of another account, and in.
"""

from typing import Any

import nats
import pytest
from nats.errors import Error as NatsError
from tests.security import attempts
from tests.security.walls import Guest, Session, Wall, serving
from tests.support.agents import CALL_THEN_SAY

from stenograph_events.types import ToolRequested, TurnFinished
from stenograph_sdk import Worker
from stenograph_sdk.credentials import said_by
from stenograph_services.accounts import minting
from stenograph_services.accounts.claims import AccountClaims, Limits, claimed, signed
from stenograph_services.accounts.keys import new_key
from stenograph_services.accounts.pushing import pusher
from stenograph_services.runtime.jetstream import api

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
    return session


async def stored(wall: Wall) -> dict[str, Any]:
    """Return how much every stream holds, and every consumer has delivered: what nobody may change."""
    streams = (await api(wall.platform, "STREAM.LIST"))["streams"]
    state = {
        one["config"]["name"]: (one["config"], one["state"]["last_seq"], one["state"]["messages"]) for one in streams
    }
    queue = await api(wall.platform, f"CONSUMER.INFO.TOOLS.bolt={TOOL}")
    return state | {"queue": (queue["delivered"]["consumer_seq"], queue["ack_floor"]["consumer_seq"])}


async def test_a_worker_is_denied_every_subject_but_its_own(wall: Wall, bolt: Session):
    file = await wall.worker("acme", [TOOL])
    victim = said_by(await wall.worker("bolt", [TOOL])).inbox_prefix or ""
    tried = [
        *attempts.published(("bolt",), (TOOL, OTHER_TOOL), bolt.id),
        *(one.format(t="acme", tool=tool, s=bolt.id) for one in attempts.ON_A_TOOL for tool in (OTHER_TOOL, "*")),
        *(one.format(t="acme", s=bolt.id) for one in attempts.ON_A_TENANT),
    ]
    before = await stored(wall)

    guest = await Guest.connect(wall.server.url, file)
    reply = guest.nc.new_inbox()
    await guest.listen(reply)
    for subject in tried:
        await guest.publish(subject, b"{}", reply)
    heard = list(attempts.listened(("bolt", "acme"), (victim,)))
    for subject in heard:
        await guest.listen(subject)
    await guest.answered()

    assert len(tried) + len(heard) >= 500
    assert sorted(subject for subject in tried if not denied(guest, "publish", subject)) == []
    assert sorted(subject for subject in heard if not denied(guest, "subscription", subject)) == []
    assert guest.received == []
    assert await stored(wall) == before
    await guest.nc.close()


async def test_whoever_holds_all_of_a_tenants_account_hears_and_changes_nothing_of_another(wall: Wall, bolt: Session):
    thief = wall.file(minting.unbounded(wall.folder.tenant_key("acme"), "thief").text)
    victim = await wall.worker("bolt", [TOOL])
    tried = list(attempts.published(("bolt",), (TOOL, OTHER_TOOL), bolt.id))
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


def denied(guest: Guest, way: str, subject: str) -> bool:
    """Return whether the server said that it lets `guest` do nothing there."""
    said = f'permissions violation for {way} to "{subject}"'.lower()
    return any(said in one.lower() for one in guest.forbidden)
