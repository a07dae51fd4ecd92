"""Errors of the events package. Each message is a sentence with its values in it."""


class EventError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidId(EventError, ValueError):
    """A text that must enter a subject does not match the id rule."""

    def __init__(self, kind: str, value: str) -> None:
        super().__init__(f"{kind} {value[:80]!r} must match ^[A-Za-z0-9_-]{{1,64}}$")
        self.kind = kind
        self.value = value


class InvalidSubject(EventError, ValueError):
    """A subject does not have the shape that its stream promises."""

    def __init__(self, subject: str, expected: str) -> None:
        super().__init__(f"subject {subject[:120]!r} is not of the form {expected}")
        self.subject = subject
        self.expected = expected


class UndecodableEvent(EventError, ValueError):
    """Stored bytes are not an event that this version can read."""

    def __init__(self, reason: str, *, event: str | None = None, type: str | None = None) -> None:
        named = f"event {event or '?'} ({type or 'no type'})"
        super().__init__(f"{named} cannot be decoded: {reason}")
        self.event = event
        self.type = type
        self.reason = reason


class BrokenChain(EventError, ValueError):
    """An event does not follow the one before it: something was lost, reordered or edited."""

    def __init__(self, session: str, n: int, reason: str) -> None:
        super().__init__(f"session {session}: the log is broken at event {n}: {reason}")
        self.session = session
        self.n = n
        self.reason = reason


class Unopened(EventError):
    """An event is sealed, and whoever reads it here has no key that opens it. Its header can be read all the same."""

    def __init__(self, session: str, n: int, mend: str = "read it where the keys are") -> None:
        super().__init__(f"event {n} of session {session} is sealed, and cannot be opened here: {mend}")
        self.session = session
        self.n = n
