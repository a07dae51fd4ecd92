"""A thread as text: what `serialize-thread` puts into a variable, and what a summariser reads.

## User                                     [{"role":"user","content":"What plan am I on?"},
What plan am I on?                           {"role":"assistant","content":"",
## Assistant                                  "toolCalls":[{"name":"get-user-account","arguments":{…},"result":…}]}]
[get-user-account({"userId":"user-123"}) → {"plan":"pro"}]
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stenograph_events.values import Call, FilePart, TextPart
from stenograph_projections.transcript import Message, Reply

LIMIT_BYTES = 200_000  # of the text: it becomes the value of a variable, and so part of one event


def as_markdown(view: Sequence[Message | Reply], *, result_limit: int | None = None) -> str:
    """Return the conversation for a reader; results are cut to `result_limit` characters."""
    replies = _replies(view)
    sections = [_section(entry, replies, result_limit) for entry in view if isinstance(entry, Message)]
    return "\n\n".join(section for section in sections if section)


def as_json(view: Sequence[Message | Reply]) -> str:
    """Return the conversation as a JSON list of messages, each call with its result."""
    replies = _replies(view)
    messages = [_message(entry, replies) for entry in view if isinstance(entry, Message)]
    return msgspec.json.encode(messages).decode()


def within_limit(text: str) -> str:
    """Return `text` with its middle left out where it is too long for a variable."""
    encoded = text.encode()
    if len(encoded) <= LIMIT_BYTES:
        return text
    half = LIMIT_BYTES // 2
    head, tail = encoded[:half].decode(errors="ignore"), encoded[-half:].decode(errors="ignore")
    return f"{head}\n\n[… {len(encoded) - 2 * half} bytes left out …]\n\n{tail}"


def _replies(view: Sequence[Message | Reply]) -> Mapping[str, Reply]:
    return {entry.call: entry for entry in view if isinstance(entry, Reply)}


def _section(message: Message, replies: Mapping[str, Reply], limit: int | None) -> str:
    lines = [text] if (text := _text(message)) else []
    for call in message.calls:
        result = _result(replies.get(call.call))
        shown = result if limit is None or len(result) <= limit else result[:limit] + " …"
        lines.append(f"[{call.tool}({_arguments(call)}) → {shown}]")
    return "\n\n".join([f"## {message.role.capitalize()}", *lines]) if lines else ""


def _message(message: Message, replies: Mapping[str, Reply]) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role, "content": _text(message)}
    if message.calls:
        said["toolCalls"] = [_call(call, replies.get(call.call)) for call in message.calls]
    return said


def _call(call: Call, reply: Reply | None) -> dict[str, Any]:
    made = {"name": call.tool, "arguments": call.arguments if call.malformed is None else call.malformed}
    if reply is None:
        return made
    return made | {"result" if reply.outcome == "succeeded" else "error": reply.value}


def _text(message: Message) -> str:
    parts = [part.text if isinstance(part, TextPart) else _file(part) for part in message.parts if _is_said(part)]
    return "\n\n".join(parts)


def _is_said(part: object) -> bool:
    return isinstance(part, TextPart | FilePart)


def _file(part: Any) -> str:
    return f"[file {part.filename or part.id}: {part.media_type}]"


def _arguments(call: Call) -> str:
    return call.malformed if call.malformed is not None else bytes(call.arguments).decode()


def _result(reply: Reply | None) -> str:
    if reply is None:
        return "no answer"
    if reply.ref is not None:
        return f"{reply.ref.size} bytes of {reply.ref.media_type}"
    return bytes(reply.value).decode()
