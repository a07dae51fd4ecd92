"""Keys that are the same in every run, and answers that are signed with them."""

from hashlib import sha256
from typing import TypeVar

import nkeys
from msgspec.structs import replace

from stenograph_events.signatures import Signer, answer_statement
from stenograph_events.subjects import AnswerSubject
from stenograph_events.testing import TOOL
from stenograph_events.types import ToolFailed, ToolSucceeded, ToolTimedOut
from stenograph_events.values import Signature

A = TypeVar("A", ToolSucceeded, ToolFailed, ToolTimedOut)


def seed(number: int = 1, kind: int = nkeys.PREFIX_BYTE_CLUSTER) -> str:
    """Return the `number`-th seed of a kind; by default one that our services sign with."""
    return bytes(nkeys.encode_seed(bytes([number]) * 32, kind)).decode()


def signer(number: int = 1, kind: int = nkeys.PREFIX_BYTE_CLUSTER) -> Signer:
    return Signer(seed(number, kind))


def worker(number: int = 1) -> Signer:
    """Return the key of a worker's credential."""
    return signer(number, nkeys.PREFIX_BYTE_USER)


def answer(event: A, *, digest: str | None = None) -> A:
    """Return an answer to `TOOL`, signed by `worker()`; of a result that was refused the `digest` is told."""
    at = AnswerSubject(event.tenant, TOOL, event.session, event.call, event.attempt)
    match event:
        case ToolSucceeded():
            outcome = "succeeded"
            said = event.result_ref.sha256 if event.result_ref else sha256(event.result).hexdigest()
        case ToolFailed():
            outcome = "succeeded" if digest else "failed"
            said = digest or sha256(event.error.encode()).hexdigest()
        case ToolTimedOut():
            outcome, said = "expired", ""
    signature = worker().sign(answer_statement(at, outcome, event.worker, said))
    return replace(event, signed=Signature(worker().public, signature, digest))
