"""Errors of the SDK. Each message is a sentence that names the place and the mend; its values are also attributes."""


class StenographSdkError(Exception):
    """Base of every error that this package raises on purpose."""


class CannotConnect(StenographSdkError):
    """No connection to NATS came about: no server there, refused credentials, an unreadable file."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"cannot connect to NATS at {url}: {reason}")
        self.url = url
        self.reason = reason


class ConnectionLost(StenographSdkError):
    """The connection was closed for good, by us or by the server; a lost one is restored without this error."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the connection to NATS is closed: {reason}")
        self.reason = reason


class CredentialRevoked(ConnectionLost):
    """The server takes this credential no more: it was revoked, or its tenant was suspended or deleted."""

    def __init__(self) -> None:
        super().__init__("the credential was revoked, or its tenant suspended; a new one is needed")


class CredentialExpired(ConnectionLost):
    """The time of this credential is over, and its file holds no newer one."""

    def __init__(self) -> None:
        super().__init__("the credential has expired; `stenograph workers renew` gives its file new time")


class NobodyAnswers(StenographSdkError):
    """A request reached no service, or none that answered in time. Trying again later is right."""

    def __init__(self, what: str, service: str, timeout: float) -> None:
        super().__init__(f"nobody answered {what} within {timeout:g} s: is `stenograph run {service}` running?")
        self.what = what
        self.service = service
        self.timeout = timeout


class Refused(StenographSdkError):
    """A service or the server looked at what was sent and said no. Trying again unchanged is useless."""

    def __init__(self, what: str, code: str, reason: str) -> None:
        super().__init__(f"{what} was refused ({code}): {reason}")
        self.what = what
        self.code = code
        self.reason = reason


class Forbidden(StenographSdkError):
    """The server does not let our credentials publish there."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"the credentials do not allow to publish to {subject}")
        self.subject = subject


class Unconfirmed(StenographSdkError):
    """The server did not confirm in time: what was sent may or may not be stored. Sending it again is safe."""

    def __init__(self, what: str, timeout: float, reason: str) -> None:
        super().__init__(f"{what} was not confirmed within {timeout:g} s ({reason}); send it again with the same id")
        self.what = what
        self.timeout = timeout
        self.reason = reason


class StoreFull(Unconfirmed):
    """The store had no room for it, also after some tries."""


class UploadQuotaUsed(StenographSdkError):
    """A large result finds no room among what its tenant's workers uploaded: the call ran, and fails for this."""

    def __init__(self, size: int, quota: int) -> None:
        super().__init__(
            f"the call ran, and its result of {size:,} bytes finds no room: the tenant's upload quota of "
            f"{quota / 1024**2:,.4g} MiB is used; there is room again as results of other calls are recorded, or when "
            "an operator raises it (`stenograph tenants quota`)"
        )
        self.size = size
        self.quota = quota


class AlreadyWritten(StenographSdkError):
    """Somebody else wrote this write-once subject first."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"{subject} is already written")
        self.subject = subject


class UnknownSession(StenographSdkError):
    """There is no log under this session id."""

    def __init__(self, session: str) -> None:
        super().__init__(f"session {session} has no log: it was never created here, or it is erased")
        self.session = session


class LogUnavailable(StenographSdkError):
    """A session's log cannot be read now."""

    def __init__(self, session: str, reason: str) -> None:
        super().__init__(f"the log of session {session} cannot be read now: {reason}")
        self.session = session
        self.reason = reason


class SessionSealed(StenographSdkError):
    """A session's log is encrypted where it lies, and this connection reads it there, without a key."""

    def __init__(self, session: str) -> None:
        super().__init__(f"the log of session {session} is sealed: read it through the service, over HTTP")
        self.session = session


class TurnNotCompleted(StenographSdkError):
    """A turn that was to give a text gave none: it was rejected, not answered, cancelled, paused, or it failed."""

    def __init__(self, turn: str, outcome: str, reason: str) -> None:
        super().__init__(f"turn {turn} was {outcome}: {reason}")
        self.turn = turn
        self.outcome = outcome
        self.reason = reason


class NotDecided(StenographSdkError):
    """A decision on a call, or a word on what came of it, that changes nothing.

    `code` is `unknown-call`, `not-waiting` (any more), `digest` (of other arguments), `refused` (they do not fit the
    tool) or `unconfirmed` (stored, and nobody recorded it yet).
    """

    def __init__(self, call: str, code: str, reason: str) -> None:
        super().__init__(reason)
        self.call = call
        self.code = code
        self.reason = reason


class ToolDefinitionError(StenographSdkError, TypeError):
    """A function cannot serve as a tool as it is written."""

    def __init__(self, tool: str, reason: str) -> None:
        super().__init__(f"tool {tool!r}: {reason}")
        self.tool = tool
        self.reason = reason


class LifespanFailed(StenographSdkError):
    """What a worker's handlers need could not be opened, or not be closed."""

    def __init__(self, lifespan: str, what: str, reason: str) -> None:
        super().__init__(f"lifespan {lifespan!r} {what}: {reason}")
        self.lifespan = lifespan
        self.reason = reason


class NoTools(StenographSdkError):
    """A worker, or a file for one, defines no tool."""


class WorkerFileError(StenographSdkError):
    """A file of tools cannot be loaded."""


class McpUnavailable(StenographSdkError):
    """An MCP server cannot be served: it is not there, its package is missing, or it offers something else."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"MCP server {server!r}: {reason}")
        self.server = server
        self.reason = reason


class OutcomeUnknown(StenographSdkError):
    """Raise it in a tool when nobody can know whether the call had its effect: it is not answered.

    At its deadline the call becomes `tool.outcome_unknown`, or, if it may run again, `tool.timed_out`.
    """


class ToolError(StenographSdkError):
    """Raise it in a tool to fail the call on purpose; the model reads the message.

    raise ToolError("no user has the id user-999")
    """


class ToolBroken(ToolError):
    """Raise it in a tool that cannot do its work at present, whatever it is asked; the model reads the message.

    raise ToolBroken("the database does not answer")

    After several such calls in a row the tool is not asked any more for a while, as after any error that it does not
    raise on purpose.
    """
