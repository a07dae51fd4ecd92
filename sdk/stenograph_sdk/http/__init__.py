"""Stenograph over HTTP, for those who cannot or need not speak NATS: `pip install "stenograph-sdk[http]"`.

    @tool("get-user-account")
    def get_user_account(userId: str) -> dict[str, str]:
        return {"plan": "pro"}

    async with HttpClient.connect("http://127.0.0.1:8420", api_key="…", tools=[get_user_account]) as client:
        session = await client.sessions.create("support-chat", {"COMPANY_NAME": "Acme"})
        async for event in session.trigger("user-message", {"USER_MESSAGE": "What plan am I on?"}):
            match event:
                case TextDelta():
                    print(event.delta, end="", flush=True)

`SyncHttpClient` is the same without `async`. Tools that no worker serves run here, between the legs of a turn.
"""

try:
    import httpx as _httpx  # noqa: F401
except ImportError as error:
    raise ImportError('the HTTP client needs httpx: install it with `pip install "stenograph-sdk[http]"`') from error

from stenograph_sdk.http.client import HttpClient, HttpSessions
from stenograph_sdk.http.errors import Busy, GatewayUnreachable, HttpRefused, StreamBroken
from stenograph_sdk.http.events import (
    BlockEnd,
    BlockStart,
    ClientToolRequest,
    FileAvailable,
    Finish,
    OtherEvent,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    ResourceUpdate,
    Start,
    StreamError,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
    ToolCall,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputEnd,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
    ToolProgress,
    ToolResult,
)
from stenograph_sdk.http.session import HttpSession
from stenograph_sdk.http.sync_client import SyncHttpClient, SyncHttpSession, SyncHttpSessions

__all__ = [
    "BlockEnd",
    "BlockStart",
    "Busy",
    "ClientToolRequest",
    "FileAvailable",
    "Finish",
    "GatewayUnreachable",
    "HttpClient",
    "HttpRefused",
    "HttpSession",
    "HttpSessions",
    "OtherEvent",
    "ReasoningDelta",
    "ReasoningEnd",
    "ReasoningStart",
    "ResourceUpdate",
    "Start",
    "StreamBroken",
    "StreamError",
    "StreamEvent",
    "SyncHttpClient",
    "SyncHttpSession",
    "SyncHttpSessions",
    "TextDelta",
    "TextEnd",
    "TextStart",
    "ToolCall",
    "ToolInputAvailable",
    "ToolInputDelta",
    "ToolInputEnd",
    "ToolInputStart",
    "ToolOutputAvailable",
    "ToolOutputError",
    "ToolProgress",
    "ToolResult",
]
