"""Answers as JSON: what is optional and not there is left out; values of the log pass through as they are stored."""

from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

import msgspec
from fastapi import Response


class Shape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A JSON object with camelCase keys, without those that hold their default."""


_encoder = msgspec.json.Encoder()


def answer(body: object, status: int = 200) -> Response:
    return Response(_encoder.encode(body), status, media_type="application/json")


def iso(at: datetime) -> str:
    """Return `at`, in UTC, as JavaScript writes a date: `2026-11-22T10:00:00.120Z`."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def product_version() -> str:
    """Return the version that is installed; "0" where Stenograph runs from a folder that nobody installed."""
    try:
        return version("stenograph")
    except PackageNotFoundError:
        return "0"
