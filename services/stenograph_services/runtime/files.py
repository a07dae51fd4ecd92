"""Files that clients upload, in the object store FILES, in the layout that every NATS client reads (ADR-20).

    $O.FILES.C.<upload>               512 KiB and again 512 KiB, one subject for all pieces of one upload
    $O.FILES.M.<base64 of the name>   {"name":"default/2f01…/8c1f…","nuid":"<upload>","size":1234,"digest":"SHA-256=…"}

    $ nats object get FILES default/2f01…/8c1f…

nats-py's own object store takes and gives files by blocking threads, and buffers what a slow reader does not take. Here
one piece at a time is in memory. A file is there once its second subject is; it is written once and never changed.

That of a sealed session is sealed piece by piece, so that a part of it is read without the rest: size and digest are
then those of the sealed bytes, and its own stand sealed in the header Stenograph-Sealed. What lies in clear stays so.
"""

import base64
import hashlib
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from stenograph_events.subjects import object_chunks, object_subject
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.blobs import CHUNK_BYTES
from stenograph_services.runtime.errors import StenographError
from stenograph_services.runtime.file_links import File
from stenograph_services.runtime.jetstream import NOT_FOUND, WRONG_LAST_SEQUENCE, JetStreamError, api, publish
from stenograph_services.runtime.sealing import Seals
from stenograph_services.runtime.sealing.data_key import OVERHEAD_BYTES, WrongSeal
from stenograph_services.runtime.sealing.file_key import FileKey
from stenograph_services.runtime.streams import FILES

log = structlog.get_logger()

_STREAM = f"OBJ_{FILES}"
_AT_ONCE = 4  # pieces in one answer of the server: 2 MiB for each reader
SEALED = "Stenograph-Sealed"
_ONCE = {"Nats-Expected-Last-Subject-Sequence": "0"}


class FileRefused(StenographError):
    """What was sent is not the file that was announced, or another one than is stored."""


class FileTooLarge(FileRefused):
    """More bytes come than were announced."""


class FileMissing(StenographError):
    """There is no such file: it was not uploaded, or was kept long enough."""


class FileDamaged(StenographError):
    """What is stored of a file is not what its hash says."""


class _Options(msgspec.Struct):
    max_chunk_size: int = CHUNK_BYTES


class _Object(msgspec.Struct, kw_only=True):
    """What the object store knows of a file, as it is stored; the names of the fields are NATS's own."""

    name: str
    bucket: str = FILES
    nuid: str
    size: int
    chunks: int
    digest: str
    mtime: str
    headers: dict[str, list[str]] = {}
    options: _Options = msgspec.field(default_factory=_Options)
    deleted: bool = False


class _Said(msgspec.Struct):
    """What is said of a sealed file, itself sealed: its own size and digest would tell which file it is."""

    size: int
    digest: str
    media_type: str


class StoredFile(msgspec.Struct, frozen=True):
    """A file as it was sent: the upload that its pieces lie under, how many, and what they are sealed with."""

    name: str
    nuid: str
    size: int
    chunks: int
    digest: str
    key: FileKey | None = None


class Files:
    """The files of one tenant. Those of sealed sessions are sealed, each with a key made of its session's."""

    def __init__(self, nc: Client, tenant: str, seals: Seals) -> None:
        self._nc = nc
        self._tenant = tenant
        self._seals = seals
        self._batches = BatchReader(nc)

    async def put(self, file: File, body: AsyncIterator[bytes]) -> StoredFile:
        """Store `body` as `file`. The same bytes again change nothing, so an upload may be repeated.

        Raises `FileTooLarge` as soon as more comes than `file.size`, `FileRefused` if less comes, or if other bytes are
        stored already. Nothing is kept of what is refused. Raises `KeyMissing` before anything is stored.
        """
        upload = uuid.uuid4().hex
        data_key = await self._seals.key_for(self._tenant, file.session, 0)
        key = None if data_key is None else FileKey(data_key, upload)
        try:
            sent, known = await self._sent(upload, key, file, body)
        except BaseException:  # also a client that went away
            await self._drop(upload)
            raise
        # From here on the file may be there without our being told: only a clear refusal lets its pieces go.
        if await self._first(file, known):
            return sent
        await self._drop(upload)
        stored = await self.stored(file)
        if stored.digest != sent.digest:
            raise FileRefused(f"file {file.id} is stored already, with other bytes; ask for a new upload URL")
        return stored

    async def stored(self, file: File) -> StoredFile:
        """Return what is stored of `file`; raise `FileMissing`, `KeyMissing`, or `FileDamaged`."""
        wanted = {"last_by_subj": self._subject(file)}
        try:
            found = await api(self._nc, f"STREAM.MSG.GET.{_STREAM}", wanted)  # of the leader: a follower may lag
        except JetStreamError as error:
            if error.code not in NOT_FOUND:
                raise
            raise FileMissing(f"no file {file.id!r}: nothing was uploaded, or it was kept long enough") from error
        known = msgspec.json.decode(base64.b64decode(found["message"]["data"]), type=_Object)
        if known.deleted:
            raise FileMissing(f"file {file.id!r} was deleted")
        if SEALED not in known.headers:
            return StoredFile(known.name, known.nuid, known.size, known.chunks, known.digest)
        key = FileKey(await self._seals.keys.get(self._tenant, file.session), known.nuid)
        try:
            about = key.open_about(base64.b64decode(known.headers[SEALED][0]), self._name(file), known.chunks)
        except (WrongSeal, ValueError) as error:
            raise FileDamaged(f"{known.name} was changed since it was stored") from error
        said = msgspec.json.decode(about, type=_Said)
        return StoredFile(known.name, known.nuid, said.size, known.chunks, said.digest, key)

    async def read(self, stored: StoredFile) -> AsyncIterator[bytes]:
        """Yield the bytes piece by piece; raise `FileDamaged` at the end if they are not those that were sent.

        One that is sealed is known for another at each piece.
        """
        subject = object_chunks(FILES, stored.nuid)
        digest = hashlib.sha256()
        number, start = 0, 1
        while number < stored.chunks:
            for sequence, data in await self._pieces(subject, start, min(stored.chunks - number, _AT_ONCE)):
                piece = _opened(stored, data, number)
                digest.update(piece)
                number, start = number + 1, sequence + 1
                yield piece
        if _digest(digest.digest()) != stored.digest:
            raise FileDamaged(f"{stored.name} is not what its hash says")

    async def _pieces(self, subject: str, start: int, batch: int) -> list[tuple[int, bytes]]:
        pieces, _ = await self._batches.read(_STREAM, subject, start, batch)
        if pieces:
            return [(sequence, piece) for sequence, _, piece in pieces]
        try:  # a follower answered that does not know them yet; the leader does
            found = await api(self._nc, f"STREAM.MSG.GET.{_STREAM}", {"seq": start, "next_by_subj": subject})
        except JetStreamError as error:
            if error.code not in NOT_FOUND:
                raise
            raise FileDamaged(f"pieces of {subject} are missing") from error
        return [(found["message"]["seq"], base64.b64decode(found["message"]["data"]))]

    async def _sent(
        self, upload: str, key: FileKey | None, file: File, body: AsyncIterator[bytes]
    ) -> tuple[StoredFile, _Object]:
        """Store the pieces of `body`; return what they are, and what the object store is to know of them."""
        subject = object_chunks(FILES, upload)
        own, stored = hashlib.sha256(), hashlib.sha256()
        chunks = size = 0
        async for piece in _pieces_of(_announced(body, file)):
            data = key.close_piece(piece, chunks) if key else piece
            own.update(piece)
            stored.update(data)
            await publish(self._nc, subject, data)
            chunks, size = chunks + 1, size + len(data)
        sent = StoredFile(self._name(file), upload, file.size, chunks, _digest(own.digest()), key)
        return sent, _Object(
            name=sent.name,
            nuid=upload,
            size=size,
            chunks=chunks,
            digest=_digest(stored.digest()),
            mtime=datetime.now(UTC).isoformat(),
            headers=_headers(sent, file),
            options=_Options(CHUNK_BYTES + (OVERHEAD_BYTES if key else 0)),
        )

    async def _first(self, file: File, sent: _Object) -> bool:
        """Let `sent` be the file, unless another upload of it was first."""
        try:
            await publish(self._nc, self._subject(file), msgspec.json.encode(sent), _ONCE)
        except JetStreamError as error:
            if error.code not in WRONG_LAST_SEQUENCE:
                raise
            return False
        return True

    async def _drop(self, upload: str) -> None:
        try:
            await api(self._nc, f"STREAM.PURGE.{_STREAM}", {"filter": object_chunks(FILES, upload)})
        except (JetStreamError, NatsError) as error:  # they go with their age; the refusal is what the client needs
            log.warning("file.pieces_left", upload=upload, error=str(error))

    def _name(self, file: File) -> str:
        return f"{self._tenant}/{file.session}/{file.id}"

    def _subject(self, file: File) -> str:
        return object_subject(FILES, self._name(file))


def _headers(sent: StoredFile, file: File) -> dict[str, list[str]]:
    """Return what else the object store is to know: of a sealed file nothing that can be read."""
    if sent.key is None:
        return {"Content-Type": [file.media_type]}
    said = msgspec.json.encode(_Said(sent.size, sent.digest, file.media_type))
    return {SEALED: [base64.b64encode(sent.key.close_about(said, sent.name, sent.chunks)).decode()]}


def _opened(stored: StoredFile, data: bytes, number: int) -> bytes:
    try:
        return stored.key.open_piece(data, number) if stored.key else data
    except WrongSeal as error:
        raise FileDamaged(f"piece {number} of {stored.name} was changed since it was stored") from error


async def _announced(body: AsyncIterator[bytes], file: File) -> AsyncIterator[bytes]:
    """Yield `body`, as long as it is no longer than `file` says; raise if it is shorter, too."""
    received = 0
    async for data in body:
        received += len(data)
        if received > file.size:
            raise FileTooLarge(f"the file is longer than the {file.size} bytes that were announced")
        yield data
    if received < file.size:
        raise FileRefused(f"the file ended after {received} of the {file.size} bytes that were announced")


async def _pieces_of(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield `body` in pieces of `CHUNK_BYTES`, the last one shorter."""
    held = bytearray()
    async for data in body:
        held += data
        while len(held) >= CHUNK_BYTES:
            yield bytes(held[:CHUNK_BYTES])
            del held[:CHUNK_BYTES]
    if held:
        yield bytes(held)


def _digest(sha256: bytes) -> str:
    return f"SHA-256={base64.urlsafe_b64encode(sha256).decode()}"
