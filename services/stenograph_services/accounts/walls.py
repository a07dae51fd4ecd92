"""The doors in the wall: what the platform exports, what a tenant imports, and what each kind of credential may use.

Everything here is an allow-list; what no line names is denied by the server. A tenant's account imports literal names
(`$JS.API.CONSUMER.MSG.NEXT.TOOLS.acme=get-account`), so that not even its own key opens another tenant's.
"""

from typing import Literal, NamedTuple

from stenograph_events import checked_id
from stenograph_events.subjects import (
    AskVerb,
    LogVerb,
    ask_subject,
    log_subject,
    next_subject,
    progress_filter,
    register_subject,
    stop_subject,
    tenant_uploads,
    tool_consumer,
    tool_key,
)
from stenograph_services.accounts.claims import Export
from stenograph_services.accounts.records import ClientScope

TOOLS = "TOOLS"  # the stream of open requests
EVERY_TOOL = "*"  # in the place of a tool's name, in what is written down of a credential


class Door(NamedTuple):
    """Subjects that a tenant's account imports, all of them under one export of the platform.

    `local` is their name in the tenant's account, if it is another one. `share`: the platform is told which user of the
    tenant's it is who comes.
    """

    subject: str
    type: Literal["service", "stream"] = "service"
    local: str = ""
    share: bool = False


class Use(NamedTuple):
    """One subject that a credential may use, which way, and what for."""

    subject: str
    way: Literal["publish", "subscribe"]
    about: str


def exports() -> list[Export]:
    """Return what the platform's account offers, each only against a token. It is the same for all tenants."""
    return [
        Export("pull", f"$JS.API.CONSUMER.MSG.NEXT.{TOOLS}.*", "service", "Stream", token_req=True),
        Export("ack", f"$JS.ACK.{TOOLS}.*.>", "service", token_req=True),
        Export("answers", "tool.res.*.>", "service", token_req=True),
        Export("claims", "tool.claim.*.>", "service", token_req=True),
        Export("progress", "tool.progress.*.>", "service", token_req=True),
        Export("stops", "tool.cancel.*.*", "stream", token_req=True),
        Export("registrations", "api.*.tools.register.*", "service", token_req=True),
        Export("uploads", "upload.*.>", "service", token_req=True),
        Export("asks", "as.*.>", "service", token_req=True),
        Export("logs", "log.*.>", "service", "Stream", token_req=True),
    ]


def doors(tenant: str, tools: list[str]) -> list[Door]:
    """Return what the account of `tenant`, whose workers may serve `tools`, imports."""
    mine = checked_id(tenant, "tenant")
    heads = ("tool.res", "tool.claim", "tool.progress")
    whole = (*(f"{head}.{mine}.>" for head in heads), f"api.{mine}.tools.register.*", tenant_uploads(mine))
    stops = Door(f"tool.cancel.{mine}.*", "stream")
    clients = [Door(f"{head}.{mine}.>", share=True) for head in ("as", "log")]
    return [*map(Door, whole), stops, *clients, *(door for tool in tools for door in _tool_doors(mine, tool))]


def worker_uses(tenant: str, tools: list[str], inbox: str) -> list[Use]:
    """Return all that a worker of `tools` may do: nothing of it names another tool, or reads what others wrote."""
    mine = checked_id(tenant, "tenant")
    uses = [use for tool in tools for use in _tool_uses(mine, tool)]
    return [
        *uses,
        Use(f"{inbox}.>", "subscribe", "read what comes back, in an inbox of its own"),
    ]


def every_tool_uses(tenant: str, inbox: str) -> list[Use]:
    """Return all that a worker may do that may serve every tool of its tenant: that of `stenograph dev`."""
    mine = checked_id(tenant, "tenant")
    return [
        Use(f"api.{mine}.tools.register.*", "publish", "offer a tool"),
        Use(f"$JS.API.CONSUMER.MSG.NEXT.{TOOLS}.*", "publish", "ask for calls of tools that its account imports"),
        Use(f"$JS.ACK.{TOOLS}.*.>", "publish", "ack, give back, or hold a call"),
        Use(f"tool.claim.{mine}.>", "publish", "claim a call that must not run twice"),
        Use(f"tool.res.{mine}.>", "publish", "answer a call"),
        Use(tenant_uploads(mine), "publish", "upload the large result of a call"),
        Use(progress_filter(mine), "publish", "say how far a call is"),
        Use(f"tool.cancel.{mine}.*", "subscribe", "hear of calls that nobody waits for any more"),
        *worker_uses(mine, [], inbox),
    ]


def leaf_uses(tenant: str, tools: list[str], inbox: str) -> list[Use]:
    """Return all that may pass a leaf node with workers of `tools` behind it: what one such worker may do."""
    asked = pull_mappings(tenant, tools)
    return [use._replace(subject=asked.get(use.subject, use.subject)) for use in worker_uses(tenant, tools, inbox)]


def pull_mappings(tenant: str, tools: list[str]) -> dict[str, str]:
    """Return what a leaf node has to rename, of what its workers publish, so that it gets through."""
    return {_queue(tenant, tool)[0]: next_subject(tenant, tool) for tool in tools}


def client_uses(tenant: str, scope: ClientScope, inbox: str) -> list[Use]:
    """Return all that a client may do: it asks the gateway, in the name that its credential gives it.

    It publishes into no stream: headers are the publisher's, and nobody may choose the message ids of all tenants.
    """
    sessions = scope.session or "*"

    def ask(verb: AskVerb, about: str) -> Use:
        return Use(ask_subject(tenant, scope.agent, sessions, verb), "publish", about)

    def log(verb: LogVerb, about: str) -> Use:
        return Use(log_subject(tenant, scope.agent, sessions, verb), "publish", about)

    create = Use(ask_subject(tenant, scope.agent, None, "create"), "publish", "make a session")
    return [
        *([] if scope.session else [create]),
        Use(ask_subject(tenant, scope.agent, sessions, "start", "*"), "publish", "send a trigger"),
        ask("cancel", "cancel a turn"),
        ask("answer", "answer a call that no worker serves"),
        *([ask("approve", "decide on a call that waits for a person")] if scope.approve else []),
        *([ask("resolve", "say what came of a call that nobody knows of")] if scope.approve else []),
        *([ask("budget", "raise a budget")] if scope.budget else []),
        log("read", "read the log"),
        log("follow", "be told what happens"),
        log("keep", "say that it still listens"),
        Use(f"{inbox}.>", "subscribe", "read what comes back, in an inbox of its own"),
    ]


def inbox_of(user: str) -> str:
    """Return the prefix of the inboxes of the user with this public key: nobody else may subscribe there."""
    return f"_INBOX_{user}"


def _queue(tenant: str, tool: str) -> tuple[str, str]:
    consumer = tool_consumer(tenant, tool)
    return f"$JS.API.CONSUMER.MSG.NEXT.{TOOLS}.{consumer}", f"$JS.ACK.{TOOLS}.{consumer}.>"


def _tool_doors(tenant: str, tool: str) -> tuple[Door, ...]:
    pull, ack = _queue(tenant, tool)
    return Door(pull), Door(ack), Door(pull, local=next_subject(tenant, tool))


def _tool_uses(tenant: str, tool: str) -> list[Use]:
    pull, ack = _queue(tenant, tool)
    return [
        Use(register_subject(tenant, tool), "publish", "offer the tool"),
        Use(pull, "publish", "ask for its calls"),
        Use(ack, "publish", "ack, give back, or hold a call"),
        Use(f"tool.claim.{tool_key(tenant, tool)}.>", "publish", "claim a call that must not run twice"),
        Use(f"tool.res.{tool_key(tenant, tool)}.>", "publish", "answer a call"),
        Use(f"upload.{tool_key(tenant, tool)}.>", "publish", "upload the large result of a call"),
        Use(f"tool.progress.{tool_key(tenant, tool)}.>", "publish", "say how far a call is"),
        Use(stop_subject(tenant, tool), "subscribe", "hear of calls that nobody waits for any more"),
    ]
