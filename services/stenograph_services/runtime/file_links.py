"""Links to files: whoever holds one may upload, or download, exactly one file until it ends. No other key is needed.

    https://agents.example/api/files/8c1f…?session=2f01…&name=cat.png&size=1234&type=image%2Fpng&expires=1795345200&signature=…

The signature covers what is done (PUT or GET), the tenant, and all that the link says. The secret is derived from the
one in the bucket KEYS, so every gateway takes the links of every other, and an orchestrator knows them, too.
"""

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from stenograph_services.runtime.errors import StenographError

PATH = "/api/files/"
UPLOAD_TTL, DOWNLOAD_TTL = timedelta(minutes=15), timedelta(hours=24)

Deed = Literal["PUT", "GET"]

_SAID = ("session", "name", "size", "type", "expires")
_PURPOSE = b"stenograph file links"  # the same secret signs tokens; neither may pass for the other


class LinkRefused(StenographError):
    """A link opens nothing: it was not made here, was changed, is for something else, or is over."""


class File(msgspec.Struct, frozen=True):
    """What a link is for. `size` counts bytes; `media_type` is without parameters."""

    session: str
    id: str
    name: str
    size: int
    media_type: str


class Link(msgspec.Struct, frozen=True):
    """A link that was made here."""

    file: File
    deed: Deed
    expires_at: datetime


class FileLinks:
    """Makes the links of one tenant, and reads them."""

    def __init__(self, secret: bytes, tenant: str) -> None:
        self._secret = hmac.digest(secret, _PURPOSE, "sha256")
        self._tenant = tenant

    def url(self, base: str, deed: Deed, file: File, expires_at: datetime) -> str:
        """Return the link below `base`, the address of the gateway."""
        said = {
            "session": file.session,
            "name": file.name,
            "size": str(file.size),
            "type": file.media_type,
            "expires": str(int(expires_at.timestamp())),
        }
        query = urlencode(said | {"signature": self._signature(deed, file.id, said)})
        return f"{base}{PATH}{file.id}?{query}"

    def opened(self, deed: Deed, id: str, query: Mapping[str, str]) -> File:
        """Return which file may be put, or got, now; raise `LinkRefused`."""
        link = self._read(deed, id, query)
        if link is None:
            raise LinkRefused("the signature of this link does not fit: use it exactly as it was given, for its method")
        if link.expires_at < datetime.now(UTC):
            raise LinkRefused(f"this link ended at {link.expires_at:%Y-%m-%d %H:%M:%S} UTC; ask for a new one")
        return link.file

    def recognized(self, url: str) -> Link | None:
        """Return the download link that `url` is, at whatever address, over or not; None if it was not made here."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        _, found, id = parts.path.rpartition(PATH)
        return self._read("GET", id, dict(parse_qsl(parts.query))) if found else None

    def _read(self, deed: Deed, id: str, query: Mapping[str, str]) -> Link | None:
        said = {part: query.get(part, "") for part in _SAID}
        try:
            right = self._signature(deed, id, said)
            if not hmac.compare_digest(query.get("signature", "").encode(), right.encode()):
                return None
        except UnicodeEncodeError:  # half a surrogate pair
            return None
        file = File(said["session"], id, said["name"], int(said["size"]), said["type"])
        return Link(file, deed, datetime.fromtimestamp(int(said["expires"]), UTC))

    def _signature(self, deed: Deed, id: str, said: Mapping[str, str]) -> str:
        """Return the signature of the very texts that the link holds: no other spelling of a number passes."""
        signed = msgspec.json.encode((deed, self._tenant, id, *(said[part] for part in _SAID)))
        return base64.urlsafe_b64encode(hmac.digest(self._secret, signed, "sha256")).decode().rstrip("=")
