"""Verifying: what a worker believes of a request before it runs it.

It came for this tool and tenant, on the subject that its own names spell, and, where the credential names the
platform's keys, one of them signed exactly this: nobody on the way wrote, changed or redirected it.
"""

from collections.abc import Callable, Collection

from stenograph_events.signatures import for_workers, is_signed, request_statement
from stenograph_events.subjects import request_subject
from stenograph_events.types import ToolRequested


class Verifier:
    """Judges the requests of one tool of `tenant`. While `signers`, public keys, are none, signatures do not count."""

    def __init__(self, tenant: str, tool: str, signers: Callable[[], Collection[str]]) -> None:
        self._tenant = tenant
        self._tool = tool
        self._signers = signers

    def doubt(self, request: ToolRequested, subject: str) -> str | None:
        """Return why `request`, which came on `subject`, must not run, or None."""
        if (request.tenant, request.tool) != (self._tenant, self._tool):
            return f"it is for tool {request.tool!r} of tenant {request.tenant!r}"
        if not for_workers(request):
            return "it is not for a worker"
        if subject != request_subject(request.tenant, request.tool, request.session):
            return f"it is of session {request.session!r}, and came on another subject"
        signers = self._signers()
        return _forged(request, signers) if signers else None


def _forged(request: ToolRequested, signers: Collection[str]) -> str | None:
    if request.signed is None:
        return "nobody signed it"
    if request.signed.key not in signers:
        return f"the key {request.signed.key!r} signed it, which this worker's credential does not name"
    if not is_signed(request_statement(request), request.signed.key, request.signed.signature):
        return "its signature is of something else: it was changed, or made up"
    return None
