"""What a host's Docker has from the beginning: the data of an engine that has loaded the images once.

To load them costs a host a dozen seconds of a processor; to link the files of an engine that has them costs a half.
Nobody writes to the files of a layer again, and Docker's lists of images are replaced whole when they change.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab import paths
from tests.lab.shell import as_root, docker, run

if TYPE_CHECKING:
    from tests.lab.host import Host

PARTS = ("image", "overlay2")  # of Docker's data
SMALL = 20_000_000  # bytes; loaded sooner than Docker is started anew
KEPT = 8  # each new set of images makes one
LABEL = "llmlab-seed"


def is_worth_it(host: Host, images: Sequence[str]) -> bool:
    """Whether the host is new, so that its Docker may be given other data, and the images are large."""
    state = host.docker(["info", "--format", "{{.Images}} {{.Containers}} {{.Swarm.LocalNodeState}} {{.Driver}}"])
    if state.stdout.split() != ["0", "0", "inactive", "overlay2"]:
        return False
    sizes = docker("image", "inspect", "--format", "{{.Size}}", *images).stdout.split()
    return sum(map(int, sizes)) > SMALL


def plant(host: Host, images: Sequence[str]) -> None:
    """Give a new host these images of this machine's engine."""
    seed = _ensure(host, images)
    host.stop_docker()
    _link(seed, _data(host))
    host.start_docker()


def _ensure(host: Host, images: Sequence[str]) -> Path:
    """The folder of the seed. It is a volume: only within Docker's own mount can files be linked to those of hosts.

    The first host that needs it loads the images for all.
    """
    ids = docker("image", "inspect", "--format", "{{.Id}} {{.RepoTags}}", *images).stdout.splitlines()
    digest = hashlib.sha256(json.dumps([host.trixie, sorted(ids)]).encode()).hexdigest()[:12]
    with (paths.cache() / "seeds.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        name = f"{LABEL}-{digest}"
        docker("volume", "create", "--label", LABEL, name)
        folder = Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", name).stdout.strip())
        if not _is_whole(folder):
            host.stream(images)
            host.stop_docker()
            _link(_data(host), folder)
            run(as_root("touch", str(folder / "whole")))
            _forget(name)
    return folder


def _is_whole(folder: Path) -> bool:
    return run(as_root("test", "-e", str(folder / "whole")), check=False).returncode == 0


def _link(source: Path, target: Path) -> None:
    run(as_root("rm", "-rf", *(str(target / part) for part in PARTS)))
    run(as_root("cp", "-a", "--link", *(str(source / part) for part in PARTS), str(target)))


def _data(host: Host) -> Path:
    """The folder of a host's Docker on this machine."""
    mounts = json.loads(docker("inspect", "--format", "{{json .Mounts}}", host.container).stdout)
    return next(Path(mount["Source"]) for mount in mounts if mount["Destination"] == "/var/lib/docker")


def _forget(newest: str) -> None:
    """Remove the oldest seeds where there are too many."""
    row = ["--format", "{{.CreatedAt}} {{.Name}}"]
    names = docker("volume", "ls", "--quiet", "--filter", f"label={LABEL}").stdout.split()
    made = sorted(docker("volume", "inspect", *row, *names).stdout.splitlines())
    for line in made[:-KEPT]:
        if (name := line.split()[-1]) != newest:
            docker("volume", "rm", name, check=False)
