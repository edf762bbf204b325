"""Constant requests to a published service while something happens to it, and what became of them.

Bounded: a few clients, each with a pause after every request, and a limit in number.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

PAUSE = 0.1  # seconds
SOON = 3.0  # seconds in which another host answers


@dataclass
class Traffic:
    """`with Traffic(host, port) as traffic:` asks all the time; half of the clients keep their connections.

    other   a host that is asked where the first has no answer 200, as a client does that knows two addresses
    lost    (seconds since the start, what came instead of an answer 200)
    turned  the same, where the other host did answer
    """

    host: str
    port: int
    other: str = ""
    path: str = "/v1/usage"
    clients: int = 3
    tls: ssl.SSLContext | None = None
    most: int = 20_000  # requests, whatever happens
    answers: Counter[str] = field(default_factory=Counter)
    lost: list[tuple[float, str]] = field(default_factory=list)
    turned: list[tuple[float, str]] = field(default_factory=list)
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
        connection = self._to(self.host, 30)
        while not self._stop.wait(PAUSE) and self.number < self.most:
            said = self._ask(connection, keep)
            if said != "200" and self.other:
                elsewhere = self._to(self.other, SOON)
                other = self._ask(elsewhere, False)
                elsewhere.close()
                if other == "200":
                    self.turned.append((round(self.now, 1), said))
                said = other if other == "200" else f"{said}; {other}"
            self.answers[said] += 1
            if said != "200":
                self.lost.append((round(self.now, 1), said))
        connection.close()

    def _to(self, host: str, timeout: float) -> http.client.HTTPConnection:
        if self.tls:
            return http.client.HTTPSConnection(host, self.port, timeout=timeout, context=self.tls)
        return http.client.HTTPConnection(host, self.port, timeout=timeout)

    def _ask(self, connection: http.client.HTTPConnection, keep: bool) -> str:
        """What came: a status, or an error in words."""
        try:
            connection.request("GET", self.path, headers={} if keep else {"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return f"{type(error).__name__}: {error}"
        return str(answer.status)
