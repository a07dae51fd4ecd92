"""Threads: what a model reads of the transcript, each thread by itself.

    [m1, m2]  said in `main`          view("main")  m1 m2
    Compacted(through=m2.n)           view("main")  summary
    m3 (asks c1), reply to c1         view("main")  summary m3 reply
    Started("main")                   view("main")  nothing
    RolledBack(through=m2.n)          view("main")  m1 m2

A view never holds a reply without the message that asked for it: a provider refuses such a conversation. What a model
asked for at once it reads in the order in which it asked, so that no answer hangs on which worker was faster.
"""

from collections.abc import Iterable
from hashlib import sha256
from itertools import islice

import msgspec

from stenograph_events.values import TextPart
from stenograph_projections.transcript import (
    Cleared,
    Compacted,
    Content,
    Entry,
    Message,
    Reply,
    Restored,
    RolledBack,
    Started,
    standing,
)

View = list[Message | Reply]

SUMMARY_HEADING = "Summary of the conversation up to here:\n\n"


def thread(entries: Iterable[Entry], name: str) -> View:
    """Return the messages of thread `name` and the replies to their calls, in order: what a model reads."""
    return Threads(list(entries)).view(name)


class Threads:
    """The threads of `entries`, which may grow: each view reads on where the last one stopped.

    A model is asked twice in a turn; to read the whole transcript each time took most of turn 1,000.
    """

    def __init__(self, entries: list[Entry]) -> None:
        self.refer_to_blobs = False
        """Whether the value of some reply, among those read so far, lies in BLOB."""
        self._entries = entries
        self._read = 0
        self._threads: dict[str, _Thread] = {}
        self._asked_in: dict[str, str] = {}
        """The threads of the calls that nothing has answered yet."""

    def view(self, name: str) -> View:
        """Return the messages of thread `name` and the replies to their calls, in order, as a list of the caller's."""
        return list(self._current(name).view)

    def whole(self, name: str) -> View:
        """Return thread `name` as if none of it had been summed up: only models read summaries."""
        return thread((entry for entry in self._entries if not isinstance(entry, Compacted)), name)

    def digest(self, name: str) -> bytes:
        """Return the hash of all that `view` follows from: each entry is hashed once, onto the hash of those before."""
        return self._current(name).digest

    def _current(self, name: str) -> "_Thread":
        for at, entry in enumerate(islice(self._entries, self._read, None), self._read + 1):
            match entry:
                case RolledBack() | Cleared() | Restored():
                    self._sort_anew(at)
                case _:
                    self._sort(entry)
        self._read = len(self._entries)
        return self._threads.get(name) or _Thread()

    def _sort_anew(self, count: int) -> None:
        """Sort what counts of the first `count` entries. Rare enough to read them all again."""
        self._threads, self._asked_in = {}, {}
        for entry in standing(islice(self._entries, count)):
            self._sort(entry)

    def _sort(self, entry: Content) -> None:
        match entry:
            case Message():
                self._say(self._threads.setdefault(entry.thread, _Thread()), entry)
            case Reply() if (name := self._asked_in.pop(entry.call, None)) is not None:
                self._threads[name].add(entry)
                self.refer_to_blobs |= entry.ref is not None
            case Started():
                self._forget(self._threads.pop(entry.thread, _Thread()).view)
            case Compacted():
                self._threads.setdefault(entry.thread, _Thread()).compact(entry, self._asked_in)

    def _say(self, said_in: "_Thread", entry: Message) -> None:
        """An independent answer in `main` is read while its block goes on, and then no more."""
        independent = entry.independent and entry.thread == "main"
        if not independent:
            self._forget(said_in.leave_aside())
        elif said_in.before_aside is None:
            said_in.before_aside = said_in.digest
        said_in.add(entry)
        self._asked_in |= {call.call: entry.thread for call in entry.calls}
        if independent and not entry.calls and entry.rejected is None:
            self._forget(said_in.leave_aside())

    def _forget(self, entries: View) -> None:
        """A reply to what is in no view any more belongs to none."""
        for entry in entries:
            if isinstance(entry, Message):
                for call in entry.calls:
                    self._asked_in.pop(call.call, None)


class _Thread:
    """One thread as it is read. `before_aside` is its digest before the first independent answer that it holds."""

    __slots__ = ("before_aside", "digest", "view")

    def __init__(self) -> None:
        self.view: View = []
        self.digest = b""
        self.before_aside: bytes | None = None

    def add(self, entry: Message | Reply) -> None:
        self.view.insert(_place(self.view, entry), entry)
        self.digest = _chained(self.digest, entry)

    def leave_aside(self) -> View:
        """Go back to what the thread is without its independent answers, and return what is left out."""
        if self.before_aside is None:
            return []
        calls = {call.call for one in self.view if isinstance(one, Message) and one.independent for call in one.calls}
        aside: View = []
        stays: View = []
        for one in self.view:
            leaves = one.call in calls if isinstance(one, Reply) else one.independent
            (aside if leaves else stays).append(one)
        self.view = stays
        self.digest, self.before_aside = self.before_aside, None
        return aside

    def compact(self, entry: Compacted, unanswered: Iterable[str]) -> None:
        """Put the summary in place of what it sums up, but for a message whose calls are answered after that."""
        self.view = [_summary(entry), *_recent(self.view, entry.through, set(unanswered))]
        self.digest = _chained(self.digest, entry)
        if self.before_aside is not None:
            self.before_aside = _chained(self.before_aside, entry)


def _place(view: View, entry: Message | Reply) -> int:
    """Return where `entry` goes: replies to one message stand in the order of its calls, whichever came first."""
    end = len(view)
    if isinstance(entry, Message) or not view or isinstance(view[-1], Message):
        return end
    at = end
    while at and isinstance(view[at - 1], Reply):
        at -= 1
    asking = view[at - 1] if at else None
    asked: list[str] = [call.call for call in asking.calls] if isinstance(asking, Message) else []
    if entry.call not in asked:
        return end
    earlier = set(asked[: asked.index(entry.call)])
    return next((i for i in range(at, end) if getattr(view[i], "call", None) not in earlier), end)


def _recent(view: View, through: int, unanswered: set[str]) -> View:
    """Return the end of `view` that comes after event `through`, with every call that is answered in it."""
    later = {one.call for one in view if isinstance(one, Reply) and one.n > through} | unanswered
    for at, one in enumerate(view):
        if one.n > through or (isinstance(one, Message) and any(call.call in later for call in one.calls)):
            return view[at:]
    return []


def _summary(entry: Compacted) -> Message:
    """Return what models read: it stands at the event up to which it goes, for a later summary to take its place."""
    text = f"{SUMMARY_HEADING}{entry.summary}"
    return Message(entry.through, entry.at, entry.turn, "", entry.thread, "user", (TextPart(text),), (), False)


def _chained(digest: bytes, entry: Entry) -> bytes:
    return sha256(digest + _encoder.encode(entry)).digest()


_encoder = msgspec.json.Encoder()
