"""Keys that are the same in every run."""

import nkeys

from stenograph_events.signatures import Signer


def seed(number: int = 1, kind: int = nkeys.PREFIX_BYTE_CLUSTER) -> str:
    """Return the `number`-th seed of a kind; by default one that our services sign with."""
    return bytes(nkeys.encode_seed(bytes([number]) * 32, kind)).decode()


def signer(number: int = 1, kind: int = nkeys.PREFIX_BYTE_CLUSTER) -> Signer:
    return Signer(seed(number, kind))
