"""A data key: what seals everything of one session.

nonce (12 bytes) + ciphertext + tag (16 bytes)          AES-256-GCM, what stands beside it authenticated with it
"""

import os
from hashlib import sha256
from hmac import digest as hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stenograph_events import BrokenChain
from stenograph_events.boxes import AnswerKey, boxed
from stenograph_events.sealing import Seal, header_of, joined, parted, with_box, with_seal
from stenograph_events.secrets import NoToken, padded, sealed_in, token_of, unpadded
from stenograph_services.runtime.sealing.master_keys import KEY_BYTES, TenantKey

NONCE_BYTES = 12  # random: one key seals some thousands of values, and 2**32 are safe
OVERHEAD_BYTES = NONCE_BYTES + 16


class WrongSeal(ValueError):
    """What was sealed, or what was authenticated with it, is not what it was."""


class DataKey:
    """The key of one session. `whole`: all of its events are sealed, so that one in clear is none of ours.

    Without `seals` it is there for the session's secrets alone: all else is stored in clear.
    """

    def __init__(self, key: bytes, *, whole: bool, seals: bool = True) -> None:
        self.whole = whole
        self.seals = seals
        self._key = key
        self._cipher = AESGCM(key)
        self._blobs = AESGCM(_of(key, "blobs"))
        self._secrets = AESGCM(_of(key, "secrets"))

    @classmethod
    def new(cls, *, whole: bool, seals: bool = True) -> "DataKey":
        return cls(os.urandom(KEY_BYTES), whole=whole, seals=seals)

    def for_all(self) -> "DataKey":
        """Return the same key, as one that seals what comes from now on."""
        return DataKey(self._key, whole=False)

    # ---- the key itself

    def wrapped(self, by: TenantKey, tenant: str, session: str) -> bytes:
        """Return this key as only the tenant's key opens it, for this session alone."""
        return sealed(AESGCM(by.wrapping), self._key, _about(tenant, session, self.whole, self.seals))

    @classmethod
    def unwrapped(
        cls, data: bytes, by: TenantKey, tenant: str, session: str, *, whole: bool, seals: bool = True
    ) -> "DataKey":
        """Return the key that `wrapped` made `data` of; raise `WrongSeal`."""
        key = opened(AESGCM(by.wrapping), data, _about(tenant, session, whole, seals))
        return cls(key, whole=whole, seals=seals)

    # ---- events

    def close_event(self, data: bytes, *, seal_to: str | None = None, answer: str = "") -> bytes:
        """Return the bytes under which the event `data` is stored.

        With `seal_to`, a tool's public key, its workers can open it as well, and seal what they answer as `answer`.
        """
        readable, content = parted(data)
        if seal_to is not None:
            readable = with_box(readable, boxed(readable, self._answer_key(answer), content, seal_to))
        return with_seal(readable, sealed(self._cipher, content, readable))

    def open_event(self, seal: Seal) -> bytes:
        """Return the event's bytes as they were before `close_event`; raise `BrokenChain` if somebody changed it."""
        try:
            return joined(seal.readable, opened(self._cipher, seal.sealed, seal.readable))
        except WrongSeal as error:
            header = header_of(joined(seal.readable, b""))
            raise BrokenChain(header.session, header.n, f"its seal does not open: {error}") from error

    # ---- other values

    def close(self, data: bytes, about: str) -> bytes:
        """Return `data` sealed; only as `about` it opens again."""
        return sealed(self._cipher, data, about.encode())

    def open(self, data: bytes, about: str) -> bytes:
        """Return what was sealed as `about`; raise `WrongSeal`."""
        return opened(self._cipher, data, about.encode())

    def secret(self, value: str) -> str:
        """Return the token that stands for a secret wherever the session's log shows it."""
        return token_of(sealed(self._secrets, padded(value), b"secret"))

    def open_secret(self, token: str) -> str:
        """Return the secret that a token of this session stands for; raise `WrongSeal`, which shows neither."""
        try:
            return unpadded(opened(self._secrets, sealed_in(token), b"secret"))
        except NoToken as error:
            raise WrongSeal(str(error)) from error

    # ---- answers, and blobs: those are sealed to the same bytes again, so that what broke off can be stored on

    def answer_key(self, answer: str) -> AnswerKey:
        """Return the key of `answer/<call>/<attempt>`."""
        return AnswerKey(self._answer_key(answer))

    def blob_name(self, digest: str) -> str:
        """Return the name of the blob whose content has this SHA-256: whoever has no key learns nothing by it."""
        return hmac(_of(self._key, "names of blobs"), digest.encode(), sha256).hex()

    def close_blob(self, data: bytes, name: str) -> bytes:
        """Return `data` sealed. Its nonce is of its name, and that is of its content: two contents share none."""
        nonce = bytes.fromhex(name)[:NONCE_BYTES]
        return nonce + self._blobs.encrypt(nonce, data, name.encode())

    def open_blob(self, data: bytes, name: str) -> bytes:
        """Return what `close_blob` sealed under this name; raise `WrongSeal`."""
        return opened(self._blobs, data, name.encode())

    def made_for(self, purpose: str) -> bytes:
        """Return another key, for one purpose, that is gone with this one."""
        return _of(self._key, purpose)

    def _answer_key(self, answer: str) -> bytes:
        return _of(self._key, answer)


def _of(key: bytes, purpose: str) -> bytes:
    """Return another key, made of `key`: HKDF's expand alone, as a data key is random already (RFC 5869, 3.3)."""
    return hmac(key, f"stenograph/{purpose}".encode() + b"\x01", sha256)


def sealed(cipher: AESGCM, data: bytes, about: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, data, about)


def opened(cipher: AESGCM, data: bytes, about: bytes) -> bytes:
    try:
        return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], about)
    except (InvalidTag, ValueError) as error:
        raise WrongSeal("what was sealed, or what it belongs to, was changed since") from error


def _about(tenant: str, session: str, whole: bool, seals: bool) -> bytes:
    return f"data key/{tenant}/{session}/{'whole' if whole else 'part' if seals else 'secrets'}".encode()
