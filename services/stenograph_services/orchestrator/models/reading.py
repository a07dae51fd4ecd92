"""What a model reads of an entry of a thread, as text."""

import msgspec

from stenograph_events.values import TextPart
from stenograph_projections.transcript import Message, Reply


def message_text(message: Message) -> str:
    """Return the text of `message`, its parts set apart by an empty line."""
    parts = message.parts
    if len(parts) == 1 and isinstance(part := parts[0], TextPart):
        return part.text
    return "\n\n".join([part.text for part in parts if isinstance(part, TextPart)])


def result_text(reply: Reply) -> str:
    """Return what answered a call: JSON, or the plain text where the value is a string."""
    if reply.ref is not None:
        return f"The result is not shown: it has {reply.ref.size} bytes of {reply.ref.media_type}."
    value = str(reply.value, "utf-8")
    return msgspec.json.decode(value, type=str) if value.startswith('"') else value
