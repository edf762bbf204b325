"""Marks of a release in Loki (`/loki/api/v1/push`), which dashboards show in every graph."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from .peers import Peer


def mark(job: Mapping[str, Any], state: str, now: float | None = None, **more: Any) -> Any:
    """What is pushed: one line of JSON. `state`: started or ended; `more`: what the line says beyond who and what."""
    by = job.get("by") or {}
    action = str(job.get("action", ""))
    line = {
        "action": action,
        "state": state,
        "user": str(by.get("user", "")),
        "git": str(by.get("git", "")),
        "message": str(by.get("message", "")),
        **more,
    }
    stream = {
        "job": "llmdeploy",
        "environment": str(job.get("environment", "")),
        "stack": str(job["stack"]),
        "event": action,
    }
    moment = int((time.time() if now is None else now) * 1e9)
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    return {"streams": [{"stream": stream, "values": [[str(moment), text]]}]}


def push(peer: Peer, marks: Any) -> None:
    """Hand it over. Raises PeerError."""
    peer.ask("POST", "/loki/api/v1/push", body=marks)
