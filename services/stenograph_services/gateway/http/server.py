"""The HTTP server: uvicorn inside the service's own loop, on a socket that is bound before anything is promised."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from stenograph_services.runtime.errors import InvalidSetting

KEEP_ALIVE_SECONDS = 75  # longer than the 60 s of common proxies, so that they, not we, close an idle connection
LAST_WORDS_SECONDS = 2  # for responses that were told to end


class HttpServer:
    """Serves `app` on host and port; port 0 takes a free one, which is then in `port`."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=LAST_WORDS_SECONDS,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when requests are taken."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="http")
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
            await asyncio.sleep(0.01)

    def refuse_new(self) -> None:
        """Take no new connections; those that are open go on."""
        for listening in self._server.servers:
            listening.close()

    async def stop(self) -> None:
        """End the connections: at once those that are idle, the others when their response is over."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the service has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        reason = "it is in use" if error.errno == errno.EADDRINUSE else str(error)
        raise InvalidSetting(f"STENOGRAPH_HOST {host}, STENOGRAPH_PORT {port}: {reason}; choose another") from error
    return bound
