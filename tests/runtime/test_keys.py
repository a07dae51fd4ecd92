"""API keys as the bucket KEYS holds them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from nats.aio.client import Client
from tests.support.nats import Endpoint, connect, delete_streams
from tests.support.wait import until

from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import NoSuchKey, StorageUnavailable, Unreachable
from stenograph_services.runtime.jetstream import JetStreamError
from stenograph_services.runtime.keyring import Keyring
from stenograph_services.runtime.keys import SCOPES, KeyStore, hashed, id_of, new_key
from stenograph_services.runtime.streams import declare

T1, T2 = "default", "acme"


@pytest.fixture
async def nc(shared_nats: Endpoint) -> AsyncIterator[Client]:
    nc = await connect(shared_nats.url)
    await delete_streams(nc.jetstream())
    await declare(nc, Settings(nats_url=shared_nats.url))
    yield nc
    await nc.close()


@pytest.fixture
async def keyring(nc: Client) -> AsyncIterator[Keyring]:
    keyring = Keyring(nc, Settings())
    await keyring.start()
    yield keyring
    await keyring.stop()


def test_a_secret_holds_its_id_and_256_random_bits():
    key, secret = new_key(T1, ["mint", "sessions", "mint"], "ci")

    assert secret.startswith(f"oct_sk_{key.id}_")
    assert len(secret.removeprefix(f"oct_sk_{key.id}_")) == 43
    assert (id_of(secret), key.sha256, key.scopes) == (key.id, hashed(secret), ("sessions", "mint"))
    assert new_key(T1, ["mint"])[1] != new_key(T1, ["mint"])[1]


@pytest.mark.parametrize("text", ["", "x", "oct_sk_", "oct_sk_abc", "oct_et_a_b"])
def test_what_does_not_look_like_a_key_has_no_id(text: str):
    assert id_of(text) is None


async def test_keys_are_listed_by_tenant_the_oldest_first(nc: Client):
    store = KeyStore(nc)
    made = [new_key(tenant, SCOPES)[0] for tenant in (T1, T2, T1)]
    for key in reversed(made):
        await store.add(key)

    assert await store.list(T1) == [made[0], made[2]]
    assert await store.list(T2) == [made[1]]
    assert await store.list("nobody") == []


async def test_a_revoked_key_stays_on_the_list_and_is_revoked_once(nc: Client):
    store = KeyStore(nc)
    key, _ = new_key(T1, SCOPES)
    await store.add(key)

    first = await store.revoke(T1, key.id)
    again = await store.revoke(T1, key.id)

    assert first.revoked_at is not None
    assert await store.list(T1) == [first] == [again]


@pytest.mark.parametrize("id", ["nobody", "a.b", "*", ""])
async def test_a_key_that_is_not_there_cannot_be_revoked(nc: Client, id: str):
    key, _ = new_key(T2, SCOPES)
    await KeyStore(nc).add(key)

    for unknown in (id, key.id):
        with pytest.raises(NoSuchKey, match="stenograph keys list"):
            await KeyStore(nc).revoke(T1, unknown)


async def test_an_id_is_given_out_once(nc: Client):
    key, _ = new_key(T1, SCOPES)
    await KeyStore(nc).add(key)

    with pytest.raises(JetStreamError):
        await KeyStore(nc).add(key)


async def test_a_server_without_the_bucket_is_named(nc: Client):
    await nc.jetstream().delete_stream("KV_KEYS")

    with pytest.raises(StorageUnavailable, match="holds no bucket KEYS: start a gateway"):
        await KeyStore(nc).add(new_key(T1, SCOPES)[0])


async def test_gateways_that_start_together_sign_with_one_secret(nc: Client):
    keyrings = [Keyring(nc, Settings()) for _ in range(5)]

    await asyncio.gather(*(keyring.start() for keyring in keyrings))

    assert len({keyring.secret for keyring in keyrings}) == 1
    assert len(keyrings[0].secret) >= 43
    for keyring in keyrings:
        await keyring.stop()


async def test_a_keyring_is_open_until_the_first_key_of_any_tenant_and_never_after(nc: Client, keyring: Keyring):
    key, secret = new_key(T2, SCOPES)
    assert not keyring.locked

    await KeyStore(nc).add(key)
    await until(lambda: keyring.locked, 1.0)
    await KeyStore(nc).revoke(T2, key.id)

    later = Keyring(nc, Settings())
    await later.start()
    assert later.locked
    assert keyring.locked
    assert keyring.owner(secret) is None
    await later.stop()


async def test_a_keyring_begins_anew_where_its_watch_was_lost(nc: Client, keyring: Keyring):
    key, secret = new_key(T1, SCOPES)
    await KeyStore(nc).add(key)
    await until(lambda: keyring.owner(secret), 1.0)
    for consumer in await nc.jetstream().consumers_info("KV_KEYS"):
        await nc.jetstream().delete_consumer("KV_KEYS", consumer.name)

    keyring.refresh()
    await KeyStore(nc).revoke(T1, key.id)

    await until(lambda: keyring.owner(secret) is None, 1.0)
    assert keyring.key(key.id) is not None


async def test_what_is_known_of_a_revoked_token_goes_when_the_token_is_over(nc: Client, keyring: Keyring):
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    await keyring.revoke_token("short", soon)
    await KeyStore(nc).revoke_token(T1, "long", datetime.now(UTC) + timedelta(hours=1))

    await until(lambda: keyring.is_revoked("long"), 1.0)
    assert keyring.is_revoked("short")

    async def gone() -> bool:
        info = await nc.jetstream().stream_info("KV_KEYS", subjects_filter="$KV.KEYS.revoked.>")
        return set(info.state.subjects or {}) == {f"$KV.KEYS.revoked.{T1}.long"}

    await until(gone, what="the server dropped the entry")
    await KeyStore(nc).revoke_token(T1, "longer", datetime.now(UTC) + timedelta(hours=1))
    await until(lambda: keyring.is_revoked("longer"), 1.0)
    assert not keyring.is_revoked("short")


async def test_a_keyring_that_cannot_be_filled_says_so(nc: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stenograph_services.runtime.keyring._LOAD_SECONDS", 0.5)
    await nc.jetstream().delete_stream("KV_KEYS")
    keyring = Keyring(nc, Settings())

    with pytest.raises(Unreachable, match="the bucket KEYS could not be read"):
        await keyring.start()
