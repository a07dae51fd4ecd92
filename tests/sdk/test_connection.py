import asyncio
import socket
import struct
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import nats.errors
import pytest

from stenograph_sdk import CannotConnect, Client, Worker
from stenograph_sdk.connection import Connection, connect, printable
from stenograph_services.runtime.nats_server import free_ports, server_program

NOBODY = "nats://127.0.0.1:1"


async def test_a_missing_server_is_named_with_the_reason():
    with pytest.raises(CannotConnect, match=rf"cannot connect to NATS at {NOBODY}: .*Connect call failed"):
        await connect(NOBODY, timeout=0.3)


async def test_a_url_that_is_none_is_an_error_at_once():
    with pytest.raises(CannotConnect, match="cannot connect to NATS at nats://:x"):
        await connect("nats://:x", timeout=5)


async def test_missing_credentials_are_named(nats_url: str, tmp_path: Path):
    with pytest.raises(CannotConnect, match=r"no\.creds cannot be read: No such file"):
        await connect(nats_url, credentials=tmp_path / "no.creds")


async def test_a_file_that_holds_no_credentials_is_refused_before_connecting(nats_url: str, tmp_path: Path):
    """nats-py searches it for ever."""
    wrong = tmp_path / "wrong.creds"
    wrong.write_text("-----BEGIN SOMETHING ELSE-----\n")

    with pytest.raises(
        CannotConnect, match="is not a NATS credentials file: it has no line with 'BEGIN NATS USER JWT'"
    ):
        async with Client.connect(nats_url, credentials=wrong):
            pass


@pytest.fixture
async def guarded_url(tmp_path: Path) -> AsyncIterator[str]:
    """A server that wants a user and a password."""
    (port,) = free_ports(1)
    config = tmp_path / "guarded.conf"
    config.write_text(f'listen: "127.0.0.1:{port}"\nauthorization {{ user: "steno", password: "graph" }}\n')
    server = await asyncio.create_subprocess_exec(str(server_program()), "-c", str(config), stderr=DEVNULL)
    yield f"nats://steno:graph@127.0.0.1:{port}"
    server.terminate()
    await server.wait()


async def test_a_connection_that_the_server_refuses_fails_at_once(guarded_url: str):
    connection = await connect(guarded_url)
    await connection.close()

    with pytest.raises(CannotConnect, match="Authorization Violation"):
        await connect(guarded_url.replace("graph", "wrong"), timeout=None)


async def test_a_worker_that_the_server_refuses_ends_with_the_reason(guarded_url: str):
    with pytest.raises(CannotConnect, match="Authorization Violation"):
        await served(guarded_url.replace("graph", "wrong"))


@pytest.mark.parametrize("reset", [False, True])
async def test_a_first_connection_that_breaks_in_its_welcome_is_tried_again(guarded_url: str, reset: bool):
    """One that ended without a reset was taken for a good one: a refused worker then waited for ever."""
    wrong = guarded_url.replace("graph", "wrong")

    welcome, *refusals = await asyncio.gather(
        through(breaking_once(guarded_url, reset), connected),
        through(breaking_once(wrong, reset), connected),
        through(breaking_once(wrong, reset), served),
        return_exceptions=True,
    )

    assert welcome is True
    for refusal in refusals:
        assert isinstance(refusal, CannotConnect)
        assert "Authorization Violation" in refusal.reason


async def through(way: AbstractAsyncContextManager[str], use: Callable[[str], Awaitable[bool]]) -> bool:
    async with way as url:
        return await use(url)


async def connected(url: str) -> bool:
    connection = await connect(url)
    try:
        return connection.nats.is_connected
    finally:
        await connection.close()


async def served(url: str) -> bool:
    worker = Worker(url)
    worker.tool("get-user-account")(lambda: None)
    await worker.run(signals=False)
    return True


@asynccontextmanager
async def breaking_once(url: str, reset: bool) -> AsyncIterator[str]:
    """Yield the address of a way to the server that breaks off its first connection after the client's CONNECT."""
    user, _, server = url.rpartition("@")
    host, _, port = server.partition(":")
    broken = False

    async def carry(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        nonlocal broken
        from_server, to_server = await asyncio.open_connection(host, int(port))
        if not broken:
            broken = True
            to_client.write(await from_server.readline())
            await client.readline()
            if reset:
                linger = struct.pack("ii", 1, 0)
                to_client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            await asyncio.gather(copy(client, to_server), copy(from_server, to_client))
        to_client.close()
        to_server.close()

    async with await asyncio.start_server(carry, "127.0.0.1", 0) as way:
        yield f"{user}@127.0.0.1:{way.sockets[0].getsockname()[1]}"


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(4096):
            writer.write(data)
    writer.close()


async def test_a_worker_can_be_stopped_while_it_waits_for_a_server():
    worker = Worker(NOBODY)
    worker.tool("get-user-account")(lambda: None)
    running = asyncio.create_task(worker.run(signals=False))
    await asyncio.sleep(0)
    worker.stop()

    await running


def test_a_password_in_a_url_is_never_printed():
    urls = "nats://steno:graph@a:4222,nats://b:4222"

    assert printable(urls) == "nats://a:4222,nats://b:4222"


async def test_the_reset_that_follows_a_refusal_does_not_hide_it():
    """Under load nats-py met the reset while it closed the refused connection, and that became the reason."""
    connection = Connection(NOBODY)
    await connection._complain(nats.errors.Error("nats: 'Authorization Violation'"))
    await connection._complain(ConnectionResetError("reset by peer"))

    async def closing() -> None:
        raise ConnectionResetError("reset by peer")

    with pytest.raises(CannotConnect, match="Authorization Violation"):
        await connection._first_connect(asyncio.create_task(closing()), None)
