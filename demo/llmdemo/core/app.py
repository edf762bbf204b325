"""The state of one running process: who it is, whether it is well, what it is working on."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .faults import Faults
from .journal import Journal
from .metrics import Metrics
from .settings import Env

if TYPE_CHECKING:
    from .rpc_server import Services
    from .web import Route


@dataclass(frozen=True)
class Parts:
    """What a role brings: HTTP routes, the gRPC services of each of its gRPC ports, and what to do at the end."""

    routes: Mapping[tuple[str, str], "Route"]
    rpc: tuple["Services", ...] = ()
    close: Callable[[float], None] = field(default=lambda _seconds: None)


class App:
    """One process that plays one role."""

    def __init__(self, service: str, env: Env) -> None:
        self.service, self.env = service, env
        self.version = env.text("DEMO_VERSION", "1")
        self.revision = env.text("DEMO_REVISION", "unknown")
        self.listen = env.text("LISTEN_HOST", "0.0.0.0")
        self.served_by = f"{service}/{socket.gethostname()}"
        self.journal, self.metrics, self.faults = Journal(service), Metrics(), Faults(env)
        self.stopping = threading.Event()
        self._started = time.monotonic()
        self._open = 0
        self._changed = threading.Condition()
        build = self.metrics.counter("build_info", "Which release runs.", "version", "revision", kind="gauge")
        build.inc(self.version, self.revision)

    @property
    def open_requests(self) -> int:
        """How many requests are being worked on."""
        return self._open

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def ill(self) -> str | None:
        """Say why this process must get no traffic, or None. It is about itself, never about its peers."""
        return "stopping" if self.stopping.is_set() else self.faults.unhealthy()

    @contextmanager
    def work(self) -> Iterator[None]:
        """Count a request as open, so that a stop waits for it."""
        with self._changed:
            self._open += 1
        try:
            yield
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no request is open; False when time ran out."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == 0, timeout=max(0.0, seconds))
