"""What a route gets and gives: requests, responses, streams, upgrades."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from io import BufferedIOBase
from typing import Any

from .errors import ApiError


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    path: str
    headers: Message
    body: bytes
    id: str

    def json(self) -> dict[str, Any]:
        """Read the body as a JSON object, or fail with 400."""
        try:
            value = json.loads(self.body)
        except ValueError:
            raise ApiError(400, "The body is not JSON.", "invalid_json") from None
        if not isinstance(value, dict):
            raise ApiError(400, "The body is not a JSON object.", "invalid_json")
        return value


@dataclass(frozen=True)
class Response:
    """What the client gets; an iterator as the body is sent piece by piece."""

    body: bytes | Iterator[bytes]
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Upgrade:
    """Leave HTTP: answer 101 with these headers and hand over the connection."""

    headers: Mapping[str, str]
    run: Callable[[BufferedIOBase, socket.socket], None]


Route = Callable[[Request], Response | Upgrade]


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(json.dumps(value).encode() + b"\n", status, headers=headers or {})
