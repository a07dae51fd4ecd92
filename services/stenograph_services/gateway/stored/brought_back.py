"""What a client brings back to an expired session: the messages of its screen, as `GET …?format=ui` once gave them.

    {"messages":[{"id":"5b3f…","role":"user","status":"done","createdAt":"2026-11-22T10:00:00.120Z",
                  "parts":[{"type":"text","text":"Hello","status":"done"}]}],"input":{"COMPANY_NAME":"Acme"}}

Where our log holds the conversation, they are only compared with it. After a clear they are all there is: of them a
model then reads the texts and the files, because a screen does not hold all that a tool was asked and answered.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from stenograph_events.values import FilePart, RestoredMessage, Sender, TextPart
from stenograph_projections.messages import ShownMessage, ShownText
from stenograph_services.gateway.http.bodies import SenderBody


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class PartBody(_Body):
    """A part of any type and status, also `cancelled`, which a client writes when it stops a stream."""

    type: str
    text: str | None = None
    id: str | None = None
    media_type: str | None = None
    url: str | None = None
    filename: str | None = None
    size: int | None = Field(None, ge=0, lt=2**53)

    def kept(self) -> TextPart | FilePart | None:
        """Return the part as a message of ours holds it; None for what a model would not read."""
        match self:
            case PartBody(type="text", text=str(text)) if text:
                return TextPart(text)
            case PartBody(type="file", id=str(id), media_type=str(media_type), url=str(url)):
                return FilePart(id, media_type, url, self.filename, self.size)
        return None


class MessageBody(_Body):
    id: str = Field(min_length=1, max_length=200)
    role: Literal["user", "assistant"]
    parts: list[PartBody] = []
    created_at: datetime | None = None
    sender: SenderBody | None = None

    @property
    def text(self) -> str:
        return "".join(part.text or "" for part in self.parts if part.type == "text")


class RestoreBody(_Body):
    """The messages that a client holds. Its `input` is not read: a session keeps the one that it was created with."""

    messages: list[MessageBody]
    input: dict[str, Any] | None = None


def brought_back(messages: Iterable[MessageBody], now: datetime) -> tuple[RestoredMessage, ...]:
    """Return what a model can go on from; a message of which nothing is left is passed over."""
    kept = ((message, tuple(part for one in message.parts if (part := one.kept()))) for message in messages)
    return tuple(
        RestoredMessage(one.id, one.role, parts, _utc(one.created_at, now), _sender(one.sender))
        for one, parts in kept
        if parts
    )


def differing(messages: Sequence[MessageBody], shown: Sequence[ShownMessage]) -> int:
    """Return how many messages are not, in role and text, what the log holds at their place.

    Ids are not compared: a client makes some of its own.
    """
    theirs = [(message.role, message.text) for message in messages]
    ours = [(one.role, "".join(part.text for part in one.parts if isinstance(part, ShownText))) for one in shown]
    return sum(their != our for their, our in zip_longest(theirs, ours))


def _sender(body: SenderBody | None) -> Sender | None:
    return None if body is None else Sender(body.id, body.name, body.image)


def _utc(at: datetime | None, now: datetime) -> datetime:
    """Return `at` in UTC; a time without a zone is taken for UTC, and one outside the calendar there for `now`."""
    if at is None:
        return now
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError:
        return now
