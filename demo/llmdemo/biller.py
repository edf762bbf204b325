"""Sends usage to billing in the background: a slow or restarting billing service must not slow a chat down."""

import queue
import threading
import time
import uuid
from typing import Any

from .catalogue import http_url
from .core.app import App
from .core.errors import PeerError
from .core.http_client import fetch

WAITING = 10_000
PATIENCE_SECONDS = 30.0


class Biller:
    """A queue of usage events and the thread that delivers them; billing counts a repeated event once."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._url = f"{http_url(app.env, 'billing')}/v1/usage"
        self._queue: queue.Queue[tuple[float, dict[str, Any]]] = queue.Queue(WAITING)
        self._results = app.metrics.counter("billing_events_total", "Usage events.", "result")
        self._results.inc("lost", by=0)
        threading.Thread(target=self._deliver, daemon=True).start()

    def send(self, number: str, key: str, prompt: int, completion: int) -> None:
        """Queue one usage event."""
        unique = f"{number}-{uuid.uuid4().hex[:8]}"
        event = {"id": unique, "key": key, "prompt_tokens": prompt, "completion_tokens": completion}
        try:
            self._queue.put_nowait((time.monotonic() + PATIENCE_SECONDS, event))
        except queue.Full:
            self._results.inc("lost")

    def close(self, seconds: float) -> None:
        """Wait up to SECONDS until everything is delivered."""
        end = time.monotonic() + seconds
        while self._queue.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.02)

    def _deliver(self) -> None:
        while True:
            until, event = self._queue.get()
            while not self._attempt(event) and time.monotonic() < until:
                time.sleep(0.5)
            self._queue.task_done()

    def _attempt(self, event: dict[str, Any]) -> bool:
        try:
            answer = fetch("POST", self._url, data=event, seconds=3, again=True)
        except PeerError as error:
            self._app.journal.warning(f"usage not delivered yet: {error}")
            return False
        return answer.status < 500
