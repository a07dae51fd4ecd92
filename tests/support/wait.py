"""Wait for a fact, not for a while.

await until(lambda: worker.returncode is not None)
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

POLL_SECONDS = 0.02


@overload
async def until(predicate: Callable[[], Awaitable[T | None]], timeout: float = ..., *, what: str = ...) -> T: ...
@overload
async def until(predicate: Callable[[], T | None], timeout: float = ..., *, what: str = ...) -> T: ...
async def until(predicate: Callable[[], Any], timeout: float = 20.0, *, what: str = "") -> Any:
    """Return the first true value of `predicate`, sync or async; fail after `timeout` seconds, naming `what`."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or inspect.getsource(predicate).strip()}")
        await asyncio.sleep(POLL_SECONDS)
