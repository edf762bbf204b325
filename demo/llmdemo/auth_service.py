"""auth-service: says whether an API key is valid, and gives it a name that is safe to log and to bill."""

import hashlib
import hmac
import json
import threading
import time

from .catalogue import http_url
from .core.app import App, Parts
from .core.errors import ApiError, PeerError
from .core.http_client import fetch
from .core.web import Request, Response, reply
from .secrets_service import DEMO_TOKEN

CHALLENGE = {"WWW-Authenticate": "Bearer"}


class Keys:
    """The valid keys: fetched when first needed, refreshed now and then, kept while secrets-service is away."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._url = f"{http_url(app.env, 'secrets-service')}/v1/secrets/api-keys"
        self._token = app.env.secret("SERVICE_TOKEN", DEMO_TOKEN)
        self._fresh_for = app.env.number("KEY_CACHE_SECONDS", 5)
        self._keys: list[str] = []
        self._stale_at = 0.0
        self._lock = threading.Lock()

    def get(self) -> list[str]:
        """Give the valid keys; fails only while there never were any."""
        if time.monotonic() < self._stale_at:
            return self._keys
        if self._lock.acquire(blocking=not self._keys):  # one thread refreshes, the others go on with what is known
            try:
                if time.monotonic() >= self._stale_at:
                    self._refresh()
            finally:
                self._lock.release()
        return self._keys

    def _refresh(self) -> None:
        try:
            self._keys = self._fetch()
        except PeerError as error:
            self._app.journal.warning(f"keys not refreshed: {error}", known=len(self._keys))
            if not self._keys:
                raise ApiError(503, "The keys are not available yet.", "keys_unavailable") from None
        self._stale_at = time.monotonic() + self._fresh_for

    def _fetch(self) -> list[str]:
        answer = fetch("GET", self._url, headers={"X-Service-Token": self._token}, seconds=2, again=True)
        if answer.status != 200:
            raise PeerError(f"secrets-service answered {answer.status}")
        return [str(key) for key in json.loads(answer.body)["keys"]]


def build(app: App) -> Parts:
    """Play the role."""
    keys = Keys(app)
    failures = app.metrics.counter("auth_failures_total", "Refused keys.", "reason")
    for reason in ("missing_key", "unknown_key", "keys_unavailable"):
        failures.inc(reason, by=0)

    def check(request: Request) -> Response:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            failures.inc("missing_key")
            raise ApiError(401, "Send 'Authorization: Bearer KEY'.", "missing_api_key", CHALLENGE)
        try:
            valid = keys.get()
        except ApiError:
            failures.inc("keys_unavailable")
            raise
        given = key.strip().encode()
        if not sum(hmac.compare_digest(given, known.encode()) for known in valid):  # compares with every key
            failures.inc("unknown_key")
            raise ApiError(401, "This API key is not valid.", "invalid_api_key", CHALLENGE)
        return reply({"ok": True, "key_id": f"key-{hashlib.sha256(given).hexdigest()[:10]}"})

    return Parts({("POST", "/v1/check"): check})
