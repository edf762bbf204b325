"""From the resolved environment to the job and the rendered run directory."""

from __future__ import annotations

import getpass
import secrets
import socket
import subprocess
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from llmdeploy import __version__
from llmdeploy.cli.connection import Connection
from llmdeploy.config.units import parse_duration
from llmdeploy.errors import UsageError
from llmdeploy.release.job import By, Job, build_job
from llmdeploy.render.edge import edge_config
from llmdeploy.render.files import file_names
from llmdeploy.render.images import service_images
from llmdeploy.render.rundir import RunDirectory, render


def make_job(
    connection: Connection,
    *,
    action: str,
    message: str = "",
    deadline: float | None = None,
    on_failure: str = "take-back",
    canary: bool = False,
) -> Job:
    """The job that brings the environment to its configured state; `deadline` overrides its own."""
    env = connection.env
    job = build_job(
        env.settings,
        environment=env.name,
        action=action,
        job_id=new_id(),
        by=who(env.project.root, message),
        images=service_images(env),
        edge_host=connection.edge_host,
        edge_config=edge_config(env.settings, connection.sealed.tls),
        secrets=connection.sealed.names,
        tls=connection.sealed.tls,
        files=file_names(env),
        on_failure=on_failure,
        canary=canary,
    )
    return limited(job, deadline)


def limited(job: Job, deadline: float | None) -> Job:
    """The job with the deadline that `--limit-time` gives, if it was given."""
    return job if deadline is None else {**job, "deadline": deadline}


def new_id() -> str:
    """A job's name: when, and something that makes it the only one."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def limit(text: str) -> float:
    """The seconds that `--limit-time` gives."""
    return duration("--limit-time", text)


def durations(limit_time: str | None, wait: str | None) -> tuple[float | None, float | None]:
    """The seconds that `--limit-time` and `--wait` give, where they were given. Raises UsageError."""
    return limit(limit_time) if limit_time else None, duration("--wait", wait) if wait else None


def duration(option: str, text: str) -> float:
    """The seconds that an option gives. Raises UsageError."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from None


def rendered(
    connection: Connection,
    job: Job,
    *,
    full: bool = False,
    services: Collection[str] | None = None,
    kept_pins: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> RunDirectory:
    """Everything the playbooks need, in the run's private folder; `services`: only these get new images; `more`:
    further variables for all hosts."""
    return render(
        connection.env,
        connection.path,
        job,
        connection.reach(),
        full=full,
        services=services,
        kept_pins=kept_pins or {},
        secrets=connection.sealed.values,
        more=more or {},
    )


def who(root: Path, message: str) -> By:
    """Who does this, from where, at which revision of the project."""
    revision = _git(root, "rev-parse", "--short=12", "HEAD")
    changed = bool(revision) and bool(_git(root, "status", "--porcelain"))
    # Plumbing, which no setting of the user's makes say anything else: `TIME HASH`.
    moment = _git(root, "rev-list", "--max-count=1", "--timestamp", "HEAD").partition(" ")[0] if revision else ""
    committed = int(moment) if moment.isdecimal() else 0
    return By(getpass.getuser(), socket.gethostname(), message, __version__, revision, changed, committed)


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
