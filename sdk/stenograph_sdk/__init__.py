"""Stenograph for customers: send triggers and follow sessions with `Client`, serve tools with `Worker`.

    async with Client.connect("nats://127.0.0.1:4222", credentials="app.creds") as client:
        session = await client.sessions.create("support-chat", {"COMPANY_NAME": "Acme"})
        async for item in session.trigger("user-message", {"USER_MESSAGE": "What plan am I on?"}):
            print(item)

    worker = Worker("nats://127.0.0.1:4222", credentials="worker.creds")

    @worker.tool("get-user-account", retry="safe")
    async def get_user_account(userId: str) -> dict[str, str]:
        return {"plan": "pro"}

    await worker.run()

`HttpClient` (and `SyncHttpClient`) do over HTTP what `Client` does over NATS; they need the extra `[http]`.

It logs to the logger `stenograph_sdk`: ids and sizes, never arguments, results or texts.
"""

from typing import TYPE_CHECKING, Any

from stenograph_events.values import OfferedTool, Sender
from stenograph_sdk.approvals import Approval
from stenograph_sdk.client import Client, Sessions
from stenograph_sdk.errors import (
    CannotConnect,
    ConnectionLost,
    CredentialExpired,
    CredentialRevoked,
    LifespanFailed,
    LogUnavailable,
    McpUnavailable,
    NobodyAnswers,
    NotDecided,
    NoTools,
    OutcomeUnknown,
    Refused,
    StenographSdkError,
    ToolBroken,
    ToolDefinitionError,
    ToolError,
    TurnNotCompleted,
    Unconfirmed,
    UnknownSession,
    WorkerFileError,
)
from stenograph_sdk.files import ToolFile
from stenograph_sdk.lifespan import FromLifespan, Lifespan, lifespan
from stenograph_sdk.resolutions import Unresolved
from stenograph_sdk.session import Session
from stenograph_sdk.tools import Tool, ToolContext, tool
from stenograph_sdk.worker import Worker

if TYPE_CHECKING:
    from stenograph_sdk.http import HttpClient, SyncHttpClient

__all__ = [
    "Approval",
    "CannotConnect",
    "Client",
    "ConnectionLost",
    "CredentialExpired",
    "CredentialRevoked",
    "FromLifespan",
    "HttpClient",
    "Lifespan",
    "LifespanFailed",
    "LogUnavailable",
    "McpUnavailable",
    "NoTools",
    "NobodyAnswers",
    "NotDecided",
    "OfferedTool",
    "OutcomeUnknown",
    "Refused",
    "Sender",
    "Session",
    "Sessions",
    "StenographSdkError",
    "SyncHttpClient",
    "Tool",
    "ToolBroken",
    "ToolContext",
    "ToolDefinitionError",
    "ToolError",
    "ToolFile",
    "TurnNotCompleted",
    "Unconfirmed",
    "UnknownSession",
    "Unresolved",
    "Worker",
    "WorkerFileError",
    "lifespan",
    "tool",
]


def __getattr__(name: str) -> Any:
    """Import the HTTP clients when somebody asks for them: httpx is an extra."""
    if name in ("HttpClient", "SyncHttpClient"):
        from stenograph_sdk import http

        return getattr(http, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
