"""Constant requests to a published service while something happens to it, and what became of them.

Bounded: a few clients, each with a pause after every request, and a limit in number.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

MOST = 20_000  # requests, whatever happens
PAUSE = 0.1  # seconds


@dataclass
class Traffic:
    """`with Traffic(host, port, path) as traffic:` asks all the time; half of the clients keep their connections.

    lost   (seconds since the start, what came instead of an answer 200)
    """

    host: str
    port: int
    path: str = "/v1/usage"
    clients: int = 3
    answers: Counter[str] = field(default_factory=Counter)
    lost: list[tuple[float, str]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _began: float = 0.0

    def __enter__(self) -> Traffic:
        self._began = time.monotonic()
        for number in range(self.clients):
            thread = threading.Thread(target=self._client, args=(number % 2 == 0,), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    @property
    def number(self) -> int:
        """How many were sent."""
        return sum(self.answers.values())

    @property
    def now(self) -> float:
        """Seconds since the start, to compare with `lost`."""
        return time.monotonic() - self._began

    def lost_since(self, moment: float) -> list[tuple[float, str]]:
        """What was lost after a moment of `now`."""
        return [(when, what) for when, what in self.lost if when >= moment]

    def flows(self, requests: int = 60, within: float = 20.0) -> None:
        """Wait until so many more have been answered: it really goes on."""
        wanted, until = self.answers["200"] + requests, time.monotonic() + within
        while self.answers["200"] < wanted:
            assert time.monotonic() < until, f"no answers any more: {self}"
            time.sleep(0.05)

    def __str__(self) -> str:
        return f"{self.number} requests: {dict(self.answers)}; lost at {self.lost[:20]}"

    def _client(self, keep: bool) -> None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        while not self._stop.wait(PAUSE) and self.number < MOST:
            try:
                connection.request("GET", self.path, headers={} if keep else {"Connection": "close"})
                answer = connection.getresponse()
                answer.read()
                said = str(answer.status)
            except (OSError, http.client.HTTPException) as error:
                said = f"{type(error).__name__}: {error}"
                connection.close()
            self.answers[said] += 1
            if said != "200":
                self.lost.append((round(self.now, 1), said))
        connection.close()
