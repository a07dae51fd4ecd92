"""`stenograph chat` with an agent that needs a secret: typed unseen, from the environment, or told what to do."""

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from tests.cli.conftest import Stenograph, quiet
from tests.sealing.secrets import PAYER, Till, a_secret
from tests.support.services import TENANT, Stage
from tests.support.wait import until

from stenograph_services.gateway import app as gateway
from stenograph_services.runtime.agents import Agents

__all__ = ["quiet"]


@pytest.fixture
async def stage(nats_url: str, tmp_path: Path, key_file: Path) -> AsyncIterator[Stage]:
    async with Stage(nats_url, tmp_path, sealing=False, sealing_key_file=key_file, port=0) as made:
        await made.start(gateway.build)
        await Agents(made.nc).store(TENANT, PAYER)
        yield made


@pytest.fixture
def stenograph(stage: Stage, key_file: Path, quiet: None) -> Stenograph:
    return Stenograph(environment(stage, key_file))


def environment(stage: Stage, key_file: Path) -> dict[str, str]:
    return {
        "STENOGRAPH_NATS_URL": stage.settings.nats_url,
        "STENOGRAPH_DATA_DIR": str(stage.settings.data_dir),
        "STENOGRAPH_SEALING_KEY_FILE": str(key_file),
    }


async def test_a_secret_may_come_from_the_environment_and_is_never_printed(
    stage: Stage, stenograph: Stenograph, tmp_path: Path
):
    key, pin = a_secret(), a_secret()
    till = Till(stage, tmp_path)

    async with till.serving():
        ran = await stenograph("chat", "payer", "--input", "API_KEY", input="Pay\n", API_KEY=key)
        made = await stenograph("sessions", "log", session_in(ran.err), "--json")
        paid = await stenograph(
            "sessions", "trigger", session_in(ran.err), "pay", "-i", "TEXT=Pay", "-i", "PIN", PIN=pin
        )

    assert (ran.code, paid.code) == (0, 0), ran.err + paid.err
    assert [call.arguments["apiKey"] for call in till.calls] == [key] * len(till.calls)
    assert till.calls[-1].arguments["pin"] == pin
    assert "stenograph-secret:" in made.out
    said = "".join([ran.out, ran.err, made.out, paid.out, paid.err])
    assert key not in said
    assert pin not in said


async def test_one_on_the_command_line_is_taken_and_told_to_be_in_the_history(stage: Stage, stenograph: Stenograph):
    ran = await stenograph("chat", "payer", "--input", "API_KEY=sk-1")

    assert ran.code == 0, ran.err
    assert "API_KEY is secret, and now stands in this shell's history: `--input API_KEY` takes" in ran.err


async def test_what_is_missing_is_told_with_how_to_give_it(stage: Stage, stenograph: Stenograph):
    ran = await stenograph("chat", "payer", input="Pay\n")

    assert ran.code == 1
    assert ran.err.endswith("API_KEY is missing; give it with `--input API_KEY=…`\n")


async def test_at_a_terminal_it_is_asked_for_and_not_shown(stage: Stage, tmp_path: Path, key_file: Path):
    key = a_secret()
    till = Till(stage, tmp_path)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "stenograph_services.cli", "chat", "payer"]
    shown = bytearray()
    async with till.serving():
        process = await asyncio.create_subprocess_exec(
            *command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | environment(stage, key_file)
        )
        asyncio.get_running_loop().add_reader(ours, lambda: shown.extend(os.read(ours, 4096)))
        for awaited, typed in (
            ("API_KEY (not shown)", f"{key}\n"),
            ("you> ", "Pay\n"),
            ("It says", ""),
            ("you> ", "\x04"),
        ):
            await until(partial(_taken, shown, awaited), 20, what=f"it shows {awaited!r}")
            os.write(ours, typed.encode())
        code = await asyncio.wait_for(process.wait(), 20)
        asyncio.get_running_loop().remove_reader(ours)

    assert code == 0, shown.decode(errors="replace")
    assert till.calls[0].arguments == {"apiKey": key}
    assert b"sk-" not in shown


def _taken(shown: bytearray, awaited: str) -> bool:
    """Return whether `awaited` was shown, and forget what was shown up to there, so that it is not found again."""
    head, found, _ = bytes(shown).partition(awaited.encode())
    if found:
        assert b"sk-" not in head
        del shown[: len(head) + len(found)]
    return bool(found)


def session_in(text: str) -> str:
    """Return the session that `stenograph chat` says it talks in."""
    return text.partition("session ")[2].split()[0].strip(":")
