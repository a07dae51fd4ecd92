"""Errors of the services that some caller acts on. What can be part of a conversation is an event, not one of these."""

from datetime import datetime


class StenographError(Exception):
    """Base of every error that the services raise on purpose."""


class SequenceConflict(StenographError):
    """Another writer appended first. Fold what came, decide again."""

    def __init__(self, session: str, expected: int) -> None:
        super().__init__(f"session {session} moved past sequence {expected}")
        self.session = session
        self.expected = expected


class StorageUnavailable(StenographError):
    """The server did not confirm a write in time. Whether it was stored is unknown: look before trying again."""


class UnknownSession(StenographError):
    """No log exists under this id."""

    def __init__(self, session: str) -> None:
        super().__init__(f"no session {session!r}")
        self.session = session


class UnknownAgent(StenographError):
    """The agent, or the version that a session is pinned to, is not stored."""

    def __init__(self, slug: str, version: str | None = None) -> None:
        super().__init__(f"no agent {slug!r}" + (f" in version {version}" if version else ""))
        self.slug = slug
        self.version = version


class AgentExists(StenographError):
    """An agent with this slug is there already."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"there is an agent {slug!r} already: change it, or archive it first")
        self.slug = slug


class InvalidInput(StenographError):
    """What a session is to begin with is not what its agent declares."""


class InputTooLarge(StenographError):
    """An input is larger than the log takes in one piece."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"the input is {size} bytes long; at most {most} are taken")
        self.size = size
        self.most = most


class NewerEvent(StenographError):
    """The log holds an event type that this version does not know, so it must not decide."""

    def __init__(self, session: str, type: str) -> None:
        super().__init__(f"session {session} holds events of type {type!r}, which this version does not know: upgrade")
        self.session = session
        self.type = type


class KeyMissing(StenographError):
    """What is sealed cannot be opened here now. Nothing is lost: with the key it opens again."""


class NoKeys(StenographError):
    """A secret came to a service that has no keys to seal it with. Nothing of it was stored."""


class KeyDeleted(KeyMissing):
    """The session's data key was deleted: nobody will ever open anything of it."""

    def __init__(self, session: str, at: datetime) -> None:
        super().__init__(f"session {session} cannot be read any more: its data key was deleted at {at:%Y-%m-%d %H:%M}")
        self.session = session
        self.at = at


class NoSuchKey(StenographError):
    """The tenant has no API key under this id."""

    def __init__(self, id: str, tenant: str) -> None:
        super().__init__(f"tenant {tenant!r} has no key {id!r}: `stenograph keys list` shows which there are")
        self.id = id
        self.tenant = tenant


class StreamDrift(StenographError):
    """A stream exists with settings that cannot be brought in line without losing data."""


class Unreachable(StenographError):
    """The nats-server does not answer."""


class InvalidSetting(StenographError):
    """A setting is missing or wrong. Says which, and what it takes."""
