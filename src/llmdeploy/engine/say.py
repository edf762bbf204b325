"""What a release tells of its services: only news, and nothing that is normal in the first seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .compare import Unit
from .progress import Progress

EDGE_FINDS_WITHIN = 5.0  # seconds: its name lookups and health checks come once a second


class Teller:
    """Writes the progress lines of the services of one release, or of a taking back."""

    def __init__(self, progress: Progress, *, back: bool) -> None:
        self._progress, self._back = progress, back
        self._said: dict[str, tuple[Any, ...]] = {}

    def announce(self, units: Mapping[str, Unit], more: Mapping[str, Any]) -> None:
        """Write what will be done to which service."""
        services = [
            {"name": unit.name, "wave": unit.wave, "action": unit.action, "changes": unit.changes}
            for unit in units.values()
        ]
        self._progress.write("release", sync=True, **more, services=services)

    def tell(self, unit: Unit) -> None:
        """Write the state of a service when it is news."""
        detail = _news(unit)
        news = (unit.state, unit.verdict.healthy, unit.verdict.wanted, detail)
        if self._said.get(unit.name) != news:
            self._said[unit.name] = news
            self._progress.write(
                "service", name=unit.name, state=unit.state, wave=unit.wave, healthy=unit.verdict.healthy,
                wanted=unit.verdict.wanted, elapsed=unit.elapsed(), detail=detail, back=self._back,
            )  # fmt: skip


def _news(unit: Unit) -> str:
    """The detail worth telling: that the edge has not found a new replica in its first seconds is not."""
    fresh = unit.state in ("healthy", "answering") and time.monotonic() - unit.steady < EDGE_FINDS_WITHIN
    return "" if fresh else unit.detail
