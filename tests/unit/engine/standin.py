"""A server on loopback that stands in for Prometheus, Alertmanager or Loki: it takes requests and answers as told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass
class Request:
    """What came."""

    method: str
    path: str
    body: str

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form."""
        return {key: values[0] for key, values in parse_qs(self.body).items()}

    @property
    def json(self) -> Any:
        """What the JSON of it says."""
        return json.loads(self.body)


Answer = Callable[[Request], tuple[int, Any]]


@dataclass
class StandIn:
    """Answers with what `answer` gives: status, and data for JSON or text as it is; remembers every request."""

    answer: Answer
    requests: list[Request] = field(default_factory=list)
    port: int = 0


@contextmanager
def standing_in(answer: Answer) -> Iterator[StandIn]:
    """Runs one."""
    made = StandIn(answer)

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(self.command, self.path, self.rfile.read(length).decode())
            made.requests.append(request)
            status, data = made.answer(request)
            body = (data if isinstance(data, str) else json.dumps(data)).encode() if data is not None else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 (what http.server calls)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def vector(*series: tuple[dict[str, str], object]) -> tuple[int, Any]:
    """Prometheus' answer to an instant query: each series with its labels and value."""
    result: list[Any] = [
        {"metric": {"__name__": "m", **labels}, "value": [1.0, str(value)]} for labels, value in series
    ]
    return 200, {"status": "success", "data": {"resultType": "vector", "result": result}}
