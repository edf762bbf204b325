"""Misbehaviour on request: what a deployer must survive, switched on by DEMO_* variables."""

import os
import threading
import time
import traceback
from collections.abc import Callable
from math import floor

from .journal import Journal
from .settings import Env


class Faults:
    """Every way in which this process was asked to misbehave."""

    def __init__(self, env: Env) -> None:
        self.crash = env.flag("DEMO_CRASH")
        self.slow_start = env.number("DEMO_SLOW_START", 0)
        self.die_after = env.number("DEMO_DIE_AFTER", 0)
        self.hang = env.flag("DEMO_HANG")
        self.not_serving = env.flag("DEMO_NOT_SERVING")
        self._unhealthy = env.flag("DEMO_UNHEALTHY")
        self._unhealthy_after = env.number("DEMO_UNHEALTHY_AFTER", 0)
        self._errors = env.share("DEMO_ERRORS")
        self._seen = 0
        self._lock = threading.Lock()
        self._since = time.monotonic()

    def arm(self, journal: Journal) -> None:
        """Start the clocks: from now on the process listens."""
        self._since = time.monotonic()
        if self.die_after:
            timer = threading.Timer(self.die_after, self._die, [journal])
            timer.daemon = True
            timer.start()

    def unhealthy(self) -> str | None:
        """Say why health must be bad, or None."""
        if self._unhealthy:
            return "DEMO_UNHEALTHY=1"
        if self._unhealthy_after and time.monotonic() - self._since >= self._unhealthy_after:
            return f"DEMO_UNHEALTHY_AFTER={self._unhealthy_after:g}"
        return None

    def fail_next(self) -> bool:
        """Decide whether this request fails. Evenly spread, not random: a quarter is every fourth."""
        with self._lock:
            self._seen += 1
            return floor(self._seen * self._errors) > floor((self._seen - 1) * self._errors)

    def hold(self, gone: Callable[[], bool]) -> None:
        """Never answer: return only once the client is gone (so that hung requests do not pile up)."""
        while not gone():
            time.sleep(0.2)

    def _die(self, journal: Journal) -> None:
        try:
            raise RuntimeError(f"DEMO_DIE_AFTER={self.die_after:g}: dying as asked")  # noqa: TRY301 (a real traceback)
        except RuntimeError as error:
            journal.error(f"fatal: {error}", exc=traceback.format_exc())
        os._exit(1)
