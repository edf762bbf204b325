"""OpenAI's chat API: what comes in, and how the events of an answer go out, whole or as a stream.

An answer is a stream of events: first {"model", "prompt_tokens"}, then {"delta"} per token, and last
{"finish_reason", "usage"}. The services pass these events to each other; only the edges speak OpenAI.
"""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

from .core.errors import ApiError
from .core.web import Response, reply

Event = dict[str, Any]
PASSED_ON = ("model", "messages", "max_tokens", "temperature", "top_p", "stop", "seed")


def read(data: dict[str, Any]) -> dict[str, Any]:
    """Check a request and keep what the model needs; 400 where it makes no sense."""
    messages = data.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise ApiError(400, "'messages' must be a list of messages.", "invalid_messages")
    if not all(isinstance(one.get("content"), str | list) for one in messages):
        raise ApiError(400, "Each message needs a 'content'.", "invalid_messages")
    limit = data.get("max_tokens", data.get("max_completion_tokens"))
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise ApiError(400, "'max_tokens' must be a positive number.", "invalid_max_tokens")
    if not isinstance(data.get("model", ""), str):
        raise ApiError(400, "'model' must be a text.", "invalid_model")
    return {name: data[name] for name in PASSED_ON if name in data} | ({"max_tokens": limit} if limit else {})


def text_of(message: dict[str, Any]) -> str:
    """Give the text of a message, also where it is a list of parts."""
    content = message.get("content", "")
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def answer(data: dict[str, Any], events: Iterator[Event], via: list[str]) -> Response:
    """Answer as the client asked: one JSON object, or a stream. Fails before the first byte if at all possible."""
    start = next(events)
    head = {"id": f"chatcmpl-{uuid.uuid4().hex[:24]}", "created": int(time.time()), "model": start["model"]}
    headers = {"X-Served-Via": ", ".join(via)} if via else {}
    if data.get("stream") is True:
        wants_usage = bool((data.get("stream_options") or {}).get("include_usage"))
        body = _stream(head, events, wants_usage=wants_usage)
        return Response(body, kind="text/event-stream", headers=headers | {"Cache-Control": "no-store"})
    return reply(_whole(head, events), headers=headers)


def _whole(head: dict[str, Any], events: Iterator[Event]) -> dict[str, Any]:
    text, end = [], {}
    for event in events:
        text.append(event.get("delta", ""))
        end = event
    message = {"role": "assistant", "content": "".join(text)}
    choice = {"index": 0, "message": message, "finish_reason": end.get("finish_reason")}
    return head | {"object": "chat.completion", "choices": [choice], "usage": end.get("usage")}


def _stream(head: dict[str, Any], events: Iterator[Event], *, wants_usage: bool) -> Iterator[bytes]:
    head = head | {"object": "chat.completion.chunk"}

    def chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
        return _line(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    yield chunk({"role": "assistant", "content": ""})
    try:
        for event in events:
            if "delta" in event:
                yield chunk({"content": event["delta"]})
            else:
                yield chunk({}, event["finish_reason"])
                if wants_usage:
                    yield _line(head | {"choices": [], "usage": event["usage"]})
    except ApiError as error:  # too late for a status: the client sees the error as an event
        yield _line(error.body())
        return
    yield b"data: [DONE]\n\n"


def _line(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
