"""What a provider answers, as the bytes of each vendor's stream.

openai      data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"Hel"}}], …}
anthropic   event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta", …}}
google      data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Hel"}]}}], …}
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `calls` are (id, tool, arguments as text); `pieces` is in how many deltas each text comes.

    `cut_after` events the connection is torn, or at the byte `cut_at` of the whole response, headers included;
    `ends_after` events, or at the byte `ends_at` of the events, the body ends politely, with nothing to say why.
    `chunk_bytes` is how much travels at a time. `body` is sent in place of the events, `megabytes` of nothing after
    it; `endless` is repeated after the events for as long as somebody listens.
    """

    text: str = ""
    reasoning: str = ""
    signature: str = ""
    reasoning_detail: Mapping[str, Any] | None = None
    calls: tuple[tuple[str, str, str], ...] = ()
    pieces: int = 1
    delay: float = 0.0
    piece_delay: float = 0.0
    finish_reason: str | None = None
    input_tokens: int = 11
    output_tokens: int = 7
    cached_tokens: int = 3
    status: int = 200
    headers: Mapping[str, str] = {}
    error: str = "the test wants it"
    error_code: str | None = None
    error_in_stream: str | None = None
    cut_after: int | None = None
    cut_at: int | None = None
    ends_after: int | None = None
    ends_at: int | None = None
    chunk_bytes: int | None = None
    content_type: str = "text/event-stream; charset=utf-8"
    body: bytes | None = None
    megabytes: int = 0
    endless: bytes | None = None


def openai_events(answer: Answer, model: str) -> list[bytes]:
    """Return the events of a streamed chat completion."""
    events = [_chunk(model, {"role": "assistant", "content": ""})]
    if answer.reasoning_detail is not None:  # OpenRouter's form
        detail = {**answer.reasoning_detail, "text": answer.reasoning, "signature": answer.signature}
        events.append(_chunk(model, {"reasoning": answer.reasoning, "reasoning_details": [detail]}))
    else:
        events += [_chunk(model, {"reasoning_content": piece}) for piece in _pieces(answer.reasoning, answer.pieces)]
    events += [_chunk(model, {"content": piece}) for piece in _pieces(answer.text, answer.pieces)]
    for index, (call, tool, arguments) in enumerate(answer.calls):
        opening = {"index": index, "id": call, "type": "function", "function": {"name": tool, "arguments": ""}}
        events.append(_chunk(model, {"tool_calls": [opening]}))
        for piece in _pieces(arguments, answer.pieces):
            events.append(_chunk(model, {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
    if answer.error_in_stream:
        error = {"message": answer.error, "type": answer.error_in_stream, "code": answer.error_in_stream}
        return [*events, b"data: " + msgspec.json.encode({"error": error}) + b"\n\n"]
    events.append(_chunk(model, {}, answer.finish_reason or ("tool_calls" if answer.calls else "stop")))
    usage = {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
    }
    return [*events, _chunk(model, None, usage=usage), b"data: [DONE]\n\n"]


def _chunk(
    model: str, delta: dict[str, Any] | None, finish_reason: str | None = None, usage: dict[str, Any] | None = None
) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": model,
        "choices": choices,
    }
    if usage:
        body["usage"] = usage
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def responses_events(answer: Answer, model: str) -> list[bytes]:
    """Return the events of a streamed response of OpenAI's Responses API."""
    response = {"id": "resp_1", "object": "response", "created_at": 1_790_000_000, "model": model, "output": []}
    usage = {
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "input_tokens_details": {"cached_tokens": answer.cached_tokens},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    fields: list[dict[str, Any]] = [
        {"type": "response.created", "response": response | {"status": "in_progress"}},
        *_output_items(answer),
        {"type": "response.completed", "response": response | {"status": "completed", "usage": usage}},
    ]
    return [
        f"event: {event['type']}\ndata: ".encode() + msgspec.json.encode({"sequence_number": n, **event}) + b"\n\n"
        for n, event in enumerate(fields)
    ]


def _output_items(answer: Answer) -> Iterator[dict[str, Any]]:
    where: dict[str, Any] = {"item_id": "m1", "output_index": 0, "content_index": 0, "logprobs": []}
    for piece in _pieces(answer.text, answer.pieces):
        yield {"type": "response.output_text.delta", "delta": piece, **where}
    for index, (call, tool, arguments) in enumerate(answer.calls, start=1):
        item = {"type": "function_call", "id": f"fc_{index}", "call_id": call, "name": tool, "arguments": ""}
        yield {"type": "response.output_item.added", "output_index": index, "item": item}
        for piece in _pieces(arguments, answer.pieces):
            at = {"item_id": f"fc_{index}", "output_index": index}
            yield {"type": "response.function_call_arguments.delta", "delta": piece, **at}
        done = item | {"arguments": arguments, "status": "completed"}
        yield {"type": "response.output_item.done", "output_index": index, "item": done}


def anthropic_events(answer: Answer, model: str) -> list[bytes]:
    """Return the events of a streamed message."""
    events = [_anthropic("message_start", message=_message_start(answer, model))]
    for index, (block, deltas) in enumerate(_blocks(answer)):
        events.append(_anthropic("content_block_start", index=index, content_block=block))
        events += [_anthropic("content_block_delta", index=index, delta=delta) for delta in deltas]
        events.append(_anthropic("content_block_stop", index=index))
    if answer.error_in_stream:
        return [*events, _anthropic("error", error={"type": answer.error_in_stream, "message": answer.error})]
    reason = answer.finish_reason or ("tool_use" if answer.calls else "end_turn")
    ended = _anthropic(
        "message_delta",
        delta={"stop_reason": reason, "stop_sequence": None},
        usage={"output_tokens": answer.output_tokens},
    )
    return [*events, ended, _anthropic("message_stop")]


def _message_start(answer: Answer, model: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": answer.input_tokens - answer.cached_tokens,  # here they do not count among the input
            "cache_read_input_tokens": answer.cached_tokens,
            "output_tokens": 1,
        },
    }


def _blocks(answer: Answer) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    if answer.reasoning:
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(answer.reasoning, answer.pieces)]
        deltas.append({"type": "signature_delta", "signature": answer.signature})
        yield {"type": "thinking", "thinking": "", "signature": ""}, deltas
    if answer.text:
        yield (
            {"type": "text", "text": ""},
            [{"type": "text_delta", "text": piece} for piece in _pieces(answer.text, answer.pieces)],
        )
    for call, tool, arguments in answer.calls:
        pieces = _pieces(arguments, answer.pieces)
        yield (
            {"type": "tool_use", "id": call, "name": tool, "input": {}},
            [{"type": "input_json_delta", "partial_json": piece} for piece in pieces],
        )


def _anthropic(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode({"type": kind, **fields}) + b"\n\n"


def google_events(answer: Answer, model: str) -> list[bytes]:
    """Return the events of a streamed `generateContent`."""
    parts: list[dict[str, Any]] = [{"text": piece} for piece in _pieces(answer.text, answer.pieces)]
    for call, tool, arguments in answer.calls:
        part = {"functionCall": {"id": call, "name": tool, "args": msgspec.json.decode(arguments)}}
        parts.append(part | ({"thoughtSignature": answer.signature} if answer.signature else {}))
    events = [_google(model, {"content": {"role": "model", "parts": [part]}}) for part in parts]
    usage = {
        "promptTokenCount": answer.input_tokens,
        "candidatesTokenCount": answer.output_tokens,
        "totalTokenCount": answer.input_tokens + answer.output_tokens,
    }
    return [*events, _google(model, {"finishReason": answer.finish_reason or "STOP"}, usage)]


def _google(model: str, candidate: dict[str, Any], usage: dict[str, Any] | None = None) -> bytes:
    body: dict[str, Any] = {"candidates": [{"index": 0, **candidate}], "modelVersion": model, "responseId": "r-1"}
    if usage:
        body["usageMetadata"] = usage
    return b"data: " + msgspec.json.encode(body) + b"\r\n\r\n"


def _pieces(text: str, count: int) -> list[str]:
    count = min(count, len(text))
    return [text[len(text) * i // count : len(text) * (i + 1) // count] for i in range(count)]
