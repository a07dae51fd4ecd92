"""Data keys in the bucket DATAKEYS: one for each session, wrapped by its tenant's key.

    default.2f01…   {"master":"5e1c…","wrapped":"<base64>","whole":true}
    default.7b03…   {"master":"5e1c…","wrapped":"<base64>","seals":false}
    default.9a44…   {"deleted_at":"2026-11-22T10:00:00Z"}

A key is made before the first event that it seals. Deleted, it takes everything of its session with it, wherever
copies of that lie: what is then left cannot be opened by anybody.
"""

import asyncio
import base64
import contextlib
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from nats.aio.client import Client
from nats.errors import NoRespondersError

from stenograph_events.subjects import bucket_subject, data_key
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.errors import KeyDeleted, KeyMissing
from stenograph_services.runtime.jetstream import NOT_FOUND, WRONG_LAST_SEQUENCE, JetStreamError, api, publish
from stenograph_services.runtime.sealing.data_key import DataKey, WrongSeal
from stenograph_services.runtime.sealing.master_keys import MasterKeys

BUCKET = "DATAKEYS"
PAGE = 256
KEPT = 20_000  # keys in memory; the least recently used one is forgotten
KEPT_SECONDS = 60.0  # then it is read again: so long a deleted key may go on to open something in this process


class Wrapped(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the bucket holds of a session."""

    master: str = ""
    wrapped: bytes = b""
    whole: bool = False
    deleted_at: datetime | None = None
    seals: bool = True


class _Kept(NamedTuple):
    key: DataKey | None
    until: float


_wrapped = msgspec.json.Decoder(Wrapped)


class DataKeys:
    """Reads, makes and deletes the data keys of sessions."""

    def __init__(self, nc: Client, masters: MasterKeys) -> None:
        self._nc = nc
        self._masters = masters
        self._batches = BatchReader(nc)
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()

    async def find(self, tenant: str, session: str) -> DataKey | None:
        """Return the session's key, None if it never had one; raise `KeyMissing`, or `KeyDeleted` if it is gone."""
        kept = self._kept.get((tenant, session))
        if kept is not None and kept.until > asyncio.get_running_loop().time():
            self._kept.move_to_end((tenant, session))
            return kept.key
        stored = await self._read(tenant, session)
        return self._keep(tenant, session, self._unwrapped(tenant, session, stored) if stored else None)

    async def get(self, tenant: str, session: str) -> DataKey:
        """Return the session's key; raise `KeyMissing` if there is none."""
        key = await self.find(tenant, session)
        if key is None:
            self._kept.pop((tenant, session), None)  # it may have been made since we looked
            key = await self.find(tenant, session)
        if key is None:
            raise missing(session)
        return key

    async def make(self, tenant: str, session: str, *, whole: bool, seals: bool = True) -> DataKey:
        """Return the session's key, made now if it never had one; raises as `find`.

        One that was there for secrets alone seals everything from now on, if it is to.
        """
        known = await self.find(tenant, session)
        if known is not None and (known.seals or not seals):
            return known
        key, expected = DataKey.new(whole=whole, seals=seals), 0
        if known is not None:
            found = await self._message(tenant, session)
            key, expected = known.for_all(), found["seq"] if found else 0
        master = self._masters.tenant(tenant)
        wrapped = key.wrapped(master, tenant, session)
        try:
            stored = Wrapped(master.master, wrapped, key.whole, seals=key.seals)
            await self._write(tenant, session, stored, expected)
        except JetStreamError as error:
            if error.code not in WRONG_LAST_SEQUENCE:
                raise
            self._kept.pop((tenant, session), None)  # somebody else made one meanwhile
            return await self.make(tenant, session, whole=whole, seals=seals)
        self._keep(tenant, session, key)
        return key

    async def delete(self, tenant: str, session: str) -> None:
        """Let nobody open anything of the session any more, for ever. The key is overwritten on the server's disk."""
        self._kept.pop((tenant, session), None)
        found = await self._message(tenant, session)
        if found is not None and _wrapped.decode(base64.b64decode(found["data"])).deleted_at is None:
            await api(self._nc, f"STREAM.MSG.DELETE.KV_{BUCKET}", {"seq": found["seq"]})
        await self._write(tenant, session, Wrapped(deleted_at=datetime.now(UTC)))

    async def rewrap(self) -> tuple[int, int]:
        """Wrap every key by the newest master key; return how many were wrapped by another, and how many there are.

        Raises `KeyMissing` if one cannot be unwrapped. Doing it again, also after it broke off, is safe.
        """
        changed = total = last = 0
        more = True
        while more:
            page, more = await self._batches.read(f"KV_{BUCKET}", bucket_subject(BUCKET, ">"), last + 1, PAGE)
            for sequence, subject, data in page:
                last, stored = sequence, _wrapped.decode(data)
                if stored.deleted_at is not None:
                    continue
                _, _, tenant, session = subject.split(".")
                total += 1
                if stored.master != self._masters.newest:
                    changed += await self._wrapped_anew(tenant, session, stored, sequence)
        return changed, total

    async def _wrapped_anew(self, tenant: str, session: str, stored: Wrapped, sequence: int) -> bool:
        key, master = self._unwrapped(tenant, session, stored), self._masters.tenant(tenant)
        anew = Wrapped(master.master, key.wrapped(master, tenant, session), stored.whole, seals=stored.seals)
        try:
            await self._write(tenant, session, anew, expected=sequence)
        except JetStreamError as error:
            if error.code not in WRONG_LAST_SEQUENCE:  # otherwise it was deleted, or wrapped anew, meanwhile
                raise
            return False
        return True

    # ---- what is stored

    async def _read(self, tenant: str, session: str) -> Wrapped | None:
        """Return what the bucket holds: as a replica says, or, if that knows nothing, the leader."""
        subject = _subject(tenant, session)
        with contextlib.suppress(NoRespondersError):  # a server that never had the bucket: its leader says so
            message = await self._nc.request(f"$JS.API.DIRECT.GET.KV_{BUCKET}.{subject}", timeout=5)
            if not (message.headers and message.headers.get("Status")):
                return _wrapped.decode(message.data)
        found = await self._message(tenant, session)
        return _wrapped.decode(base64.b64decode(found["data"])) if found else None

    async def _message(self, tenant: str, session: str) -> dict[str, Any] | None:
        try:
            answer = await api(self._nc, f"STREAM.MSG.GET.KV_{BUCKET}", {"last_by_subj": _subject(tenant, session)})
        except JetStreamError as error:
            if error.code in NOT_FOUND:
                return None
            raise
        message: dict[str, Any] = answer["message"]
        return message

    async def _write(self, tenant: str, session: str, stored: Wrapped, expected: int | None = None) -> None:
        fence = {} if expected is None else {"Nats-Expected-Last-Subject-Sequence": str(expected)}
        await publish(self._nc, _subject(tenant, session), msgspec.json.encode(stored), fence)

    def _unwrapped(self, tenant: str, session: str, stored: Wrapped) -> DataKey:
        if stored.deleted_at is not None:
            raise KeyDeleted(session, stored.deleted_at)
        master = self._masters.tenant(tenant, stored.master)
        try:
            whole, seals = stored.whole, stored.seals
            return DataKey.unwrapped(stored.wrapped, master, tenant, session, whole=whole, seals=seals)
        except WrongSeal as error:
            raise KeyMissing(f"the data key of session {session} is damaged: bring the bucket {BUCKET} back") from error

    def _keep(self, tenant: str, session: str, key: DataKey | None) -> DataKey | None:
        until = asyncio.get_running_loop().time() + KEPT_SECONDS
        self._kept[tenant, session] = _Kept(key, until)
        self._kept.move_to_end((tenant, session))
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return key


def missing(session: str) -> KeyMissing:
    return KeyMissing(f"the data key of session {session} is not in the bucket {BUCKET}: bring that back")


def _subject(tenant: str, session: str) -> str:
    return bucket_subject(BUCKET, data_key(tenant, session))
