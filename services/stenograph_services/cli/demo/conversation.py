"""One turn as the demo's own client hears it, with a chance to strike in its middle."""

from collections.abc import Awaitable, Callable

from stenograph_events import StoredEvent
from stenograph_events.frames import AnyFrame, TextDelta
from stenograph_events.types import Event, MessageAdded, TurnFinished
from stenograph_events.values import TextPart
from stenograph_sdk.session import Session
from stenograph_services.cli.demo.narrator import Narrator
from stenograph_services.cli.demo.promises import BrokenPromise

Item = StoredEvent | AnyFrame
Strike = Callable[[Item], Awaitable[bool]]
"""Looks at each thing as it is heard; destroys something when the moment has come, and then returns True."""


class Heard:
    """What came of a turn: its events, and the text deltas by the attempt that wrote them."""

    def __init__(self) -> None:
        self.events: list[StoredEvent] = []
        self.deltas: dict[tuple[int, int], list[str]] = {}
        """By (number of the event before, attempt)."""

    def add(self, item: Item) -> None:
        match item:
            case Event():
                self.events.append(item)
            case TextDelta():
                self.deltas.setdefault((item.after, item.attempt), []).append(item.text)

    @property
    def finished(self) -> TurnFinished:
        """The end of the turn; raises `BrokenPromise` if it did not end as turns do."""
        if self.events and isinstance(last := self.events[-1], TurnFinished):
            return last
        raise BrokenPromise(f"the turn did not end; the last event heard is {self.events[-1:]}")

    def answer(self) -> MessageAdded:
        """Return the last message of the assistant."""
        for event in reversed(self.events):
            if isinstance(event, MessageAdded) and event.role == "assistant":
                return event
        raise BrokenPromise("the assistant said nothing")


async def play(session: Session, text: str, narrator: Narrator, strike: Strike) -> Heard:
    """Send `text` as the customer's message and return the turn, once it is over. `strike` strikes once."""
    narrator.customer(text)
    heard = Heard()
    struck = False
    async for item in session.trigger("user-message", {"USER_MESSAGE": text}):
        heard.add(item)
        narrator.hear(item)
        struck = struck or await strike(item)
    if not struck:
        raise BrokenPromise("the turn was over before the moment to strike came")
    return heard


def text_of(message: MessageAdded) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, TextPart))
