"""What child agents do is seen in the streams and messages of their parents, by clients that know workers."""

import asyncio
from pathlib import Path

import httpx
import pytest
from tests.gateway.asking import asking, result_of
from tests.gateway.nesting import THINK_AND_SAY, TIDE, asks, child, inside, parent, session_of, sources, texts, whole_of
from tests.gateway.streaming import leg, observed, triggered, turn
from tests.support.agents import SAY_HELLO, SAY_SLOWLY
from tests.support.children import STEPS
from tests.support.processes import Processes
from tests.support.services import TENANT, Stage

from stenograph_events.frames import TextDelta, encode_frame
from stenograph_events.subjects import frame_subject
from stenograph_events.types import TurnFinished
from stenograph_services.orchestrator import app as orchestrator_app

FIND_AND_SAY = """\
loop: true
turns:
  - - text: Let me look.
      calls: [{tool: find, arguments: {userId: u1}}]
    - text: "It is {{last_result}}"
"""

USES_FIND = "tools:\n  find: {description: Find, parameters: {userId: {type: string}}}\n" + STEPS.replace(
    "    thread: main\n    model", "    thread: main\n    tools: [find]\n    model"
)

RUNS_ANOTHER = """\
workers:
  SLUG: {description: Finds out}
input:
  TOPIC: {type: string}
variables:
  ANSWER: {type: unknown}
output: ANSWER
steps:
  Begin:
    block: start-thread
    thread: main
    model: scripted/play
    system: system
    workers: [SLUG]
  Say:
    block: add-message
    role: user
    prompt: said
    input: [TOPIC]
  Ask:
    block: next-message
    output: ANSWER
"""


async def test_the_text_of_a_child_comes_while_it_is_written(full: httpx.AsyncClient, stage: Stage):
    talk = await parent(stage, await child(stage, SAY_SLOWLY))

    async with triggered(full, talk.id) as heard:
        first = await heard.until("text-delta")
        unfinished = await (await session_of(talk)).all(TurnFinished)
        await heard.end()

    [start] = [event for event in heard.events if event["type"] == "worker-start"]
    [result] = [event for event in heard.events if event["type"] == "worker-result"]
    of_child = inside(heard.events)
    assert unfinished == []
    assert first["workerId"] == start["workerId"]
    assert {event["workerId"] for event in of_child} == {start["workerId"]}
    assert heard.events.index(start) < heard.events.index(of_child[0])
    assert heard.events.index(of_child[-1]) < heard.events.index(result)
    assert list(texts(of_child).values()) == ["one two three four five six seven eight nine ten"]
    assert len([event for event in of_child if event["type"] == "text-delta"]) > 5
    assert len(texts(heard.events)) == 2
    assert {event["type"] for event in of_child}.isdisjoint({"start", "finish", "error"})


async def test_the_calls_of_a_child_name_its_run(full: httpx.AsyncClient, stage: Stage):
    slug = await child(stage, FIND_AND_SAY, USES_FIND)
    talk = await parent(stage, slug, tools={"find": "get-account"})

    async with triggered(full, talk.id) as heard:
        working = await session_of(talk)
        await working.answer(await working.request(), {"plan": "pro"})
        await heard.end()

    stored = (await full.get(f"/api/agent-sessions/{talk.id}?format=ui")).json()
    [worker] = [part for part in stored["messages"][-1]["parts"] if part["type"] == "worker"]
    called = [event for event in inside(heard.events) if "toolCallId" in event]
    assert [event["type"] for event in called][-2:] == ["tool-input-available", "tool-output-available"]
    assert called[-1]["output"] == {"plan": "pro"}
    assert "tool-request" not in heard.types
    assert [part["type"] for part in worker["parts"] if part["type"] != "step-start"] == ["text", "tool-call", "text"]


async def test_a_child_of_a_child_is_told_as_a_call(full: httpx.AsyncClient, stage: Stage):
    inner = await child(stage, SAY_HELLO)
    middle = await child(stage, asks(inner), RUNS_ANOTHER.replace("SLUG", inner))
    talk = await parent(stage, middle)

    heard = await turn(full, talk.id)
    stored = (await full.get(f"/api/agent-sessions/{talk.id}?format=ui")).json()

    [start] = [event for event in heard.events if event["type"] == "worker-start"]
    [worker] = [part for part in stored["messages"][-1]["parts"] if part["type"] == "worker"]
    [asked] = [event for event in inside(heard.events) if event["type"] == "tool-input-available"]
    [call] = [part for part in worker["parts"] if part["type"] == "tool-call"]
    assert (asked["toolName"], asked["workerId"]) == (inner, start["workerId"])
    assert (call["toolName"], call["result"]) == (inner, "Hello!")
    assert heard.types.count("worker-result") == 1


async def test_a_child_that_a_block_runs_is_told_inside_the_block(full: httpx.AsyncClient, stage: Stage):
    slug = await child(stage, THINK_AND_SAY)
    run = f"Look:\n  block: run-worker\n  worker: {slug}\n  input: {{TOPIC: TEXT}}\n  output: ANSWER\n"
    talk = await stage.session(handler=run, top=f"workers:\n  {slug}: {{description: Helps}}\n")

    heard = await turn(full, talk.id)

    mine = [event["type"] for event in heard.events if event not in inside(heard.events)]
    assert mine == ["start", "block-start", "worker-start", "worker-result", "block-end", "finish"]
    assert list(texts(inside(heard.events)).values()) == ["Hm, the moon is full.", TIDE]


async def test_a_leg_tells_nothing_of_a_child_that_the_one_before_it_told(full: httpx.AsyncClient, stage: Stage):
    slug = await child(stage, THINK_AND_SAY)
    script = asks(slug).replace("[{", "[{tool: ask-user, arguments: {question: Sure?}}, {")
    talk = await asking(stage, script, top=f"workers: {{{slug}: {{description: Helps}}}}", agent=f"workers: [{slug}]")

    first = await turn(full, talk.id)
    second = await leg(full, talk.id, first.execution, result_of(first.asked[0], "yes"))

    assert list(texts(inside(first.events)).values()) == ["Hm, the moon is full.", TIDE]
    assert first.types.index("worker-result") < first.types.index("tool-request")
    assert inside(second.events) == []
    assert second.text.startswith("It says ")


async def test_a_child_that_is_too_slow_is_told_until_its_parent_goes_on(full: httpx.AsyncClient, stage: Stage):
    talk = await parent(stage, await child(stage, SAY_SLOWLY), timeout="1s")

    heard = await turn(full, talk.id)

    of_child = inside(heard.events)
    [result] = [event for event in heard.events if event["type"] == "worker-result"]
    assert "error" in result
    assert heard.events.index(of_child[-1]) < heard.events.index(result)
    assert heard.types.count("text-start") == heard.types.count("text-end")
    assert [text.startswith("one two") for text in texts(of_child).values()] == [True]


@pytest.mark.parametrize("display", ["hidden", "name", "description", "stream"])
async def test_the_display_of_a_child_says_whether_what_it_does_is_told(
    full: httpx.AsyncClient, stage: Stage, display: str
):
    talk = await parent(stage, await child(stage, SAY_HELLO), display=display)

    heard = await turn(full, talk.id)
    stored = (await full.get(f"/api/agent-sessions/{talk.id}?format=ui")).json()

    workers = [part for part in stored["messages"][-1]["parts"] if part["type"] == "worker"]
    assert bool(inside(heard.events)) == (display == "stream")
    assert ("worker-start" in heard.types, "worker-result" in heard.types) == ((display != "hidden"),) * 2
    assert len(workers) == (display != "hidden")
    assert [bool(worker["parts"]) for worker in workers] == [display == "stream"] * len(workers)


async def test_stored_messages_have_what_each_child_said(
    full: httpx.AsyncClient, http: httpx.AsyncClient, stage: Stage
):
    talk, whole = await whole_of(full, stage)
    path = f"/api/agent-sessions/{talk.id}"

    ui, state = (await full.get(f"{path}?format=ui")).json(), (await full.get(path)).json()
    old_ui, old_state = (await http.get(f"{path}?format=ui")).text, (await http.get(path)).text

    workers = [part for part in ui["messages"][-1]["parts"] if part["type"] == "worker"]
    of_state = [part["worker"] for message in state["messages"] for part in message["parts"] if "worker" in part]
    runs = [event["workerId"] for _, event in whole if event["type"] == "worker-start"]
    said = [("reasoning", "Hm, the moon is full."), ("text", TIDE)]
    for found in (workers, of_state):
        assert [worker["workerId"] for worker in found] == runs
        for worker in found:
            assert [(part["type"], part["text"]) for part in worker["parts"] if "text" in part] == said
    for old in (old_ui, old_state):
        assert "moon" not in old
        assert "worker" not in old


async def test_a_client_of_2_0_0_is_told_nothing_of_what_a_child_does(http: httpx.AsyncClient, stage: Stage):
    talk = await parent(stage, await child(stage, THINK_AND_SAY))

    heard = await turn(http, talk.id)
    again = await observed(http, talk.id)

    assert [event for _, event in again] == heard.events
    assert inside(heard.events) == []
    assert [type for type in heard.types if "worker" in type] == []
    assert heard.text == f"It says {TIDE}"
    assert [id for id in heard.ids if "~" in id] == []


async def test_a_child_that_is_cancelled_with_its_turn_is_told_until_then(full: httpx.AsyncClient, stage: Stage):
    talk = await parent(stage, await child(stage, SAY_SLOWLY))

    async with triggered(full, talk.id) as heard:
        await heard.until("text-delta")
        had, last = list(heard.events), heard.ids[-1]
        await talk.cancel(heard.execution)
        await heard.end()
    await (await session_of(talk)).until(TurnFinished)
    again = [event for _, event in await observed(full, talk.id)]
    rest = [event for _, event in await observed(full, talk.id, last)]

    for events in (heard.events, again):
        types = [event["type"] for event in inside(events)]
        [result] = [event for event in events if event["type"] == "worker-result"]
        assert types[-2:] == ["text-end", "block-end"]
        assert events.index(inside(events)[-1]) < events.index(result)
        assert "error" in result
    assert heard.events[-1] == {"type": "finish", "finishReason": "stop"}
    assert texts(had + rest) == texts(again)


async def test_a_child_that_another_orchestrator_took_over_ends_as_its_log_has_it(
    full: httpx.AsyncClient, stage: Stage
):
    talk = await parent(stage, await child(stage, SAY_SLOWLY))

    async with triggered(full, talk.id) as heard:
        await heard.until("text-delta")
        working = await session_of(talk)
        last = (await working.events())[-1]
        frame = TextDelta(turn=last.turn or "", after=last.n, attempt=2, k=1, text="Good eve")
        await stage.nc.publish(frame_subject(TENANT, working.id), encode_frame(frame))
        await heard.end()
    whole = [event for _, event in await observed(full, talk.id)]

    [result] = [event for event in heard.events if event["type"] == "worker-result"]
    _, overtaking, said = texts(inside(heard.events)).values()
    assert overtaking == "Good eve"
    assert said == result["output"] == "one two three four five six seven eight nine ten"
    assert heard.types.count("text-start") == heard.types.count("text-end")
    assert list(texts(inside(whole)).values())[-1] == said


@pytest.mark.soak
async def test_a_child_whose_orchestrator_is_killed_is_told_on_by_the_next_one(
    full: httpx.AsyncClient, stage: Stage, tmp_path: Path
):
    talk = await parent(stage, await child(stage, SAY_SLOWLY))
    await stage.end(stage.running("orchestrator"))
    processes = Processes(tmp_path)
    try:
        env = {
            "STENOGRAPH_NATS_URL": stage.settings.nats_url,
            "STENOGRAPH_DATA_DIR": str(stage.settings.data_dir),
            "STENOGRAPH_ACK_WAIT_SECONDS": "1",
        }
        orchestrator = processes.start("first", "-m", "stenograph_services.cli", "run", "orchestrator", env=env)
        await orchestrator.line("service.started")
        async with triggered(full, talk.id) as heard:
            await heard.until("text-delta")
            orchestrator.kill()
            await stage.start(orchestrator_app.build)
            await heard.end()
    finally:
        processes.stop_all()

    [result] = [event for event in heard.events if event["type"] == "worker-result"]
    begun, said = texts(inside(heard.events)).values()
    assert said.startswith(begun)
    assert said == result["output"] == "one two three four five six seven eight nine ten"
    assert heard.types.count("text-start") == heard.types.count("text-end")


async def test_many_turns_with_children_at_once_are_each_told_whole(full: httpx.AsyncClient, stage: Stage):
    slugs = [await child(stage, THINK_AND_SAY) for _ in range(2)]
    talks = [await parent(stage, *slugs) for _ in range(4)]

    heard = await asyncio.gather(*(turn(full, talk.id) for talk in talks))

    for one in heard:
        assert len(sources(one.events)) == 3
        assert sorted(texts(inside(one.events)).values()) == ["Hm, the moon is full."] * 2 + [TIDE] * 2
