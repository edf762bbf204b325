"""Releases under way, seen from anywhere: find the newest, follow its progress, ask it to stop."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from llmdeploy.cluster.access import Access
from llmdeploy.cluster.remote import explain, on_all, run, run_script
from llmdeploy.errors import LlmdeployError

JOBS = "/var/lib/llmdeploy/jobs"

_NEWEST = f"""
def rank(folder):
    refused = any(line["kind"] == "end" and line["verdict"] == "locked" for line in read(folder)[0])
    return alive(folder), not refused, (folder / "job.json").stat().st_mtime

folder = max((path.parent for path in Path({JOBS!r}).glob("*/job.json")), key=rank, default=None)
job = json.loads((folder / "job.json").read_text()) if folder else {{}}
found = {{"id": job.get("id", ""), "by": job.get("by", {{}}), "action": job.get("action", "")}}
found |= {{"stack": job.get("stack", ""), "alive": bool(folder) and alive(folder)}}
found |= {{"started": (folder / "job.json").stat().st_mtime if folder else 0.0}}
print(json.dumps(found))
"""
# Only one makes the folder of a job: the engine's `prepare`, or this, and then the engine refuses to begin.
_STOP = """
umask 077; mkdir -p {jobs}; if mkdir {folder} 2>/dev/null; then echo new; else echo begun; fi; touch {folder}/stop
"""
_FOLLOW = """
folder, done = Path({folder!r}), False
while not done:
    for line in follow(folder, {viewer!r}, 2.0):
        print(json.dumps(line), flush=True)
        done = done or line["kind"] == "end"
(folder / ("viewer." + {viewer!r})).unlink(missing_ok=True)
"""


@dataclass(frozen=True)
class Running:
    """A release and where its engine is: `alive` is False when it has ended."""

    access: Access
    job: dict[str, Any]

    @property
    def alive(self) -> bool:
        """Whether the engine is working on it now."""
        return bool(self.job["alive"])

    @property
    def folder(self) -> str:
        """The job's folder on its manager."""
        return f"{JOBS}/{self.job['id']}"


def newest(managers: Sequence[Access]) -> Running | None:
    """The release under way, else the newest that ended (one that was locked out only when there is no other).

    None when there never was one.

    Raises the error of a manager when none of them can be asked.
    """
    answers = on_all(managers, lambda access: json.loads(run_script(access, _progress() + _NEWEST)))
    found = [
        Running(access, job)
        for access in managers
        if not isinstance(job := answers[access.host], LlmdeployError) and job["id"]
    ]
    if not found and all(isinstance(answer, LlmdeployError) for answer in answers.values()):
        raise next(answer for answer in answers.values() if isinstance(answer, LlmdeployError))
    return max(found, key=lambda one: (one.alive, one.job["started"]), default=None)


class Follower:
    """The release's progress lines from its beginning, as they are written, up to its `end` line.

    Iterate once; `close` ends it, from any thread. Raises UnreachableError or LlmdeployError when the host does not
    give them.
    """

    def __init__(self, running: Running, viewer: str) -> None:
        self._access, self._closed = running.access, False
        text = _progress() + _FOLLOW.format(folder=running.folder, viewer=viewer)
        self._process = subprocess.Popen(
            self._access.command(["python3", "-I", "-"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: what a person is asked then goes on being told
        )
        assert self._process.stdin is not None  # noqa: S101 (asked for above)
        with suppress(BrokenPipeError):  # it has ended already: its exit code says why
            self._process.stdin.write(self._access.prefix() + text.encode())
            self._process.stdin.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None  # noqa: S101
        assert self._process.stderr is not None  # noqa: S101
        for line in self._process.stdout:
            if line.startswith(b"{"):
                yield json.loads(line)
        if self._process.wait() and not self._closed:
            said = self._process.stderr.read().decode(errors="replace")
            raise explain(self._access, self._process.returncode, said)

    def close(self) -> None:
        """Ends it; the release goes on."""
        self._closed = True
        self._process.kill()
        self._process.wait()


def follow(running: Running, viewer: str) -> Iterator[dict[str, Any]]:
    """The lines of `Follower`."""
    with closing(Follower(running, viewer)) as lines:
        yield from lines


def request_stop(running: Running) -> bool:
    """Asks the engine to stop and to take back what it has done, or never to begin. Out: whether it had begun.

    What Ansible has sent to a host runs on when Ansible is ended: an engine that has not begun may still do so.
    """
    text = _STOP.format(jobs=JOBS, folder=running.folder)
    return run(running.access, ["sh", "-c", text]).strip() == "begun"


def _progress() -> str:
    return files("llmdeploy.engine").joinpath("progress.py").read_text(encoding="utf-8")
