"""The tools of the demo agent, as a customer would write them: `stenograph worker agents/support-chat/tools.py`.

They stand in for a customer database and a ticket system. `SUPPORT_CHAT_DELAY_SECONDS` makes opening a ticket take
that long, so that there is time to watch it (or to kill something).
"""

import asyncio
import os

from stenograph_sdk import ToolContext, ToolError, tool

ACCOUNTS = {
    "user-123": {"plan": "Team", "seats": 12, "open_invoices": 0},
    "user-456": {"plan": "Free", "seats": 1, "open_invoices": 0},
}
DELAY_SECONDS = float(os.environ.get("SUPPORT_CHAT_DELAY_SECONDS", "0"))


@tool("get-user-account", retry="safe")  # reading twice harms nobody
async def get_user_account(userId: str) -> dict[str, str | int]:
    """Return the plan, the seats and the open invoices of a customer."""
    if userId not in ACCOUNTS:
        raise ToolError(f"no customer has the id {userId}")
    return ACCOUNTS[userId]


@tool("create-support-ticket", retry="never")  # two tickets for one wish would be wrong
async def create_support_ticket(summary: str, priority: str = "normal", *, call: ToolContext) -> dict[str, str]:
    """Open a ticket and return its number, which follows from the call's id: the right key to find it again."""
    await asyncio.sleep(DELAY_SECONDS)
    number = f"T-{int(call.call[:8], 16) % 9000 + 1000}"
    print(f"ticket {number} opened with priority {priority}", flush=True)
    return {"ticket": number, "priority": priority}
