"""Log lines: one JSON object per line on stdout, for people with grep and for Loki alike."""

import json
import sys
import threading
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any


class Journal:
    """Writes log lines. It is never given a key, a prompt or an answer."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._lock = threading.Lock()

    def info(self, msg: str, **fields: Any) -> None:
        """Write a line about normal work."""
        self._write("info", msg, fields)

    def warning(self, msg: str, **fields: Any) -> None:
        """Write a line about trouble that the program copes with."""
        self._write("warning", msg, fields)

    def error(self, msg: str, **fields: Any) -> None:
        """Write a line about a failure."""
        self._write("error", msg, fields)

    def request(self, route: str, code: int | str, seconds: float, *, failed: bool, **fields: Any) -> None:
        """Write the one line that each request gets."""
        level = "error" if failed else "info"
        self._write(level, "request", {"route": route, "code": code, "ms": round(seconds * 1e3, 1)} | fields)

    def _write(self, level: str, msg: str, fields: dict[str, Any]) -> None:
        stamp = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"ts": stamp, "level": level, "service": self._service, "msg": msg} | fields)
        with self._lock, suppress(OSError, ValueError):  # a closed stdout must not stop the service
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
