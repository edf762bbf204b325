"""Follows the engine in a thread of its own, past the playbook, whose own follower tells the same a little later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol


class Lines(Protocol):
    """Progress lines of the engine, as they are written; `close` ends them, from any thread."""

    def __iter__(self) -> Iterator[Mapping[str, Any]]: ...
    def close(self) -> None: ...  # noqa: D102


class Told(NamedTuple):
    """A progress line that came past the playbook."""

    line: Mapping[str, Any]


class Live:
    """Puts what `begin` tells into `queue`, once started. What goes wrong there goes to `failed` and costs nothing."""

    def __init__(
        self, begin: Callable[[], Lines], queue: SimpleQueue[Any], failed: Callable[[Exception], None]
    ) -> None:
        self._begin, self._queue, self._failed = begin, queue, failed
        self._lines: Lines | None = None
        self._over = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins; nothing when it has begun already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ends it; the release goes on."""
        self._over = True
        if self._lines is not None:
            self._lines.close()

    def _follow(self) -> None:
        try:
            self._lines = lines = self._begin()
            if self._over:  # it was closed while it began
                lines.close()
            for line in lines:
                self._queue.put(Told(line))
        except Exception as error:  # noqa: BLE001
            self._failed(error)
