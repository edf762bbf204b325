"""rate-limiter: a token bucket per key. Each replica counts for itself; this is a demo."""

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

from .core.app import App, Parts
from .core.errors import ApiError
from .core.rpc_server import Call, Method

MANY = 10_000


class Buckets:
    """A bucket per key: it holds PER_MINUTE requests and refills evenly."""

    def __init__(self, per_minute: float) -> None:
        self._size = per_minute
        self._rate = per_minute / 60
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, key: str) -> tuple[bool, float, float]:
        """Take one request: allowed or not, what is left, and the seconds until the next is allowed."""
        now = time.monotonic()
        with self._lock:
            left, since = self._buckets.get(key, (self._size, now))
            left = min(self._size, left + (now - since) * self._rate)
            allowed = left >= 1
            left -= allowed
            if key not in self._buckets and len(self._buckets) >= MANY:
                self._buckets.clear()  # bounded memory; the cost is one fresh bucket for everybody
            self._buckets[key] = (left, now)
        wait = 0.0 if allowed else (1 - left) / self._rate if self._rate else 60.0
        return allowed, left, wait


def build(app: App) -> Parts:
    """Play the role."""
    limit = app.env.number("RATE_LIMIT", 600)
    buckets = Buckets(limit)
    rejections = app.metrics.counter("ratelimit_rejections_total", "Requests over the limit.", "reason")
    rejections.inc("over_limit", by=0)

    def check(call: Call) -> Iterator[dict[str, Any]]:
        key = call.data.get("key")
        if not isinstance(key, str) or not key:
            raise ApiError(400, "'key' is missing.", "invalid_key")
        allowed, left, wait = buckets.take(key)
        if not allowed:
            rejections.inc("over_limit")
        yield {"allowed": allowed, "limit": limit, "remaining": int(left), "retry_after": math.ceil(wait)}

    return Parts({}, ({"llmdemo.RateLimiter": {"Check": Method(check)}},))
