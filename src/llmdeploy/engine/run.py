"""One job from its folder: lock, comparison, ledger, release, verdict. Survives whoever started it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import traceback
from collections.abc import Mapping
from concurrent.futures.thread import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

from . import detach
from .api import ConflictError, Docker, DockerError
from .checks import PARALLEL
from .compare import RefusedError, Unit, compare
from .ledger import Ledger
from .lock import Lock, LockedError
from .progress import Progress, alive, harmless
from .release import EXITS, Release

KEEP_FOLDERS = 20

Job = dict[str, Any]


class Terminated(BaseException):
    """SIGTERM came: the host goes down, or somebody ended the engine."""


def unchanged(job: Job, pins: Mapping[str, str], *, verify: bool = True, patience: float = 5.0) -> list[Job] | None:
    """The progress lines of a release that has nothing to do, or None when there is something. Writes nothing."""
    began, progress = time.monotonic(), Progress()
    with ThreadPoolExecutor(PARALLEL) as pool:
        docker = Docker(patience)
        found = compare(docker, job, pins)
        release = Release(docker, job, found, progress, pool, number=Ledger(docker, job["stack"]).latest())
        release.announce()
        if not release.quick():
            return None
        verdict, summary = release.run(verify=verify)
    _end(progress, verdict, summary, began, release.outcome())
    return progress.lines


def announced(job: Job, pins: Mapping[str, str]) -> Job:
    """The line that says what a release would do. Writes nothing."""
    docker, progress = Docker(patience=5.0), Progress()
    with ThreadPoolExecutor(1) as pool:
        Release(docker, job, compare(docker, job, pins), progress, pool).announce()
    return progress.lines[0]


def prepare(state_dir: Path, job: Job, pins: Mapping[str, str]) -> Path:
    """Make the folder of a job, readable by root only, and forget all but the newest ones."""
    folder = state_dir / str(job["id"])
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    (folder / "job.json").touch(mode=0o600)
    (folder / "job.json").write_text(json.dumps({**job, "pins": dict(pins)}, indent=1), encoding="utf-8")
    folders = sorted((item for item in state_dir.iterdir() if item.is_dir()), key=lambda item: item.stat().st_mtime)
    for old in folders[:-KEEP_FOLDERS]:
        if not alive(old):
            shutil.rmtree(old, ignore_errors=True)
    return folder


def spawn(folder: Path) -> None:
    """Start the engine on a prepared folder as a process of its own."""
    detach.spawn(folder, run)


def run(folder: Path, lock: int | None = None) -> int:
    """Carry out the job in `folder`, whose locked `pid` may be open as `lock`. Out: the exit code.

    Everything else there is to know is in the progress file, whatever happens.
    """
    began, lock = time.monotonic(), detach.lock_pid(folder) if lock is None else lock
    os.umask(0o077)
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    signal.signal(signal.SIGTERM, _terminate)
    progress = Progress(folder)
    steps = _Run(folder, progress)
    try:
        verdict, summary = steps.result()
    except LockedError as problem:
        verdict, summary = "locked", f"{problem}; `llmdeploy {steps.job['environment']} attach` shows it"
    except ConflictError as problem:
        verdict, summary = "conflict", str(problem)
    except (RefusedError, DockerError) as problem:
        verdict, summary = "failed", str(problem)
    except Terminated:
        verdict, summary = "stopped", "the engine was told to end (SIGTERM); what it had started goes on by itself"
    except BaseException as problem:  # noqa: BLE001 (nobody watches our stderr: the verdict must tell)
        (folder / "traceback").write_text(traceback.format_exc(), encoding="utf-8")
        verdict, summary = "failed", f"the release engine failed: {type(problem).__name__}: {problem}"
    _end(progress, verdict, summary, began, steps.release.outcome() if steps.release else {})
    os.close(lock)
    return EXITS[verdict]


class _Run:
    """The steps of one job under its lock."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder, self._progress = folder, progress
        self.job: Job = {}
        self._before: dict[str, Any] = {}
        self.release: Release | None = None

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

    def _under_lock(self, docker: Docker, lock: Lock) -> tuple[str, str]:
        found = compare(docker, self.job, self.job["pins"])
        ledger, verdict = Ledger(docker, self.job["stack"]), "failed"
        number = self._open(ledger) if found.changed else ledger.latest()
        pool = ThreadPoolExecutor(PARALLEL)
        self.release = release = Release(
            docker, self.job, found, self._progress, pool,
            number=number, stop=(self._folder / "stop").exists, beat=lock.beat, keep=self._keep,
        )  # fmt: skip
        try:
            release.announce()
            verdict, summary = release.run()
        except (ConflictError, Terminated) as problem:
            verdict = "conflict" if isinstance(problem, ConflictError) else "stopped"
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            changed = ",".join(release.outcome()["changed"])
            ledger.close({"verdict": verdict, "finished": _now(), "changed": changed})
        return verdict, summary

    def _open(self, ledger: Ledger) -> int:
        job = {key: value for key, value in self.job.items() if key != "pins"}
        return ledger.open({"format": 1, "job": job, "pins": self.job["pins"]}, labels(self.job))

    def _keep(self, unit: Unit) -> None:
        """Save what a service was before its first write."""
        live = unit.live
        self._before[unit.name] = live and {"version": live["Version"]["Index"], "spec": live["Spec"]}
        (self._folder / "before.json").write_text(json.dumps(self._before), encoding="utf-8")


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
        "started": _now(),
    }


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _end(progress: Progress, verdict: str, summary: str, began: float, outcome: Mapping[str, list[str]]) -> None:
    seconds = round(time.monotonic() - began, 2)
    lists = {key: outcome.get(key, []) for key in ("changed", "done", "untouched")}
    values = {"verdict": verdict, "exit": EXITS[verdict], "summary": harmless(summary), "seconds": seconds}
    progress.write("end", sync=True, **values, **lists)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # tidying up is not to be interrupted
    raise Terminated
