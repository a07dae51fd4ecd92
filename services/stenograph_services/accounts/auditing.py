"""Auditing: what nats-server denied, read from what it says, as one line for each denial.

    [1] 2026/11/22 10:00:00.123456 [ERR] 10.0.0.7:41066 - cid:8 - "v2.16.0:python3:app" - "AC…/acme/jwt:UB…" - Publish
    Violation - Subject "ev.>"

    {"at":"2026-11-22T10:00:00.123456+00:00","event":"access.denied","tenant":"acme","user":"UB…","action":"publish",
    "subject":"ev.>","reason":"Publish Violation","address":"10.0.0.7:41066","connection":"cid:8"}

Only the server's log has the violations of permissions. Of connections that were refused it says no more than where
they came from, but tells whoever listens with the system's credential what they showed: see `refused`. What clients may
choose, names and subjects, the server quotes, so that none of them writes a line of its own into the log. Only the name
of a leaf node it writes as it is (2.15.1): whoever has that credential can accuse others, and hide nothing.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from stenograph_services.accounts.claims import claimed
from stenograph_services.accounts.errors import AccountsError

REFUSALS = "$SYS.SERVER.*.CLIENT.AUTH.ERR"
"""Where the server tells of connections that it refused."""

_TEXT = r'(?:[^"\\]|\\.)*'  # between quotes
_LINE = re.compile(
    r"\[\d+\] (?P<at>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6}) \[ERR\] "
    r"(?P<address>\S+) - (?P<connection>[a-z]+:\d+) - (?P<rest>.*)"
)
_VIOLATION = re.compile(
    rf'(?:"{_TEXT}" - )?"(?P<owner>{_TEXT})" - '
    rf'(?P<reason>(?P<way>Publish|Subscription) Violation) - (?P<what>Subject|Reply) "(?P<subject>{_TEXT})".*'
)
_OF_A_LEAF = re.compile(rf'(?P<reason>(?P<way>Publish|Subscription) Violation) on "(?P<subject>{_TEXT})" - .*')
_WHO = re.compile(r"A[A-Z2-7]{55}/(?P<tenant>[^/]*)/jwt:(?P<user>U[A-Z2-7]{55})")
_REFUSED = re.compile(rf'(?:"{_TEXT}" - )*(?P<reason>authentication (?:error|timeout))\b.*', re.IGNORECASE)


Action = Literal["publish", "reply", "subscribe", "connect"]
_ACTIONS: dict[tuple[str, str], Action] = {
    ("Publish", "Subject"): "publish",
    ("Publish", "Reply"): "reply",
    ("Subscription", "Subject"): "subscribe",
}


class Denial(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was denied, to whom, and why. `user` is the public key of a credential, `tenant` the name of its account.

    Those of a connection that was refused are what it claimed: nobody has proved them.
    """

    at: datetime
    action: Action
    reason: str
    tenant: str | None = None
    user: str | None = None
    subject: str | None = None
    address: str | None = None
    connection: str | None = None
    event: Literal["access.denied"] = "access.denied"


def denied(line: str) -> Denial | None:
    """Return the denial that a line of the server's log tells of, None if it tells of something else.

    The times of the log are taken for UTC: `logtime_utc: true`, as in docs/deployment-nats.md.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    at = datetime.strptime(found["at"], "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC)
    address, connection = found["address"], found["connection"]
    if refusal := _REFUSED.fullmatch(found["rest"]):
        return Denial(at, "connect", refusal["reason"], address=address, connection=connection)
    if leaf := _OF_A_LEAF.fullmatch(found["rest"]):  # it was told what may pass, and does not care
        action, subject = _ACTIONS[leaf["way"], "Subject"], _unquoted(leaf["subject"])
        return Denial(at, action, leaf["reason"], subject=subject, address=address, connection=connection)
    violation = _VIOLATION.fullmatch(found["rest"])
    if violation is None:
        return None
    who = _WHO.fullmatch(_unquoted(violation["owner"]))
    return Denial(
        at,
        _ACTIONS[violation["way"], violation["what"]],
        violation["reason"],
        who["tenant"] if who else None,
        who["user"] if who else None,
        _unquoted(violation["subject"]),
        address,
        connection,
    )


class _Shown(msgspec.Struct):
    host: str = ""
    id: int = 0
    jwt: str = ""


class _Refusal(msgspec.Struct):
    timestamp: datetime
    client: _Shown
    reason: str = ""


_refusal = msgspec.json.Decoder(_Refusal)


def refused(data: bytes) -> Denial:
    """Return the denial that the server tells of on `REFUSALS`; raise `AccountsError` for what is none."""
    try:
        said = _refusal.decode(data)
    except msgspec.MsgspecError as error:
        raise AccountsError(f"the server tells of a refusal in words that are not known: {error}") from error
    tenant, user = _claimed_by(said.client.jwt)
    reason, connection = said.reason or "authentication error", f"cid:{said.client.id}"
    return Denial(said.timestamp, "connect", reason, tenant, user, None, said.client.host or None, connection)


def _claimed_by(jwt: str) -> tuple[str | None, str | None]:
    """Return the tenant and the user that a JWT names, whoever signed it."""
    try:
        token = claimed(jwt)
    except AccountsError:
        return None, None
    tags: list[str] = getattr(token.nats, "tags", [])
    tenant = next((tag.removeprefix("tenant:") for tag in tags if tag.startswith("tenant:")), None)
    return tenant, token.sub


def _unquoted(text: str) -> str:
    """Return what the server wrote between quotes. Go's escapes are those of JSON, and three more."""
    escaped = re.sub(r"\\x([0-9a-fA-F]{2})", r"\\u00\1", text)
    escaped = re.sub(r"\\a", r"\\u0007", re.sub(r"\\v", r"\\u000b", escaped))
    try:
        value: Any = json.loads(f'"{escaped}"')
    except ValueError:
        return text
    return str(value)
