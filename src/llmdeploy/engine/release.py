"""The loop of a release: one thread, two questions to the daemon per turn for all services together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

from . import schedule, watch
from .api import ConflictError, Docker, DockerError, UnreachableError
from .compare import Comparison, Unit
from .failure import describe
from .progress import Progress, harmless
from .verify import verify_stack

EDGE_FINDS_WITHIN = 5.0  # seconds: its name lookups and health checks come once a second
TURN = 0.25
EDGE = "edge"  # the service through which published ports are asked
_FLYING = ("starting", "healthy", "answering")
EXITS = {"done": 0, "unchanged": 0, "failed": 1, "locked": 4, "conflict": 4, "unhealthy": 7, "stopped": 130}


class Release:
    """One release from its comparison to its verdict."""

    def __init__(
        self,
        docker: Docker,
        job: Mapping[str, Any],
        found: Comparison,
        progress: Progress,
        pool: Executor,
        *,
        number: int = 0,
        stop: Callable[[], bool] = lambda: False,
        beat: Callable[[], None] = lambda: None,
        keep: Callable[[Unit], None] = lambda _unit: None,
    ) -> None:
        """`stop` tells that somebody asked to stop, `beat` shows that we live, `keep` saves a unit before its write."""
        self._docker, self._job, self._found, self._pool = docker, job, found, pool
        self._progress, self._number = progress, number
        self._stop, self._beat, self._keep = stop, beat, keep
        self._units = found.units
        self._names = {value: key for key, value in found.ids["networks"].items()}
        self._limit = float(job.get("deadline") or 900.0)
        self._until = time.monotonic() + self._limit
        self._said: dict[str, tuple[Any, ...]] = {}
        self._stopped = False
        self._verdict = ""  # what went wrong, as soon as something did

    def announce(self) -> None:
        """Write the line that says what this release will do."""
        services = [
            {"name": unit.name, "wave": unit.wave, "action": unit.action, "changes": unit.changes}
            for unit in self._units.values()
        ]
        more = {"id": self._job["id"], "number": self._number, "services": services, "orphans": self._found.orphans}
        self._progress.write("release", state="started", sync=True, **more)

    def run(self, *, verify: bool = True) -> tuple[str, str]:
        """Bring everything up and verify it. Out: verdict and summary."""
        while True:
            while self._turn():
                time.sleep(self._pause())
            if self._verdict:
                return self._verdict, self._summary()
            if self._stopped and self._names_in("waiting"):
                return "stopped", self._summary()
            wrong = verify_stack(self._job, self._pool, self._progress, self._wait) if verify else ""
            if wrong:
                return "unhealthy", f"every service is healthy, but {wrong}"
            if not self._turn() and not self._verdict:  # still as healthy as before the verification
                return ("done" if self._found.changed else "unchanged"), self._summary()

    def quick(self) -> bool:
        """One look, no waiting: whether everything is unchanged and healthy."""
        if not self._found.changed:
            self._turn()
        return all(unit.state == "unchanged" for unit in self._units.values())

    def outcome(self) -> dict[str, list[str]]:
        """`changed`: written by us; `done`: came up or already were; `untouched`: never started."""
        units = self._units.values()
        return {
            "changed": [unit.name for unit in units if unit.written],
            "done": self._names_in("done", "unchanged"),
            "untouched": self._names_in("waiting", "blocked"),
        }

    def _wait(self, seconds: float) -> None:
        self._beat()
        time.sleep(seconds)

    def _pause(self) -> float:
        """Until the next look: a turn, or less when a stability window ends before."""
        now = time.monotonic()
        ends = [unit.steady + unit.stability - now for unit in self._units.values() if unit.state == "healthy"]
        return max(0.02, min([TURN, *(left for left in ends if left > 0)]))

    def _turn(self) -> bool:
        """Look at everything once and act. Out: whether there is more to wait for."""
        self._beat()
        self._stopped = self._stopped or self._stop()
        services = {item["Spec"]["Name"]: item for item in self._docker.services()}
        current = self._docker.tasks(self._job["stack"], up_to_date=True)
        for unit in self._units.values():
            if unit.state in (*_FLYING, *schedule.FINISHED):
                self._advance(unit, services, current)
        while not (self._verdict or self._stopped):
            free = schedule.startable({unit.name: unit.state for unit in self._units.values()}, self._found.depends)
            if not free:
                break
            for name in free:
                self._start(self._units[name], services, current)
        for unit in self._units.values():
            self._say(unit)
        goes_on = not (self._verdict or self._stopped)
        return bool(self._names_in(*_FLYING, *(["waiting"] if goes_on else [])))

    def _start(self, unit: Unit, services: Mapping[str, Any], current: list[Any]) -> None:
        unit.began, unit.state = time.monotonic(), "starting"
        known = self._docker.tasks(self._job["stack"], up_to_date=False) if unit.live else []
        unit.before = frozenset(task["ID"] for task in known)
        if unit.action == "unchanged":
            unit.service_id = unit.live["ID"] if unit.live else ""
            self._advance(unit, services, current)
            return
        self._keep(unit)
        try:
            watch.write(self._docker, unit, self._found, self._number)
        except ConflictError as problem:
            self._fail(unit, str(problem), "conflict")
        except UnreachableError:
            raise
        except DockerError as problem:
            self._fail(unit, f"Docker refused it: {problem}")

    def _advance(self, unit: Unit, services: Mapping[str, Any], current: list[Any]) -> None:
        try:
            watch.follow(unit, services.get(unit.name), current, self._names)
        except ConflictError as problem:
            return self._fail(unit, str(problem), "conflict")
        state, now = unit.verdict.state, time.monotonic()
        if state == "failed":
            return self._fail(unit, unit.verdict.reason)
        if unit.state in schedule.FINISHED:
            if state != "healthy":  # it was: give it its time again, its crashes so far count
                unit.state, unit.began, unit.detail = "starting", now, f"was healthy, then: {unit.verdict.reason}"
            return None
        if state == "starting":
            unit.state, unit.detail = "starting", harmless(unit.verdict.reason)
            if unit.action == "unchanged":
                unit.detail = f"unchanged, but not healthy: {unit.detail}"
        elif unit.action == "unchanged" and unit.state == "starting" and unit.elapsed() < TURN:
            unit.state, unit.detail = "unchanged", ""
            return None
        else:
            self._settle(unit, now)
            edge = self._units.get(EDGE)
            if unit.detail.startswith("check ") and edge and edge.state == "failed":
                return self._fail(unit, f"it is healthy, but the edge has failed ({edge.detail}): {unit.detail}")
        return self._deadline(unit, now)

    def _settle(self, unit: Unit, now: float) -> None:
        """All tasks are healthy: done when they stay so and the service answers."""
        missing = watch.answers(unit, self._job, self._pool)
        stable = now - unit.steady >= unit.stability
        if stable and missing is None:
            unit.state, unit.detail = ("unchanged" if unit.action == "unchanged" else "done"), ""
        else:
            unit.state, unit.detail = ("answering" if stable else "healthy"), missing or ""

    def _deadline(self, unit: Unit, now: float) -> None:
        if unit.state not in _FLYING:
            return
        if now > self._until:
            self._fail(unit, f"the deadline of the whole release ({self._limit:g} s) passed: {unit.detail}")
        elif now - unit.began > unit.deadline:
            self._fail(unit, f"not done within {unit.deadline:g} s: {unit.detail or 'not stable yet'}")

    def _fail(self, unit: Unit, reason: str, verdict: str = "unhealthy") -> None:
        unit.state, unit.detail = "failed", reason
        self._verdict = self._verdict if self._verdict == "conflict" else verdict
        for name in schedule.blocked([unit.name], self._found.depends):
            if self._units[name].state == "waiting":
                self._units[name].state = "blocked"
        others = {other.name: _plain(other) for other in self._units.values() if other is not unit}
        self._say(unit)
        self._progress.write("failure", sync=True, **describe(self._docker, unit, others))

    def _say(self, unit: Unit) -> None:
        """Write the state of a unit when it is news."""
        detail = _news(unit)
        news = (unit.state, unit.verdict.healthy, unit.verdict.wanted, detail)
        if self._said.get(unit.name) != news:
            self._said[unit.name] = news
            self._progress.write(
                "service", name=unit.name, state=unit.state, wave=unit.wave, healthy=unit.verdict.healthy,
                wanted=unit.verdict.wanted, elapsed=unit.elapsed(), detail=detail,
            )  # fmt: skip

    def _names_in(self, *states: str) -> list[str]:
        return [unit.name for unit in self._units.values() if unit.state in states]

    def _summary(self) -> str:
        parts = [f"{', '.join(names)}: {word}" for word, names in self._groups().items() if names]
        return "; ".join(parts)

    def _groups(self) -> dict[str, list[str]]:
        return {
            "failed": self._names_in("failed"),
            "done": self._names_in("done"),
            "unchanged": self._names_in("unchanged"),
            "not touched": self._names_in("waiting", "blocked"),
        }


def _news(unit: Unit) -> str:
    """The detail worth telling: that the edge has not found a new replica in its first seconds is not."""
    fresh = unit.state in ("healthy", "answering") and time.monotonic() - unit.steady < EDGE_FINDS_WITHIN
    return "" if fresh else unit.detail


def _plain(unit: Unit) -> str:
    """The state of a unit in words for somebody who reads of another's failure."""
    if unit.state in ("waiting", "blocked"):
        return "not touched"
    return {"starting": "still starting", "healthy": "healthy, still watched"}.get(unit.state, unit.state)
