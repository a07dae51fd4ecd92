"""Broken tools: a call of one is refused at once, so that no turn waits for what does not answer. Pure.

env.held_back = {"get-account": HeldBack(failures=5, until=…)}     →     tool.refused{error, not_before}

Not held back is a call that a person let run, who would have decided for nothing, and one that is to find out what came
of another: what is known of an effect is worth the wait. Nor is a call of a tool whose protocol says `whenBroken: ask`.
"""

from collections.abc import Mapping
from datetime import UTC

from msgspec.structs import replace

from stenograph_events.types import ToolRequested
from stenograph_projections.session import PendingCall
from stenograph_services.orchestrator.decisions import Env, HeldBack
from stenograph_services.protocol.agent import Tool


def held_back(call: PendingCall, tool: Tool, served: str, env: Env) -> HeldBack | None:
    """Return why `call` is not to be asked of the workers that serve it as `served`, None if it may be."""
    held = env.held_back.get(served)
    if held is None or held.may_try or tool.when_broken == "ask" or call.decided is not None:
        return None
    return held


def why_not(tool: str, held: HeldBack, env: Env) -> str:
    """Return what whoever asked for a call of `tool` is told."""
    failed = f"the tool {tool} failed {held.failures} times in a row"
    if held.on_trial or held.until <= env.now:
        return f"{failed}, and another call is trying whether it works again; ask again later"
    return f"{failed}; it is not asked again before {held.until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def after(request: ToolRequested, env: Env) -> Env:
    """Return the world for the calls that are decided on after `request`: one call tries a tool, not all of a step."""
    held = env.held_back.get(request.tool)
    if held is None or not held.may_try:
        return env
    others: Mapping[str, HeldBack] = {**env.held_back, request.tool: replace(held, may_try=False)}
    return replace(env, held_back=others)
