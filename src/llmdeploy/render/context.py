"""Build folders: their content's hash is the image's tag, so that an unchanged folder is never built again."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

from llmdeploy.config.models import Build

_IGNORED = {"__pycache__", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".venv", ".DS_Store"}


@dataclass(frozen=True)
class Context:
    """A build folder made ready: `ref` is the content-addressed image name, `tar` what the builder is given."""

    ref: str
    sha256: str
    build: Build
    tar: Path | None = None


def build_context(root: Path, build: Build) -> Context:
    """Hashes the folder `build.context` under `root`; writes nothing. Raises OSError when it cannot be read."""
    digest = hashlib.sha256(json.dumps([build.dockerfile, build.args], sort_keys=True).encode())
    for path in context_files(root / build.context):
        digest.update(f"{path.relative_to(root / build.context)}\0{_mode(path):o}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    sha = digest.hexdigest()
    name = "".join(char if char.isalnum() else "-" for char in Path(build.context).name.lower()).strip("-") or "image"
    return Context(ref=f"llmdeploy/{name}:{sha[:12]}", sha256=sha, build=build)


def context_files(folder: Path) -> list[Path]:
    """The files of a build folder, sorted, without caches and version control."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not _IGNORED.intersection(path.relative_to(folder).parts) and path.suffix != ".pyc"
    )


def write_tar(root: Path, build: Build, target: Path) -> None:
    """Writes the folder as an uncompressed tar with nothing in it that changes from run to run."""
    folder = root / build.context
    with tarfile.open(target, "w") as archive:
        for path in context_files(folder):
            info = tarfile.TarInfo(str(path.relative_to(folder)))
            content = path.read_bytes()
            info.size, info.mode = len(content), _mode(path)
            archive.addfile(info, io.BytesIO(content))


def _mode(path: Path) -> int:
    return 0o755 if path.stat().st_mode & 0o100 else 0o644
