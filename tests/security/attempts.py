"""What a tenant's credential might try on another tenant, on the platform, and on the tools that it was not given.

Each attempt is a subject; `{t}` is a tenant, `{tool}` a tool, `{s}` a session. The lists are written for the attacker:
they name real streams, consumers, sessions and inboxes, as somebody would who has read our source.
"""

from collections.abc import Iterator
from itertools import product

STREAMS = (
    "EV_0", "EV_1", "EV_2", "EV_3", "TRIG", "TOOLS", "RES", "TIM", "TOK", "BLOB", "PARKED", "KV_KEYS", "KV_TOOLREG",
    "OBJ_FILES", "UPLOADS_{t}",
)  # fmt: skip

ON_A_STREAM = (
    "$JS.API.STREAM.INFO.{stream}",
    "$JS.API.STREAM.CREATE.{stream}",
    "$JS.API.STREAM.UPDATE.{stream}",
    "$JS.API.STREAM.DELETE.{stream}",
    "$JS.API.STREAM.PURGE.{stream}",
    "$JS.API.STREAM.SNAPSHOT.{stream}",
    "$JS.API.STREAM.RESTORE.{stream}",
    "$JS.API.STREAM.MSG.GET.{stream}",
    "$JS.API.STREAM.MSG.DELETE.{stream}",
    "$JS.API.STREAM.PEER.REMOVE.{stream}",
    "$JS.API.STREAM.LEADER.STEPDOWN.{stream}",
    "$JS.API.DIRECT.GET.{stream}",
    "$JS.API.DIRECT.GET.{stream}.ev.00.{t}.{s}.turn",
    "$JS.API.CONSUMER.NAMES.{stream}",
    "$JS.API.CONSUMER.LIST.{stream}",
    "$JS.API.CONSUMER.CREATE.{stream}",
    "$JS.API.CONSUMER.CREATE.{stream}.spy",
    "$JS.API.CONSUMER.CREATE.{stream}.spy.ev.>",
    "$JS.API.CONSUMER.DURABLE.CREATE.{stream}.spy",
    "$JS.API.CONSUMER.DELETE.{stream}.projector",
    "$JS.API.CONSUMER.INFO.{stream}.{t}={tool}",
    "$JS.API.CONSUMER.PAUSE.{stream}.{t}={tool}",
    "$JS.API.CONSUMER.UNPIN.{stream}.{t}={tool}",
    "$JS.API.CONSUMER.RESET.{stream}.{t}={tool}",
    "$JS.API.CONSUMER.MSG.NEXT.{stream}.orchestrator-start",
    "$JS.ACK.{stream}.projector.1.1.1.1.0",
)
ON_NATS = (
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.ACCOUNT.PURGE.{t}",
    "$JS.API.META.LEADER.STEPDOWN",
    "$JS.FC.TOOLS.x",
    "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.CLAIMS.DELETE",
    "$SYS.REQ.CLAIMS.LIST",
    "$SYS.REQ.CLAIMS.PACK",
    "$SYS.REQ.ACCOUNT.PING.CONNZ",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.SERVER.PING.VARZ",
    "$SYS.REQ.ACCOUNT.{t}.CLAIMS.LOOKUP",
)
ON_A_TENANT = (
    "ev.00.{t}.{s}.turn",
    "live.00.{t}.{s}.turn",
    "trig.start.{t}.{s}.user-message",
    "trig.control.{t}.{s}.cancel",
    "trig.control.{t}.{s}.budget",
    "tim.set.{t}.{s}.c1.1",
    "tim.fire.{t}.{s}.c1.1",
    "tok.{t}.{s}",
    "hint.{t}.{s}",
    "park.{t}.tool-gateway",
    "api.{t}.sessions.create",
    "$KV.KEYS.key.{t}.k1",
    "$KV.AGENTS.{t}.agent-1",
    "$KV.SNAP.{t}.{s}",
    "$O.FILES.M.{t}",
    "log.{t}.{s}",
)
ON_A_TOOL = (
    "tool.req.{t}.{tool}.{s}",
    "tool.next.{t}.{tool}",
    "tool.res.{t}.{tool}.{s}.c1.1",
    "tool.claim.{t}.{tool}.{s}.c1.1",
    "upload.{t}.{tool}.{s}.c1.1." + "a" * 64 + ".0",
    "tool.progress.{t}.{tool}.{s}.c1.1",
    "tool.cancel.{t}.{tool}",
    "api.{t}.tools.register.{tool}",
    "$JS.API.CONSUMER.MSG.NEXT.TOOLS.{t}={tool}",
    "$JS.ACK.TOOLS.{t}={tool}.1.1.1.1.0",
    "$JS.ACK._.hash.TOOLS.{t}={tool}.1.1.1.1.0",
    "$KV.TOOLREG.{t}.{tool}",
)
ON_A_SESSION = (
    "as.{t}.{a}.{s}.start.user-message",
    "as.{t}.{a}.{s}.start.*",
    "as.{t}.{a}.{s}.cancel",
    "as.{t}.{a}.{s}.answer",
    "as.{t}.{a}.{s}.approve",
    "as.{t}.{a}.{s}.budget",
    "as.{t}.{a}.{s}.resolve",
    "as.{t}.{a}.{s}.erase",
    "as.{t}.{a}.{s}",
    "as.{t}.{a}._.create",
    "log.{t}.{a}.{s}.read",
    "log.{t}.{a}.{s}.follow",
    "log.{t}.{a}.{s}.keep",
)
BLOBS = ("blob.{t}." + "a" * 64 + ".0", "upload.{t}.*.{s}.c1.1." + "a" * 64 + ".0")
LISTENED = (
    ">", "*", "*.>", "ev.>", "live.>", "live.*.{t}.>", "trig.>", "tool.>", "tool.req.>", "tool.req.{t}.>",
    "tool.res.>", "tool.claim.>", "tool.cancel.>", "tool.cancel.{t}.*", "tool.progress.>", "tool.progress.{t}.>",
    "tim.>", "tok.>", "tok.{t}.*", "hint.>", "hint.{t}.*", "blob.>", "blob.{t}.>", "upload.>", "upload.{t}.>",
    "park.>", "api.>", "as.>", "as.{t}.>", "log.>", "log.{t}.>", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$JS.EVENT.>",
    "$SYS.>", "$KV.>", "$O.>", "_INBOX.>", "_R_.>", "$SRV.>", "$MQTT.>",
)  # fmt: skip


def published(tenants: tuple[str, ...], tools: tuple[str, ...], session: str) -> Iterator[str]:
    """Yield the subjects to publish to: of each of `tenants`, and literal wildcards in the place of one."""
    names = {"s": session, "tool": tools[0], "t": tenants[0]}
    for stream, form in product(STREAMS, ON_A_STREAM):
        yield form.format(stream=stream.format(**names), **names)
    yield from (form.format(**names) for form in ON_NATS)
    for tenant, form in product((*tenants, "*"), (*ON_A_TENANT, *BLOBS)):
        yield form.format(t=tenant, s=session)
    for tenant, tool, form in product((*tenants, "*"), (*tools, "*"), ON_A_TOOL):
        yield form.format(t=tenant, tool=tool, s=session)


def asked(tenants: tuple[str, ...], agents: tuple[str, ...], sessions: tuple[str, ...]) -> Iterator[str]:
    """Yield the subjects to ask the gateway on, in the names of tenants, agents and sessions."""
    for tenant, agent, session, form in product(tenants, agents, sessions, ON_A_SESSION):
        yield form.format(t=tenant, a=agent, s=session)


def listened(tenants: tuple[str, ...], inboxes: tuple[str, ...]) -> Iterator[str]:
    """Yield the subjects to subscribe to."""
    yield from dict.fromkeys(form.format(t=tenant) for form in LISTENED for tenant in tenants)
    yield from (f"{inbox}.>" for inbox in inboxes)
