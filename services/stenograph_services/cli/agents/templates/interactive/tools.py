"""The tools of SLUG: stenograph worker FOLDER/tools.py"""

from stenograph_sdk import tool


@tool("look-up-order", retry="safe")
async def look_up_order(orderId: str) -> dict[str, str]:
    return {"order": orderId, "status": "on its way"}
