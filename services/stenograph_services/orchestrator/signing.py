"""Signing: a request that leaves for a worker is signed where it is appended, so that the copy it gets is as well.

Deciding stays pure. A signature depends on nothing but what is signed and the key, so deriving a request again, after a
crash, gives the same one.
"""

from collections.abc import Sequence

import structlog

from stenograph_events import AnyEvent
from stenograph_events.signatures import NoKey, Signer, for_workers, signed_request
from stenograph_events.types import ToolRequested
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import InvalidSetting
from stenograph_services.runtime.private_files import private_text

log = structlog.get_logger()

_SETTING = "STENOGRAPH_SIGNING_KEY_FILE"


def signer_of(settings: Settings) -> Signer | None:
    """Return who signs, and say in the log whether somebody does; raise `InvalidSetting` for a file without a key."""
    if settings.signing_key_file is None:
        say = log.warning if settings.nats_credentials else log.info  # without the wall nobody has a key to check it by
        say("requests.unsigned", mend=f"set {_SETTING} to the file signing.nk of the folder of keys")
        return None
    try:
        signer = Signer(private_text(settings.signing_key_file, _SETTING).strip())
    except NoKey as error:
        raise InvalidSetting(f"{_SETTING}: {settings.signing_key_file}: {error}; wanted is a seed") from None
    log.info("requests.signed", signer=signer.public)
    return signer


def signed(events: Sequence[AnyEvent], signer: Signer | None) -> Sequence[AnyEvent]:
    """Return `events`, of which the requests to workers are signed."""
    if signer is None:
        return events
    return [_signed(one, signer) if isinstance(one, ToolRequested) else one for one in events]


def _signed(request: ToolRequested, signer: Signer) -> ToolRequested:
    return signed_request(request, signer) if for_workers(request) else request
