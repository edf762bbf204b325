"""One job from its folder: lock, comparison, ledger, release, verdict. Survives whoever started it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from concurrent.futures.thread import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

from .api import ConflictError, Docker, DockerError
from .checks import PARALLEL
from .compare import Comparison, RefusedError, Unit, compare
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
    """Start the engine on a prepared folder as a process of its own: it outlives this one and the SSH session.

    Everything it needs is imported already, for the place it was imported from is removed when Ansible has gone.
    """
    lock = os.open(folder / "pid", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the child inherits it: `alive` from the first moment on
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os.close(lock)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    code = 1
    try:
        _detach(folder, lock)
        code = run(folder)
    finally:
        os._exit(code)


def run(folder: str | Path) -> int:
    """Carry out the job in `folder`. Out: the exit code; everything else is in its progress file."""
    folder, began = Path(folder), time.monotonic()
    os.umask(0o077)
    _own_pid(folder)
    signal.signal(signal.SIGTERM, _terminate)
    progress = Progress(folder)
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    outcome: dict[str, list[str]] = {}
    try:
        verdict, summary, outcome = _Run(folder, job, progress).result()
    except LockedError as problem:
        verdict, summary = "locked", f"{problem}; `llmdeploy {job.get('environment', 'ENV')} attach` shows it"
    except ConflictError as problem:
        verdict, summary = "conflict", str(problem)
    except (RefusedError, DockerError) as problem:
        verdict, summary = "failed", str(problem)
    except Terminated:
        verdict, summary = "stopped", "the engine was told to end (SIGTERM); what it had started goes on by itself"
    except BaseException as problem:  # noqa: BLE001 (nobody watches our stderr: the verdict must tell)
        (folder / "traceback").write_text(traceback.format_exc(), encoding="utf-8")
        verdict, summary = "failed", f"the release engine failed: {type(problem).__name__}: {problem}"
    _end(progress, verdict, summary, began, outcome)
    return EXITS[verdict]


class _Run:
    """The steps of one job under its lock."""

    def __init__(self, folder: Path, job: Job, progress: Progress) -> None:
        self._folder, self._job, self._progress = folder, job, progress
        self._docker = Docker()
        self._lock = Lock(self._docker, job["stack"], labels(job))
        self._ledger = Ledger(self._docker, job["stack"])
        self._before: dict[str, Any] = {}

    def result(self) -> tuple[str, str, dict[str, list[str]]]:
        """Out: verdict, summary, outcome. The lock is given back whatever happens."""
        verdict, changed = "failed", ""
        try:
            former = self._lock.take()
            if former:
                self._progress.write("note", text=harmless(f"took over the lock of a dead run: {LockedError(former)}"))
            found = compare(self._docker, self._job, self._job["pins"])
            with ThreadPoolExecutor(PARALLEL) as pool:
                release = self._release(found, pool)
                release.announce()
                try:
                    verdict, summary = release.run()
                except ConflictError:
                    verdict = "conflict"
                    raise
                finally:
                    changed = ",".join(release.outcome()["changed"])
            return verdict, summary, release.outcome()
        except Terminated:
            verdict = "stopped"
            raise
        finally:
            try:
                self._ledger.close({"verdict": verdict, "finished": _now(), "changed": changed})
            finally:
                self._lock.release()

    def _release(self, found: Comparison, pool: ThreadPoolExecutor) -> Release:
        number = self._ledger.latest()
        if found.changed:
            pins = self._job["pins"]
            job = {key: value for key, value in self._job.items() if key != "pins"}
            number = self._ledger.open({"format": 1, "job": job, "pins": pins}, labels(self._job))
        return Release(
            self._docker, self._job, found, self._progress, pool,
            number=number, stop=(self._folder / "stop").exists, beat=self._lock.beat, keep=self._keep,
        )  # fmt: skip

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
    raise Terminated


def _own_pid(folder: Path) -> None:
    """Write our pid; the lock on the file (see `progress.alive`) is taken unless `spawn` did."""
    if not alive(folder):
        file = os.open(folder / "pid", os.O_RDWR | os.O_CREAT, 0o600)  # stays open, and locked, as long as we live
        fcntl.flock(file, fcntl.LOCK_EX)
    (folder / "pid").write_text(str(os.getpid()), encoding="utf-8")


def _detach(folder: Path, keep: int) -> None:
    """Let go of everything of the parent but the file `keep`."""
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(folder / "engine.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, target)
    os.closerange(3, keep)
    os.closerange(keep + 1, min(65536, os.sysconf("SC_OPEN_MAX")))
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
