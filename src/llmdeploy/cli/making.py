"""From the resolved environment to the job and the rendered run directory."""

from __future__ import annotations

import getpass
import secrets
import socket
import subprocess
import time
from pathlib import Path

from llmdeploy import __version__
from llmdeploy.cli.connection import Connection
from llmdeploy.config.units import parse_duration
from llmdeploy.errors import UsageError
from llmdeploy.release.job import By, Job, build_job
from llmdeploy.render.images import service_images
from llmdeploy.render.rundir import RunDirectory, render


def make_job(connection: Connection, *, action: str, message: str = "", limit_time: str | None = None) -> Job:
    """The job that brings the environment to its configured state; `limit_time` overrides its deadline."""
    env = connection.env
    job = build_job(
        env.settings,
        environment=env.name,
        action=action,
        job_id=f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}",
        by=who(env.project.root, message),
        images=service_images(env),
        edge_host=connection.edge_host,
    )
    if limit_time is not None:
        job["deadline"] = limit(limit_time)
    return job


def limit(text: str) -> float:
    """The seconds that `--limit-time` gives."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--limit-time {text}: {error}") from None


def rendered(connection: Connection, job: Job, *, full: bool = False) -> RunDirectory:
    """Everything the playbooks need, in the run's private folder."""
    return render(connection.env, connection.path, job, connection.reach(), full=full)


def who(root: Path, message: str) -> By:
    """Who does this, from where, at which revision of the project."""
    revision = _git(root, "rev-parse", "--short=12", "HEAD")
    changed = bool(revision) and bool(_git(root, "status", "--porcelain"))
    return By(getpass.getuser(), socket.gethostname(), message, __version__, revision, changed)


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
