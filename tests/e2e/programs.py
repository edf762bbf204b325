"""Images of Debian's own programs that play parts of the monitoring, started as the images of their makers are.

Each is one program with its libraries, an entry point, and the folders that it writes to, which are nobody's.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.stack import alone
from tests.lab import paths
from tests.lab.shell import docker
from tests.programs import libraries, program

NOBODY = 65534


@dataclass(frozen=True)
class Made:
    """What an image is made of: a program of `tests.programs`, folders of its own, and what it starts with."""

    program: str
    folders: tuple[str, ...] = ()
    user: int = NOBODY
    data: str = ""  # folder of its package's files that it reads


PARTS = {
    "prometheus": Made("prometheus", ("prometheus",)),
    "alertmanager": Made("alertmanager", ("alertmanager",), data="usr/share/prometheus/alertmanager"),
    "node-exporter": Made("node_exporter"),
    "blackbox-exporter": Made("blackbox_exporter"),
}


def image(part: str) -> str:
    """The name of the image that plays `part`, on this machine's engine."""
    made = PARTS[part]
    binary = program(made.program)
    digest = hashlib.sha256(f"{made}{binary.stat().st_size}{Path(__file__).read_text()}".encode()).hexdigest()[:12]
    name = f"llmlab/{part}:{digest}"
    with alone(paths.cache() / f"{part}.lock"):
        if docker("image", "inspect", "--format", "{{.Id}}", name, check=False).returncode != 0:
            _import(name, made, binary)
    return name


def _import(name: str, made: Made, binary: Path) -> None:
    tar = paths.cache() / f"{made.program}.tar"
    with tarfile.open(tar, "w") as archive:
        for folder in (*made.folders, "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o755, made.user, made.user
            archive.addfile(entry)
        for file in libraries(binary):
            _add(archive, file, str(file).lstrip("/"))
        _add(archive, binary, f"bin/{made.program}")
        root = binary.parents[2]
        for file in sorted((root / made.data).rglob("*.tmpl")) if made.data else []:
            _add(archive, file, str(file.relative_to(root)))
    changes = [f'ENTRYPOINT ["/bin/{made.program}"]', f"USER {made.user}:{made.user}"]
    try:
        docker("import", *(word for one in changes for word in ("--change", one)), str(tar), name)
    finally:
        tar.unlink()


def _add(archive: tarfile.TarFile, file: Path, name: str) -> None:
    content = file.read_bytes()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o755
    archive.addfile(entry, io.BytesIO(content))
