"""Compile the health probe for every server architecture while the package is built or installed editable.

The probe is a static program that runs inside containers, so its architecture is the servers', never this
machine's: ziglang (a wheel, no system compiler) builds both here, on Linux and macOS alike.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ARCHITECTURES = ("x86_64", "aarch64")
OUTPUT = Path("src/llmdeploy/_bin")
FLAGS = ("-mcpu=baseline", "-std=c11", "-Os", "-flto", "-static", "-s", "-Wall", "-Wextra")


class ProbeBuildHook(BuildHookInterface[Any]):
    """Hatchling's way in; runs for wheels and, as version "editable", for editable installs."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """The compiler is needed only when there is something to compile: it is a download of 100 MB."""
        root = Path(self.root)
        return [] if is_current(root / OUTPUT, hash_sources(root / "probe")) else ["ziglang>=0.13"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build what is missing and add it to the wheel, although git ignores it."""
        build_probes(Path(self.root))
        build_data["artifacts"] += [f"/{OUTPUT.as_posix()}/{name}" for name in ("probe-*", "SHA256SUMS")]

    def clean(self, versions: list[str]) -> None:  # noqa: ARG002
        """Remove what was built."""
        for path in (Path(self.root) / OUTPUT).glob("*"):
            path.unlink()


def build_probes(root: Path) -> Path:
    """Compile the probe for every architecture, unless that is done already, and return the folder."""
    output = root / OUTPUT
    sources = hash_sources(root / "probe")
    if is_current(output, sources):
        return output
    output.mkdir(parents=True, exist_ok=True)
    # Beside the result, so that each file moves into place in one step and nobody ever runs half a program.
    with tempfile.TemporaryDirectory(prefix=".build-", dir=output) as scratch:
        built = compile_probes(root / "probe", sources, Path(scratch))
        sums = Path(scratch, "SHA256SUMS")
        sums.write_text("".join(f"{sha256(path)}  {path.name}\n" for path in built))
        for path in (*built, sums):
            path.replace(output / path.name)
    return output


def compile_probes(folder: Path, sources: str, into: Path) -> list[Path]:
    """Cross-compile all architectures at once; most of the time goes into the C library, built from source."""
    targets = {into / f"probe-{arch}": f"{arch}-linux-musl" for arch in ARCHITECTURES}
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, f'-DPROBE_SOURCES="{sources}"']
    files = sorted(path.name for path in folder.glob("*.c"))
    with tempfile.TemporaryDirectory(prefix="llmdeploy-zig-") as cache, ExitStack() as running:
        # A caller who wants to keep the compiled C library names the caches; the tree never holds them.
        environment = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache, **os.environ}
        compilers = [
            running.enter_context(
                subprocess.Popen([*command, "-target", target, "-o", str(path), *files], cwd=folder, env=environment)
            )
            for path, target in targets.items()
        ]
        codes = [compiler.wait() for compiler in compilers]
        if any(codes):
            raise RuntimeError("the health probe did not compile: see the compiler's message above")
    for path in targets:
        path.chmod(0o755)
    return list(targets)


def hash_sources(folder: Path) -> str:
    """Hash everything that decides the result: the sources with their names, and the compiler's flags."""
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for path in sorted(folder.glob("*.[ch]")):
        digest.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def is_current(output: Path, sources: str) -> bool:
    """Tell whether both programs are there, undamaged and made of these sources (each carries their hash)."""
    try:
        lines = (output / "SHA256SUMS").read_text().splitlines()
        listed = {name: digest for digest, name in (line.split() for line in lines)}
        return all(
            listed[path.name] == sha256(path) and sources.encode() in path.read_bytes()
            for path in (output / f"probe-{arch}" for arch in ARCHITECTURES)
        )
    except (OSError, KeyError, ValueError):
        return False


def sha256(path: Path) -> str:
    """Hash one file, as sha256sum does."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
