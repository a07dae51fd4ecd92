"""A log as the rules read it: what is stored, decoded as far as it can be."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from stenograph_events import EventError, Head, StoredEvent, Unopened, decode
from stenograph_events.chain import digest
from stenograph_events.sealing import Header, header_of, stored_digest


class Stored(NamedTuple):
    """An event as the stream holds it. `subject` is None where it is not known, as in an exported log.

    `opened` is what a sealed one says to whoever has the key, `problem` why it does not open although the key is there.
    """

    sequence: int
    subject: str | None
    data: bytes
    opened: bytes | None = None
    problem: str | None = None

    @property
    def hashed(self) -> str:
        """The hash of the stored bytes; an export that was opened brings it along."""
        return stored_digest(self.data) or digest(self.data)


class Record(NamedTuple):
    """A stored event and what it holds, or why it cannot be read. `n` is then counted from the event before.

    Of one that is sealed, and not opened, there is only the `header`.
    """

    n: int
    stored: Stored
    event: StoredEvent | None
    error: str | None = None
    header: Header | None = None


class Issued(NamedTuple):
    """What a worker's credential was given out for. Its public key names it."""

    tenant: str
    tools: frozenset[str]


class Log(msgspec.Struct, frozen=True):
    """One session's log. `complete`: nothing more will come. `known`: where the log stood once, by another source.

    `signers`: the public keys of the platform, `issued`: those of workers, if they are known.
    """

    records: list[Record]
    events: list[StoredEvent]
    headers: list[StoredEvent | Header]
    complete: bool
    known: Head | None
    signers: frozenset[str] | None = None
    issued: Mapping[str, Issued] | None = None

    @property
    def last(self) -> int:
        return self.records[-1].n if self.records else 0

    @property
    def sealed(self) -> int:
        """How many events are sealed and were not opened."""
        return sum(record.header is not None and record.error is None for record in self.records)


Case = tuple[int, str | None]
"""The number of the event that a case of a rule is about, and what is wrong with it, or None."""

Rule = Callable[[Log], Iterator[Case]]


AnyStored = Stored | tuple[int, str | None, bytes]


def read(
    stored: Iterable[AnyStored],
    *,
    complete: bool,
    known: Head | None,
    signers: frozenset[str] | None = None,
    issued: Mapping[str, Issued] | None = None,
) -> Log:
    """Return the log that `stored` holds."""
    records: list[Record] = []
    for item in stored:
        records.append(_record(Stored(*item), records[-1].n + 1 if records else 1))
    events = [record.event for record in records if record.event is not None]
    headers = [found for record in records if (found := record.event or record.header) is not None]
    return Log(records, events, headers, complete, known, signers, issued)


def _record(stored: Stored, expected: int) -> Record:
    try:
        if stored.problem is not None:
            header = header_of(stored.data)
            return Record(header.n, stored, None, stored.problem, header)
        event = decode(stored.data if stored.opened is None else stored.opened)
    except Unopened:
        header = header_of(stored.data)
        return Record(header.n, stored, None, None, header)
    except EventError as error:
        return Record(expected, stored, None, str(error))
    return Record(event.n, stored, event)
