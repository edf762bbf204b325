"""Where the log of a run is kept, and how it is called."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from llmdeploy.release.job import Job
from llmdeploy.run.log import RunLog


def open_log(job: Job, redact: Callable[[str], str] = str) -> RunLog:
    """The log of the run that carries out `job`, one file per run; `redact` takes secrets out of every line."""
    return RunLog(log_folder() / str(job["environment"]), f"{job['id']}-{job['action']}", redact=redact)


def log_folder() -> Path:
    """`$XDG_STATE_HOME/llmdeploy/logs`, by default under ~/.local/state."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "llmdeploy" / "logs"
