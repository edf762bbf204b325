"""Silences in Alertmanager (API v2) for the services that a release changes."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any
from urllib.parse import quote

from .peers import Peer, PeerError
from .prometheus import escaped

NEVER = "none"  # the severity of the alert that must always fire: whoever waits for it would think all is down


def silence(services: Collection[str], seconds: float, by: str, comment: str, now: float | None = None) -> Any:
    """What is posted: alerts of these services, for so many seconds from `now` (Unix time) on.

    An alert without a label `service`, or about one that does not change, is not silenced.
    """
    begin = time.time() if now is None else now
    names = "|".join(escaped(name) for name in sorted(services))
    return {
        "matchers": [
            {"name": "service", "value": f"^({names})$", "isRegex": True, "isEqual": True},
            {"name": "severity", "value": NEVER, "isRegex": False, "isEqual": False},
        ],
        "startsAt": _moment(begin),
        "endsAt": _moment(begin + seconds),
        "createdBy": by,
        "comment": comment,
    }


def begin(peer: Peer, wanted: Any) -> str:
    """Silence. Out: its id. Raises PeerError."""
    answer = peer.ask("POST", "/api/v2/silences", body=wanted)
    name = answer.get("silenceID") if isinstance(answer, dict) else None
    if not name:
        raise PeerError(f"{peer.name}: its answer is not one of Alertmanager")
    return str(name)


def end(peer: Peer, name: str) -> None:
    """End a silence before its time. Raises PeerError."""
    peer.ask("DELETE", f"/api/v2/silence/{quote(name, safe='')}")


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03}Z"
