"""What is asked: one entry for each kind of request that the demo stack answers through the edge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

KINDS = ("http", "grpc", "grpc-stream", "sse")
KEY = "demo-key"


@dataclass(frozen=True)
class Ask:
    """One request. A streaming one must end with what `ends` says, or it was cut short."""

    kind: str
    name: str  # the service
    port: int  # as the edge publishes it
    path: str  # of HTTP, or the full name of the gRPC method
    body: bytes = b""
    method: str = "POST"
    ends: bytes = b""


def _chat(tokens: int = 0, *, stream: bool = False, words: int = 12) -> bytes:
    """A chat's body; `tokens` 0 is the whole answer of the toy model."""
    value = {"model": "demo", "messages": [{"role": "user", "content": " ".join(["Hello"] * words)}]}
    return json.dumps(
        {**value, **({"max_tokens": tokens} if tokens else {}), **({"stream": True} if stream else {})}
    ).encode()


_CHAT, _DONE, _LAST = "/v1/chat/completions", b"data: [DONE]\n\n", b'"finish_reason"'
ASKS = (
    Ask("http", "tail-go", 8000, _CHAT, _chat(1)),
    Ask("http", "model-proxy", 8100, _CHAT, _chat(1, words=200)),
    Ask("http", "model-proxy", 8100, _CHAT, _chat(1)),
    Ask("http", "head-go", 9001, "/v1/status", method="GET"),
    Ask("http", "user-dashboard", 3000, "/", method="GET"),
    Ask("http", "admin-dashboard", 3001, "/", method="GET"),
    Ask("grpc", "rate-limiter", 50051, "/llmdemo.RateLimiter/Check", b'{"key": "load"}'),
    Ask("grpc", "model-proxy", 50062, "/llmdemo.ModelInfo/Get", b'{"model": "demo"}'),
    Ask("grpc", "head-go", 50055, "/llmdemo.Head/Models", b"{}"),
    Ask("grpc-stream", "head-go", 50055, "/llmdemo.Head/Chat", _chat(), ends=_LAST),
    Ask("grpc-stream", "model-proxy", 50061, "/llmdemo.Model/Generate", _chat(), ends=_LAST),
    Ask("sse", "tail-go", 8000, _CHAT, _chat(stream=True), ends=_DONE),
    Ask("sse", "tail-go", 8000, _CHAT, _chat(stream=True, words=200), ends=_DONE),
    Ask("sse", "user-dashboard", 3000, "/chat", _chat(), ends=_DONE),
)


def of_kind(kind: str, services: Sequence[str] = ()) -> list[Ask]:
    """Return the requests of one kind, of these services only where some are named."""
    return [ask for ask in ASKS if ask.kind == kind and (not services or ask.name in services)]
