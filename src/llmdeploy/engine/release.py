"""The loop of a release: one thread, two questions to the daemon per turn for all services together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

from . import edgefile, schedule, spec, spread, watch
from .api import ConflictError, Docker, DockerError, UnreachableError
from .compare import EDGE, Comparison, Unit, new_configuration
from .failure import describe
from .metrics import Metrics
from .progress import Progress, harmless
from .say import Teller
from .verify import verify_stack

TURN = 0.25
OLD_ANSWERS_WITHIN = 4.0  # seconds from the order to stop until no request reaches a replica: out of DNS at once, and
# out of the edge a second later; it may go on for long with what it has
_FLYING = ("starting", "canary", "healthy", "answering")


class Release:
    """One release from its comparison to its verdict, or the way back to an older one."""

    def __init__(
        self,
        docker: Docker,
        job: Mapping[str, Any],
        found: Comparison,
        progress: Progress,
        pool: Executor,
        *,
        number: int = 0,
        back: bool = False,
        resumed: bool = False,
        stop: Callable[[], bool] = lambda: False,
        beat: Callable[[], None] = lambda: None,
        metrics: Metrics | None = None,
    ) -> None:
        """`number` is what written services are labelled with, `stop` tells that somebody asked to stop, `beat` shows
        that we live, `back` that this is a taking back, `resumed` that another release was left open, `metrics` what
        Prometheus is asked, if it is."""
        self._docker, self._job, self._found, self._pool = docker, job, found, pool
        self._progress, self._number = progress, number
        self._stop, self._beat, self._metrics = stop, beat, metrics
        self._teller = Teller(progress, back=back)
        self.units = found.units
        self._names = {value: key for key, value in found.ids["networks"].items()}
        self._limit = float(job.get("deadline") or 900.0)
        self._began = time.monotonic()
        self._goes_on = job.get("on_failure") == "go-on"
        self._over = schedule.FINISHED | {"failed"} if self._goes_on else schedule.FINISHED
        self._resumed = resumed  # what it wrote is unchanged now, and still has to be spread
        self._stopped = False
        self._verdict = ""  # what went wrong, as soon as something did

    def announce(self, **more: Any) -> None:
        """Write the line that says what this release will do."""
        values = {"state": "started", "id": self._job["id"], "number": self._number, "to": 0}
        self._teller.announce(self.units, {**values, "orphans": self._found.orphans, **more})

    def run(self, *, verify: bool = True) -> tuple[str, str]:
        """Bring everything up and verify it. Out: verdict and summary."""
        while True:
            while self._turn():
                time.sleep(self._pause())
            if self._verdict:
                return self._verdict, self._summary()
            if self._stopped and self.names_in("waiting", *_FLYING):
                return "stopped", self._summary()
            wrong = (self._verify_the_new() if verify else "") or self._measure()
            if wrong is None:
                return "stopped", f"stopped while its metrics were watched; {self._summary()}"
            if wrong:
                return "unhealthy", f"every service is healthy, but {wrong}"
            self._spread()
            if not self._turn() and not self._verdict:  # still as healthy as before the verification
                return ("done" if self._found.changed else "unchanged"), self._summary()

    def quick(self) -> bool:
        """One look, no waiting: whether everything is unchanged and healthy."""
        if not self._found.changed:
            self._turn()
        return all(unit.state == "unchanged" for unit in self.units.values())

    def outcome(self) -> dict[str, list[str]]:
        """`changed`: written or removed by us; `done`: came up or already were; `untouched`: never started."""
        return {
            "changed": [unit.name for unit in self.units.values() if unit.touched],
            "done": self.names_in("done", "unchanged"),
            "untouched": self.names_in("waiting", "blocked"),
        }

    def times(self) -> dict[str, dict[str, Any]]:
        """For each service: wave, action, how it ended, when it began and how long it took, in seconds."""
        return {
            unit.name: {
                "wave": unit.wave,
                "action": unit.action,
                "state": unit.state,
                "began": round(unit.began - self._began, 2) if unit.began else None,
                "seconds": round((unit.ended or time.monotonic()) - unit.began, 2) if unit.began else 0.0,
            }
            for unit in self.units.values()
        }

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def names_in(self, *states: str) -> list[str]:
        """The services in these states."""
        return [unit.name for unit in self.units.values() if unit.state in states]

    def _verify(self) -> str:
        return verify_stack(self._job, self._pool, self._progress, self._wait)

    def _verify_the_new(self) -> str:
        """Verify when no replica of before can answer any more; what was replaced is asked again, too."""
        replaced = [unit for unit in self.units.values() if unit.written and unit.live]
        until = max((unit.steady for unit in replaced), default=0.0) + OLD_ANSWERS_WITHIN
        while time.monotonic() < until and watch.old_ones_run(replaced, self._docker, self._job["stack"]):
            self._wait(TURN)
        again = [check for unit in replaced for check in unit.answers]
        job = {**self._job, "verify": [*again, *(self._job.get("verify") or [])]}
        return verify_stack(job, self._pool, self._progress, self._wait)

    def _measure(self) -> str | None:
        """Ask Prometheus about what is new. Out: what is wrong, an empty text for nothing, None when told to stop."""
        asked = self._metrics.of_all(self.units) if self._metrics else None
        while asked and not asked.over():
            if self._stop():
                self._stopped = True
                return None
            self._wait(TURN)
        return asked.wrong() if asked else ""

    def _spread(self) -> None:
        units = [unit for unit in self.units.values() if unit.written or self._resumed]
        spread.even_out(
            self._docker, self._job["stack"], units, self._names, self._progress,
            wait=lambda: self._wait(TURN), stop=self._stop,
        )  # fmt: skip

    def _wait(self, seconds: float) -> None:
        self._beat()
        time.sleep(seconds)

    def _pause(self) -> float:
        """Until the next look: a turn, or less when a stability window ends before."""
        now = time.monotonic()
        ends = [unit.steady + unit.stability - now for unit in self.units.values() if unit.state == "healthy"]
        return max(0.02, min([TURN, *(left for left in ends if left > 0)]))

    @property
    def _halted(self) -> bool:
        return self._stopped or bool(self._verdict and not self._goes_on)

    def _turn(self) -> bool:
        """Look at everything once and act. Out: whether there is more to wait for."""
        self._beat()
        self._stopped = self._stopped or self._stop()
        if self._stopped and self._job.get("on_failure") != "keep":
            return False  # everything is taken back: no use in seeing it come up
        services = {item["Spec"]["Name"]: item for item in self._docker.services()}
        current = self._docker.tasks(self._job["stack"], up_to_date=True)
        for unit in self.units.values():
            if unit.state in (*_FLYING, *schedule.FINISHED):
                self._advance(unit, services, current)
        while not self._halted:
            states = {unit.name: unit.state for unit in self.units.values()}
            free = schedule.startable(states, self._found.depends, self._over)
            if not free:
                break
            for name in free:
                self._start(self.units[name], services, current)
        for unit in self.units.values():
            self._teller.tell(unit)
        return bool(self.names_in(*_FLYING, *([] if self._halted else ["waiting"])))

    # --- one service

    def _start(self, unit: Unit, services: Mapping[str, Any], current: list[Any]) -> None:
        unit.began, unit.state = time.monotonic(), "starting"
        known = self._docker.tasks(self._job["stack"], up_to_date=False) if unit.live else []
        unit.before = frozenset(task["ID"] for task in known)
        if unit.action == "unchanged":
            unit.service_id = unit.live["ID"] if unit.live else ""
            self._advance(unit, services, current)
        elif unit.remove:
            self._attempt(unit, lambda: watch.remove(self._docker, unit))
        elif unit.name == EDGE and new_configuration(unit, self._job):
            unit.stage, unit.touched = "configuration", True
            self._attempt(unit, lambda: self._configure(unit))
        else:
            unit.stage = "canary" if unit.canary and unit.action == "change" else ""
            self._attempt(unit, lambda: watch.write(self._docker, unit, self._found, self._number))

    def _attempt(self, unit: Unit, work: Callable[[], None]) -> bool:
        """Do something that Docker may refuse. Out: whether it did not."""
        try:
            work()
        except ConflictError as problem:
            self._fail(unit, str(problem), "conflict")
        except UnreachableError:
            raise
        except DockerError as problem:
            self._fail(unit, f"Docker refused it: {problem}")
        return unit.state != "failed"

    def _configure(self, unit: Unit) -> None:
        edgefile.publish(self._docker, self._job["stack"], self._job["edge"]["config"])
        edgefile.begin(self._docker, self._job["stack"], unit.wanted, unit.live and unit.live["Spec"])

    def _advance(self, unit: Unit, services: Mapping[str, Any], current: list[Any]) -> None:
        if unit.remove:
            self._removed(unit, services)
        elif unit.stage == "configuration":
            self._configured(unit)
        elif self._attempt(unit, lambda: watch.follow(unit, services.get(unit.name), current, self._names)):
            self._judge(unit, unit.verdict.state, time.monotonic())

    def _judge(self, unit: Unit, state: str, now: float) -> None:
        if state == "failed":
            self._fail(unit, unit.verdict.reason)
        elif unit.state in schedule.FINISHED:
            if state != "healthy":  # it was: give it its time again, its crashes so far count
                unit.state, unit.began, unit.detail = "starting", now, f"was healthy, then: {unit.verdict.reason}"
        elif state == "starting":
            unit.state, unit.detail = "starting", harmless(unit.verdict.reason)
            if unit.action == "unchanged":
                unit.detail = f"unchanged, but not healthy: {unit.detail}"
            self._deadline(unit, now)
        elif unit.action == "unchanged" and unit.state == "starting" and unit.elapsed() < TURN:
            self._end(unit, "unchanged")
        else:
            self._settle(unit, now)
            edge = self.units.get(EDGE)
            if unit.detail.startswith("check ") and edge and edge.state == "failed":
                self._fail(unit, f"it is healthy, but the edge has failed ({edge.detail}): {unit.detail}")
            self._deadline(unit, now)

    def _removed(self, unit: Unit, services: Mapping[str, Any]) -> None:
        if unit.state == "removed":
            return
        left = self._docker.tasks(self._job["stack"], up_to_date=False)
        if watch.is_gone(unit, services.get(unit.name), left):
            self._end(unit, "removed")
        else:
            unit.detail = "ending its tasks"
            self._deadline(unit, time.monotonic())

    def _configured(self, unit: Unit) -> None:
        """The edge takes its configuration; then the service itself is written."""
        state, detail = edgefile.state(self._docker, self._job["stack"])
        unit.detail = harmless(detail)
        if state == "failed":
            self._fail(unit, unit.detail)
        elif state == "done":
            unit.stage = ""
            if unit.live and not spec.diff(unit.live["Spec"], unit.wanted, self._names):
                unit.service_id = unit.live["ID"]  # only its hosts had another file: the service stays as it is
                return
            self._attempt(unit, lambda: watch.write(self._docker, unit, self._found, self._number))
        else:
            self._deadline(unit, time.monotonic())

    def _settle(self, unit: Unit, now: float) -> None:
        """All tasks are healthy: done when they stay so and the service answers."""
        missing = watch.answers(unit, self._job, self._pool)
        if unit.stage == "canary":
            self._settle_canary(unit, now, missing)
            return
        stable = now - unit.steady >= unit.stability
        if stable and missing is None:
            self._end(unit, "unchanged" if unit.action == "unchanged" else "done")
        else:
            unit.state, unit.detail = ("answering" if stable else "healthy"), missing or ""

    def _settle_canary(self, unit: Unit, now: float, missing: str | None) -> None:
        """The first replica is healthy: watched for its time and verified, then the others follow."""
        longest = self._watching(unit)
        unit.state, unit.detail = "canary", missing or f"1 of {unit.verdict.wanted} is new, watched {longest:g} s"
        if missing is not None:
            return
        asked = self._metrics.of_canary(unit) if self._metrics else None
        measured = asked is None or asked.over()
        wrong = asked.wrong() if asked and measured else ""
        if not wrong:
            if not measured or now - unit.steady < unit.canary:
                return
            wrong = self._verify()
        if wrong:
            self._fail(unit, f"with one new replica, {wrong}")
            return
        unit.stage, unit.state, unit.began, unit.steady = "", "starting", time.monotonic(), 0.0
        self._attempt(unit, lambda: watch.write(self._docker, unit, self._found, self._number))

    def _watching(self, unit: Unit) -> float:
        """Seconds that the first replica is watched: its time, or as long as its metrics are asked for."""
        return max(unit.canary, self._metrics.longest if self._metrics else 0.0)

    def _end(self, unit: Unit, state: str) -> None:
        unit.state, unit.detail, unit.ended = state, "", time.monotonic()

    def _deadline(self, unit: Unit, now: float) -> None:
        if unit.state not in _FLYING:
            return
        if now > self._began + self._limit:
            self._fail(unit, f"the deadline of the whole release ({self._limit:g} s) passed: {unit.detail}")
        elif now - unit.began > unit.deadline + (self._watching(unit) if unit.stage == "canary" else 0.0):
            self._fail(unit, f"not done within {unit.deadline:g} s: {unit.detail or 'not stable yet'}")

    def _fail(self, unit: Unit, reason: str, verdict: str = "unhealthy") -> None:
        self._end(unit, "failed")
        unit.detail, unit.foreign = reason, verdict == "conflict"
        self._verdict = self._verdict if self._verdict == "conflict" else verdict
        if not self._goes_on:
            for name in schedule.blocked([unit.name], self._found.depends):
                if self.units[name].state == "waiting":
                    self.units[name].state = "blocked"
        others = {other.name: _plain(other) for other in self.units.values() if other is not unit}
        self._teller.tell(unit)
        self._progress.write("failure", sync=True, **describe(self._docker, unit, others))

    def _summary(self) -> str:
        groups = {
            "failed": self.names_in("failed"),
            "done": self.names_in("done"),
            "removed": self.names_in("removed"),
            "unchanged": self.names_in("unchanged"),
            "not touched": self.names_in("waiting", "blocked"),
        }
        return "; ".join(f"{', '.join(names)}: {word}" for word, names in groups.items() if names)


def _plain(unit: Unit) -> str:
    """The state of a unit in words for somebody who reads of another's failure."""
    if unit.state in ("waiting", "blocked"):
        return "not touched"
    return {"starting": "still starting", "healthy": "healthy, still watched"}.get(unit.state, unit.state)
