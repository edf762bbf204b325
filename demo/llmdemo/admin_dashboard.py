"""admin-dashboard: the health of every replica of all ten services and the bill, live in a browser."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from .catalogue import ROLES, http_url
from .core.app import App, Parts
from .core.errors import PeerError
from .core.http_client import addresses, fetch
from .core.web import Request, Response, Upgrade, reply
from .core.websocket import upgrade
from .page import page

SECONDS = 1.5


class State:
    """What the page shows. Asked for by any number of browsers, gathered at most once per interval."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.interval = max(0.1, app.env.number("LIVE_SECONDS", 2))
        self._pool = ThreadPoolExecutor(24, "gather")
        self._lock = threading.Lock()
        self._value: dict[str, Any] = {}
        self._at = float("-inf")

    def get(self) -> dict[str, Any]:
        """Give the current state."""
        with self._lock:
            if time.monotonic() - self._at >= self.interval * 0.9:
                self._value, self._at = self._gather(), time.monotonic()
            return self._value

    def _gather(self) -> dict[str, Any]:
        urls = {name: http_url(self._app.env, name) for name in ROLES}
        found = dict(zip(urls, self._pool.map(addresses, urls.values()), strict=True))
        asks = [(name, address) for name, hosts in found.items() for address in hosts]
        healths = list(self._pool.map(lambda ask: self._ask(urls[ask[0]], "/health", ask[1]), asks))
        bills = self._pool.map(lambda host: self._ask(urls["billing"], "/v1/usage", host), found["billing"])
        services = []
        for name in ROLES:
            replicas = [health for (owner, _), health in zip(asks, healths, strict=True) if owner == name]
            ok = bool(replicas) and all(one["status"] == "ok" for one in replicas)
            reason = "no address in DNS" if not replicas else ""
            services.append({"name": name, "ok": ok, "reason": reason, "replicas": replicas})
        return {"time": time.time(), "seen_by": self._app.served_by, "services": services, "billing": _sum(bills)}

    @staticmethod
    def _ask(url: str, path: str, address: str) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            answer = fetch("GET", url + path, address=address, seconds=SECONDS, again=True)
            value: dict[str, Any] = json.loads(answer.body)
        except (PeerError, ValueError) as error:
            return {"status": "unreachable", "host": urlsplit(f"//{address}").netloc, "reason": str(error)}
        return {"status": "unknown", "ms": round((time.perf_counter() - started) * 1e3, 1)} | value


def _sum(bills: Iterator[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Add up what the replicas of billing know."""
    keys: dict[str, dict[str, int]] = {}
    for bill in bills:
        for key, totals in bill.get("keys", {}).items():
            mine = keys.setdefault(key, {})
            for field, amount in totals.items():
                mine[field] = mine.get(field, 0) + amount
    return keys


def build(app: App) -> Parts:
    """Play the role."""
    state = State(app)

    def messages() -> Iterator[str]:
        while not app.stopping.is_set():
            yield json.dumps(state.get())
            yield ""  # a ping: finds out whether the browser is still there
            app.stopping.wait(state.interval)

    def index(_request: Request) -> Response:
        return page(app, "admin.html")

    def live(request: Request) -> Upgrade:
        return upgrade(request, messages())

    def current(_request: Request) -> Response:
        return reply(state.get())

    return Parts({("GET", "/"): index, ("GET", "/live"): live, ("GET", "/v1/state"): current})
