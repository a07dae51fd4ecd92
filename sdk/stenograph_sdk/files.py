"""Files as results: bytes that say what they are, whatever the function takes them for.

    @tool("print-invoice", retry="safe")
    def print_invoice(orderId: str) -> ToolFile:
        return ToolFile(pdf_of(orderId), "invoice.pdf")

    {"filename":"invoice.pdf","media_type":"application/pdf","size":48213,"sha256":"9b1c…","data":"JVBERi0…"}

The media type is read from the bytes, never from the name. What no signature of a format is known of is `text/plain` if
it is UTF-8, also where a browser would take it for a page or a picture, and `application/octet-stream` otherwise.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Any

import filetype

TEXT, BINARY = "text/plain", "application/octet-stream"


class ToolFile:
    """A file that a tool returns, alone or inside of a value. Bytes that are returned alone are one without a name."""

    def __init__(self, data: bytes | bytearray, filename: str | None = None) -> None:
        self.data = bytes(data)
        self.filename = filename

    @property
    def media_type(self) -> str:
        return media_type_of(self.data)

    def to_value(self) -> dict[str, Any]:
        """Return what stands in the result, its data in base64."""
        named = {} if self.filename is None else {"filename": self.filename}
        said = {"media_type": self.media_type, "size": len(self.data), "sha256": sha256(self.data).hexdigest()}
        return {**named, **said, "data": b64encode(self.data).decode()}

    def __repr__(self) -> str:
        return f"ToolFile({self.filename!r}, {len(self.data)} bytes)"


def media_type_of(data: bytes) -> str:
    """Return the media type of the format that `data` is in."""
    if found := filetype.guess_mime(data):
        return str(found)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return BINARY
    return BINARY if "\x00" in text else TEXT
