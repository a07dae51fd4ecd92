"""A file key: what seals one upload of a file, made of the data key of its session. No key of it is stored.

piece     nonce (12 bytes) + ciphertext + tag (16), with the number of the piece authenticated: each opens alone
about     the same, of what is said of the whole file, with its name and the number of its pieces
"""

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stenograph_services.runtime.sealing.data_key import DataKey, opened, sealed


class FileKey:
    """The key of the upload `upload` to the session whose key is `key`."""

    def __init__(self, key: DataKey, upload: str) -> None:
        self._cipher = AESGCM(key.made_for(f"file/{upload}"))

    def close_piece(self, data: bytes, number: int) -> bytes:
        """Return the piece that is the `number`-th of its file, counted from 0, as it is stored."""
        return sealed(self._cipher, data, _place(number))

    def open_piece(self, data: bytes, number: int) -> bytes:
        """Return what `close_piece` was given; raise `WrongSeal`, also if it is another piece."""
        return opened(self._cipher, data, _place(number))

    def close_about(self, data: bytes, name: str, pieces: int) -> bytes:
        """Return `data`, which is said of the file `name` in so many `pieces`, as it is stored."""
        return sealed(self._cipher, data, _whole(name, pieces))

    def open_about(self, data: bytes, name: str, pieces: int) -> bytes:
        """Return what `close_about` was given; raise `WrongSeal`, also if it is of another file, or of more pieces."""
        return opened(self._cipher, data, _whole(name, pieces))


def _place(number: int) -> bytes:
    return f"piece {number}".encode()


def _whole(name: str, pieces: int) -> bytes:
    return f"{pieces} pieces of {name}".encode()
