"""The three routes that every role answers: /health, /metrics, /v1/status."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .catalogue import Role, http_url
from .core.app import App
from .core.errors import PeerError
from .core.http_client import fetch
from .core.web import Request, Response, Route, reply


def common_routes(app: App, role: Role) -> dict[tuple[str, str], Route]:
    """Give the routes of every role."""
    identity = {"service": app.service, "version": app.version, "host": app.served_by.partition("/")[2]}

    def health(_request: Request) -> Response:
        reason = app.ill()
        if reason:
            return reply({"status": "unhealthy", **identity, "reason": reason}, 503)
        return reply({"status": "ok", **identity})

    def metrics(_request: Request) -> Response:
        return Response(app.metrics.text().encode(), kind="text/plain; version=0.0.4; charset=utf-8")

    def peer(name: str) -> dict[str, Any]:
        try:
            answer = fetch("GET", f"{http_url(app.env, name)}/health", seconds=1.5, again=True)
        except PeerError as error:
            return {"ok": False, "reason": error.message}
        return {"ok": answer.status == 200, "served_by": answer.headers.get("X-Served-By", "")}

    def status(_request: Request) -> Response:
        with ThreadPoolExecutor(max(1, len(role.needs))) as pool:
            peers = dict(zip(role.needs, pool.map(peer, role.needs), strict=True))
        return reply(
            {
                **identity,
                "demo": True,
                "revision": app.revision,
                "healthy": app.ill() is None,
                "uptime_seconds": round(app.uptime, 1),
                "open_requests": app.open_requests,
                "peers": peers,
            }
        )

    return {("GET", "/health"): health, ("GET", "/metrics"): metrics, ("GET", "/v1/status"): status}
