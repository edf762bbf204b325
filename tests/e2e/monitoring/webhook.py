"""A receiver of alerts: a server on this machine, where the lab's hosts reach it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Webhook:
    """What it was told; `url`: where it is."""

    url: str
    told: list[dict[str, Any]] = field(default_factory=list)

    def about(self, alert: str, status: str) -> list[dict[str, Any]]:
        """The alerts of this name and status that it was told."""
        found = (one for message in list(self.told) for one in message["alerts"])
        return [one for one in found if one["labels"]["alertname"] == alert and one["status"] == status]


@contextmanager
def listening(address: str) -> Iterator[Webhook]:
    """One that listens on an address of this machine, at a free port."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer((address, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Webhook(f"http://{address}:{server.server_port}/", told)
    finally:
        server.shutdown()
        server.server_close()
