"""Promises: what each step of the demo must show. One that is not kept ends the demo, and says which step it was."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

Found = TypeVar("Found")

STEP_SECONDS = 40.0  # several times what the slowest step takes; a demo that hangs must say where


class BrokenPromise(Exception):
    """A step did not show what it had to."""

    def __init__(self, why: str, step: str = "") -> None:
        super().__init__(f"step {step!r}: {why}" if step else why)
        self.why = why
        self.step = step


@asynccontextmanager
async def step(name: str) -> AsyncIterator[None]:
    """Run a step under `name`; whatever goes wrong in it becomes a `BrokenPromise` that names it."""
    try:
        async with asyncio.timeout(STEP_SECONDS):
            yield
    except BrokenPromise as error:
        raise BrokenPromise(error.why, error.step or name) from error
    except TimeoutError as error:
        raise BrokenPromise(str(error) or f"it was not over after {STEP_SECONDS:g} s", name) from error
    except Exception as error:  # nothing that goes wrong here is foreseen, and each thing has to name its step
        raise BrokenPromise(f"{type(error).__name__}: {error}".rstrip(": "), name) from error


def must(kept: bool, why: str) -> None:
    """Raise `BrokenPromise` with `why` unless `kept`."""
    if not kept:
        raise BrokenPromise(why)


async def until(look: Callable[[], Awaitable[Found | None]], why: str, seconds: float = 20.0) -> Found:
    """Return what `look` returns as soon as that is something; raise `BrokenPromise` with `why` after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := await look()):
        if asyncio.get_running_loop().time() > deadline:
            raise BrokenPromise(f"{why} (waited {seconds:g} s)")
        await asyncio.sleep(0.02)
    return found
