"""The versions of an agent that are stored, with the time at which each came.

AGENTS <tenant>.<slug>                current entry
AGENTS <tenant>.<slug>.<version>      Version(version="3f2a9c01d4e7", stored_at=…, bundle=…)
"""

from datetime import datetime
from typing import NamedTuple

import msgspec
from nats.aio.client import Client as Nats

from stenograph_events import checked_id
from stenograph_events.subjects import agent_key, bucket_subject
from stenograph_services.cli.output import Failure
from stenograph_services.protocol import Agent, AgentError, Bundle, load_bundle
from stenograph_services.protocol.problems import did_you_mean
from stenograph_services.runtime.agents import AgentEntry, Agents
from stenograph_services.runtime.errors import UnknownAgent
from stenograph_services.runtime.jetstream import api

BUCKET, STREAM = "AGENTS", "KV_AGENTS"
CURRENT = "current"
NAMED = 5  # versions named when a beginning fits several


class Version(NamedTuple):
    """One stored version. `agent` is None where this version of ours cannot read it any more."""

    version: str
    stored_at: datetime
    bundle: Bundle
    agent: Agent | None


class StoredAgent(NamedTuple):
    """An agent's current entry, and all its versions, the newest first."""

    entry: AgentEntry
    versions: list[Version]

    def version(self, given: str | None) -> Version:
        """Return the version whose name begins with `given`; without it, or for `current`, that of new sessions."""
        wanted = self.entry.version if given in (None, CURRENT) else str(given)
        fitting = [version for version in self.versions if version.version.startswith(wanted)]
        if len(fitting) == 1:
            return fitting[0]
        known = ", ".join(version.version for version in (fitting or self.versions)[:NAMED])
        if fitting:
            raise Failure(f"{len(fitting)} versions of {self.entry.slug} begin with {wanted!r}: {known}")
        raise Failure(f"{self.entry.slug} has no version {wanted!r}; the newest are {known}")


async def stored_agent(nc: Nats, tenant: str, slug: str) -> StoredAgent:
    """Return the agent with this slug or id; raise `Failure` if there is none."""
    agents = Agents(nc)
    try:
        entry = await agents.current(checked_id(tenant, "tenant"), slug)
    except UnknownAgent as error:
        known = [each.slug for each in await agents.list(tenant)]
        near = did_you_mean(slug, known)
        raise Failure(f"{error}{near or '; `stenograph agents list` shows which there are'}") from error
    subjects = await _subjects(nc, bucket_subject(BUCKET, agent_key(tenant, entry.slug) + ".*"))
    versions = [await _read(nc, subject) for subject in subjects]
    return StoredAgent(entry, sorted(versions, key=lambda version: version.stored_at, reverse=True))


async def _subjects(nc: Nats, wanted: str) -> list[str]:
    found: list[str] = []
    while True:
        request = {"subjects_filter": wanted, "offset": len(found)}
        answer = await api(nc, f"STREAM.INFO.{STREAM}", request, timeout_seconds=20.0)
        found += answer["state"].get("subjects") or {}
        if len(found) >= answer.get("total", 0):
            return found


async def _read(nc: Nats, subject: str) -> Version:
    message = await nc.jetstream().get_last_msg(STREAM, subject)
    assert message.data is not None, "a stored message has a body"
    assert message.time is not None, "a stored message has a time"
    bundle = Bundle.decode(message.data)
    return Version(subject.rpartition(".")[2], message.time, bundle, _compiled(bundle))


def _compiled(bundle: Bundle) -> Agent | None:
    try:
        return load_bundle(bundle)
    except (AgentError, msgspec.MsgspecError):
        return None
