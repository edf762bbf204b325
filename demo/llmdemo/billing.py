"""billing: adds up the tokens of each key. In memory, each replica for itself; this is a demo."""

import threading
import time
from collections import OrderedDict
from typing import Any

from .core.app import App, Parts
from .core.errors import ApiError
from .core.web import Request, Response, reply

FIELDS = ("prompt_tokens", "completion_tokens")
REMEMBERED = 50_000


class Ledger:
    """Totals per key; an event that arrives twice counts once."""

    def __init__(self) -> None:
        self._keys: dict[str, dict[str, int]] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, number: str, key: str, amounts: dict[str, int]) -> bool:
        """Count an event; False when it was counted before."""
        with self._lock:
            if number and number in self._seen:
                return False
            self._seen[number] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            total = self._keys.setdefault(key, dict.fromkeys(("requests", *FIELDS, "total_tokens"), 0))
            total["requests"] += 1
            for field, amount in amounts.items():
                total[field] += amount
                total["total_tokens"] += amount
            return True

    def totals(self) -> dict[str, dict[str, int]]:
        """Give a copy of the totals."""
        with self._lock:
            return {key: dict(total) for key, total in self._keys.items()}


def _event(data: dict[str, Any]) -> tuple[str, str, dict[str, int]]:
    number, key = data.get("id", ""), data.get("key")
    if not isinstance(key, str) or not key or not isinstance(number, str):
        raise ApiError(400, "'key' is missing.", "invalid_usage")
    return number, key, {field: _amount(data, field) for field in FIELDS}


def _amount(data: dict[str, Any], field: str) -> int:
    value = data.get(field, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ApiError(400, f"'{field}' must be a number of tokens.", "invalid_usage")
    return value


def build(app: App) -> Parts:
    """Play the role."""
    ledger, since = Ledger(), int(time.time())
    events = app.metrics.counter("billing_events_total", "Usage events.", "result")
    for result in ("recorded", "duplicate", "rejected"):
        events.inc(result, by=0)

    def record(request: Request) -> Response:
        try:
            number, key, amounts = _event(request.json())
        except ApiError:
            events.inc("rejected")
            raise
        fresh = ledger.add(number, key, amounts)
        events.inc("recorded" if fresh else "duplicate")
        return reply({"recorded": fresh}, 201 if fresh else 200)

    def totals(_request: Request) -> Response:
        return reply({"since": since, "keys": ledger.totals()})

    return Parts({("POST", "/v1/usage"): record, ("GET", "/v1/usage"): totals})
