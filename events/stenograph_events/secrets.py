"""Secrets: how a value that a protocol declares secret stands in events, and how the worker that needs it gets it.

    "API_KEY":"stenograph-secret:Zm9v…"              in an input, and in the arguments of a call
    "secrets":{"names":["apiKey"],"box":"q8Rk…"}     beside the arguments of a request to a worker

A token is made where the value comes in, with the session's data key, so that nobody opens it who has no keys of the
services. The box holds the same values once more, in NaCl's box to the key of the tool, with what they belong to.
Opened, they stand in the place of the tokens, and nowhere but in the worker that runs the call.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from stenograph_events.boxes import ToolKey, Unboxable, box_to
from stenograph_events.errors import Unopened
from stenograph_events.types import ToolRequested
from stenograph_events.values import SecretArguments

SHOWN = "(secret)"
"""What people see of a secret."""

MASKED_FROM = 6  # characters: a shorter one stands in too much that is not it
PADDED_TO = 64  # bytes, so that neither token nor box says how long a short secret is
_BEGINNING = "stenograph-secret:"
_TOKEN = re.compile(re.escape(_BEGINNING) + r"[A-Za-z0-9_-]{120,}")
_values = msgspec.json.Decoder(dict[str, str])
_arguments = msgspec.json.Decoder(dict[str, Raw])


class NoToken(ValueError):
    """A text is no token."""


def token_of(sealed: bytes) -> str:
    """Return the token that holds `sealed`."""
    return _BEGINNING + base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def sealed_in(token: str) -> bytes:
    """Return what a token holds; raise `NoToken`, which does not show it."""
    if not is_token(token):
        raise NoToken("this is no sealed secret")
    text = token.removeprefix(_BEGINNING)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise NoToken("this is no sealed secret") from error


def is_token(value: object) -> bool:
    """Return whether `value` has the form of a token. Whether it opens, only the session's key tells."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def padded(value: str) -> bytes:
    """Return `value` as it is sealed."""
    data = value.encode()
    return data + b"\x80" + b"\0" * (-(len(data) + 1) % PADDED_TO)


def unpadded(data: bytes) -> str:
    """Return what `padded` was given."""
    return data[: data.rindex(b"\x80")].decode()


def shown(text: str) -> str:
    """Return `text` as people see it: without the tokens in it."""
    return _TOKEN.sub(SHOWN, text) if _BEGINNING in text else text


def shown_json(value: Raw) -> Raw:
    """Return a JSON value as people see it."""
    data = bytes(value)
    return Raw(_TOKEN.sub(SHOWN, data.decode()).encode()) if _BEGINNING.encode() in data else value


# ---- requests to workers


def with_box(request: ToolRequested, values: dict[str, str], seal_to: str) -> ToolRequested:
    """Return `request` with `values`, its secret arguments, for the workers of the tool's key alone.

    Raises `Unboxable` if `seal_to` is no key.
    """
    box = box_to(seal_to, _about(request) + padded(msgspec.json.encode(values).decode()))
    return replace(request, secrets=SecretArguments(tuple(values), base64.b64encode(box).decode()))


def with_values(request: ToolRequested, key: ToolKey | None) -> ToolRequested:
    """Return `request` with its secrets in their places, as its handler takes them.

    Raises `Unopened` if `key` is not the one that they were sealed to.
    """
    if request.secrets is None:
        return request
    if key is None:
        raise Unopened(request.session, request.n, "it holds secrets, and this worker has no key of the tool")
    values = _opened(request, key, request.secrets)
    arguments = _arguments.decode(request.arguments) | {
        name: Raw(msgspec.json.encode(value)) for name, value in values.items()
    }
    return replace(request, arguments=Raw(msgspec.json.encode(arguments)))


def values_in(request: ToolRequested) -> tuple[str, ...]:
    """Return the secrets of a request that `with_values` filled, those that are long enough to be looked for."""
    if request.secrets is None:
        return ()
    given = msgspec.json.decode(request.arguments)
    found = {given.get(name) for name in request.secrets.names}
    return tuple(sorted((one for one in found if isinstance(one, str) and len(one) >= MASKED_FROM), key=len))[::-1]


def _opened(request: ToolRequested, key: ToolKey, secrets: SecretArguments) -> dict[str, str]:
    about = _about(request)
    try:
        content = key.open_box(base64.b64decode(secrets.box, validate=True))
        if content.startswith(about):
            return _values.decode(unpadded(content[len(about) :]))
    except (Unboxable, ValueError) as error:
        raise Unopened(request.session, request.n, "its secrets were sealed to another key of this tool") from error
    raise Unopened(request.session, request.n, "its secrets are those of another request")


def _about(request: ToolRequested) -> bytes:
    whose = (request.tenant, request.tool, request.session, request.turn or "", request.call, str(request.attempt))
    return sha256(msgspec.json.encode(("tool.secrets/1", *whose))).digest()


# ---- what a worker says


def masked_text(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with each of `secrets` replaced, wherever it stands as it is."""
    for secret in secrets:
        text = text.replace(secret, SHOWN).replace(repr(secret)[1:-1], SHOWN)
    return text


def masked_json(data: bytes, secrets: Sequence[str]) -> bytes:
    """Return the JSON `data` with each of `secrets` replaced in its texts, wherever it stands as it is."""
    if not secrets:
        return data
    value = msgspec.json.decode(data)
    clean = _masked(value, secrets)
    return data if clean == value else msgspec.json.encode(clean)


def _masked(value: Any, secrets: Sequence[str]) -> Any:
    match value:
        case str():
            return masked_text(value, secrets)
        case dict():
            return {masked_text(name, secrets): _masked(one, secrets) for name, one in value.items()}
        case list():
            return [_masked(one, secrets) for one in value]
        case _:
            return value
