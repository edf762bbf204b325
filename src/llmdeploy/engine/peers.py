"""Prometheus, Alertmanager and Loki of a job, asked and told as anybody does: through the edge, in JSON."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from .checks import connected, in_words, short

PATIENCE = 3.0  # seconds for a whole answer; never long, since they are told beside the work
MOST_BYTES = 4_000_000
_PIECE = 65536


class PeerError(Exception):
    """It was not to be had; the text says in plain words why."""


class RefusedError(PeerError):
    """It understood that we asked for something that is wrong."""


@dataclass(frozen=True)
class Peer:
    """One of them, at the port where the edge publishes it."""

    name: str
    host: str
    port: int
    tls: Mapping[str, Any] | None = None  # authority and server name, where the edge speaks TLS on that port

    def ask(self, method: str, path: str, *, body: Any = None, form: Mapping[str, str] | None = None) -> Any:
        """Send `body` as JSON, or a form. Out: what the answer's JSON says, None for an empty one. Raises PeerError."""
        try:
            status, text = self._exchange(method, path, body, form)
            answer = json.loads(text) if text and status < 300 else None
        except (OSError, http.client.HTTPException, ValueError) as problem:
            raise PeerError(f"{self.name}: {in_words(problem, {'port': self.port, 'timeout': PATIENCE})}") from None
        if status >= 300:
            refused = status in (400, 422)
            raise (RefusedError if refused else PeerError)(f"{self.name}: HTTP {status}{_reason(text)}")
        return answer

    def _exchange(self, method: str, path: str, body: Any, form: Mapping[str, str] | None) -> tuple[int, str]:
        until = time.monotonic() + PATIENCE
        headers, data = {"User-Agent": "llmdeploy", "Accept": "application/json"}, None
        if form is not None:
            headers["Content-Type"], data = "application/x-www-form-urlencoded", urlencode(form).encode()
        elif body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            connection.sock = connected({"port": self.port, "tls": self.tls}, self.host, PATIENCE)
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return response.status, _read(response, until).decode("utf-8", "replace")
        finally:
            connection.close()


def peer_of(job: Mapping[str, Any], name: str) -> Peer | None:
    """The part `name` of the monitoring, None where the job knows of none."""
    given = (job.get("watch") or {}).get(name)
    if not given:
        return None
    tls = (job.get("tls") or {"authority": "", "name": ""}) if given.get("tls") else None
    return Peer(name, job.get("edge_host") or "127.0.0.1", int(given["port"]), tls)


def _read(response: http.client.HTTPResponse, until: float) -> bytes:
    """The whole body. Raises TimeoutError when it drips in for too long, ValueError when it is too large."""
    found = b""
    while True:
        piece = response.read1(_PIECE)
        if not piece:
            return found
        found += piece
        if len(found) > MOST_BYTES:
            raise ValueError(f"an answer of more than {MOST_BYTES // 1_000_000} MB")
        if time.monotonic() > until:
            raise TimeoutError


def _reason(text: str) -> str:
    """What the body of a refusal says: Prometheus puts it under `error`, Alertmanager answers with a JSON string."""
    try:
        data = json.loads(text)
    except ValueError:
        data = text
    said = str(data.get("error") or data.get("message") or "") if isinstance(data, dict) else str(data)
    return f": {short(said)}" if said.strip() else ""
