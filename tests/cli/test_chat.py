"""`stenograph chat`: from a pipe, on with a session, and Ctrl-C."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

import msgspec
from tests.cli.conftest import Stenograph
from tests.support.agents import CALL_THEN_SAY, bundle
from tests.support.services import Stage, Talk
from tests.support.wait import until

from stenograph_events.types import SessionCreated, TurnFinished
from stenograph_sdk import Worker
from stenograph_services.runtime.agents import Agents


async def agent_of(talk: Talk) -> str:
    created = (await talk.events())[0]
    assert isinstance(created, SessionCreated)
    return created.agent


async def test_each_line_of_a_pipe_is_a_message_and_stdout_holds_the_answers_alone(
    stage: Stage, stenograph: Stenograph
):
    talk = await stage.session(CALL_THEN_SAY)
    worker = Worker(stage.settings.nats_url)

    @worker.tool("get-account", retry="safe")
    async def get_account(userId: str) -> dict[str, str]:
        return {"plan": "pro"}

    serving = asyncio.create_task(worker.run(signals=False))
    ran = await stenograph("chat", await agent_of(talk), input="one\n\ntwo\n")
    worker.stop()
    await serving

    assert ran.code == 0, ran.err
    assert ran.out == 'You have {"plan":"pro"}\n' * 2
    assert ran.err.count('get-account {"userId":"u1"}') == 2
    assert ran.err.count('get-account ok {"plan":"pro"}') == 2


async def test_a_conversation_goes_on_in_its_session(stage: Stage, stenograph: Stenograph):
    talk = await stage.session()
    await talk.end_of(await talk.send())

    ran = await stenograph("chat", "--session", talk.id[:-2], "--json", input="again\n")

    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert [line["type"] for line in ran.lines if "type" in line][-1] == "turn.finished"
    assert len(await talk.all(TurnFinished)) == 2


async def test_the_input_of_the_session_is_checked_by_the_agent(stage: Stage, stenograph: Stenograph):
    slug = await agent_of(await stage.session())

    unknown = await stenograph("chat", slug, "--input", "COMPANY=Acme", input="Hi\n")

    assert unknown.code == 1
    assert "unknown name 'COMPANY'" in unknown.err
    assert len(unknown.err.splitlines()) == 1


async def test_an_agent_that_is_not_stored_is_named_with_the_nearest_one(stage: Stage, stenograph: Stenograph):
    slug = await agent_of(await stage.session())

    ran = await stenograph("chat", slug.replace("agent", "agnet"), input="Hi\n")

    assert ran.code == 1
    assert ran.err.startswith("stenograph: no agent 'agnet-")
    assert "did you mean 'agent-" in ran.err


async def test_an_agent_without_a_text_trigger_cannot_be_talked_to(stage: Stage, stenograph: Stenograph):
    made = bundle("counter")
    made = msgspec.structs.replace(
        made, protocol=made.protocol.replace("TEXT: {type: string}", "TEXT: {type: integer}")
    )
    await Agents(stage.nc).store("default", made)

    ran = await stenograph("chat", "counter", input="Hi\n")

    assert ran.code == 1
    assert "agent 'counter' has no trigger that takes one text" in ran.err


SAY_FOR_LONG_THEN_AT_ONCE = """\
turns:
  - - text: one two three four five six seven eight nine ten
      chunks: 40
      chunk_delay_ms: 500
  - - text: one two three four five six seven eight nine ten
"""


async def test_ctrl_c_cancels_the_turn_and_not_the_conversation(stage: Stage, stenograph: Stenograph):
    talk = await stage.session(SAY_FOR_LONG_THEN_AT_ONCE)
    chat = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stenograph_services.cli", "chat", "--session", talk.id,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **stenograph.env},
    )  # fmt: skip
    assert chat.stdin
    assert chat.stdout
    chat.stdin.write(b"first\nsecond\n")
    chat.stdin.close()
    said = await chat.stdout.read(1)
    chat.send_signal(signal.SIGINT)

    async def outcomes() -> Sequence[str] | None:
        ended = [event.outcome for event in await talk.all(TurnFinished)]
        return ended if len(ended) == 2 else None

    both = await until(outcomes)
    rest, errors = await chat.communicate()

    assert both == ["cancelled", "completed"]
    assert (said + rest).endswith(b"\none two three four five six seven eight nine ten\n")
    assert b"cancelling; Ctrl-C again leaves" in errors
    assert chat.returncode == 1, "one of the turns did not complete"
    assert b"Traceback" not in errors
