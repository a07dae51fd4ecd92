"""A signature is of exactly one request: whoever changes what a worker acts on needs the key."""

import base64
from datetime import timedelta
from typing import Any

import nkeys
import pytest
from msgspec.structs import replace
from tests.support.signing import seed, signer

from stenograph_events import TenantId, TurnId
from stenograph_events.ids import CallId, SessionId
from stenograph_events.signatures import NoKey, Signer, is_signed, request_statement, signed_request
from stenograph_events.testing import START, raw, tool_requested
from stenograph_events.types import ToolRequested

SIGNER = signer()
SIGNED = signed_request(tool_requested(arguments=raw({"userId": "u1"})), SIGNER)


def holds(request: ToolRequested) -> bool:
    assert request.signed is not None
    return is_signed(request_statement(request), request.signed.key, request.signed.signature)


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": TenantId("bolt")},
        {"session": SessionId("3a0193a5c1d07b7c8e9d4f60718293a4b5")},
        {"turn": TurnId("t2")},
        {"turn": None},
        {"call": CallId("c2")},
        {"attempt": 2},
        {"tool": "delete-user"},
        {"retry": "safe"},
        {"max_result_bytes": 1},
        {"deadline_at": START + timedelta(days=1)},
        {"arguments": raw({"userId": "u2"})},
        {"arguments": raw({"userId": "u1", "all": True})},
        {"arguments": type(SIGNED.arguments)(b'{"userId":"u2","userId":"u1"}')},
    ],
    ids=lambda change: ",".join(change),
)
def test_whatever_a_worker_acts_on_cannot_be_changed(change: dict[str, Any]):
    assert holds(SIGNED)
    assert not holds(replace(SIGNED, **change))


def test_signing_again_gives_the_same_so_a_request_can_be_derived_again():
    assert signed_request(SIGNED, SIGNER) == SIGNED
    assert signed_request(replace(SIGNED, signed=None), SIGNER) == SIGNED


def test_what_is_signed_is_the_canonical_form_of_the_arguments_which_is_what_runs():
    written = type(SIGNED.arguments)(b'{ "b": 1, "a": [true], "b": 2 }')

    request = signed_request(tool_requested(arguments=written), SIGNER)

    assert bytes(request.arguments) == b'{"a":[true],"b":2}'
    assert holds(request)


@pytest.mark.parametrize("kind", [nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_USER, nkeys.PREFIX_BYTE_CLUSTER])
def test_keys_and_signatures_are_those_of_nats(kind: int):
    pair = nkeys.from_seed(bytearray(seed(2, kind).encode()))
    ours = signer(2, kind)

    theirs = base64.urlsafe_b64encode(pair.sign(b"statement")).decode().rstrip("=")

    assert (ours.public, ours.sign(b"statement")) == (pair.public_key.decode(), theirs)
    assert is_signed(b"statement", ours.public, theirs)


@pytest.mark.parametrize("text", ["", "SU", "ä", SIGNER.public, seed()[:-1] + "A"])
def test_a_text_that_is_no_seed_signs_nothing_and_is_not_shown(text: str):
    with pytest.raises(NoKey, match="this is no"):
        Signer(text)


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        ("", ""),
        (SIGNER.public, ""),
        (SIGNER.public, "x"),
        (SIGNER.public, "ä"),
        (SIGNER.public, SIGNER.sign(b"statement")[:-4]),
        (SIGNER.public, SIGNER.sign(b"statement") + "\n"),
        (SIGNER.public, SIGNER.sign(b"another")),
        (SIGNER.public[:-1] + "A", SIGNER.sign(b"statement")),
        (signer(2).public, SIGNER.sign(b"statement")),
    ],
)
def test_whatever_is_no_signature_of_this_by_that_key_is_none(key: str, signature: str):
    assert is_signed(b"statement", SIGNER.public, SIGNER.sign(b"statement"))
    assert not is_signed(b"statement", key, signature)
