#!/usr/bin/python
"""Install, set up and start Docker."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine.host import STATE, SYSTEMD, Engine, EngineError

DOCUMENTATION = r"""
---
module: llmdeploy_docker
short_description: Install, set up and start Docker
description:
  - Installs Docker, its command and its Python library where they are missing, from the distribution.
  - Merges the rotation of container logs into C(/etc/docker/daemon.json) and keeps every other key.
  - Starts Docker, with systemd or without, and waits until it answers.
  - Makes the folders of llmdeploy, and at last notes O(note) in C(/var/lib/llmdeploy/host.json).
options:
  install:
    description: Whether packages may be installed.
    type: bool
    default: true
  log_max_size:
    description: Size at which the log of a container is rotated.
    type: str
    required: true
  log_max_file:
    description: How many rotated logs of a container are kept.
    type: int
    required: true
  note:
    description: What to keep on the host; by its fingerprint the next deployment sees that nothing is left to do.
    type: dict
    required: true
  deadline:
    description: Seconds for all of it.
    type: int
    default: 600
author:
  - llmdeploy
"""

EXAMPLES = r"""
- name: Install, set up and start Docker
  llmdeploy_docker:
    log_max_size: 10m
    log_max_file: 3
    note: {fingerprint: 4f7f, stack: llm}
"""

RETURN = r"""
installed:
  description: The packages that were installed.
  returned: always
  type: list
started:
  description: How Docker was started (systemctl, service, dockerd), empty when it ran already.
  returned: always
  type: str
restarted:
  description: Whether Docker was restarted for its new settings.
  returned: always
  type: bool
notes:
  description: What somebody should know.
  returned: always
  type: list
version:
  description: The version of Docker.
  returned: always
  type: str
"""


SETTINGS = Path("/etc/docker/daemon.json")
LOG = Path("/var/log/docker.log")
PID = Path("/var/run/docker.pid")
NO_STARTS = Path("/usr/sbin/policy-rc.d")
ROTATING = ("json-file", "local")
START_WAIT, FALLBACK_WAIT, STOP_WAIT, HUNG_AFTER = 60.0, 8.0, 40.0, 30.0
FOLDERS = {
    "/opt/llmdeploy/bin": 0o755,
    "/opt/llmdeploy/edge/run": 0o755,
    "/var/lib/llmdeploy": 0o700,
    "/var/lib/llmdeploy/metrics": 0o755,
}
ENVIRONMENT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "NEEDRESTART_SUSPEND": "1"}


class Docker:
    """Docker on this host, from nothing to answering."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.end = time.monotonic() + module.params["deadline"]
        self.installed: list[str] = []
        self.notes: list[str] = []
        self.started = ""
        self.restarted = False

    def run(self) -> dict[str, Any]:
        """Do what is missing."""
        self.install()
        new_settings = self.settings()
        version = self.version()
        if not version:
            version = self.start()
        elif new_settings:
            version = self.restart()
        changed = any((self.installed, self.started, new_settings, make_folders(), keep(self.module.params["note"])))
        return {
            "changed": changed,
            "installed": self.installed,
            "started": self.started,
            "restarted": self.restarted,
            "notes": self.notes,
            "version": version,
        }

    # --- packages

    def install(self) -> None:
        """Install what is missing; Docker of another source (docker-ce) counts as there."""
        wanted = self._missing()
        if not wanted:
            return
        if not self.module.params["install"]:
            self.fail(f"missing: {', '.join(wanted)}", "install it, or set docker.install: true")
        if not shutil.which("apt-get"):
            self.fail("there is no apt-get to install Docker with", "install Docker on the host by hand")
        self._apt("update")
        if "docker.io" in wanted and self._known("docker-cli"):  # a package of its own since Debian 13
            wanted.append("docker-cli")
        self._apt("install", "--yes", "--no-install-recommends", *wanted)
        self.installed = wanted

    def _missing(self) -> list[str]:
        wanted = []
        if not shutil.which("dockerd"):
            wanted += ["docker.io", "iptables", "ca-certificates"]
            enabled = Path("/sys/module/apparmor/parameters/enabled")
            if enabled.exists() and enabled.read_text().startswith("Y"):
                wanted.append("apparmor")
        elif not shutil.which("docker"):
            wanted.append("docker-cli")
        if importlib.util.find_spec("docker") is None:
            wanted.append("python3-docker")
        return wanted

    def _known(self, package: str) -> bool:
        found = self.command(["apt-cache", "show", "--no-all-versions", package], check=False)
        return found.returncode == 0 and bool(found.stdout)

    def _apt(self, *arguments: str) -> None:
        options = ["-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3", "-o", "APT::Color=0"]
        # Without systemd the packages' own start scripts may fail and leave them half installed: we start Docker.
        quiet = not SYSTEMD.is_dir() and not NO_STARTS.exists()
        if quiet:
            NO_STARTS.write_text("#!/bin/sh\nexit 101\n")
            NO_STARTS.chmod(0o755)
        try:
            done = self.command(["apt-get", *options, *arguments], check=False)
        finally:
            if quiet:
                NO_STARTS.unlink()
        if done.returncode != 0:
            hint = "does the host reach its package mirror? try the same there by hand"
            self.fail(f"apt-get {' '.join(arguments)} failed:\n{last_lines(done.stdout + done.stderr, 12)}", hint)

    # --- settings

    def settings(self) -> bool:
        """Merge the log rotation into daemon.json; say whether that changed it."""
        try:
            present = json.loads(SETTINGS.read_text()) if SETTINGS.exists() else {}
        except ValueError as error:
            self.fail(f"{SETTINGS} is not valid JSON ({error})", "correct it; it was not touched")
        driver = present.get("log-driver", ROTATING[0])
        if driver not in ROTATING:
            self.notes.append(f"containers log to {driver} ({SETTINGS}): the rotation is left to it")
            return False
        options = {
            **(present.get("log-opts") or {}),
            "max-size": self.module.params["log_max_size"],
            "max-file": str(self.module.params["log_max_file"]),
        }
        merged = {**present, "log-driver": driver, "log-opts": options}
        if merged == present:
            return False
        SETTINGS.parent.mkdir(mode=0o755, exist_ok=True)
        new = SETTINGS.with_suffix(".json.new")
        new.write_text(json.dumps(merged, indent=2) + "\n")
        new.replace(SETTINGS)
        return True

    # --- life

    def version(self) -> str:
        """The version of the Docker that answers, else an empty string."""
        try:
            return str(Engine(timeout=5).call("GET", "/version")["Version"])
        except EngineError:
            return ""

    def start(self) -> str:
        """Start Docker the way this host starts things."""
        if process():  # it comes up, or goes down, or hangs
            version = self.wait(HUNG_AFTER, while_it=process)
            if version or process():
                return version or self.hung()
        if SYSTEMD.is_dir():
            self.started = "systemctl"
            self.command(["systemctl", "enable", "docker"], check=False)
            self.command(["systemctl", "start", "docker"], check=False)
            return self.wait(START_WAIT) or self.not_started(["journalctl", "-u", "docker", "-n", "15", "--no-pager"])
        self.started = "service"
        if self.command(["service", "docker", "start"], check=False).returncode == 0:
            version = self.wait(FALLBACK_WAIT) or (self.wait(START_WAIT) if process() else "")
            if version:
                return version
        self.started = "dockerd"  # an init script raises limits, which not every host allows
        PID.unlink(missing_ok=True)
        with LOG.open("ab") as log:
            subprocess.Popen(
                ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        return self.wait(START_WAIT) or self.not_started(["tail", "-n", "15", str(LOG)])

    def restart(self) -> str:
        """Restart Docker for new settings, but never under running containers."""
        running = len(Engine().call("GET", "/containers/json"))
        if running:
            self.notes.append(
                f"the log rotation in {SETTINGS} holds for new containers after the next restart of Docker; "
                f"it was not restarted, because {running} containers run"
            )
            return self.version()
        self.restarted = True
        if SYSTEMD.is_dir():
            self.command(["systemctl", "restart", "docker"], check=False)
            return self.wait(START_WAIT) or self.not_started(["journalctl", "-u", "docker", "-n", "15", "--no-pager"])
        self._stop()
        return self.start()

    def _stop(self) -> None:
        self.command(["service", "docker", "stop"], check=False)
        pid = process() if self.version() else 0
        if pid:
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + STOP_WAIT
        while process() and time.monotonic() < end:  # it stops answering long before it is gone
            time.sleep(0.2)

    def wait(self, seconds: float, while_it: Callable[[], Any] = lambda: True) -> str:
        """The version as soon as Docker answers; an empty string after the deadline, or when `while_it` is over."""
        end = min(time.monotonic() + seconds, self.end)
        while time.monotonic() < end and while_it():
            version = self.version()
            if version:
                return version
            time.sleep(0.2)
        return ""

    def hung(self) -> NoReturn:
        """Say that Docker runs and does not answer; killing it is not ours to decide."""
        restart = "systemctl restart docker" if SYSTEMD.is_dir() else "stop that process and start Docker again"
        self.fail(f"Docker runs (process {process()}) but does not answer", f"on this host: {restart}")

    def not_started(self, log: list[str]) -> NoReturn:
        """Say that Docker does not come up, with the end of its log."""
        said = last_lines(self.command(log, check=False).stdout, 8)
        self.fail(f"Docker was started ({self.started}) but does not answer; its log ends with:\n{said}", " ".join(log))

    # --- tools

    def command(self, argv: list[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command within what is left of the deadline."""
        left = max(1.0, self.end - time.monotonic())
        try:
            return subprocess.run(
                argv,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=left,
                check=check,
                stdin=subprocess.DEVNULL,
                env=ENVIRONMENT,
            )
        except subprocess.TimeoutExpired:
            self.fail(f"{' '.join(argv[:6])}: no end after {left:.0f} s", "try the same on the host by hand")
        except FileNotFoundError as error:
            return subprocess.CompletedProcess(argv, 127, "", str(error))

    def fail(self, message: str, hint: str) -> NoReturn:
        """End the module."""
        self.module.fail_json(msg=f"{message}\n→ {hint}", hint=hint, notes=self.notes)
        raise SystemExit(1)  # fail_json does not return


def process() -> int:
    """The number of the Docker process that runs, 0 if there is none."""
    try:
        pid = int(PID.read_text())
        return pid if Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd" else 0
    except (OSError, ValueError):
        return 0


def make_folders() -> bool:
    """Make what is missing; whether anything was."""
    missing = [Path(path) for path in FOLDERS if not Path(path).is_dir()]
    for path in missing:
        path.mkdir(mode=FOLDERS[str(path)], parents=True)
    return bool(missing)


def keep(note: dict[str, Any]) -> bool:
    """Write the note; whether it is a new one."""
    text = json.dumps(note, sort_keys=True) + "\n"
    if STATE.exists() and STATE.read_text() == text:
        return False
    new = STATE.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(STATE)
    return True


def last_lines(text: str, count: int) -> str:
    """The last lines that are not empty, none of them too long to read."""
    return "\n".join([line[:200] for line in text.splitlines() if line.strip()][-count:])


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "install": {"type": "bool", "default": True},
            "log_max_size": {"type": "str", "required": True},
            "log_max_file": {"type": "int", "required": True},
            "note": {"type": "dict", "required": True},
            "deadline": {"type": "int", "default": 600},
        }
    )
    module.exit_json(**Docker(module).run())


if __name__ == "__main__":
    main()
