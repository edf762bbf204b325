"""The real programs of Prometheus' family for tests: Debian's packages, unpacked into the cache, installed nowhere."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import paths
from tests.lab.shell import as_root

# What a program is called here → Debian's package, and the program's name there.
PROGRAMS = {
    "prometheus": ("prometheus", "prometheus"),
    "promtool": ("prometheus", "promtool"),
    "alertmanager": ("prometheus-alertmanager", "prometheus-alertmanager"),
    "amtool": ("prometheus-alertmanager", "amtool"),
    "blackbox_exporter": ("prometheus-blackbox-exporter", "prometheus-blackbox-exporter"),
    "node_exporter": ("prometheus-node-exporter", "prometheus-node-exporter"),
}


def program(name: str) -> Path:
    """The program `name` of PROGRAMS, fetched once for all tests. Raises CalledProcessError without a mirror."""
    package, binary = PROGRAMS[name]
    folder = paths.cache() / "programs" / package
    if not folder.exists():
        with _alone(package):
            if not folder.exists():
                _unpack(package, folder)
    return folder / "usr" / "bin" / binary


def libraries(binary: Path) -> list[Path]:
    """The shared libraries that `binary` is run with, the loader included."""
    said = subprocess.run(["ldd", binary], capture_output=True, text=True, timeout=20, check=False).stdout
    return [Path(found) for found in re.findall(r"(?:=> )?(/\S+) \(0x", said)]


def _unpack(package: str, folder: Path) -> None:
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    if _apt("download", package, cwd=fresh).returncode != 0:  # nobody has asked for the lists on this machine yet
        subprocess.run(as_root("apt-get", "-qq", "update"), check=True, timeout=300)
        _apt("download", package, cwd=fresh).check_returncode()
    (archive,) = fresh.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", archive, fresh], check=True, timeout=120)
    archive.unlink()
    fresh.rename(folder)


def _apt(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    options = ["-qq", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3"]
    return subprocess.run(
        ["apt-get", *options, *words], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


@contextmanager
def _alone(package: str) -> Iterator[None]:
    """Lets one process at a time fetch this package."""
    with (paths.cache() / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for known in PROGRAMS:
        program(known)
