"""Who may ask: `Authorization: Bearer <key>`, where the key is one of three.

    the one in STENOGRAPH_API_KEY    every scope
    oct_sk_…                         made by `stenograph keys create`, with the scopes that it was given
    oct_et_…                         an ephemeral token, for one agent or one session

Where there is no key the gateway serves its own machine alone: it refuses to listen elsewhere, and answers only
requests that name the machine itself as their host, so that a web page cannot reach it through a name that points here.
"""

import ipaddress

import structlog
from fastapi import Request
from structlog.contextvars import bind_contextvars

from stenograph_services.gateway.http.admissions import Admissions
from stenograph_services.gateway.http.limits import Limits
from stenograph_services.gateway.http.permissions import Caller, Grants, check_scopes
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.tokens import TOKEN_PREFIX, Tokens
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import InvalidSetting
from stenograph_services.runtime.keyring import Keyring

log = structlog.get_logger()


def check_exposure(settings: Settings, *, locked: bool) -> None:
    """Raise `InvalidSetting` if everybody on the network could ask anything. `locked`: requests need a key."""
    if not locked and not _is_loopback(settings.host):
        raise InvalidSetting(
            f"STENOGRAPH_API_KEY is needed to listen on {settings.host}: set it, make a key with "
            "`stenograph keys create`, or listen on 127.0.0.1"
        )


class Doorkeeper:
    """A FastAPI dependency: lets a request pass, with who asks in `request.state.caller`, or raises `Refusal`.

    What is streamed to a caller ends when it would be let in no more: `admissions`, in `request.state`, know.
    """

    def __init__(self, keyring: Keyring, tokens: Tokens, limits: Limits, grants: Grants) -> None:
        self._keyring = keyring
        self._tokens = tokens
        self._limits = limits
        self._grants = grants
        self._admissions = Admissions(keyring)

    async def __call__(self, request: Request) -> None:
        try:
            request.state.caller = await self._admitted(request)
            request.state.admissions = self._admissions
        except Refusal as refusal:
            log.info("request.refused", status=refusal.status, code=refusal.code, route=request.scope["route"].path)
            raise

    async def _admitted(self, request: Request) -> Caller | None:
        """Return who asks, None where no key is needed."""
        if not self._keyring.locked:
            if not _is_loopback(request.url.hostname or ""):
                raise Refusal(403, "without STENOGRAPH_API_KEY only requests to 127.0.0.1 or localhost are answered")
            return None
        caller = self._caller(request)
        bind_contextvars(key=caller.key.id)
        self._limits.take(caller.key.id, caller.key.tenant)
        check_scopes(caller.key, request)
        if caller.grant is not None:
            await self._grants.check(caller.grant, request)
        return caller

    def _caller(self, request: Request) -> Caller:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        given = given.strip() if scheme.lower() == "bearer" else ""
        if given and (key := self._keyring.owner(given)):
            return Caller(key)
        if not given.startswith(TOKEN_PREFIX):
            raise Refusal(401, "the API key is missing or wrong: send `Authorization: Bearer <key>`")
        if (caller := self._tokens.caller(given)) is None:
            raise Refusal(401, "the token is wrong, over or revoked: make another with POST /api/tokens")
        return caller


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
