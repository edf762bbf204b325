"""What a release asks Prometheus: when everything is up and answers, and of a canary. Never on the way back, and in no
rollback: both go to what has been good before, and have to be quick."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

from .asking import Asking, MetricCheck
from .compare import EDGE, RefusedError, Unit
from .peers import peer_of
from .progress import Progress

PART_LABEL = "llmdeploy.part"  # of the monitoring's own services
PROMETHEUS = "prometheus"
NEVER_IN = ("rollback", "abort")
_OWN = (EDGE, "edge-tls")


class Round:
    """All checks once, side by side in time. It waits for nothing: whoever has it calls `over` again and again."""

    def __init__(self, askings: list[Asking], progress: Progress, pool: Executor) -> None:
        self._askings, self._progress, self._pool = askings, progress, pool
        self._told = False

    def over(self) -> bool:
        """Bring it on. Out: whether it is over: every check has been asked, or one has failed."""
        if self._told:
            return True
        for asking in self._askings:
            asking.turn(self._pool)
        failed = any(one.failed for one in self._askings)
        if any(one.busy for one in self._askings) or not (failed or all(one.over for one in self._askings)):
            return False
        self._tell()
        return True

    def wrong(self) -> str:
        """What failed, in words; an empty text for nothing."""
        return "; ".join(f"{one.check.name} {one.said()}" for one in self._askings if one.failed)

    def _tell(self) -> None:
        """A line for each check that has ended; others are cut short by one that failed."""
        self._told = True
        for one in self._askings:
            if not one.over:
                continue
            last = one.answers[-1]
            self._progress.write("check", name=one.check.name, ok=not one.failed, ms=last.ms, detail=one.said())
            if last.refused:
                text = f"the metric check {one.check.name} cannot be asked: it {last.text}"
                self._progress.write("note", level="warning", text=text)


class Metrics:
    """The metric checks of one release."""

    def __init__(self, job: Mapping[str, Any], progress: Progress, pool: Executor, left: Collection[str] = ()) -> None:
        """`left`: services that a release which was left open has already changed. Raises RefusedError."""
        try:
            asked = [] if job.get("action") in NEVER_IN else job.get("metrics") or []
            self._checks = [MetricCheck.of(one) for one in asked]
        except (ValueError, KeyError) as problem:
            raise RefusedError(f"verify.metrics: {problem}") from None
        self._peer = peer_of(job, PROMETHEUS)
        self._progress, self._pool, self._left = progress, pool, left
        self._began = time.time()
        self._canaries: dict[str, tuple[float, Round | None]] = {}

    @property
    def longest(self) -> float:
        """Seconds that all of them take at most, without the time of the last answer."""
        return max((check.longest for check in self._checks), default=0.0)

    def of_all(self, units: Mapping[str, Unit]) -> Round | None:
        """Begin to ask about everything that is new; None where nothing is to be asked."""
        new = [unit for unit in units.values() if (unit.written or unit.name in self._left) and _watched(unit)]
        if not new or not self._checks:
            return None
        watcher = units.get(PROMETHEUS)
        if watcher and watcher.action == "create":
            text = "metric checks are not asked: Prometheus has come up with this release and has seen nothing yet"
            self._progress.write("note", text=text)
            return None
        return self._round([unit.name for unit in new], _since(new))

    def of_canary(self, unit: Unit) -> Round | None:
        """What is asked about a canary. Begins at the first call, and again when another replica is watched."""
        steady, asked = self._canaries.get(unit.name, (0.0, None))
        if steady != unit.steady:
            asked = self._round([unit.name], time.time()) if self._checks and _watched(unit) else None
            self._canaries[unit.name] = (unit.steady, asked)
        return asked

    def _round(self, services: Collection[str], since: float) -> Round:
        askings = [Asking(check, self._peer, services, since, self._began) for check in self._checks]
        return Round(askings, self._progress, self._pool)


def _watched(unit: Unit) -> bool:
    """Whether it is one of the services that people have: not the edge, and none that watches the others."""
    return not unit.remove and unit.name not in _OWN and PART_LABEL not in (unit.wanted.get("Labels") or {})


def _since(units: Iterable[Unit]) -> float:
    """When the last of them came up, as Unix time."""
    return time.time() - (time.monotonic() - max(unit.ended for unit in units))
