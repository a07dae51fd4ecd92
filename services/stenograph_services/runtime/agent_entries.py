"""The entries of agents: which version new sessions get, and whether an agent is still there.

    AGENTS <tenant>.<slug>    {"id":"0193…","slug":"support-chat","version":"3f2a…","created_at":…,"archived_at":null}

An entry is replaced only by who has seen the one before it, so of two writers one is told to look again.
"""

import base64
from datetime import datetime

import msgspec
from nats.aio.client import Client

from stenograph_events.subjects import agent_key, agents_filter, bucket_subject
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.jetstream import NOT_FOUND, WRONG_LAST_SEQUENCE, JetStreamError, api, publish

BUCKET, STREAM = "AGENTS", "KV_AGENTS"


class AgentEntry(msgspec.Struct, frozen=True):
    """An agent's current entry. `id` stays the same over all versions: applications keep it in their settings."""

    id: str
    slug: str
    name: str
    version: str
    created_at: datetime
    updated_at: datetime
    format: str = "interactive"
    description: str | None = None
    archived_at: datetime | None = None
    """Since when it is gone for new sessions; the next agent under its slug is another one, with an id of its own."""


_entry = msgspec.json.Decoder(AgentEntry)


class AgentEntries:
    """Reads and replaces entries, archived ones too."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._batches = BatchReader(nc)

    async def all(self, tenant: str) -> list[AgentEntry]:
        """Return every entry of `tenant`, by slug."""
        # One read for all: nats-py's `keys` fetches every key of every tenant and filters by substring.
        found = await self._batches.read_last(STREAM, [bucket_subject(BUCKET, agents_filter(tenant))])
        return [_entry.decode(found[subject]) for subject in sorted(found) if found[subject]]

    async def newest(self, tenant: str, slug: str) -> tuple[AgentEntry | None, int]:
        """Return the entry of `slug` as the leader knows it, None if there never was one, and its sequence."""
        wanted = {"last_by_subj": bucket_subject(BUCKET, agent_key(tenant, slug))}
        try:
            message = (await api(self._nc, f"STREAM.MSG.GET.{STREAM}", wanted))["message"]
        except JetStreamError as error:
            if error.code in NOT_FOUND:
                return None, 0
            raise
        return _entry.decode(base64.b64decode(message["data"])), message["seq"]

    async def replace(self, tenant: str, entry: AgentEntry, expected: int) -> bool:
        """Store `entry` if the one before it is at sequence `expected`, 0 for none; return whether it was."""
        subject = bucket_subject(BUCKET, agent_key(tenant, entry.slug))
        fence = {"Nats-Expected-Last-Subject-Sequence": str(expected)}
        try:
            await publish(self._nc, subject, msgspec.json.encode(entry), fence)
        except JetStreamError as error:
            if error.code in WRONG_LAST_SEQUENCE:
                return False
            raise
        return True
