"""What a provider may do wrong, in both wire formats: where its stream is cut, and what else it may answer.

places("openai/gpt-5-mini", "inside-a-character")     the bytes of the response at which to cut it
FAULTS["529"]                                         an answer, and the kind and retryability of our error
"""

import re
from typing import NamedTuple

import msgspec
from tests.support.model_answers import Answer
from tests.support.openai_server import wire_bytes

PATHS = {"openai/gpt-5-mini": "/v1/chat/completions", "anthropic/claude-haiku-5-5": "/v1/messages"}
"""A model of each format, and where it is asked."""

WHOLE = Answer(
    reasoning="Sie fragen.",
    signature="c2lnbmVk",
    text="Grüße: ☂ Let me see.",
    calls=(("p1", "get-account", '{"userId":"ü1"}'),),
    pieces=4,
)

CLASSES = {
    "in-headers": rb"\A(HTTP.+?)\r\n\r\n",
    "before-the-first-event": rb"\r\n\r\n()[0-9a-f]+\r\n[de]",
    "in-the-middle-of-a-line": rb"(data: [^\n]+)",
    "inside-a-json-string": rb'"(?:content|text)":("[^"]{2,})',
    "inside-a-character": "(☂)".encode(),
    "inside-arguments": rb'"(?:arguments|partial_json)":("[^\n]{4,})',
    "between-events": rb"\n\n\r\n()[0-9a-f]+\r\n[de]",
    "in-the-event-that-says-why": rb'(data: [^\n]*"(?:finish_reason|stop_reason)":"t[^\n]*)',
    "before-the-final-event": rb"()\r\n[0-9a-f]+\r\n(?:data: \[DONE\]|event: message_stop)",
}
"""Where to cut `WHOLE`: inside what the group holds, or at the place where it is empty."""


def whole(name: str) -> bytes:
    """Return all that the server sends of `WHOLE` when it is let."""
    return wire_bytes(PATHS[name], WHOLE, {"model": name.partition("/")[2]})


def places(name: str, where: str) -> list[int]:
    """Return the bytes of the whole response, headers included, that are of the class `where`."""
    spans = [found.span(1) for found in re.finditer(CLASSES[where], whole(name), re.DOTALL)]
    return [at for start, end in spans for at in (range(start + 1, end) if end > start else [start])]


class Fault(NamedTuple):
    answer: Answer
    kinds: tuple[str, ...]
    retryable: bool = True


_SILENT = msgspec.structs.replace(WHOLE, ends_after=1, piece_delay=30, endless=b": wait\n\n")

FAULTS = {
    "429 with seconds": Fault(Answer(status=429, headers={"Retry-After": "1"}), ("rate-limit",)),
    "500": Fault(Answer(status=500), ("provider-error",)),
    "502 with a page": Fault(Answer(status=502, body=b"<html>Bad gateway</html>"), ("provider-error",)),
    "529": Fault(Answer(status=529), ("overloaded",)),
    "400": Fault(Answer(status=400), ("bad-request",), False),
    "401": Fault(Answer(status=401), ("authentication",), False),
    "silent before the first byte": Fault(Answer(delay=30), ("timeout",)),
    "silent after the first event": Fault(_SILENT, ("timeout",)),
    "no JSON": Fault(Answer(body=b"data: {nonsense\n\n"), ("bad-answer",)),
    "no UTF-8": Fault(Answer(body=b'data: {"text": "\xff\xfe"}\n\n'), ("bad-answer",)),
    "JSON that is no object": Fault(Answer(body=b"data: 3\n\ndata: []\n\n"), ("bad-answer",)),
    "an object of nobody": Fault(Answer(body=b'data: {"hello": 1}\n\n'), ("connection", "bad-answer")),
    "nothing at all": Fault(Answer(body=b""), ("bad-answer",)),
    "a page": Fault(Answer(body=b"<html>Welcome</html>", content_type="text/html"), ("bad-answer",)),
    "50 MB": Fault(Answer(body=b'data: {"text": "', megabytes=50), ("too-large",), False),
    "no stream": Fault(Answer(body=b'{"choices": []}', content_type="application/json"), ("bad-answer",)),
}
