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
from .attempt import EXITS, Attempt, Job, Terminated, must_be_recorded
from .checks import PARALLEL
from .compare import RefusedError, compare
from .ledger import Ledger, labels_of
from .lock import LockedError, LostError
from .progress import Progress, alive, harmless
from .release import Release

KEEP_FOLDERS = 20


def unchanged(job: Job, pins: Mapping[str, str], *, verify: bool = True, patience: float = 5.0) -> list[Job] | None:
    """The progress lines of a release that has nothing to do, or None when there is something. Writes nothing."""
    began, progress = time.monotonic(), Progress()
    with ThreadPoolExecutor(PARALLEL) as pool:
        docker = Docker(patience)
        found, known = compare(docker, job, pins), labels_of(Ledger(docker, job["stack"]).read())
        release = Release(docker, job, found, progress, pool, number=max(known, default=0))
        release.announce()
        if must_be_recorded(known) or not release.quick():
            return None
        verdict, summary = release.run(verify=verify)
    _end(progress, verdict, summary, began, {**release.outcome(), "number": max(known, default=0)})
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
    attempt = Attempt(folder, progress)
    try:
        verdict, summary = attempt.result()
    except LockedError as problem:
        verdict, summary = "locked", f"{problem}; `llmdeploy {attempt.job['environment']} attach` shows it"
    except (ConflictError, LostError) as problem:
        verdict, summary = "conflict", str(problem)
    except (RefusedError, DockerError) as problem:
        verdict, summary = "failed", str(problem)
    except Terminated:
        verdict, summary = "stopped", "the engine was told to end (SIGTERM); what it had started goes on by itself"
    except BaseException as problem:  # noqa: BLE001 (nobody watches our stderr: the verdict must tell)
        (folder / "traceback").write_text(traceback.format_exc(), encoding="utf-8")
        verdict, summary = "failed", f"the release engine failed: {type(problem).__name__}: {problem}"
    _end(progress, verdict, summary, began, attempt.told())
    os.close(lock)
    return EXITS[verdict]


def _end(progress: Progress, verdict: str, summary: str, began: float, told: Mapping[str, Any]) -> None:
    seconds = round(time.monotonic() - began, 2)
    values = {"verdict": verdict, "exit": EXITS[verdict], "summary": harmless(summary), "seconds": seconds}
    nothing: Mapping[str, Any] = {
        "number": 0, "changed": [], "done": [], "untouched": [], "taken_back": None, "dropped": [],
    }  # fmt: skip
    progress.write("end", sync=True, **values, **{**nothing, **told})


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # tidying up is not to be interrupted
    raise Terminated
