"""Admissions: whoever was let in stays so while the key or the token is good. A stream may outlive that.

Every stream asks for a future that holds the refusal once its caller would be let in no more: the key was revoked, or
the token was, or ran out. It is known as soon as the keyring knows, and that is within a second.
"""

import asyncio
from datetime import UTC, datetime

from starlette.types import Scope

from stenograph_services.gateway.http.permissions import Caller
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.runtime.keyring import Keyring

Expulsion = asyncio.Future[Refusal]

_GONE = "is revoked or over: the stream ends here, what it tells of goes on; come back with another one"


class Admissions:
    """The callers whose streams are open."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._watched: dict[Expulsion, Caller] = {}
        keyring.on_end.add(self._look)

    def expulsion(self, caller: Caller) -> Expulsion:
        """Return what will hold the refusal of `caller`; cancel it when nobody needs to know any more."""
        loop = asyncio.get_running_loop()
        expulsion: Expulsion = loop.create_future()
        self._watched[expulsion] = caller
        expulsion.add_done_callback(self._watched.pop)
        if caller.until is not None:
            left = (caller.until - datetime.now(UTC)).total_seconds()
            alarm = loop.call_later(max(left, 0.0), _expel, expulsion, caller)
            expulsion.add_done_callback(lambda _: alarm.cancel())
        self._look()  # what ended between the request and its stream
        return expulsion

    def _look(self) -> None:
        for expulsion, caller in tuple(self._watched.items()):
            if not self._keyring.opens(caller.key, caller.grant.jti if caller.grant else None):
                _expel(expulsion, caller)


def expulsion_of(scope: Scope) -> Expulsion:
    """Return what will hold the refusal of whoever sent the request of `scope`; nothing, where no key is needed."""
    state = scope.get("state", {})
    caller: Caller | None = state.get("caller")
    if caller is None:
        return asyncio.get_running_loop().create_future()
    admissions: Admissions = state["admissions"]
    return admissions.expulsion(caller)


def _expel(expulsion: Expulsion, caller: Caller) -> None:
    if not expulsion.done():
        expulsion.set_result(Refusal(401, f"the {'token' if caller.grant else 'API key'} {_GONE}"))
