"""The async client without an event loop: what it awaits blocks instead of suspending, so a call ends at once.

    class SyncHttpSession(Blocking[HttpSession]):
        messages = value(HttpSession.messages)          session.messages() is what `await` gives
        events = each(HttpSession.events)               for event in session.events(): …

There is no thread and no loop behind it: Ctrl-C lands where the caller waits, a generator that is dropped closes its
connection there and then, threads may share a client, and it works (and blocks) inside a running loop.
"""

import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, get_args

import httpx

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")


class Blocking(Generic[A]):
    """Stands before an object whose methods are async, made so that they never suspend."""

    def __init__(self, one: A) -> None:
        self._one = one


def value(method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Blocking[A], P], T]:
    """Return `method` as a method that returns its result."""

    @wraps(method)
    def call(self: Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return finished(method(self._one, *args, **kwargs))

    return call


def each(
    method: Callable[Concatenate[A, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[Blocking[A], P], Generator[T, None, None]]:
    """Return `method` as a generator of the same items. Closing it closes the async one."""

    @wraps(method)
    def call(self: Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        return _generated(method(self._one, *args, **kwargs))

    signature = inspect.signature(method)
    (item_type, _) = get_args(signature.return_annotation)
    returned = Generator[item_type, None, None]  # type: ignore[valid-type]  # for `help`; the checker has its own
    call.__signature__ = signature.replace(return_annotation=returned)  # type: ignore[attr-defined]
    return call


def _generated(items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    try:
        while True:
            try:
                item = finished(items.__anext__())
            except StopAsyncIteration:
                return
            yield item
    finally:
        finished(items.aclose())


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`, which must not suspend."""
    try:
        work.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    work.close()
    raise RuntimeError("the sync client awaited something that needs an event loop")


async def blocking_sleep(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251  # blocking is what it is for


class BlockingClient:
    """An `httpx.Client` with as much of the surface of `httpx.AsyncClient` as we use."""

    def __init__(self, **options: Any) -> None:
        self._client = httpx.Client(**options)
        self.build_request = self._client.build_request

    async def send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        response = self._client.send(request, stream=stream)
        response.stream = _Stream(cast("httpx.SyncByteStream", response.stream))
        return response

    async def aclose(self) -> None:
        self._client.close()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        self._stream.close()
