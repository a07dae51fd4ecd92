"""Uploaded files on their way to a model. Where the provider can fetch a download link, that link is what it gets.

    https://agents.example/api/files/8c1f…?…   stays
    http://127.0.0.1:8420/api/files/8c1f…?…    data:image/png;base64,iVBORw0…    no provider reaches us there
    one that is over                           the same, in its own session, as long as the file is kept

The bytes come from the object store: we fetch no address that somebody gives us. A link of ours is known by its
signature; any other passes as it is.
"""

import base64
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import structlog
from msgspec.structs import replace
from nats.aio.client import Client

from stenograph_events.values import FilePart, Part, TextPart
from stenograph_projections.transcript import Message, Reply
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import KeyDeleted
from stenograph_services.runtime.file_links import PATH, FileLinks, Link
from stenograph_services.runtime.files import FileDamaged, FileMissing, Files
from stenograph_services.runtime.keys import KeyStore
from stenograph_services.runtime.sealing import Seals

log = structlog.get_logger()

_AT_HOME = ("localhost", "local", "internal", "lan", "home", "test")


class Attachments:
    """Brings files into questions to models."""

    def __init__(self, nc: Client, settings: Settings, seals: Seals) -> None:
        self._nc = nc
        self._seals = seals
        self._room = settings.model_files_max_bytes
        self._files: dict[str, Files] = {}
        self._secret = settings.token_secret.encode() if settings.token_secret else b""

    async def brought(self, tenant: str, session: str, entries: list[Message | Reply]) -> list[Message | Reply]:
        """Return `entries` as a provider can read them: with the bytes of uploads that it cannot fetch.

        The newest files that have room come along; in the place of any other the model is told that there was one.
        """
        if not any(isinstance(entry, Message) and _uploads(entry.parts) for entry in entries):
            return entries
        opener = _Opener(FileLinks(await self._known_secret(), tenant), session)
        files, room = self._files_of(tenant), self._room
        brought = list(entries)
        for at, entry in reversed(list(enumerate(entries))):
            if isinstance(entry, Message) and _uploads(entry.parts):
                brought[at], room = await _with_bytes(files, opener, entry, room)
        return brought

    def _files_of(self, tenant: str) -> Files:
        """Return the files of `tenant`, the same each time: they hold a subscription."""
        return self._files.setdefault(tenant, Files(self._nc, tenant, self._seals))

    async def _known_secret(self) -> bytes:
        if not self._secret:
            self._secret = await KeyStore(self._nc).secret()
        return self._secret


class _Opener:
    """Tells which links a session opens: every one that is not over, and its own for as long as the file is kept."""

    def __init__(self, links: FileLinks, session: str) -> None:
        self._links = links
        self._session = session
        self._now = datetime.now(UTC)

    def to_bring(self, url: str) -> Link | None:
        """Return the link that `url` is, if its file has to come along because no provider could fetch it."""
        link = self._links.recognized(url)
        if link is None:
            return None
        if link.expires_at > self._now:
            return None if _is_public(url) else link
        return link if link.file.session == self._session else None


def _uploads(parts: Sequence[Part]) -> bool:
    return any(isinstance(part, FilePart) and PATH in part.url for part in parts)


def _is_public(url: str) -> bool:
    """Tell whether a provider, somewhere in the world, can reach the host of `url`."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and host.rpartition(".")[2] not in _AT_HOME


async def _with_bytes(files: Files, opener: _Opener, message: Message, room: int) -> tuple[Message, int]:
    """Return `message` as a provider can read it, and how much room is left."""
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, FilePart) and (link := opener.to_bring(part.url)):
            part, room = await _carried(files, part, link, room)
        parts.append(part)
    return replace(message, parts=tuple(parts)), room


async def _carried(files: Files, part: FilePart, link: Link, room: int) -> tuple[Part, int]:
    """Return `part` with its bytes, or a text in its place, and how much room is left."""
    if link.file.size > room:
        return _left_out(part, "it is too large to be sent along"), room
    try:
        pieces = [piece async for piece in files.read(await files.stored(link.file))]
    except (FileMissing, FileDamaged, KeyDeleted) as error:
        log.warning("file.not_brought", file=link.file.id, error=str(error))
        return _left_out(part, "it is not stored any more"), room
    encoded = base64.b64encode(b"".join(pieces)).decode()
    media_type = link.file.media_type
    brought = replace(part, media_type=media_type, url=f"data:{media_type};base64,{encoded}")
    return brought, room - link.file.size


def _left_out(part: FilePart, reason: str) -> TextPart:
    name = f" {part.filename!r}" if part.filename else ""
    return TextPart(
        f"[The file{name} of the type {part.media_type} was attached here, but you cannot see it: {reason}.]"
    )
