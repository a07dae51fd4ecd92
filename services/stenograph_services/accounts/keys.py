"""Keys: Ed25519 pairs in the form of NATS. The seed is the secret; the public key is the name of its owner.

SAAJ…   the seed of an account        AC3F…   its public key
"""

import os
from typing import Literal, NamedTuple

import nkeys

from stenograph_services.accounts.errors import AccountsError

Kind = Literal["operator", "account", "user", "cluster"]

_PREFIX: dict[Kind, int] = {
    "operator": nkeys.PREFIX_BYTE_OPERATOR,
    "account": nkeys.PREFIX_BYTE_ACCOUNT,
    "user": nkeys.PREFIX_BYTE_USER,
    "cluster": nkeys.PREFIX_BYTE_CLUSTER,  # of our services as a whole: what they sign
}
_SEED_BYTES = 32


class Key(NamedTuple):
    """A key pair. Its `repr` shows the public half alone."""

    seed: str
    public: str

    def sign(self, data: bytes) -> bytes:
        """Return the signature of `data`, 64 bytes."""
        signature: bytes = nkeys.from_seed(bytearray(self.seed.encode())).sign(data)
        return signature

    def __repr__(self) -> str:
        return f"Key({self.public})"


def new_key(kind: Kind) -> Key:
    """Return a key that nobody had before."""
    seed: bytes = nkeys.encode_seed(os.urandom(_SEED_BYTES), _PREFIX[kind])
    return key_of(bytes(seed).decode())


def key_of(seed: str) -> Key:
    """Return the pair of `seed`; raise `AccountsError` if it is none."""
    try:
        return Key(seed, nkeys.from_seed(bytearray(seed.encode())).public_key.decode())
    except (nkeys.NkeysError, ValueError) as error:
        raise AccountsError(f"this is no NATS seed: {error}") from error
