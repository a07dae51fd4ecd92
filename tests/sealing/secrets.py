"""An agent that is given secrets, workers that need them, and everything in which one of them might be read.

API_KEY   of the session: fills the tool `charge` when a model calls it, and `look-up` when a block does
PIN       of the trigger: fills `charge`, too
"""

import asyncio
import secrets
import string
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from tests.support.nats import processed
from tests.support.services import TENANT, Stage
from tests.support.wait import until

from stenograph_sdk import ToolContext, ToolError, Worker
from stenograph_services.accounts.keys import new_key
from stenograph_services.accounts.minting import worker
from stenograph_services.accounts.private import write_private
from stenograph_services.protocol import Bundle
from stenograph_services.runtime.agents import Agents

SERVED = ["charge", "look-up"]
SETTINGS = '{"slug": "payer", "name": "Payer", "format": "interactive"}'
PROTOCOL = """\
input:
  API_KEY: {type: string, secret: true}
variables:
  ACCOUNT: {type: unknown}
triggers:
  pay:
    input:
      TEXT: {type: string}
      PIN: {type: string, secret: true, optional: true}
  hand-on: {}
workers:
  charger: {description: Charges}
tools:
  charge:
    description: Charge the card
    parameters:
      amount: {type: number}
      apiKey: {type: string, secret: true, from: API_KEY}
      pin: {type: string, secret: true, optional: true, from: PIN}
    retry: safe
    attempts: 2
    backoff: 0.01
  look-up:
    description: Look the account up
    parameters:
      apiKey: {type: string, secret: true}
    retry: never
agent:
  model: scripted/play
  system: system
  tools: [charge]
  agentic: true
handlers:
  pay:
    Look:
      block: tool-call
      tool: look-up
      input: {apiKey: API_KEY}
      output: ACCOUNT
    Say:
      block: add-message
      role: user
      prompt: said
      input: [TEXT]
    Ask:
      block: next-message
  hand-on:
    Hand on:
      block: run-worker
      worker: charger
      input: {KEY: API_KEY}
"""
SCRIPT = """\
loop: true
turns:
  - - calls: [{tool: charge, arguments: {amount: 5}}]
    - text: "It says {{last_result}}"
"""
PAYER = Bundle("payer", SETTINGS, PROTOCOL, {"system": "You pay.\n", "said": "{{TEXT}}"}, {"play": SCRIPT})


CHARGER = Bundle(
    "charger",
    '{"slug": "charger", "name": "Charger", "format": "worker"}',
    """\
input: {KEY: {type: string, secret: true}}
variables: {FOUND: {type: unknown}}
tools:
  look-up:
    description: Look the account up
    parameters: {apiKey: {type: string, secret: true}}
steps:
  Look: {block: tool-call, tool: look-up, input: {apiKey: KEY}, output: FOUND}
output: FOUND
""",
    {},
)


def a_secret() -> str:
    """Return a text that stands nowhere by chance."""
    return "sk-" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(48))


class Called(NamedTuple):
    """A call as its handler got it."""

    tool: str
    arguments: dict[str, Any]


class Till:
    """Serves the tools. A charge of a card fails at its first attempt, with all that it knows in its words."""

    def __init__(self, stage: Stage, directory: Path, *, keyed: bool = True) -> None:
        self.calls: list[Called] = []
        file = directory / "worker.creds"
        write_private(file, worker(new_key("account"), TENANT, SERVED, "").text)
        self.worker = Worker(stage.settings.nats_url, tenant=TENANT, identity=file if keyed else None, verify=False)
        self.worker.tool("charge", retry="safe")(self._charge)
        self.worker.tool("look-up")(self._look_up)

    def _charge(self, amount: float, apiKey: str, pin: str = "", *, call: ToolContext) -> dict[str, Any]:
        call.progress(f"{'with ' * 30}{apiKey} at {pin}", done=1)
        self.calls.append(Called("charge", {"amount": amount, "apiKey": apiKey, "pin": pin}))
        if len(self.calls) % 3 == 2:
            raise ToolError(f"{apiKey} is not known at {pin!r}")
        return {"charged": amount, "with": [f"key {apiKey}"], pin: 1}

    def _look_up(self, apiKey: str) -> dict[str, str]:
        self.calls.append(Called("look-up", {"apiKey": apiKey}))
        return {"owner": "Ann"}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.worker.run(signals=False))
        await asyncio.wait_for(self.worker.serving.wait(), 10)
        try:
            yield
        finally:
            self.worker.stop()
            await running


@asynccontextmanager
async def overhearing(nc: Nats) -> AsyncIterator[list[bytes]]:
    """Hear everything that is said on the server: requests, answers, triggers, copies of events, frames."""
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.subject.encode() + b" " + str(message.headers).encode() + b" " + message.data)

    subscription = await nc.subscribe(">", cb=hear, pending_bytes_limit=-1)
    await processed(nc)
    yield heard
    await processed(nc)
    await subscription.unsubscribe()


class Door:
    """The gateway's HTTP, and everything that it has said."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.said: list[str] = []

    async def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, key: str = ""
    ) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        answer = await self._http.request(method, f"/api{path}", json=body, headers=headers)
        self.said.append(answer.text)
        return answer

    async def session(self, **input: Any) -> str:
        made = await self.ask("POST", "/agent-sessions", {"agentId": "payer", "input": input})
        assert made.status_code in (200, 201), made.text
        return str(made.json()["sessionId"])

    async def pay(self, session: str, *, key: str = "", **input: Any) -> str:
        return await self.trigger(session, "pay", key=key, **{"TEXT": "Pay", **input})

    async def trigger(self, session: str, name: str, *, key: str = "", **input: Any) -> str:
        wanted = {"triggerName": name, "input": input}
        return (await self.ask("POST", f"/agent-sessions/{session}/trigger", wanted, key=key)).text

    async def look_everywhere(self, session: str) -> None:
        """Read all that can be read of a session, and of what there is beside it."""
        await self.read(session)
        found = await self.ask("GET", "/agent-sessions")
        assert session in found.text

    async def read(self, session: str) -> None:
        for path in ("", "?format=ui", "/events", "/logs", "/state", "/state?at=1"):
            answer = await self.ask("GET", f"/agent-sessions/{session}{path}")
            assert answer.status_code == 200, (path, answer.text)


@asynccontextmanager
async def door(stage: Stage) -> AsyncIterator[Door]:
    await Agents(stage.nc).store(TENANT, PAYER)
    service: Any = stage.running("gateway").service
    url, key = f"http://127.0.0.1:{service.port}", stage.settings.api_key
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as http:
        yield Door(http)


async def snapshots(stage: Stage) -> None:
    """Return when the projector has stored some."""

    async def saved() -> bool:
        return bool((await stage.nc.jetstream().stream_info("KV_SNAP")).state.messages)

    await until(saved, what="a snapshot is stored")
