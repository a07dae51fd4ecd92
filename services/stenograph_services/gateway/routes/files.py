"""Files: a client asks for links, sends the bytes to one, and gives the other to a trigger.

POST /api/files/upload-urls   {"sessionId":"2f01…","files":[{"filename":"cat.png","mediaType":"image/png","size":1234}]}
                              {"files":[{"id":"8c1f…","uploadUrl":"https://…","downloadUrl":"https://…"}]}
PUT  <uploadUrl>              the bytes, as Content-Type: image/png       for 15 minutes; may be sent again
GET  <downloadUrl>            the bytes, all or `Range: bytes=0-99`       for 24 hours

The links need no other key: `runtime/file_links.py` says what they hold. What is downloaded is never shown in our own
name: a browser saves it, or another page embeds it as the image that it is.
"""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, BaseModel, Field
from pydantic.alias_generators import to_camel
from starlette.requests import ClientDisconnect

from stenograph_events import new_id
from stenograph_services.gateway.http.bodies import read
from stenograph_services.gateway.http.byte_ranges import ByteRange, cut, wanted_range
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.shapes import Shape, answer
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.file_links import DOWNLOAD_TTL, UPLOAD_TTL, Deed, File, FileLinks, LinkRefused
from stenograph_services.runtime.files import FileDamaged, FileMissing, FileRefused, Files, FileTooLarge, StoredFile
from stenograph_services.runtime.keyring import Keyring

log = structlog.get_logger()

URLS = "upload-urls"
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_NEVER_A_PAGE = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",  # chats of other origins embed it
    "Cache-Control": "private, max-age=3600",
}


def _plain(media_type: str) -> str:
    """Return `media_type` without parameters, in lower case."""
    plain = media_type.partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(plain):
        raise ValueError("must be a media type such as image/png")
    return plain


class FileWish(BaseModel, extra="ignore", frozen=True, alias_generator=to_camel):
    """A file that a client is going to send; `size` in bytes."""

    filename: str = Field(min_length=1, max_length=255)
    media_type: Annotated[str, AfterValidator(_plain)]
    size: int = Field(gt=0)


class UploadBody(BaseModel, extra="ignore", frozen=True, alias_generator=to_camel):
    """The files that go with messages of one session."""

    session_id: str = Field(min_length=1)
    files: list[FileWish] = Field(min_length=1)


class Upload(Shape, frozen=True, kw_only=True):
    id: str
    upload_url: str
    download_url: str


class Uploads(Shape, frozen=True, kw_only=True):
    files: list[Upload]


class Kept(Shape, frozen=True, kw_only=True):
    id: str
    size: int


def upload_routes(settings: Settings, keyring: Keyring, reader: Reader) -> APIRouter:
    """Return the route that gives links to whoever holds a key."""
    routes = APIRouter(prefix="/api/files")

    @routes.post(f"/{URLS}")
    async def urls(request: Request) -> Response:
        body = await read(request, UploadBody)
        check_sizes([wish.size for wish in body.files], settings)
        await reader.session(body.session_id)
        links = FileLinks(keyring.secret, settings.tenant)
        base = settings.public_url or str(request.base_url).rstrip("/")
        return answer(Uploads(files=[_upload(links, base, body.session_id, wish) for wish in body.files]))

    return routes


def file_routes(tenant: str, keyring: Keyring, files: Files) -> APIRouter:
    """Return the routes that links lead to."""
    routes = APIRouter(prefix="/api/files")

    @routes.put("/{id}")
    async def put(id: str, request: Request) -> Response:
        file = opened("PUT", id, request)
        check_announced(file, request)
        try:
            await files.put(file, request.stream())
        except FileTooLarge as error:
            raise Refusal(413, str(error)) from error
        except FileRefused as error:
            raise Refusal(400, str(error)) from error
        except ClientDisconnect as error:
            raise Refusal(400, "the upload broke off") from error
        log.info("file.uploaded", session=file.session, file=id, bytes=file.size, media_type=file.media_type)
        return answer(Kept(id=id, size=file.size))

    @routes.get("/{id}")
    @routes.head("/{id}")
    async def get(id: str, request: Request) -> Response:
        file = opened("GET", id, request)
        try:
            stored = await files.stored(file)
        except FileMissing as error:
            raise Refusal(404, str(error)) from error
        except FileDamaged as error:
            log.error("file.damaged", session=file.session, file=id, error=str(error), mend="bring OBJ_FILES back")
            raise Refusal(500, f"file {id!r} is damaged") from error
        return _download(file, stored, request, files)

    def opened(deed: Deed, id: str, request: Request) -> File:
        try:
            return FileLinks(keyring.secret, tenant).opened(deed, id, request.query_params)
        except LinkRefused as error:
            raise Refusal(403, str(error)) from error

    return routes


def check_sizes(sizes: list[int], settings: Settings) -> None:
    """Raise `Refusal` if these are more, or larger, files than one request may bring."""
    if len(sizes) > settings.upload_max_files:
        raise Refusal(400, f"files: {len(sizes)} of them; at most {settings.upload_max_files} in one request")
    if max(sizes) > settings.file_max_bytes:
        raise Refusal(400, f"files: one has {max(sizes)} bytes; at most {settings.file_max_bytes} are taken")
    if sum(sizes) > settings.upload_max_bytes:
        raise Refusal(400, f"files: {sum(sizes)} bytes together; at most {settings.upload_max_bytes} in one request")


def check_announced(file: File, request: Request) -> None:
    """Raise `Refusal` if the headers say already that this is not the file which was announced."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != file.media_type:
        raise Refusal(
            400, f"send this file as `Content-Type: {file.media_type}`, not {media_type or 'without a type'!r}"
        )
    length = request.headers.get("content-length", str(file.size))
    if length != str(file.size):
        longer = length.isdecimal() and int(length) > file.size
        sentence = f"the body has {length[:20]} bytes; the file was announced with {file.size}"
        raise Refusal(413 if longer else 400, sentence)


def _upload(links: FileLinks, base: str, session: str, wish: FileWish) -> Upload:
    file = File(session, new_id(), wish.filename, wish.size, wish.media_type)
    now = datetime.now(UTC)
    return Upload(
        id=file.id,
        upload_url=links.url(base, "PUT", file, now + UPLOAD_TTL),
        download_url=links.url(base, "GET", file, now + DOWNLOAD_TTL),
    )


def _download(file: File, stored: StoredFile, request: Request, files: Files) -> Response:
    etag = f'"{stored.nuid}"'
    wanted = wanted_range(request.headers, stored.size, etag)
    part = wanted or ByteRange(0, stored.size)
    headers = _NEVER_A_PAGE | {
        "Content-Type": file.media_type,
        "Content-Length": str(part.end - part.start),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
        "Accept-Ranges": "bytes",
        "ETag": etag,
    }
    if wanted is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{stored.size}"
    status = 200 if wanted is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    body: AsyncIterator[bytes] = files.read(stored)
    return StreamingResponse(body if wanted is None else cut(body, part), status, headers)
