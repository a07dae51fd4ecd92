"""Errors of the HTTP client. Each message is a sentence that names the place and the mend."""

from stenograph_sdk.errors import Refused, StenographSdkError


class GatewayUnreachable(StenographSdkError):
    """No gateway answered: none there, a wrong address, or it was down for as long as we tried."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no gateway answers at {url}: {reason}; is `stenograph run gateway` running there?")
        self.url = url
        self.reason = reason


class HttpRefused(Refused):
    """The gateway looked at a request and said no: `status` is HTTP's, `code` the gateway's, such as NOT_FOUND."""

    def __init__(self, what: str, status: int, code: str, reason: str) -> None:
        super().__init__(what, code, reason)
        self.status = status


class Busy(HttpRefused):
    """A turn of the session is running, or too much was asked: try again in `retry_after` seconds."""

    def __init__(self, what: str, status: int, code: str, reason: str, retry_after: float) -> None:
        super().__init__(what, status, code, reason)
        self.retry_after = retry_after


class StreamBroken(StenographSdkError):
    """The stream of a turn ended in its middle. What became of the turn, the session says."""

    def __init__(self, session: str, turn: str | None, reason: str) -> None:
        super().__init__(f"the stream of turn {turn or '?'} broke off: {reason}; read session {session} for what came")
        self.session = session
        self.turn = turn
        self.reason = reason
