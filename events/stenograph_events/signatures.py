"""Signatures: who asked for a call, and which worker answered it, so that nobody on the way has to be believed.

    ["tool.requested/1","acme","get-account","2f01…","91d2…","7e1f…","1","2026-11-22T10:01:05Z","safe","9b1c2a…"]
    ["tool.answered/1","acme","get-account","2f01…","7e1f…","1","succeeded","w-1","4be07c…"]

A statement is such a line: what it is about, its names as they stand in the event, and the SHA-256 of its JSON as the
log holds it. The Ed25519 signature over its bytes travels beside what it is about, with the public key that made it.
Keys are NATS' own (nkeys). The signing itself needs the package PyNaCl, which whoever has credentials has as well.
"""

import base64
import binascii
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from stenograph_events.canonical import canonical
from stenograph_events.codec import one_line
from stenograph_events.subjects import AnswerSubject
from stenograph_events.types import ToolRequested, class_of
from stenograph_events.values import Signature
from stenograph_events.wire import ToolAnswer

if TYPE_CHECKING:
    from nacl.signing import VerifyKey

_SEED = 18 << 3  # the five bits that every seed begins with: `S`
_KEY_BYTES = 1 + 32 + 2  # what kind of key, the key, a checksum
_KEYS = 1_000  # public keys that are kept unpacked


class NoKey(ValueError):
    """A text is no key of NATS' form."""


class Signer:
    """Signs with the key of `seed`, such as `SCAJ…`; raise `NoKey` if it is none. Shows its public half alone."""

    def __init__(self, seed: str) -> None:
        from nacl.signing import SigningKey

        kind, secret = _secret(seed)
        self._key = SigningKey(secret)
        self.public = _packed(kind, bytes(self._key.verify_key))

    def sign(self, statement: bytes) -> str:
        """Return the signature of `statement`. Signing the same again gives the same."""
        return base64.urlsafe_b64encode(self._key.sign(statement).signature).decode().rstrip("=")

    def __repr__(self) -> str:
        return f"Signer({self.public})"


def is_signed(statement: bytes, key: str, signature: str) -> bool:
    """Return whether the owner of the public `key` signed `statement`."""
    from nacl.exceptions import CryptoError

    try:
        raw = base64.b64decode(signature + "=" * (-len(signature) % 4), altchars=b"-_", validate=True)
        _verifier(key).verify(statement, raw)
    except (ValueError, CryptoError):  # no key, no base64, no signature, or one of something else
        return False
    return True


def signed_request(request: ToolRequested, signer: Signer) -> ToolRequested:
    """Return `request` with its arguments in their canonical form, and signed."""
    request = replace(request, arguments=canonical(request.arguments))
    return replace(request, signed=Signature(signer.public, signer.sign(request_statement(request))))


def request_statement(request: ToolRequested) -> bytes:
    """Return what is signed of a request to a worker: all that decides what runs, for whom and until when."""
    deadline = msgspec.to_builtins(request.deadline_at)
    digest = sha256(request.arguments).hexdigest()
    whose = (request.tenant, request.tool, request.session, request.turn or "", request.call, str(request.attempt))
    bounds = () if request.max_result_bytes is None else (str(request.max_result_bytes),)
    secrets = () if request.secrets is None else (f"secrets {sha256(request.secrets.box.encode()).hexdigest()}",)
    return msgspec.json.encode(("tool.requested/1", *whose, deadline, request.retry, digest, *bounds, *secrets))


def signed_answer(answer: ToolAnswer, at: AnswerSubject, signer: Signer) -> ToolAnswer:
    """Return `answer`, which goes to `at`, signed."""
    statement = answer_statement(at, answer.outcome, answer.worker, answer_digest(answer))
    return replace(answer, signed=Signature(signer.public, signer.sign(statement)))


def answer_statement(at: AnswerSubject, outcome: str, worker: str | None, digest: str) -> bytes:
    """Return what is signed of an answer: to which attempt of which call it is, and what it says."""
    whose = (at.tenant, at.tool, at.session, at.call, str(at.attempt))
    return msgspec.json.encode(("tool.answered/1", *whose, outcome, worker or "", digest))


def answer_digest(answer: ToolAnswer) -> str:
    """Return the SHA-256 of what an answer says: its result, wherever that lies, or why it failed; else nothing."""
    match answer.outcome:
        case "succeeded" if answer.result_ref is not None:
            return answer.result_ref.sha256
        case "succeeded":
            return sha256(one_line(answer.result)).hexdigest()
        case "failed":
            return sha256(answer.reason.encode()).hexdigest()
    return ""


def for_workers(request: ToolRequested) -> bool:
    """Return whether a worker is to answer `request`: those are signed, as they leave our services."""
    return class_of(request) == "tool-request"


def _secret(seed: str) -> tuple[int, bytes]:
    """Return the kind and the secret of a seed: `S` and the kind share its first two bytes."""
    raw = _unpacked(seed, _KEY_BYTES + 1)
    if raw[0] & 248 != _SEED:
        raise NoKey("this is no seed of NATS' form")
    return (raw[0] & 7) << 5 | raw[1] >> 3, raw[2:]


@lru_cache(_KEYS)
def _verifier(key: str) -> "VerifyKey":
    from nacl.signing import VerifyKey

    return VerifyKey(_unpacked(key, _KEY_BYTES)[1:])


def _unpacked(text: str, size: int) -> bytes:
    """Return the bytes of a key without their checksum; raise `NoKey`, which does not show it."""
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError) as error:
        raise NoKey("this is no key of NATS' form") from error
    if len(raw) != size or binascii.crc_hqx(raw[:-2], 0) != int.from_bytes(raw[-2:], "little"):
        raise NoKey("this is no key of NATS' form")
    return raw[:-2]


def _packed(kind: int, key: bytes) -> str:
    raw = bytes((kind,)) + key
    checksum = binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(raw + checksum).decode().rstrip("=")
