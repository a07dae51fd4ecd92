"""What leaves the services sealed, and what comes back: the box of a request, and the key of its answer.

    box            a sender's public key, and NaCl's box (X25519, XSalsa20-Poly1305) from it to the tool's, of the
                   SHA-256 of the request's readable bytes, the answer key, and what is not readable of the request
    answer         `boxed ` + NaCl's SecretBox (XSalsa20-Poly1305) with the answer key
    large result   the same without the word, in chunks, under a name that only the answer key tells

Whoever has the tool's private key reads its requests, and nobody else; an answer key is of one attempt of one call.
A sender is a process: it makes a pair of keys when it starts, and tells the private one to nobody. So what two keys
have in common is computed once and not for each request, which takes as long as everything else about it together.
Needs the package PyNaCl, which whoever has credentials has as well.
"""

import base64
import binascii
from functools import cache, lru_cache
from hashlib import sha256
from hmac import digest as hmac
from typing import TYPE_CHECKING, NamedTuple

from stenograph_events.errors import Unopened
from stenograph_events.sealing import box_of, header_of, joined, seal_of

if TYPE_CHECKING:
    from nacl.public import Box, PrivateKey

KEY_BYTES = 32
NONCE_BYTES = 24
BLOB_OVERHEAD_BYTES = NONCE_BYTES + 16
BOXED = b"boxed "


class Unboxable(ValueError):
    """A text is no key, or bytes were not sealed with this one."""


class Opened(NamedTuple):
    """A request's bytes as anybody can read them, and what its answer is sealed with; None if it was not sealed."""

    data: bytes
    answer_key: "AnswerKey | None"


class ToolKey:
    """The private key of one tool of a tenant. Its `repr` shows the public half alone."""

    def __init__(self, private: str) -> None:
        from nacl.public import PrivateKey

        self._key = PrivateKey(_key_bytes(private))
        self.public = base64.b64encode(bytes(self._key.public_key)).decode()

    def __repr__(self) -> str:
        return f"ToolKey({self.public})"

    @lru_cache(maxsize=64)  # noqa: B019 - one for each orchestrator; a worker keeps its few keys
    def _box(self, sender: bytes) -> "Box":
        from nacl.public import Box, PublicKey

        return Box(self._key, PublicKey(sender))

    def open(self, data: bytes) -> Opened:
        """Return the request that is stored as `data`; raise `Unopened` if its box is of another key, or was moved."""
        seal = seal_of(data)
        if seal is None:
            return Opened(data, None)
        readable, box = box_of(seal.readable)
        header = header_of(data)
        if box is None:
            raise Unopened(header.session, header.n, "it was sealed for no worker: has one registered with its key?")
        try:
            content = self.open_box(box)
        except Unboxable as error:
            raise Unopened(header.session, header.n, "it was sealed to another key of this tool") from error
        about, key, content = content[:32], content[32 : 32 + KEY_BYTES], content[32 + KEY_BYTES :]
        if about != sha256(readable).digest():
            raise Unopened(header.session, header.n, "its box is that of another request")
        return Opened(joined(readable, content), AnswerKey(key))

    def open_box(self, box: bytes) -> bytes:
        """Return what `box_to` was given; raise `Unboxable` if that was for another key."""
        from nacl.exceptions import CryptoError

        try:
            return bytes(self._box(box[:KEY_BYTES]).decrypt(box[KEY_BYTES:]))
        except (CryptoError, ValueError) as error:
            raise Unboxable("it was sealed to another key, or changed since") from error


def boxed(readable: bytes, answer_key: bytes, content: bytes, seal_to: str) -> bytes:
    """Return the box of a request that is read with the private key of `seal_to`; raise `Unboxable` if that is none."""
    return box_to(seal_to, sha256(readable).digest() + answer_key + content)


def box_to(seal_to: str, content: bytes) -> bytes:
    """Return a box that is read with the private key of `seal_to`; raise `Unboxable` if that is none."""
    sender, box = _sending(seal_to)
    return sender + bytes(box.encrypt(content))


@lru_cache(maxsize=1_000)
def _sending(seal_to: str) -> "tuple[bytes, Box]":
    from nacl.exceptions import CryptoError
    from nacl.public import Box, PublicKey

    sender = _sender()
    try:
        return bytes(sender.public_key), Box(sender, PublicKey(_key_bytes(seal_to)))
    except (CryptoError, ValueError) as error:
        raise Unboxable("this is no public key of a tool") from error


@cache
def _sender() -> "PrivateKey":
    from nacl.public import PrivateKey

    return PrivateKey.generate()


def answer_of(call: str, attempt: int) -> str:
    """Return what the key is named that the answer to one attempt of a call is sealed with."""
    return f"answer/{call}/{attempt}"


def checked_public(seal_to: str) -> str:
    """Return `seal_to` if it is a public key; raise `Unboxable`."""
    _sending(seal_to)
    return seal_to


class AnswerKey:
    """What the answer to one attempt of one call is sealed with."""

    def __init__(self, key: bytes) -> None:
        from nacl.secret import SecretBox

        self._key = key
        self._box = SecretBox(key)

    def close(self, data: bytes) -> bytes:
        """Return the answer `data` as it is stored."""
        return BOXED + bytes(self._box.encrypt(data))

    def open(self, data: bytes) -> bytes:
        """Return what `close` was given; raise `Unboxable`."""
        return self._decrypted(data.removeprefix(BOXED))

    def blob_name(self, digest: str) -> str:
        """Return the name under which a large result lies whose content has this SHA-256."""
        return hmac(self._key, b"blob " + digest.encode(), sha256).hex()

    def close_blob(self, data: bytes, name: str) -> bytes:
        """Return a large result sealed. Its nonce is of its name, and that is of its content: two share none."""
        return bytes(self._box.encrypt(data, bytes.fromhex(name)[:NONCE_BYTES]))

    def open_blob(self, data: bytes) -> bytes:
        """Return what `close_blob` was given; raise `Unboxable`."""
        return self._decrypted(data)

    def _decrypted(self, data: bytes) -> bytes:
        from nacl.exceptions import CryptoError

        try:
            return bytes(self._box.decrypt(data))
        except (CryptoError, ValueError) as error:
            raise Unboxable("it was sealed with another key, or changed since") from error


def _key_bytes(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unboxable("a key is 32 bytes in base64") from error
    if len(key) != KEY_BYTES:
        raise Unboxable(f"a key is 32 bytes in base64, and this one has {len(key)}")
    return key
