"""Makes sure that this machine has a Docker engine that answers, and the tools that build roots."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from tests.lab import paths
from tests.lab.shell import LabError, as_root, docker, run

TOOLS = {"mmdebstrap": "mmdebstrap", "ssh": "openssh-client", "ssh-keygen": "openssh-client"}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
START_DEADLINE = 60.0


def ensure_engine() -> None:
    """Install what is missing and start the engine where it does not answer; quick when all is there."""
    answers = shutil.which("docker") is not None and _answers()
    _install(_missing(engine=not answers))
    if not answers and not _answers():
        _start()


def _missing(*, engine: bool) -> set[str]:
    packages = {package for command, package in TOOLS.items() if shutil.which(command) is None}
    if not KEYRING.exists():  # other distributions do not know Debian's signing keys
        packages.add("debian-archive-keyring")
    if engine and shutil.which("dockerd", path="/usr/sbin:/sbin:/usr/bin:/usr/local/bin") is None:
        packages.add("docker.io")
    return packages


def _install(packages: set[str]) -> None:
    if packages:
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *sorted(packages))
    if shutil.which("docker") is None:  # a package of its own since Debian 13
        _apt("install", "--yes", "--no-install-recommends", "docker-cli")


def _apt(*arguments: str) -> None:
    run(as_root("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", *arguments), timeout=900)


def _answers() -> bool:
    return docker("version", "--format", "{{.Server.Version}}", check=False, timeout=30).returncode == 0


def _start() -> None:
    """Start the engine by systemd, by its init script, or by hand, whichever works first."""
    if Path("/run/systemd/system").is_dir():
        run(as_root("systemctl", "start", "docker"))
    # The init script raises its limits first, which a container without CAP_SYS_RESOURCE refuses.
    elif run(as_root("service", "docker", "start"), check=False).returncode != 0:
        _start_by_hand()
    deadline = time.monotonic() + START_DEADLINE
    while not _answers():
        if time.monotonic() > deadline:
            raise LabError(f"the Docker engine does not answer after {START_DEADLINE:g} s")
        time.sleep(0.3)


def _start_by_hand() -> None:
    with (paths.cache() / "dockerd.log").open("ab") as log:
        subprocess.Popen(
            as_root("dockerd"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it outlives this process, and no Ctrl-C reaches it
        )
