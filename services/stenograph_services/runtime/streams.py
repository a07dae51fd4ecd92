"""The streams and durable consumers: declared here as data, brought into being when a service starts.

Declaring is idempotent. A stream that exists with other settings is updated where nothing can be lost by it; otherwise
the service refuses to start and names the setting (`StreamDrift`).
"""

import asyncio
from typing import Any, Literal

import msgspec
import structlog
from nats.aio.client import Client

from stenograph_events import SHARDS, checked_id, shard_of
from stenograph_events.subjects import (
    Pattern,
    bucket_subject,
    object_filters,
    request_filter,
    tenant_uploads,
    tool_consumer,
)
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import StreamDrift
from stenograph_services.runtime.jetstream import NOT_FOUND, JetStreamError, api

_NANOSECONDS = 1_000_000_000

log = structlog.get_logger()
_SOURCING_TRIES = 100
_ONCE = {"max_msgs_per_subject": 1, "discard_new_per_subject": True}  # whoever is first; the server refuses the rest
_EVENT_MAX_BYTES = 1_000_000  # under the server's max_payload of 1 MiB, with room for headers

TOOLS, TRIG, RES, TIM, TOK, BLOB, PARKED = "TOOLS", "TRIG", "RES", "TIM", "TOK", "BLOB", "PARKED"
_SMALL_BYTES = 64 * 1024  # chunks are larger, taken together; a subject costs the server memory whatever its size
_CHUNK_MAX_BYTES = 516 * 1024  # 512 KiB, with its headers
UPLOADS = "UPLOADS"  # of one tenant: a stream has the tenant's name at its end
QUOTA = "stenograph.quota"  # in the metadata of such a stream: who set its size
FILES = "FILES"  # an object store; its stream has the prefix that NATS gives those


class Stream(msgspec.Struct, frozen=True):
    """A stream: its name, what it is for, and its configuration in JetStream's own words.

    `tightened`: settings that one of an earlier version is brought to. Nothing that we ever stored goes beyond them.
    """

    name: str
    about: str
    config: dict[str, Any]
    tightened: tuple[str, ...] = ()


class Consumer(msgspec.Struct, frozen=True):
    """A durable pull consumer. `max_ack_pending` bounds the work in flight; every one has `max_deliver` -1."""

    stream: str
    name: str
    filter: str
    ack_wait_seconds: float
    max_ack_pending: int
    who: str
    start: Literal["all", "new"] = "all"


def log_stream(settings: Settings, session: str) -> str:
    """Return the stream that holds the log of `session`."""
    return _log_stream(SHARDS.index(shard_of(session)) % settings.shards)


def log_streams(settings: Settings) -> list[str]:
    """Return the names of all log streams."""
    return [_log_stream(k) for k in range(settings.shards)]


def streams(settings: Settings) -> list[Stream]:
    """Return every stream, sources before what copies them."""
    return [
        *(_log(settings, k) for k in range(settings.shards)),
        Stream(
            TRIG,
            "what the outside asks of a session",
            _file(settings, [Pattern.TRIGGERS], retention="workqueue", discard="new", duplicate_window=_ns(600))
            | {
                "max_bytes": settings.trigger_store_max_bytes,
                "max_age": _ns(settings.trigger_max_age_seconds),
                "max_msg_size": settings.trigger_max_bytes + 4096,  # headers count; the gateway says the exact limit
            },
        ),
        Stream(
            TOOLS,
            "open tool requests, copied from the log by the server",
            _file(settings, [Pattern.REQUEST_COPIES], retention="workqueue")
            | {
                "allow_direct": True,
                "max_age": _ns(settings.requests_max_age_seconds),
                "sources": [
                    {
                        "name": name,
                        "subject_transforms": [{"src": Pattern.TOOL_REQUESTS, "dest": Pattern.REQUEST_COPY_TRANSFORM}],
                    }
                    for name in log_streams(settings)
                ],
            },
        ),
        Stream(
            RES,
            "answers and claims, write-once",
            _file(settings, [Pattern.ANSWERS, Pattern.CLAIMS], discard="new")
            | _ONCE
            | {
                "allow_direct": True,
                "max_age": _ns(settings.answers_max_age_seconds),
            },
        ),
        Stream(
            TIM,
            "deadlines, as message schedules",
            _file(settings, [Pattern.TIMERS_SET, Pattern.TIMERS_FIRED], retention="workqueue")
            | {
                "allow_msg_schedules": True,
                "allow_msg_ttl": True,
                "max_age": _ns(settings.timers_max_age_seconds),
            },
        ),
        Stream(
            TOK,
            "frames for screens; lost with the server",
            {
                "subjects": [Pattern.FRAMES],
                "storage": "memory",
                "retention": "limits",
                "discard": "old",
                "num_replicas": 1,
                "max_age": _ns(settings.frames_max_age_seconds),
                "max_bytes": settings.frames_max_bytes,
                "allow_direct": True,
            },
        ),
        Stream(
            BLOB,
            "large values, content-addressed, in chunks, write-once",
            _file(settings, [Pattern.BLOBS], discard="new") | {"allow_direct": True} | _ONCE,
            tightened=("discard", *_ONCE),
        ),
        Stream(
            PARKED,
            "what could not be processed, with its reason",
            _file(settings, [Pattern.PARKED], discard="new") | {"max_bytes": settings.parked_max_bytes},
            tightened=("discard", "max_bytes"),  # the server drops nothing for either of them
        ),
        _bucket(settings, "SNAP", "snapshots of sessions: a cache"),
        _bucket(settings, "DATAKEYS", "data keys of sessions, wrapped", deny_delete=False, compression="none"),
        _bucket(settings, "AGENTS", "agents and their versions"),
        _bucket(settings, "TOOLREG", "which tools have workers"),
        _bucket(settings, "KEYS", "API keys, hashed; revoked tokens", allow_msg_ttl=True),
        Stream(
            f"OBJ_{FILES}",
            "files that clients uploaded: an object store",
            _file(settings, object_filters(FILES), discard="new")
            | {
                "allow_direct": True,
                "allow_rollup_hdrs": True,
                "max_age": _ns(settings.files_max_age_seconds),
                "max_bytes": settings.file_store_max_bytes,
            },
        ),
    ]


def uploads_stream(settings: Settings, tenant: str, quota: int | None = None) -> Stream:
    """Return the stream of what the workers of `tenant` upload, with the size `quota` if it has one of its own.

    The server counts: a stream that all tenants shared would let one of them fill it.
    """
    room = settings.upload_quota_bytes if quota is None else quota
    age = settings.uploads_max_age_seconds
    return Stream(
        f"{UPLOADS}_{checked_id(tenant, 'tenant')}",
        "large results of one tenant's workers, in chunks, write-once, until they are recorded",
        _file(settings, [tenant_uploads(tenant)], discard="new", duplicate_window=_ns(min(age, 120)))
        | _ONCE
        | {
            "allow_direct": True,
            "max_bytes": room,
            "max_msgs": max(1_000, room // _SMALL_BYTES),
            "max_age": _ns(age),
            "max_msg_size": _CHUNK_MAX_BYTES,
            "metadata": {QUOTA: "default" if quota is None else "own"},
        },
        tightened=("max_bytes", "max_msgs", "max_age", "metadata"),  # with `discard` new, a smaller size drops nothing
    )


def consumers(settings: Settings) -> list[Consumer]:
    """Return every durable consumer but those of single tools, which `tool_worker_consumer` makes at registration."""
    wait, turns = settings.ack_wait_seconds, settings.max_turns
    return [
        Consumer(TRIG, "orchestrator-start", Pattern.STARTS, wait, turns, "orchestrator"),
        Consumer(TRIG, "orchestrator-control", Pattern.CONTROLS, wait, 10_000, "orchestrator"),
        *(
            Consumer(name, "orchestrator-wake", Pattern.WAKES, wait, turns, "orchestrator")
            for name in log_streams(settings)
        ),
        Consumer(RES, "tool-gateway-answers", Pattern.ANSWERS, wait, 1_000, "tool gateway"),
        Consumer(TIM, "tool-gateway-timers", Pattern.TIMERS_FIRED, wait, 1_000, "tool gateway"),
        *(
            Consumer(name, "tool-gateway-requests", Pattern.TOOL_REQUESTS, max(wait, 5.0), 20_000, "tool gateway")
            for name in log_streams(settings)
        ),
        *(
            Consumer(
                name, "tool-gateway-client-requests", Pattern.CLIENT_REQUESTS, max(wait, 5.0), 20_000, "tool gateway"
            )
            for name in log_streams(settings)
        ),
        *(
            Consumer(name, "tool-gateway-closed", Pattern.TOOL_CLOSED, wait, 1_000, "tool gateway")
            for name in log_streams(settings)
        ),
        *(
            Consumer(name, "tool-gateway-approvals", Pattern.APPROVALS, wait, 1_000, "tool gateway")
            for name in log_streams(settings)
        ),
        *(
            Consumer(name, "tool-gateway-children", Pattern.CHILD_REQUESTS, max(wait, 5.0), 2_000, "tool gateway")
            for name in log_streams(settings)
        ),
        *(
            Consumer(name, "tool-gateway-child-ends", Pattern.CHILD_ENDS, wait, 1_000, "tool gateway")
            for name in log_streams(settings)
        ),
        *(Consumer(name, "projector", Pattern.EVENTS, 2 * wait, 20_000, "projector") for name in log_streams(settings)),
    ]


def tool_worker_consumer(settings: Settings, tenant: str, tool: str) -> Consumer:
    """Return the consumer that the workers of one tool share."""
    wait = max(settings.ack_wait_seconds, 5.0)
    return Consumer(TOOLS, tool_consumer(tenant, tool), request_filter(tenant, tool), wait, 10_000, "workers")


async def declare(nc: Client, settings: Settings) -> None:
    """Make every stream and consumer exist as declared; raise `StreamDrift` where that would lose data."""
    for stream in streams(settings):
        await declare_stream(nc, stream)
    for consumer in consumers(settings):
        await declare_consumer(nc, consumer)


async def declare_stream(nc: Client, stream: Stream) -> None:
    wanted = {"name": stream.name, "description": stream.about} | stream.config
    try:
        there: dict[str, Any] = (await api(nc, f"STREAM.INFO.{stream.name}"))["config"]
    except JetStreamError as error:
        if error.code not in NOT_FOUND:
            raise
        await _create(nc, stream.name, wanted)
        if "sources" in wanted:
            await _sourcing(nc, stream.name)
        return
    changed = {key for key, value in wanted.items() if not _same(there.get(key), value)}
    if not changed:
        return
    may_lose = changed - set(stream.tightened)
    if losing := sorted(key for key in may_lose if _loses(key, there.get(key), wanted[key])):
        differences = ", ".join(f"{key} is {there.get(key)!r}, declared {wanted[key]!r}" for key in losing)
        raise StreamDrift(f"stream {stream.name}: {differences}; changing it would lose data, so change it by hand")
    await api(nc, f"STREAM.UPDATE.{stream.name}", there | wanted)


async def declare_consumer(nc: Client, consumer: Consumer) -> None:
    config = {
        "durable_name": consumer.name,
        "ack_policy": "explicit",
        "deliver_policy": consumer.start,
        "ack_wait": _ns(consumer.ack_wait_seconds),
        "max_deliver": -1,
        "max_ack_pending": consumer.max_ack_pending,
        "max_waiting": 512,
        "filter_subject": consumer.filter,
    }
    body = {"stream_name": consumer.stream, "config": config}
    await api(nc, f"CONSUMER.DURABLE.CREATE.{consumer.stream}.{consumer.name}", body)


async def _create(nc: Client, name: str, config: dict[str, Any]) -> None:
    try:
        await api(nc, f"STREAM.CREATE.{name}", config)
    except JetStreamError as error:
        if error.code != 10058:  # another service declared it in this very moment, with settings of its own
            raise


async def _sourcing(nc: Client, name: str) -> None:
    """Wait until a new stream follows its sources: what they get before that may never be copied (nats-server 2.15.1).

    The tool gateway copies by hand what was missed all the same, so there is no error if this takes long.
    """
    for _ in range(_SOURCING_TRIES):
        sources = (await api(nc, f"STREAM.INFO.{name}")).get("sources") or []
        if all(source.get("active", -1) >= 0 for source in sources):
            return
        await asyncio.sleep(0.05)
    log.warning("stream.sources_slow", stream=name)


def _log_stream(k: int) -> str:
    return f"EV_{k}"


def _log(settings: Settings, k: int) -> Stream:
    tokens = SHARDS[k :: settings.shards]
    config = _file(settings, [Pattern.shard(token) for token in tokens], discard="new") | {
        "deny_delete": True,
        "compression": "s2",
        "allow_direct": True,
        "allow_atomic": True,
        "max_bytes": settings.log_max_bytes,
        "max_msg_size": _EVENT_MAX_BYTES,
        "republish": {"src": Pattern.EVENTS, "dest": Pattern.LIVE},
    }
    return Stream(_log_stream(k), "the log: the events of the sessions of its shard tokens", config)


def _bucket(settings: Settings, name: str, about: str, **more: Any) -> Stream:
    config = _file(settings, [bucket_subject(name, ">")], discard="new") | {
        "max_msgs_per_subject": 1,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_direct": True,
        "compression": "s2",
    }
    return Stream(f"KV_{name}", about, config | more)


def _file(
    settings: Settings,
    subjects: list[str],
    *,
    retention: str = "limits",
    discard: str = "old",
    duplicate_window: int = 0,
) -> dict[str, Any]:
    config: dict[str, Any] = {
        "subjects": subjects,
        "storage": "file",
        "retention": retention,
        "discard": discard,
        "num_replicas": settings.replicas,
    }
    if duplicate_window:
        config["duplicate_window"] = duplicate_window
    return config


def _ns(seconds: float) -> int:
    return int(seconds * _NANOSECONDS)


def _same(there: Any, wanted: Any) -> bool:
    if isinstance(wanted, list) and all(isinstance(item, str) for item in wanted):
        return set(there or []) == set(wanted)
    if wanted in (0, -1, False):  # the server says nothing, or 0, or -1, where there is no limit
        return there in (None, 0, -1, False)
    return _covers(there, wanted)


def _covers(there: Any, wanted: Any) -> bool:
    """Return whether `there`, which the server filled with defaults, holds everything that `wanted` says."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(_covers(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(_covers, there, wanted))
    return bool(there == wanted)


def _loses(key: str, there: Any, wanted: Any) -> bool:
    """Return whether bringing `key` from `there` to `wanted` could drop stored messages or a guarantee."""
    match key:
        case "subjects":
            return not set(there or []) <= set(wanted)
        case "max_age" | "max_bytes" | "max_msgs_per_subject":
            unlimited = wanted in (0, -1)
            return not unlimited and (there in (0, -1, None) or wanted < there)
        case "description" | "max_msg_size" | "duplicate_window" | "num_replicas" | "republish" | "sources":
            return False
        case "compression" | "allow_direct" | "allow_atomic" | "allow_msg_ttl" | "deny_delete":
            return False
        case _:
            return True
