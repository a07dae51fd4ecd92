"""The floor: what a turn costs by hand, with nothing but nats-py and a nats-server that syncs every write.

One turn with one tool call, as four processes do it (`floor_parts`), over four log streams:

    client          publish the trigger                                       TRIG            1 write
    orchestrator    append turn, message, message, tool-request              EV_k            4 writes
    (the server)    copy the request                                         TOOLS           1 write
    worker          publish the answer                                       RES             1 write
    tool gateway    look up the session's head, append tool-result           EV_k            1 write
    orchestrator    append message, turn; tell the client (not stored)       EV_k            2 writes

Ten messages are stored, each synced before it is acknowledged; TRIG and TOOLS are work queues, whose removals are
synced too, so the disk sees twelve syncs (and now and then one for a consumer). Four deliveries are acknowledged.
Nothing is folded, checked or retried, so a system that does those things stands above this.
"""

import nats
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RePublish, RetentionPolicy, StreamConfig, StreamSource
from nats.js.api import SubjectTransform as Transform

from bench.floor_parts import LOG_STREAMS, MODULE
from bench.measure import Result
from bench.parts import Part, measured
from stenograph_services.runtime.nats_server import NatsServer

IN_FLIGHT = 5_000
COPY = Transform(src="ev.*.*.*.tool-request.*", dest="tool.req.{{wildcard(2)}}.{{wildcard(4)}}.{{wildcard(3)}}")


async def run_floor(server: NatsServer, *, seconds: float, clients: int) -> Result:
    """Return what turns cost with `clients` of them running at once. The streams of `server` are made anew."""
    await declare(server.url)
    parts = [Part(MODULE, role, server.url) for role in ("orchestrator", "tool-gateway", "worker")]
    client = Part(MODULE, "client", server.url, str(seconds), str(clients))
    return await measured(parts, client, server.pid, server.monitor_url, seconds)


async def run_append_floor(server: NatsServer, *, seconds: float, writers: int) -> Result:
    """Return what it costs to append one 500-byte event, fenced, with `writers` sessions written at once."""
    await declare(server.url)
    writer = Part(MODULE, "writer", server.url, str(seconds), str(writers))
    return await measured([], writer, server.pid, server.monitor_url, seconds)


async def declare(url: str, *, live: bool = False) -> None:
    """Make the streams of `url` anew; with `live` the server republishes the log to whoever listens, as ours does."""
    client = await nats.connect(url)
    js = client.jetstream()
    for info in await js.streams_info_iterator():
        await js.delete_stream(info.config.name or "")
    await _declare_streams(js, RePublish(src="ev.>", dest="live.>") if live else None)
    await _declare_consumers(js)
    await client.close()


async def _declare_streams(js: JetStreamContext, republish: RePublish | None) -> None:
    work_queue = RetentionPolicy.WORK_QUEUE
    for k in range(LOG_STREAMS):
        await js.add_stream(
            StreamConfig(name=f"EV_{k}", subjects=[f"ev.{k}.>"], allow_direct=True, republish=republish)
        )
    await js.add_stream(StreamConfig(name="TRIG", subjects=["trig.>"], retention=work_queue))
    await js.add_stream(
        StreamConfig(
            name="RES",
            subjects=["tool.res.>"],
            max_msgs_per_subject=1,
            discard=DiscardPolicy.NEW,
            discard_new_per_subject=True,
        )
    )
    sources = [StreamSource(name=f"EV_{k}", subject_transforms=[COPY]) for k in range(LOG_STREAMS)]
    await js.add_stream(StreamConfig(name="TOOLS", sources=sources, retention=work_queue))


async def _declare_consumers(js: JetStreamContext) -> None:
    def durable(name: str, subject: str | None = None) -> ConsumerConfig:
        return ConsumerConfig(
            durable_name=name,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=5,
            max_ack_pending=IN_FLIGHT,
            filter_subject=subject,
        )

    await js.add_consumer("TRIG", durable("orchestrator"))
    await js.add_consumer("TOOLS", durable("worker"))
    await js.add_consumer("RES", durable("tool-gateway"))
    for k in range(LOG_STREAMS):
        await js.add_consumer(f"EV_{k}", durable("wake", "ev.*.*.*.tool-result"))
