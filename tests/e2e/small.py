"""A small stack on two hosts, for tests of what goes wrong: it is deployed in seconds and broken by settings."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.runs import docker_on, lab_snapshot, tasks
from tests.e2e.stack import COMMAND, LIMIT, MARK, Project, Result, cli, leftovers, ok
from tests.lab import Lab

HOSTS = ("head", "tail")  # the first one is the manager
CATALOGUE = """
stack: small
edge: {build: edge, memory: 256MB}
defaults: {build: demo, memory: 256MB, stop_grace: 3, environment: {DEMO_NOTICE: 0}}
services:
  billing:
    group: tail
    ports: [{number: 8082, protocol: http}]
    health: {interval: 1, start_period: 3}
  rate-limiter:
    group: tail
    ports: [{number: 50051, protocol: grpc, published: true}]
    health: {interval: 1, start_period: 3}
  user-dashboard:
    group: head
    ports: [{number: 3000, protocol: web, published: true}]
    depends_on: [billing]
    health: {interval: 1, start_period: 3}
"""
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>]")


@dataclass(frozen=True)
class Site:
    """A lab with a project for it; `images` are what the hosts have already."""

    lab: Lab
    project: Project
    images: list[str]

    def run(self, words: str, *more: str, env: Mapping[str, str] | None = None) -> Result:
        """Run the command; `more` are `--set` values."""
        return cli(self.project, self.words(words, *more), env)

    def words(self, words: str, *more: str) -> list[str]:
        """The command line: `words`, and each of `more` as a `--set` value."""
        return [*shlex.split(words), *(word for value in more for word in ("--set", value))]

    def inventory(self, text: str = "") -> None:
        """Write staging's inventory: a given text, or the right one."""
        self.project.inventory("staging", text or self.lab.inventory_ini())

    def ready(self) -> None:
        """Bring the stack back to what the files say."""
        ok(self.run("staging deploy --plain"))

    def services(self) -> dict[str, dict[str, str]]:
        """Service → its running tasks with their hosts."""
        return tasks(docker_on(self.lab[HOSTS[0]]))


def make_site(lab: Lab, make_project: MakeProject, make_images: MakeImages, catalogue: str = CATALOGUE) -> Site:
    """A project with the small catalogue, or another one, whose images are on the hosts."""
    project = make_project()
    project.catalogue(catalogue)
    for env in ("dev", "staging", "production"):
        project.settings(env, {})
    project.inventory("staging", lab.inventory_ini())
    images = make_images(project, "staging")
    lab.load(*images)
    return Site(lab, project, images)


@contextmanager
def untouched(site: Site) -> Iterator[None]:
    """Nothing on any host may change meanwhile: services, tasks, containers, locks, releases."""
    before = lab_snapshot(site.lab)
    yield
    assert lab_snapshot(site.lab) == before


# --- a command in a terminal


@dataclass
class Terminal:
    """The command in a terminal of its own, typed at step by step."""

    process: subprocess.Popen[bytes]
    master: int
    run: str
    started: float = field(default_factory=time.monotonic)
    _raw: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # how Linux says that the other side is closed
            while piece := os.read(self.master, 65536):
                self._raw += piece

    @property
    def text(self) -> str:
        """What it has shown so far, without escapes."""
        return _ESCAPES.sub("", self._raw.decode("utf-8", "replace")).replace("\r\n", "\n")

    def wait_for(self, what: str, within: float = 300.0, *, times: int = 1) -> None:
        """Wait until it has shown a text so many times."""
        deadline = time.monotonic() + within
        while self.text.count(what) < times:
            assert self.process.poll() is None, f"it ended without {what!r}:\n{self.text}"
            assert time.monotonic() < deadline, f"not within {within:g} s: {what!r}\n{self.text}"
            time.sleep(0.05)

    def type(self, keys: str) -> None:
        """Press keys; "\\x03" is Ctrl-C."""
        os.write(self.master, keys.encode())

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection does."""
        os.close(self.master)

    def end(self, limit: float = LIMIT) -> Result:
        """Wait for the end."""
        try:
            code = self.process.wait(max(limit - (time.monotonic() - self.started), 1))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError(f"no end after {limit:g} s:\n{self.text}") from None
        self._reader.join(5)
        seconds = time.monotonic() - self.started
        return Result(code, self.text, "", seconds, leftovers(self.run, self.process.pid))


def terminal(project: Project, words: Sequence[str], columns: int = 80) -> Terminal:
    """Start the command in a terminal."""
    run = uuid.uuid4().hex
    master, inner = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", str(COMMAND), *words],
        cwd=project.root,
        env=project.environ({"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "24"}) | {MARK: run},
        stdin=inner,
        stdout=inner,
        stderr=inner,
    )
    os.close(inner)
    return Terminal(process, master, run)


# --- a command that must not reach any host


def without_hosts(folder: Path) -> tuple[dict[str, str], Callable[[], bool]]:
    """An environment in which every use of ssh leaves a trace, and what tells whether there is one."""
    trace = folder / "ssh-was-used"
    for name in ("ssh", "scp", "sftp"):
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "$@" >>{trace}\nexit 255\n')
        program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}, trace.exists


def failures(result: Result) -> list[dict[str, Any]]:
    """The failures that `--json` told."""
    return result.events("failure")
