"""The canonical form of a call's arguments: one JSON object has one form, so that a digest of it means something.

    { "b": 1, "a": [true] }   →   {"a":[true],"b":1}   →   9b1c2a… (SHA-256, hex)

Keys are sorted, there is no white space, and of a key that is written twice the last one stands: what a person approves
of is then what runs, however a worker reads JSON.
"""

from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Raw

_object = msgspec.json.Decoder(dict[str, Any])
_encoder = msgspec.json.Encoder(order="sorted")


def canonical(arguments: Raw) -> Raw:
    """Return the same JSON object in its canonical form; raise `ValueError` if it is none."""
    try:
        return Raw(_encoder.encode(_object.decode(arguments)))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def digest_of(arguments: Raw) -> str:
    """Return the SHA-256, in hex, of `arguments`, which are in their canonical form."""
    return sha256(arguments).hexdigest()
