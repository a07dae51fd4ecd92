"""What a tool returns as a file says what it is, whatever its name or its author takes it for."""

import base64
import gzip
import io
import zipfile
from hashlib import sha256

import msgspec
import pytest

from stenograph_sdk import ToolFile
from stenograph_sdk.encoding import to_json

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.txt"), "hello")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", "image/jpeg"),
        (b"GIF89a\x01\x00\x01\x00", "image/gif"),
        (b"%PDF-1.7\n", "application/pdf"),
        (zipped(), "application/zip"),
        (gzip.compress(b"hello", mtime=0), "application/gzip"),
        (b"a,b\n1,2\n", "text/plain"),
        ("Grüße".encode(), "text/plain"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "text/plain"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "text/plain"),
        (b"", "text/plain"),
        (b"\x00\x01\x02", "application/octet-stream"),
        (bytes(range(128, 256)), "application/octet-stream"),
    ],
)
@pytest.mark.parametrize("filename", ["picture.png", "page.html", None])
def test_the_media_type_of_a_file_is_read_from_its_bytes(data: bytes, media_type: str, filename: str | None):
    said = msgspec.json.decode(to_json(ToolFile(data, filename)))

    assert (said["media_type"], said["size"], said["sha256"]) == (media_type, len(data), sha256(data).hexdigest())
    assert (base64.b64decode(said["data"]), said.get("filename")) == (data, filename)


def test_a_file_may_stand_anywhere_in_a_result():
    said = msgspec.json.decode(to_json({"found": [ToolFile(PNG, "a.png")], "count": 1}))

    assert (said["count"], said["found"][0]["media_type"]) == (1, "image/png")
    assert "PNG" not in repr(ToolFile(PNG))
