"""One job under its lock: comparison, ledger, release, and the way back when it fails."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from concurrent.futures.thread import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import ledger as book
from . import textfile
from .api import Docker, DockerError
from .checks import PARALLEL
from .compare import Comparison, compare
from .lock import Lock, LockedError, LostError
from .metrics import Metrics
from .progress import Progress, harmless
from .release import Release
from .takeback import TakenBack, take_back, touched, way_back
from .watch import release_of
from .watchers import Watchers

EXITS = {
    "done": 0, "unchanged": 0, "failed": 1, "locked": 4, "conflict": 4, "rolled-back": 6, "unhealthy": 7,
    "stopped": 130,
}  # fmt: skip
VERDICTS = {"done": "good", "unchanged": "good", "rolled-back": "rolled back"}  # of the ledger; the rest is `failed`
LONGEST_SUMMARY = 1000
METRICS_FOLDER = "metrics"  # the node exporter reads it
Job = dict[str, Any]


class Terminated(BaseException):
    """SIGTERM came: the host goes down, or somebody ended the engine."""


def must_be_recorded(releases: book.Releases) -> bool:
    """Whether a job becomes a release even if it changes nothing: the history does not say what the stack is on."""
    now = book.position(releases)
    return not now.settled or not now.number


class Attempt:
    """One job, once."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder, self._progress = folder, progress
        self.job: Job = {}
        self._number = 0
        self._left = 0  # the release that was left open, if one was
        self._release: Release | None = None
        self._back: TakenBack | None = None
        self._dropped: list[int] = []

    def result(self) -> tuple[str, str]:
        """Out: verdict and summary. The lock is given back whatever happens."""
        self.job = json.loads((self._folder / "job.json").read_text(encoding="utf-8"))
        docker = Docker()
        lock = Lock(docker, self.job["stack"], labels(self.job))
        try:
            former = lock.take()
            if former:
                self._progress.write("note", text=harmless(f"took over the lock of a dead run: {LockedError(former)}"))
            return self._under_lock(docker, lock)
        finally:
            lock.release()

    def told(self) -> dict[str, Any]:
        """What the last line tells beyond verdict and summary."""
        outcome = self._release.outcome() if self._release else {}
        back = self._back.to_json() if self._back else None
        return {**outcome, "number": self._number, "taken_back": back, "dropped": self._dropped}

    def _under_lock(self, docker: Docker, lock: Lock) -> tuple[str, str]:
        ledger = book.Ledger(docker, self.job["stack"])
        before = ledger.read()
        self._left = max((item for item, labels in book.labels_of(before).items() if _is_open(labels)), default=0)
        found = compare(docker, self.job, self.job["pins"])
        if found.changed or must_be_recorded(book.labels_of(before)):
            self._number = self._open(ledger)
        else:
            self._number = max(before, default=0)
        pool, verdict, summary = ThreadPoolExecutor(PARALLEL), "failed", "the engine failed"
        watchers = Watchers(self.job, self._number, found, self._progress)
        try:
            watchers.begin()
            verdict, summary = self._carry_out(docker, lock, before, found, pool)
        except Terminated:
            verdict, summary = "interrupted", "the engine was told to end"
            raise
        except LostError as problem:
            verdict, summary = "conflict", str(problem)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            try:
                ledger.close(self._record(verdict, summary, book.labels_of(before)))
            finally:
                changed = self._release.outcome()["changed"] if self._release else []
                watchers.end(verdict, changed, self._back.to if self._back and self._back.verified else None)
            self._tell_metrics(docker, ledger)
        self._dropped = ledger.forget(int(self.job.get("keep") or book.KEEP))
        return verdict, summary

    def _tell_metrics(self, docker: Docker, ledger: book.Ledger) -> None:
        """Write what the node exporter tells of releases, beside the folder of all jobs."""
        try:
            content = textfile.text(self.job["stack"], ledger.read(), docker.services())
            if content:
                textfile.write(self._folder.parent.with_name(METRICS_FOLDER), content)
        except (DockerError, OSError, ValueError) as problem:
            text = harmless(f"what is told of releases was not written: {problem}")
            self._progress.write("note", level="warning", text=text)

    def _open(self, ledger: book.Ledger) -> int:
        if self._left:
            text = f"release {self._left} was left open: going on from what it had done"
            self._progress.write("note", level="warning", text=text)
        job = {key: value for key, value in self.job.items() if key != "pins"}
        return ledger.open({"format": 1, "job": job, "pins": self.job["pins"]}, labels(self.job))

    def _carry_out(
        self, docker: Docker, lock: Lock, before: Mapping[int, Any], found: Comparison, pool: ThreadPoolExecutor
    ) -> tuple[str, str]:
        where = book.position(book.labels_of(before))
        left = [name for name, unit in found.units.items() if int(release_of(unit.live) or 0) > where.source]
        metrics = Metrics(self.job, self._progress, pool, left if self._left else ())
        self._release = release = Release(
            docker, self.job, found, self._progress, pool,
            number=self._number, resumed=bool(self._left), stop=(self._folder / "stop").exists, beat=lock.beat,
            metrics=metrics,
        )  # fmt: skip
        release.announce()
        verdict, summary = release.run()
        if verdict in ("done", "unchanged"):
            return verdict, summary
        if self.job.get("on_failure", "take-back") != "take-back":
            return verdict, summary
        return self._return(docker, lock, before, verdict, summary, pool)

    def _return(
        self, docker: Docker, lock: Lock, before: Mapping[int, Any], verdict: str, summary: str, pool: Executor
    ) -> tuple[str, str]:
        """Take back what was touched. Out: verdict and summary of the whole."""
        assert self._release is not None  # noqa: S101 (it has just failed)
        where = book.position(book.labels_of(before))
        manifest = before.get(where.number) or before.get(where.source)
        if manifest is None:
            first = "this is the first release: there is nothing to go back to, what is healthy stays"
            return verdict, f"{summary}; {first}"
        units = self._release.units.values()
        foreign, half = {unit.name for unit in units if unit.foreign}, self._half_written()
        names = touched(self.job, docker.services(), where) | {unit.name for unit in units if unit.touched}
        names -= foreign
        if not names:
            self._back = None if half else TakenBack(where.number)
            return verdict, summary if half else f"{summary}; nothing had been changed"
        old = book.manifest(manifest)
        self._back = take_back(
            docker, way_back(self.job, old, names), old["pins"], where, self._progress, pool, lock.beat
        )
        summary = f"{summary}; {self._back.summary(str(self.job.get('environment', '')))}"
        if not self._back.verified:
            return ("conflict" if verdict == "conflict" else "unhealthy"), summary
        return ("rolled-back" if verdict in ("unhealthy", "failed") else verdict), summary

    def _half_written(self) -> list[str]:
        """The services that we wrote and somebody else then wrote again: neither's, and left so."""
        units = self._release.units.values() if self._release else []
        return [unit.name for unit in units if unit.foreign and unit.touched]

    def _record(self, verdict: str, summary: str, before: book.Releases) -> dict[str, str]:
        """The labels of how it ended; `before`: the releases there were."""
        release = self._release
        back = self._back if self._back and self._back.verified and not self._half_written() else None
        kept = {
            "result": verdict,
            "verdict": "rolled back" if back else VERDICTS.get(verdict, "failed"),
            "finished": _now(),
            "summary": harmless(summary)[:LONGEST_SUMMARY],
            "changed": ",".join(release.outcome()["changed"]) if release else "",
            "times": json.dumps(release.times(), separators=(",", ":")) if release else "{}",
            "seconds": str(round(release.seconds, 1)) if release else "0",
        }
        if verdict == "interrupted":
            kept["verdict"] = "interrupted"
        mine = {"action": str(self.job.get("action", "")), **kept}
        kept[textfile.TOTALS] = textfile.counted({**before, self._number: mine})
        return {**kept, **({"taken_back_to": str(back.to)} if back else {})}


def _is_open(labels: Mapping[str, str]) -> bool:
    return labels.get("verdict") == "running"


def labels(job: Job) -> dict[str, str]:
    """Who, what and when, as the labels of lock and ledger."""
    by = job.get("by") or {}
    return {
        "job": job["id"],
        "environment": str(job.get("environment", "")),
        "action": str(job.get("action", "")),
        "user": str(by.get("user", "")),
        "host": str(by.get("host", "")),
        "reason": str(by.get("message", "")),
        "git": str(by.get("git", "")),
        "dirty": "yes" if by.get("dirty") else "",
        "git_time": str(by.get("git_time") or ""),
        "tool": str(by.get("tool", "")),
        "catalogue": str(job.get("catalogue", "")),
        "target": str(job.get("target") or ""),
        "started": _now(),
    }


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
