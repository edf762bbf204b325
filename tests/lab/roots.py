"""Builds the root file systems of the hosts, once per recipe."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import paths
from tests.lab.shell import LabError, as_root, docker

BASE = ("python3", "sudo", "openssh-server", "iproute2", "ca-certificates", "curl", "procps", "kmod")
ENGINE = ("docker.io", "crun", "python3-docker", "iptables")
OPTIONS = (
    "--variant=minbase",
    "--aptopt=Acquire::Retries 3",
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)


@dataclass(frozen=True)
class Recipe:
    """What one root is made of; its tag changes with every part of it."""

    name: str
    suite: str
    packages: tuple[str, ...]
    options: tuple[str, ...] = OPTIONS
    is_host: bool = True

    @property
    def tag(self) -> str:
        """Return the image's name, with a hash of everything that the root is made of."""
        parts = [self.suite, *self.packages, *self.options]
        if self.is_host:
            parts += [script.read_text() for script in sorted(paths.SCRIPTS.iterdir())]
        return f"llmlab/{self.name}:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]}"

    def command(self) -> list[str]:
        """Return the command that writes the root as a tar to its standard output."""
        hooks = [
            f"--customize-hook=upload {paths.SCRIPTS / 'setup.sh'} /root/setup.sh",
            f"--customize-hook=upload {paths.SCRIPTS / 'boot.sh'} /usr/local/sbin/lab-boot",
            '--customize-hook=chroot "$1" sh /root/setup.sh',
            '--customize-hook=chmod 0755 "$1/usr/local/sbin/lab-boot"',
            '--customize-hook=rm "$1/root/setup.sh"',
        ]
        include = f"--include={','.join(self.packages)}"
        return as_root("mmdebstrap", *self.options, include, *(hooks if self.is_host else []), self.suite, "-")


HOST = Recipe("host", "bookworm", BASE + ENGINE)
BARE = Recipe("bare", "bookworm", BASE)
TRIXIE = Recipe("trixie", "trixie", (*BASE, *ENGINE, "docker-cli"))
TRIXIE_BARE = Recipe("trixie-bare", "trixie", BASE)
# A shell, an HTTP server, wget, nslookup: a service for tests that is quickly loaded everywhere
# (2 MB). Its wget 1.35 crashes with `-T`: write `timeout 3 wget`.
TINY = Recipe(
    "tiny",
    "bookworm",
    ("busybox-static",),
    ("--variant=extract", '--extract-hook=chroot "$1" /bin/busybox --install -s /bin'),
    is_host=False,
)
# HAProxy as the edge's image has it.
EDGE = Recipe("edge", "bookworm", ("haproxy",), is_host=False)


def choose(*, bare: bool, trixie: bool) -> Recipe:
    """Return the recipe of a host with or without Docker, of Debian 12 or 13."""
    if trixie:
        return TRIXIE_BARE if bare else TRIXIE
    return BARE if bare else HOST


def ensure(recipe: Recipe) -> str:
    """Return the tag of the recipe's image, after building or loading it where it is not there."""
    tag = recipe.tag
    if _exists(tag):
        return tag
    with _alone(tag):
        if not _exists(tag):
            _load(recipe, _build(recipe))
    return tag


def _exists(tag: str) -> bool:
    return docker("image", "inspect", "--format", "{{.Id}}", tag, check=False).returncode == 0


def _file(tag: str, ending: str) -> Path:
    return paths.roots() / f"{tag.removeprefix('llmlab/').replace(':', '-')}.{ending}"


@contextmanager
def _alone(tag: str) -> Iterator[None]:
    """Let one process at a time build this root."""
    with _file(tag, "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(recipe: Recipe) -> Path:
    tar = _file(recipe.tag, "tar")
    if tar.exists():
        return tar
    part, log = tar.with_suffix(".part"), tar.with_suffix(".log")
    with part.open("wb") as out, log.open("wb") as err:
        done = subprocess.run(
            recipe.command(), check=False, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=900
        )
    if done.returncode != 0:
        part.unlink()
        last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise LabError(f"mmdebstrap could not build the root {recipe.name}; {log}:\n{last}")
    part.rename(tar)
    return tar


def _load(recipe: Recipe, tar: Path) -> None:
    start = "/usr/local/sbin/lab-boot" if recipe.is_host else "/bin/sh"
    docker("import", "--change", f'CMD ["{start}"]', str(tar), recipe.tag, timeout=600)
